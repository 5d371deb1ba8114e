/* SPDX-License-Identifier: Apache-2.0 */
/* Another life for a URL that is done: it is fetched anew, and what it had stays until something better is there. One way for
 * `push --refresh` (mongo_admit.c) and for `reprocess` (mongo_reprocess.c). */
#ifndef GRISAILLE_ADAPTERS_MONGO_RENEWAL_H
#define GRISAILLE_ADAPTERS_MONGO_RENEWAL_H

#include "mongo_session.h"

struct gri_mongo_renewal {
    const char *asker;    /* the catalog or the reprocess that wants it: `renew.for` */
    int64_t round;        /* the how-manieth time it asks: `renew.round` */
    const char *pipeline; /* the version that it is to be made by now; NULL: that of before */
    bool queued;          /* the caller dispatches it, under the next run; else the dispatcher does, when there is room */
};
/* [{$set: …}, {$unset: …}]; owned. For records that are done. */
bson_t *gri_mongo_renewal_change(const struct gri_mongo_renewal *renewal);

/* Renewals of that asker that are under way, counted up to `limit` by index alone. */
enum gri_status gri_mongo_renewals_open(const struct gri_mongo_session *session, const char *asker, int64_t limit, int64_t *open,
                                        struct gri_error *error) GRI_MUST_CHECK;

struct gri_mongo_renewed {
    int64_t unchanged, changed, failed, pending;
};
/* How those of that round went, and what is under way. */
enum gri_status gri_mongo_renewals_count(const struct gri_mongo_session *session, const char *asker, int64_t round,
                                         struct gri_mongo_renewed *counts, struct gri_error *error) GRI_MUST_CHECK;
/* {unchanged, changed, failed, pending} at `key`, and back. */
void gri_mongo_renewed_append(bson_t *to, const char *key, const struct gri_mongo_renewed *counts);
struct gri_json *gri_mongo_renewed_json(const struct gri_mongo_renewed *counts); /* mongo_archive_catalogs.c */
void gri_mongo_renewed_read(const bson_t *document, const char *key, struct gri_mongo_renewed *counts);

/* Nobody wants them any more: those under way for that asker become done again, as they were. */
enum gri_status gri_mongo_renewals_cancel(const struct gri_mongo_session *session, const char *asker,
                                          struct gri_error *error) GRI_MUST_CHECK;

/* The $set fields that end a renewal in an update pipeline: how, and when. `reason` may be NULL. A failed one has its old
 * version of the pipeline again: nothing was made by the new one. */
void gri_mongo_renewal_end(bson_t *set, enum gri_renewed renewed, const char *reason, const char *detail);

#endif
