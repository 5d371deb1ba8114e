/* SPDX-License-Identifier: Apache-2.0 */
/* The schema's version, and the steps that bring an older database forward.
 *
 * Within a version fields, indexes and collections are only ever added, and a field that is not there has a meaning; so programs
 * of different age with the same schema version work side by side on the same data. What can't be done so raises the version
 * by one and adds a migration. */
#ifndef GRISAILLE_ADAPTERS_MONGO_MIGRATE_H
#define GRISAILLE_ADAPTERS_MONGO_MIGRATE_H

#include "mongo_session.h"

/* Who migrates, under the lease "migration". */
struct gri_mongo_migrator {
    struct gri_mongo_session *session;
    char holder[40];
};

/* From version `from` to `from` + 1. A step may be cut off by a crash and begun again, so each of its writes must bear being
 * done twice; one that takes long calls gri_mongo_migration_hold at least every 30 s. */
struct gri_mongo_migration {
    int from;
    const char *what; /* for the error's text: "split the names" */
    enum gri_status (*run)(struct gri_mongo_migrator *migrator, struct gri_error *error);
};

struct gri_mongo_schema {
    int version; /* what this program reads and writes */
    const struct gri_mongo_migration *migrations;
    size_t count;
};

/* Leaves a database of exactly `schema->version`: an empty one is of that version at once, an older one goes through each
 * migration in turn, each run by one process only. Class retry: another process is at it; reason config: the database is newer
 * than the program, or older than any migration knows. */
enum gri_status gri_mongo_migrate(struct gri_mongo_session *session, const struct gri_mongo_schema *schema,
                                  struct gri_error *error) GRI_MUST_CHECK;

/* Extends the lease. Failure (class retry): another process has it; the step must end. */
enum gri_status gri_mongo_migration_hold(struct gri_mongo_migrator *migrator, struct gri_error *error) GRI_MUST_CHECK;

#endif
