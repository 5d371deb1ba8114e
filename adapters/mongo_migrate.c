/* SPDX-License-Identifier: Apache-2.0 */
/* Brings an older database forward, step by step, under a lease. */
#include "mongo_migrate.h"

#include "mongo_ledger.h"

#include <sys/random.h>

enum { FIRST_VERSION = 1, LEASE_MS = 60000 };

#define LEASE "migration"

/* *version: 0 where the database does not say. */
static enum gri_status read_version(const struct gri_mongo_session *session, int64_t *version, struct gri_error *error) {
    bson_t *found = NULL;
    enum gri_status status = gri_mongo_find_one(session, GRI_MONGO_META, BCON_NEW("_id", "schema"), NULL, &found, error);
    *version = found ? gri_mongo_number(found, "version", 0) : 0;
    bson_destroy(found);
    return status;
}

static enum gri_status holds_data(const struct gri_mongo_session *session, bool *data, struct gri_error *error) {
    static const enum gri_mongo_collection LOOKED_AT[] = {GRI_MONGO_CATALOGS, GRI_MONGO_URLS, GRI_MONGO_IMAGES};
    *data = false;
    for (size_t i = 0; i < sizeof LOOKED_AT / sizeof *LOOKED_AT && !*data; i++) {
        bson_t *found = NULL;
        bson_t *opts = BCON_NEW("projection", "{", "_id", BCON_INT32(1), "}");
        enum gri_status status = gri_mongo_find_one(session, LOOKED_AT[i], bson_new(), opts, &found, error);
        *data = found != NULL;
        bson_destroy(found);
        if (status != GRI_OK) return status;
    }
    return GRI_OK;
}

/* A database that says nothing of itself: an empty one is of this program's version, one with data of the first. */
static enum gri_status stamp(const struct gri_mongo_session *session, int version, struct gri_error *error) {
    bool data = false;
    enum gri_status status = holds_data(session, &data, error);
    if (status != GRI_OK) return status;
    bson_t *change = BCON_NEW("$setOnInsert", "{", "version", BCON_INT32(data ? FIRST_VERSION : version), "}");
    return gri_mongo_update_one(session, GRI_MONGO_META, BCON_NEW("_id", "schema"), change, true, NULL, NULL, error);
}

static enum gri_status lease(struct gri_mongo_migrator *migrator, int64_t ttl_ms, struct gri_error *error) {
    struct gri_ledger_lease request = {.name = LEASE, .holder = migrator->holder, .ttl_ms = ttl_ms};
    enum gri_status status = gri_mongo_work_lease(migrator->session, &request.op);
    if (status != GRI_OK) {
        *error = request.op.error;
        return status;
    }
    if (ttl_ms == 0 || request.held) return GRI_OK;
    return gri_fail(error, GRI_R_store, "database %s is being brought to a newer schema version by another process",
                    migrator->session->mongo->database);
}

enum gri_status gri_mongo_migration_hold(struct gri_mongo_migrator *migrator, struct gri_error *error) {
    return lease(migrator, LEASE_MS, error);
}

static const struct gri_mongo_migration *find_migration(const struct gri_mongo_schema *schema, int64_t from) {
    for (size_t i = 0; i < schema->count; i++)
        if (schema->migrations[i].from == from) return &schema->migrations[i];
    return NULL;
}

/* One step. Whoever lost the lease on the way finds the version changed or the lease gone, and writes no version. */
static enum gri_status step(struct gri_mongo_migrator *migrator, const struct gri_mongo_schema *schema, int64_t from,
                            struct gri_error *error) {
    const struct gri_mongo_migration *migration = find_migration(schema, from);
    if (!migration) {
        return gri_fail(error, GRI_R_config, "database %s has schema version %lld, which this program can't bring to version %d",
                        migrator->session->mongo->database, (long long)from, schema->version);
    }
    enum gri_status status = migration->run(migrator, error);
    if (status == GRI_OK) status = gri_mongo_migration_hold(migrator, error);
    if (status != GRI_OK)
        return gri_error_wrap(error, "schema version %lld to %lld (%s)", (long long)from, (long long)from + 1, migration->what);
    bson_t *change =
        BCON_NEW("$set", "{", "version", BCON_INT64(from + 1), "}", "$currentDate", "{", "migrated_at", BCON_BOOL(true), "}");
    return gri_mongo_update_one(migrator->session, GRI_MONGO_META, BCON_NEW("_id", "schema", "version", BCON_INT64(from)), change,
                                false, NULL, NULL, error);
}

static enum gri_status refuse_newer(const struct gri_mongo_session *session, const struct gri_mongo_schema *schema,
                                    int64_t version, struct gri_error *error) {
    if (version <= schema->version) return GRI_OK;
    return gri_fail(error, GRI_R_config, "database %s has schema version %lld, this program knows %d; use a newer program",
                    session->mongo->database, (long long)version, schema->version);
}

/* Every step that is missing, with the version read anew under the lease. */
static enum gri_status run_steps(struct gri_mongo_migrator *migrator, const struct gri_mongo_schema *schema,
                                 struct gri_error *error) {
    int64_t version = 0;
    enum gri_status status = read_version(migrator->session, &version, error);
    while (status == GRI_OK && version < schema->version) {
        status = step(migrator, schema, version, error);
        if (status == GRI_OK) status = read_version(migrator->session, &version, error);
    }
    return status == GRI_OK ? refuse_newer(migrator->session, schema, version, error) : status;
}

enum gri_status gri_mongo_migrate(struct gri_mongo_session *session, const struct gri_mongo_schema *schema,
                                  struct gri_error *error) {
    int64_t version = 0;
    enum gri_status status = read_version(session, &version, error);
    if (status == GRI_OK && version == 0) {
        status = stamp(session, schema->version, error);
        if (status == GRI_OK) status = read_version(session, &version, error);
    }
    if (status == GRI_OK) status = refuse_newer(session, schema, version, error);
    if (status != GRI_OK || version == schema->version) return status;

    struct gri_mongo_migrator migrator = {.session = session};
    uint64_t random[2];
    GRI_ASSERT(getrandom(random, sizeof random, 0) == (ssize_t)sizeof random);
    GRI_ASSERT(gri_format(migrator.holder, sizeof migrator.holder, "%016llx%016llx", (unsigned long long)random[0],
                          (unsigned long long)random[1]));
    status = lease(&migrator, LEASE_MS, error);
    if (status != GRI_OK) return status;
    status = run_steps(&migrator, schema, error);
    struct gri_error ignored = {0};
    (void)!lease(&migrator, 0, &ignored); /* else it expires */
    return status;
}
