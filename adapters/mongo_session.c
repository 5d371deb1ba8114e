/* SPDX-License-Identifier: Apache-2.0 */
/* Reads, writes and errors of one task. */
#include "mongo_session.h"

#include <string.h>

const char *gri_mongo_collection_name(enum gri_mongo_collection which) {
    static const char *const NAMES[GRI_MONGO_COLLECTION_COUNT] = {
        [GRI_MONGO_CATALOGS] = "catalogs",
        [GRI_MONGO_CHUNKS] = "catalog_chunks",
        [GRI_MONGO_LINE_ERRORS] = "catalog_errors",
        [GRI_MONGO_RULESETS] = "rulesets",
        [GRI_MONGO_PIPELINES] = "pipelines",
        [GRI_MONGO_URLS] = "urls",
        [GRI_MONGO_IMAGES] = "images",
        [GRI_MONGO_EVENTS] = "events",
        [GRI_MONGO_QUARANTINE] = "quarantine",
        [GRI_MONGO_LEASES] = "leases",
        [GRI_MONGO_META] = "meta",
        [GRI_MONGO_SCRUB] = "scrub",
        [GRI_MONGO_BODIES] = "event_bodies",
        [GRI_MONGO_ROLLUPS] = "rollups",
        [GRI_MONGO_TOMBSTONES] = "tombstones",
        [GRI_MONGO_HOSTS] = "hosts",
        [GRI_MONGO_REMOVALS] = "removals",
        [GRI_MONGO_DELETIONS] = "deletions",
        [GRI_MONGO_PHASHES] = "phashes",
        [GRI_MONGO_SERVICES] = "services",
        [GRI_MONGO_REPROCESSES] = "reprocesses",
    };
    GRI_ASSERT((unsigned)which < GRI_MONGO_COLLECTION_COUNT);
    return NAMES[which];
}

mongoc_collection_t *gri_mongo_open(const struct gri_mongo_session *session, enum gri_mongo_collection which) {
    return mongoc_client_get_collection(session->client, session->mongo->database, gri_mongo_collection_name(which));
}

/* --- errors ---------------------------------------------------------------------------------------------------------- */

/* Codes by which the server says that this document or statement will never be taken. */
static bool is_permanent(int64_t code) {
    switch (code) {
    case 2:     /* BadValue */
    case 9:     /* FailedToParse */
    case 14:    /* TypeMismatch */
    case 22:    /* InvalidBSON */
    case 121:   /* DocumentValidationFailure */
    case 10334: /* BSONObjectTooLarge */
    case 17280: /* KeyTooLong */
    case 17419: /* the document would grow too large */
    case 51091: /* a regular expression that can't be compiled */
        return true;
    default:
        return false;
    }
}

/* Codes after which a write may or may not have been done, or may be rolled back. */
static bool is_unknown(int64_t code) {
    static const int CODES[] = {6,   7,   24,   50,    64,    79,    89,    91,    100,   134,  189,
                                202, 262, 9001, 10058, 10107, 11600, 11601, 11602, 13435, 13436};
    for (size_t i = 0; i < sizeof CODES / sizeof *CODES; i++) {
        if (CODES[i] == code) return true;
    }
    return false;
}

enum gri_status gri_mongo_fail_code(struct gri_error *error, int64_t code, const char *message, const char *what) {
    enum gri_status status = is_permanent(code) ? GRI_PERMANENT : GRI_RETRY;
    enum gri_reason reason = code == 10334 || code == 17419 ? GRI_R_output_too_large : GRI_R_store;
    gri_fail_as(error, status, reason, "%s: %s (MongoDB code %lld)", what, message, (long long)code);
    error->unknown = status == GRI_RETRY && is_unknown(code);
    return status;
}

enum gri_status gri_mongo_fail(struct gri_error *error, const bson_error_t *cause, const char *what) {
    if (cause->domain == MONGOC_ERROR_SERVER) return gri_mongo_fail_code(error, cause->code, cause->message, what);
    bool never = cause->domain == MONGOC_ERROR_BSON ||
                 (cause->domain == MONGOC_ERROR_COMMAND && cause->code == MONGOC_ERROR_COMMAND_INVALID_ARG);
    gri_fail_as(error, never ? GRI_PERMANENT : GRI_RETRY, GRI_R_store, "%s: %s", what, cause->message);
    /* Whatever did not come from the server's own word may have been done; only a client that never got a server or a
     * connection has surely not. */
    error->unknown = !never && cause->domain != MONGOC_ERROR_SERVER_SELECTION &&
                     !(cause->domain == MONGOC_ERROR_CLIENT && cause->code == MONGOC_ERROR_CLIENT_AUTHENTICATE);
    return error->status;
}

enum gri_status gri_mongo_now(const struct gri_mongo_session *session, int64_t *now_ms, struct gri_error *error) {
    bson_error_t cause = {0};
    bson_t reply;
    bson_t *command = BCON_NEW("hello", BCON_INT32(1));
    bool ok = mongoc_client_command_simple(session->client, "admin", command, NULL, &reply, &cause);
    *now_ms = ok ? gri_mongo_number(&reply, "localTime", 0) : 0;
    bson_destroy(command);
    bson_destroy(&reply);
    return ok ? GRI_OK : gri_mongo_fail(error, &cause, "server time");
}

/* --- reads ----------------------------------------------------------------------------------------------------------- */

static bson_t *with_time_limit(const struct gri_mongo_session *session, bson_t *opts) {
    if (!opts) opts = bson_new();
    BSON_APPEND_INT64(opts, "maxTimeMS", session->mongo->timeout_ms);
    return opts;
}

static enum gri_status drain(mongoc_cursor_t *cursor, gri_mongo_visit visit, void *arg, const char *what,
                             struct gri_error *error) {
    const bson_t *document;
    bson_error_t cause = {0};
    bool more = true;
    while (more && mongoc_cursor_next(cursor, &document))
        more = visit(document, arg);
    enum gri_status status = GRI_OK;
    if (more && mongoc_cursor_error(cursor, &cause)) {
        status = gri_mongo_fail(error, &cause, what);
        error->unknown = false; /* a read leaves nothing behind */
    }
    mongoc_cursor_destroy(cursor);
    return status;
}

enum gri_status gri_mongo_find(const struct gri_mongo_session *session, enum gri_mongo_collection which, bson_t *filter,
                               bson_t *opts, gri_mongo_visit visit, void *arg, struct gri_error *error) {
    opts = with_time_limit(session, opts);
    mongoc_collection_t *collection = gri_mongo_open(session, which);
    mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(collection, filter, opts, NULL);
    enum gri_status status = drain(cursor, visit, arg, gri_mongo_collection_name(which), error);
    mongoc_collection_destroy(collection);
    bson_destroy(filter);
    bson_destroy(opts);
    return status;
}

enum gri_status gri_mongo_aggregate(const struct gri_mongo_session *session, enum gri_mongo_collection which, bson_t *pipeline,
                                    bson_t *opts, gri_mongo_visit visit, void *arg, struct gri_error *error) {
    opts = with_time_limit(session, opts);
    mongoc_collection_t *collection = gri_mongo_open(session, which);
    mongoc_cursor_t *cursor = mongoc_collection_aggregate(collection, MONGOC_QUERY_NONE, pipeline, opts, NULL);
    enum gri_status status = drain(cursor, visit, arg, gri_mongo_collection_name(which), error);
    mongoc_collection_destroy(collection);
    bson_destroy(pipeline);
    bson_destroy(opts);
    return status;
}

static bool keep_first(const bson_t *document, void *arg) {
    bson_t **out = arg;
    *out = bson_copy(document);
    return false;
}

enum gri_status gri_mongo_find_one(const struct gri_mongo_session *session, enum gri_mongo_collection which, bson_t *filter,
                                   bson_t *opts, bson_t **out, struct gri_error *error) {
    *out = NULL;
    if (!opts) opts = bson_new();
    BSON_APPEND_INT64(opts, "limit", 1);
    BSON_APPEND_BOOL(opts, "singleBatch", true);
    return gri_mongo_find(session, which, filter, opts, keep_first, out, error);
}

static bool keep_count(const bson_t *document, void *arg) {
    int64_t *count = arg;
    *count = gri_mongo_number(document, "n", 0);
    return false;
}

enum gri_status gri_mongo_count(const struct gri_mongo_session *session, enum gri_mongo_collection which, bson_t *filter,
                                const char *hint, int64_t limit, int64_t *count, struct gri_error *error) {
    *count = 0;
    bson_t *pipeline = BCON_NEW("0", "{", "$match", BCON_DOCUMENT(filter), "}");
    if (limit > 0) {
        BCON_APPEND(pipeline, "1", "{", "$limit", BCON_INT64(limit), "}", "2", "{", "$count", BCON_UTF8("n"), "}");
    } else {
        BCON_APPEND(pipeline, "1", "{", "$count", BCON_UTF8("n"), "}");
    }
    bson_destroy(filter);
    return gri_mongo_aggregate(session, which, pipeline, BCON_NEW("hint", BCON_UTF8(hint)), keep_count, count, error);
}

/* --- writes ---------------------------------------------------------------------------------------------------------- */

enum gri_status gri_mongo_update_one(const struct gri_mongo_session *session, enum gri_mongo_collection which, bson_t *filter,
                                     bson_t *change, bool upsert, int64_t *matched, int64_t *upserted, struct gri_error *error) {
    mongoc_collection_t *collection = gri_mongo_open(session, which);
    bson_t *opts = BCON_NEW("upsert", BCON_BOOL(upsert));
    bson_error_t cause = {0};
    bson_t reply;
    bool ok = mongoc_collection_update_one(collection, filter, change, opts, &reply, &cause);
    if (matched) *matched = gri_mongo_number(&reply, "matchedCount", 0);
    if (upserted) *upserted = gri_mongo_has(&reply, "upsertedId") ? 1 : 0;
    bson_destroy(&reply);
    bson_destroy(opts);
    bson_destroy(filter);
    bson_destroy(change);
    mongoc_collection_destroy(collection);
    return ok ? GRI_OK : gri_mongo_fail(error, &cause, gri_mongo_collection_name(which));
}

enum gri_status gri_mongo_update_many(const struct gri_mongo_session *session, enum gri_mongo_collection which, bson_t *filter,
                                      bson_t *change, struct gri_error *error) {
    mongoc_collection_t *collection = gri_mongo_open(session, which);
    bson_error_t cause = {0};
    bool ok = mongoc_collection_update_many(collection, filter, change, NULL, NULL, &cause);
    bson_destroy(filter);
    bson_destroy(change);
    mongoc_collection_destroy(collection);
    return ok ? GRI_OK : gri_mongo_fail(error, &cause, gri_mongo_collection_name(which));
}

enum gri_status gri_mongo_delete(const struct gri_mongo_session *session, enum gri_mongo_collection which, bson_t *filter,
                                 int64_t *deleted, struct gri_error *error) {
    mongoc_collection_t *collection = gri_mongo_open(session, which);
    bson_error_t cause = {0};
    bson_t reply;
    bool ok = mongoc_collection_delete_many(collection, filter, NULL, &reply, &cause);
    if (deleted) *deleted = gri_mongo_number(&reply, "deletedCount", 0);
    bson_destroy(&reply);
    bson_destroy(filter);
    mongoc_collection_destroy(collection);
    return ok ? GRI_OK : gri_mongo_fail(error, &cause, gri_mongo_collection_name(which));
}

void gri_mongo_bulk_begin(struct gri_mongo_bulk *bulk, const struct gri_mongo_session *session, enum gri_mongo_collection which,
                          bool lossy, const char *what) {
    *bulk = (struct gri_mongo_bulk){.collection = gri_mongo_open(session, which), .what = what};
    bson_init(&bulk->reply);
    bson_t opts = BSON_INITIALIZER;
    BSON_APPEND_BOOL(&opts, "ordered", false);
    if (lossy) {
        mongoc_write_concern_t *one = mongoc_write_concern_new();
        mongoc_write_concern_set_w(one, 1);
        mongoc_write_concern_append(one, &opts);
        mongoc_write_concern_destroy(one);
    }
    bulk->bulk = mongoc_collection_create_bulk_operation_with_opts(bulk->collection, &opts);
    bson_destroy(&opts);
}

void gri_mongo_bulk_update(struct gri_mongo_bulk *bulk, bson_t *filter, bson_t *change, bool upsert) {
    bson_t opts = BSON_INITIALIZER;
    if (upsert) BSON_APPEND_BOOL(&opts, "upsert", true);
    if (!bulk->failed && !mongoc_bulk_operation_update_one_with_opts(bulk->bulk, filter, change, &opts, &bulk->cause))
        bulk->failed = true;
    bulk->count++;
    bson_destroy(&opts);
    bson_destroy(filter);
    bson_destroy(change);
}

void gri_mongo_bulk_insert(struct gri_mongo_bulk *bulk, bson_t *document) {
    bson_t opts = BSON_INITIALIZER;
    BSON_APPEND_BOOL(&opts, "validate", false);
    if (!bulk->failed && !mongoc_bulk_operation_insert_with_opts(bulk->bulk, document, &opts, &bulk->cause)) bulk->failed = true;
    bulk->count++;
    bson_destroy(&opts);
    bson_destroy(document);
}

static bool array_at(const bson_t *reply, const char *name, bson_iter_t *items) {
    bson_iter_t at;
    return bson_iter_init_find(&at, reply, name) && BSON_ITER_HOLDS_ARRAY(&at) && bson_iter_recurse(&at, items);
}

static bool array_is_empty(const bson_t *reply, const char *name) {
    bson_iter_t items;
    return !array_at(reply, name, &items) || !bson_iter_next(&items);
}

enum gri_status gri_mongo_bulk_execute(struct gri_mongo_bulk *bulk, struct gri_error *error) {
    if (bulk->failed) return gri_mongo_fail(error, &bulk->cause, bulk->what);
    if (bulk->count == 0) return GRI_OK;
    bson_error_t cause = {0};
    bson_destroy(&bulk->reply);
    uint32_t server = mongoc_bulk_operation_execute(bulk->bulk, &bulk->reply, &cause);
    if (server != 0) return GRI_OK;
    if (!array_is_empty(&bulk->reply, "writeConcernErrors")) {
        gri_fail(error, GRI_R_store, "%s: not confirmed by a majority: %s", bulk->what, cause.message);
        error->unknown = true;
        return error->status;
    }
    /* Single refusals leave the rest done; a command or a connection that failed leaves the rest unknown. */
    bool refusals = cause.domain == MONGOC_ERROR_SERVER && !array_is_empty(&bulk->reply, "writeErrors") &&
                    array_is_empty(&bulk->reply, "errorReplies");
    if (refusals) return GRI_OK;
    enum gri_status status = gri_mongo_fail(error, &cause, bulk->what);
    if (status == GRI_RETRY && cause.domain != MONGOC_ERROR_SERVER_SELECTION) error->unknown = true;
    return status;
}

static bool refusal_at(bson_iter_t *items, bson_t *document) {
    if (!bson_iter_next(items) || !BSON_ITER_HOLDS_DOCUMENT(items)) return false;
    uint32_t len;
    const uint8_t *data;
    bson_iter_document(items, &len, &data);
    return bson_init_static(document, data, len);
}

void gri_mongo_bulk_refused(const struct gri_mongo_bulk *bulk,
                            void (*visit)(size_t index, int64_t code, const char *message, void *arg), void *arg) {
    bson_iter_t items;
    bson_t document;
    if (!array_at(&bulk->reply, "writeErrors", &items)) return;
    while (refusal_at(&items, &document)) {
        int64_t index = gri_mongo_number(&document, "index", -1);
        GRI_ASSERT(index >= 0 && (size_t)index < bulk->count);
        visit((size_t)index, gri_mongo_number(&document, "code", 0), gri_mongo_text(&document, "errmsg"), arg);
    }
}

struct refusal {
    enum gri_status status;
    const char *what;
    struct gri_error *error;
};

static void note_refusal(size_t index, int64_t code, const char *message, void *arg) {
    struct refusal *refusal = arg;
    (void)index;
    if (refusal->status != GRI_OK || code == GRI_MONGO_DUPLICATE) return;
    refusal->status = gri_mongo_fail_code(refusal->error, code, message, refusal->what);
}

enum gri_status gri_mongo_bulk_refusal(const struct gri_mongo_bulk *bulk, struct gri_error *error) {
    struct refusal refusal = {.status = GRI_OK, .what = bulk->what, .error = error};
    gri_mongo_bulk_refused(bulk, note_refusal, &refusal);
    return refusal.status;
}

void gri_mongo_bulk_upserted(const struct gri_mongo_bulk *bulk, void (*visit)(size_t index, void *arg), void *arg) {
    bson_iter_t items;
    bson_t document;
    if (!array_at(&bulk->reply, "upserted", &items)) return;
    while (refusal_at(&items, &document)) {
        int64_t index = gri_mongo_number(&document, "index", -1);
        GRI_ASSERT(index >= 0 && (size_t)index < bulk->count);
        visit((size_t)index, arg);
    }
}

void gri_mongo_bulk_clear(struct gri_mongo_bulk *bulk) {
    if (bulk->bulk) mongoc_bulk_operation_destroy(bulk->bulk);
    if (bulk->collection) mongoc_collection_destroy(bulk->collection);
    bulk->bulk = NULL;
    bulk->collection = NULL;
    bson_destroy(&bulk->reply);
    bson_init(&bulk->reply);
}
