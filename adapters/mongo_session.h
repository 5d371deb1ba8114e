/* SPDX-License-Identifier: Apache-2.0 */
/* What the files mongo_*.c share: a pooled client for one task, reads, bulk writes, and errors in the ports' terms.
 *
 * Documents handed to a function that says *takes* are destroyed by it. Values of strangers only ever enter a filter or
 * an update as typed BSON values, and in aggregation expressions only below $literal. */
#ifndef GRISAILLE_ADAPTERS_MONGO_SESSION_H
#define GRISAILLE_ADAPTERS_MONGO_SESSION_H

#include "mongo_client.h"

#include <mongoc/mongoc.h>
#include <pthread.h>

enum gri_mongo_collection {
    GRI_MONGO_CATALOGS,
    GRI_MONGO_CHUNKS,
    GRI_MONGO_LINE_ERRORS,
    GRI_MONGO_RULESETS,
    GRI_MONGO_PIPELINES,
    GRI_MONGO_URLS,
    GRI_MONGO_IMAGES,
    GRI_MONGO_EVENTS,
    GRI_MONGO_QUARANTINE,
    GRI_MONGO_LEASES,
    GRI_MONGO_META,
    GRI_MONGO_SCRUB,
    GRI_MONGO_BODIES,
    GRI_MONGO_ROLLUPS,
    GRI_MONGO_TOMBSTONES,
    GRI_MONGO_HOSTS,
    GRI_MONGO_REMOVALS,
    GRI_MONGO_DELETIONS,
    GRI_MONGO_PHASHES,
    GRI_MONGO_SERVICES,
    GRI_MONGO_REPROCESSES,
    GRI_MONGO_COLLECTION_COUNT
};

enum { GRI_MONGO_DUPLICATE = 11000 };

struct gri_mongo {
    mongoc_client_pool_t *pool;
    char *database;
    int64_t timeout_ms, keep_days;
    bool notify;
    const struct gri_crypto *crypto;
    struct gri_executor *executor;
    struct gri_loop *loop;
    struct gri_log *log;
    struct gri_metrics *metrics;
    struct gri_ledger ledger;
    struct gri_store store;
    struct gri_archive archive;
    pthread_mutex_t hosts_lock; /* of the two below (mongo_hosts.c) */
    bson_t *paused_hosts;       /* as last read; NULL: never */
    int64_t hosts_read_ms;      /* monotonic */
    bool tombstones;            /* are there any? As last read (mongo_images.c), under the same lock */
    int64_t tombstones_read_ms;
};

/* One task's client. */
struct gri_mongo_session {
    struct gri_mongo *mongo;
    mongoc_client_t *client;
};

/* Tables of operations, each made of the files named. */
extern const struct gri_ledger_ops gri_mongo_ledger_ops;   /* mongo_ledger.c */
extern const struct gri_store_ops gri_mongo_store_ops;     /* mongo_images.c */
extern const struct gri_archive_ops gri_mongo_archive_ops; /* mongo_archive.c */

const char *gri_mongo_collection_name(enum gri_mongo_collection which);

/* --- sessions ------------------------------------------------------------------------------------------------------ */

/* Takes a client of the pool; class retry when none gets free in time. */
enum gri_status gri_mongo_session_open(struct gri_mongo *mongo, struct gri_mongo_session *session,
                                       struct gri_error *error) GRI_MUST_CHECK;
void gri_mongo_session_close(struct gri_mongo_session *session);
/* Owned: mongoc_collection_destroy. */
mongoc_collection_t *gri_mongo_open(const struct gri_mongo_session *session, enum gri_mongo_collection which);

typedef enum gri_status (*gri_mongo_work)(struct gri_mongo_session *session, struct gri_op *op);
/* Runs `work` on a store thread and completes `op` on the loop's thread. `name` (static) labels metrics. */
void gri_mongo_submit(struct gri_mongo *mongo, const char *name, gri_mongo_work work, struct gri_op *op);

/* The server's clock, Unix ms. */
enum gri_status gri_mongo_now(const struct gri_mongo_session *session, int64_t *now_ms, struct gri_error *error) GRI_MUST_CHECK;

/* --- errors ---------------------------------------------------------------------------------------------------------- */

/* A driver's error in the ports' terms: reason store; class permanent where the server will never take it, else retry;
 * unknown where nobody knows what became of it. `what` names the operation. */
enum gri_status gri_mongo_fail(struct gri_error *error, const bson_error_t *cause, const char *what);
/* The same for a write error inside a bulk's reply. */
enum gri_status gri_mongo_fail_code(struct gri_error *error, int64_t code, const char *message, const char *what);

/* --- reads ----------------------------------------------------------------------------------------------------------- */

/* Called for each document; false ends the reading early. */
typedef bool (*gri_mongo_visit)(const bson_t *document, void *arg);
/* Majority reads with a time limit. Take `filter`, `pipeline` and `opts` (may be NULL). */
enum gri_status gri_mongo_find(const struct gri_mongo_session *session, enum gri_mongo_collection which, bson_t *filter,
                               bson_t *opts, gri_mongo_visit visit, void *arg, struct gri_error *error) GRI_MUST_CHECK;
enum gri_status gri_mongo_aggregate(const struct gri_mongo_session *session, enum gri_mongo_collection which, bson_t *pipeline,
                                    bson_t *opts, gri_mongo_visit visit, void *arg, struct gri_error *error) GRI_MUST_CHECK;
/* The first document of a find, copied into *out (owned), or NULL. */
enum gri_status gri_mongo_find_one(const struct gri_mongo_session *session, enum gri_mongo_collection which, bson_t *filter,
                                   bson_t *opts, bson_t **out, struct gri_error *error) GRI_MUST_CHECK;
/* Documents that match, counted up to `limit` (0: all) by an index scan over `hint` (an index name). Takes `filter`. */
enum gri_status gri_mongo_count(const struct gri_mongo_session *session, enum gri_mongo_collection which, bson_t *filter,
                                const char *hint, int64_t limit, int64_t *count, struct gri_error *error) GRI_MUST_CHECK;

/* --- writes ---------------------------------------------------------------------------------------------------------- */

/* One statement, majority. Takes `filter` and `change` (a document, or a pipeline). *matched and *upserted may be NULL. */
enum gri_status gri_mongo_update_one(const struct gri_mongo_session *session, enum gri_mongo_collection which, bson_t *filter,
                                     bson_t *change, bool upsert, int64_t *matched, int64_t *upserted,
                                     struct gri_error *error) GRI_MUST_CHECK;
enum gri_status gri_mongo_update_many(const struct gri_mongo_session *session, enum gri_mongo_collection which, bson_t *filter,
                                      bson_t *change, struct gri_error *error) GRI_MUST_CHECK;

/* Every document that matches. Takes `filter`. *deleted may be NULL. */
enum gri_status gri_mongo_delete(const struct gri_mongo_session *session, enum gri_mongo_collection which, bson_t *filter,
                                 int64_t *deleted, struct gri_error *error) GRI_MUST_CHECK;

/* An unordered bulk. */
struct gri_mongo_bulk {
    mongoc_collection_t *collection;
    mongoc_bulk_operation_t *bulk;
    const char *what;
    size_t count;
    bson_t reply; /* of the execution; empty before */
    bool failed;  /* an operation could not even be added */
    bson_error_t cause;
};

/* `lossy`: acknowledged by the primary alone (events). */
void gri_mongo_bulk_begin(struct gri_mongo_bulk *bulk, const struct gri_mongo_session *session, enum gri_mongo_collection which,
                          bool lossy, const char *what);
/* Takes both. */
void gri_mongo_bulk_update(struct gri_mongo_bulk *bulk, bson_t *filter, bson_t *change, bool upsert);
/* Takes `document`. It is not validated again: its texts must be UTF-8. */
void gri_mongo_bulk_insert(struct gri_mongo_bulk *bulk, bson_t *document);
/* GRI_OK also where single documents were refused (see the visitors); an empty bulk is GRI_OK. */
enum gri_status gri_mongo_bulk_execute(struct gri_mongo_bulk *bulk, struct gri_error *error) GRI_MUST_CHECK;
/* The first refusal that is no duplicate key as an error, or GRI_OK. */
enum gri_status gri_mongo_bulk_refusal(const struct gri_mongo_bulk *bulk, struct gri_error *error) GRI_MUST_CHECK;
/* Calls visit(index, code, message) for each refused document. */
void gri_mongo_bulk_refused(const struct gri_mongo_bulk *bulk,
                            void (*visit)(size_t index, int64_t code, const char *message, void *arg), void *arg);
/* Calls visit(index) for each upserted document. */
void gri_mongo_bulk_upserted(const struct gri_mongo_bulk *bulk, void (*visit)(size_t index, void *arg), void *arg);
void gri_mongo_bulk_clear(struct gri_mongo_bulk *bulk);

/* --- values ---------------------------------------------------------------------------------------------------------- */

/* At a dotted path: the text (borrowed; "" if missing or no text), a number or date, a truth. */
const char *gri_mongo_text(const bson_t *document, const char *path);
int64_t gri_mongo_number(const bson_t *document, const char *path, int64_t otherwise);
bool gri_mongo_truth(const bson_t *document, const char *path);
bool gri_mongo_has(const bson_t *document, const char *path);
/* Any bytes: as text where they are UTF-8, else as binary. */
void gri_mongo_append_any(bson_t *document, const char *key, struct gri_slice bytes);
/* A copy (free) of a stranger's text that is UTF-8: where it was not, each byte over 0x7f is '?'. */
char *gri_mongo_clean(const char *text);
/* The same, into a document. */
void gri_mongo_append_text(bson_t *document, const char *key, const char *text);
/* Text or binary at `path` as bytes, borrowed. */
struct gri_slice gri_mongo_bytes(const bson_t *document, const char *path);
/* {key: {$in: […]}} is built with this: the array of `count` texts, `stride` bytes apart. */
void gri_mongo_append_texts(bson_t *document, const char *key, const char *texts, size_t stride, size_t count);

enum gri_catalog_state gri_mongo_catalog_state(const char *name);
enum gri_url_state gri_mongo_url_state(const char *name);

#endif
