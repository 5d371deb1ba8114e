/* SPDX-License-Identifier: Apache-2.0 */
/* The table of collections and indexes, and how it is made true. */
#include "mongo_schema.h"

#include "mongo_migrate.h"

#include <string.h>

enum { PREPARE_TRIES = 20, PREPARE_PAUSE_MS = 100, SECONDS_A_DAY = 86400 };

/* The first version: there is nothing yet to bring forward. */
static const struct gri_mongo_schema SCHEMA = {.version = 1, .migrations = NULL, .count = 0};

struct index {
    enum gri_mongo_collection collection;
    const char *name;
    const char *keys;
    const char *partial; /* NULL: all documents */
    bool unique, sparse;
};

/* A partial index bears its state among its keys, else a query would fetch each document to look at the state. */
static const struct index INDEXES[] = {
    {GRI_MONGO_CATALOGS, "content", "{\"sha256\":1,\"name\":1,\"pipeline\":1}", "{\"sha256\":{\"$exists\":true}}", true, false},
    {GRI_MONGO_CATALOGS, GRI_INDEX_CATALOGS_UNFINISHED, "{\"created_at\":1,\"_id\":1,\"unfinished\":1}", "{\"unfinished\":true}",
     false, false},
    {GRI_MONGO_CATALOGS, "created", "{\"created_at\":1,\"_id\":1}", NULL, false, false},

    {GRI_MONGO_CHUNKS, "number", "{\"catalog\":1,\"number\":1}", NULL, true, false},
    {GRI_MONGO_CHUNKS, GRI_INDEX_CHUNKS_PENDING, "{\"catalog\":1,\"admitted\":1,\"number\":1,\"announced_id\":1}",
     "{\"admitted\":false}", false, false},
    {GRI_MONGO_CHUNKS, GRI_INDEX_CHUNKS_LINES, "{\"catalog\":1,\"first_line\":1,\"lines\":1,\"number\":1}", NULL, false, false},

    {GRI_MONGO_URLS, GRI_INDEX_URLS_QUEUED, "{\"queued_at\":1,\"_id\":1,\"state\":1}", "{\"state\":\"queued\"}", false, false},
    {GRI_MONGO_URLS, GRI_INDEX_URLS_WAITING, "{\"next_at\":1,\"host\":1,\"state\":1}", "{\"state\":\"waiting\"}", false, false},
    {GRI_MONGO_URLS, GRI_INDEX_URLS_DEAD, "{\"changed_at\":1,\"_id\":1,\"state\":1}", "{\"state\":\"dead\"}", false, false},
    {GRI_MONGO_URLS, "dead_time", "{\"changed_at\":1,\"_id\":1,\"state\":1,\"dropped\":1}", "{\"state\":\"dead\"}", false, false},
    {GRI_MONGO_URLS, "dead_reason", "{\"error.reason\":1,\"changed_at\":1,\"_id\":1,\"state\":1,\"dropped\":1}",
     "{\"state\":\"dead\"}", false, false},
    {GRI_MONGO_URLS, "dead_host", "{\"host\":1,\"changed_at\":1,\"_id\":1,\"state\":1,\"dropped\":1}", "{\"state\":\"dead\"}",
     false, false},
    {GRI_MONGO_URLS, "dead_catalog", "{\"first.catalog\":1,\"changed_at\":1,\"_id\":1,\"state\":1,\"dropped\":1}",
     "{\"state\":\"dead\"}", false, false},
    {GRI_MONGO_URLS, GRI_INDEX_URLS_DONE, "{\"done_at\":1}", NULL, false, true},
    {GRI_MONGO_URLS, "images", "{\"images\":1}", NULL, false, true},
    {GRI_MONGO_URLS, "url", "{\"url\":1}", NULL, false, false},
    {GRI_MONGO_URLS, GRI_INDEX_URLS_STATE, "{\"first.catalog\":1,\"state\":1,\"made\":1}", NULL, false, false},
    {GRI_MONGO_URLS, GRI_INDEX_URLS_CHANGED, "{\"first.catalog\":1,\"changed_at\":1,\"_id\":1}", NULL, false, false},
    {GRI_MONGO_URLS, GRI_INDEX_URLS_LINE, "{\"first.catalog\":1,\"first.line\":1}", "{\"first.catalog\":{\"$exists\":true}}",
     true, false},

    {GRI_MONGO_URLS, GRI_INDEX_URLS_RENEW, "{\"renew.for\":1,\"state\":1,\"renew.round\":1,\"renew.outcome\":1}",
     "{\"renew.for\":{\"$exists\":true}}", false, false},
    {GRI_MONGO_URLS, GRI_INDEX_URLS_MADE, "{\"pipeline\":1,\"done_at\":1,\"_id\":1,\"state\":1}", "{\"state\":\"done\"}", false,
     false},

    {GRI_MONGO_IMAGES, GRI_INDEX_IMAGES_JOB, "{\"job\":1,\"pipeline\":1,\"output\":1}", NULL, true, false},
    {GRI_MONGO_IMAGES, GRI_INDEX_IMAGES_SOURCE, "{\"sums.source\":1,\"_id\":1,\"job\":1,\"removed\":1}", NULL, false, false},
    {GRI_MONGO_IMAGES, GRI_INDEX_IMAGES_CORRUPT, "{\"_id\":1,\"corrupt.at\":1}", "{\"corrupt.at\":{\"$exists\":true}}", false,
     false},
    {GRI_MONGO_IMAGES, "deleted", "{\"deleted_at\":1}", NULL, false, true},
    {GRI_MONGO_IMAGES, "output", "{\"sums.output\":1}", NULL, false, false},
    {GRI_MONGO_IMAGES, "base64", "{\"sums.base64\":1}", NULL, false, false},
    {GRI_MONGO_IMAGES, "inserted", "{\"inserted_at\":1,\"_id\":1}", NULL, false, false},
    {GRI_MONGO_IMAGES, "host", "{\"source.host\":1,\"inserted_at\":1,\"_id\":1}", NULL, false, false},

    {GRI_MONGO_EVENTS, "time", "{\"time\":1,\"_id\":1}", NULL, false, false},
    {GRI_MONGO_EVENTS, "reason", "{\"reason\":1,\"time\":1,\"_id\":1}", NULL, false, false},
    {GRI_MONGO_EVENTS, "host", "{\"host\":1,\"time\":1,\"_id\":1}", NULL, false, false},
    {GRI_MONGO_EVENTS, "catalog", "{\"catalog\":1,\"time\":1,\"_id\":1}", NULL, false, false},
    {GRI_MONGO_EVENTS, "level", "{\"level\":1,\"time\":1,\"_id\":1}", NULL, false, false},
    {GRI_MONGO_EVENTS, GRI_INDEX_EVENTS_EVENT, "{\"event\":1,\"time\":1,\"_id\":1}", NULL, false, false},
    {GRI_MONGO_EVENTS, "key", "{\"key\":1,\"time\":1,\"_id\":1}", NULL, false, false},

    {GRI_MONGO_PHASHES, "bands", "{\"bands\":1}", NULL, false, false},
    {GRI_MONGO_ROLLUPS, "at", "{\"at\":1,\"host\":1,\"pipeline\":1}", NULL, false, false},
    {GRI_MONGO_ROLLUPS, GRI_INDEX_ROLLUPS_SPAN, "{\"span\":1,\"at\":1,\"host\":1,\"pipeline\":1}", NULL, false, false},
    {GRI_MONGO_TOMBSTONES, "unsettled", "{\"settle_at\":1}", NULL, false, true},
    {GRI_MONGO_CATALOGS, GRI_INDEX_CATALOGS_STATE, "{\"state\":1,\"created_at\":1,\"_id\":1}", NULL, false, false},
    {GRI_MONGO_CATALOGS, GRI_INDEX_CATALOGS_NOTICES, "{\"notice.next_at\":1,\"notice.state\":1}", "{\"notice.state\":\"due\"}",
     false, false},
    {GRI_MONGO_REPROCESSES, "unfinished", "{\"unfinished\":1}", NULL, false, true},
    {GRI_MONGO_CATALOGS, "doomed", "{\"doomed\":1}", NULL, false, true},
    {GRI_MONGO_DELETIONS, "at", "{\"at\":1}", NULL, false, false},
};

static const enum gri_mongo_collection PLAIN[] = {GRI_MONGO_LINE_ERRORS, GRI_MONGO_RULESETS, GRI_MONGO_PIPELINES,
                                                  GRI_MONGO_QUARANTINE,  GRI_MONGO_LEASES,   GRI_MONGO_SCRUB,
                                                  GRI_MONGO_HOSTS,       GRI_MONGO_REMOVALS, GRI_MONGO_SERVICES};

bson_t *gri_mongo_state_filter(enum gri_url_state state) {
    const char *field = state == GRI_URL_QUEUED ? "queued_at" : state == GRI_URL_WAITING ? "next_at" : "changed_at";
    return BCON_NEW("state", BCON_UTF8(gri_url_state_name(state)), field, "{", "$gte", BCON_DATE_TIME(0), "}");
}

static bson_t *from_json(const char *json) {
    bson_error_t cause;
    bson_t *document = bson_new_from_json((const uint8_t *)json, -1, &cause);
    GRI_ASSERT(document); /* the tables above are constants */
    return document;
}

static void append_json(bson_t *to, const char *key, const char *json) {
    bson_t *document = from_json(json);
    BSON_APPEND_DOCUMENT(to, key, document);
    bson_destroy(document);
}

/* Runs and destroys `command`; `tolerated`: a server's code that counts as success, 0 for none. */
static enum gri_status run(const struct gri_mongo_session *session, bson_t *command, uint32_t tolerated, const char *what,
                           struct gri_error *error) {
    bson_error_t cause = {0};
    bool ok = mongoc_client_write_command_with_opts(session->client, session->mongo->database, command, NULL, NULL, &cause);
    bson_destroy(command);
    if (ok || (tolerated && cause.domain == MONGOC_ERROR_SERVER && cause.code == tolerated)) return GRI_OK;
    return gri_mongo_fail(error, &cause, what);
}

static void append_index(bson_t *indexes, uint32_t position, const struct index *index) {
    char buffer[16];
    const char *key;
    bson_t spec;
    bson_uint32_to_string(position, &key, buffer, sizeof buffer);
    bson_append_document_begin(indexes, key, -1, &spec);
    BSON_APPEND_UTF8(&spec, "name", index->name);
    append_json(&spec, "key", index->keys);
    if (index->unique) BSON_APPEND_BOOL(&spec, "unique", true);
    if (index->sparse) BSON_APPEND_BOOL(&spec, "sparse", true);
    if (index->partial) append_json(&spec, "partialFilterExpression", index->partial);
    bson_append_document_end(indexes, &spec);
}

static enum gri_status create_indexes(const struct gri_mongo_session *session, enum gri_mongo_collection which,
                                      struct gri_error *error) {
    bson_t *command = BCON_NEW("createIndexes", BCON_UTF8(gri_mongo_collection_name(which)));
    bson_t indexes;
    uint32_t position = 0;
    bson_append_array_begin(command, "indexes", -1, &indexes);
    for (size_t i = 0; i < sizeof INDEXES / sizeof *INDEXES; i++) {
        if (INDEXES[i].collection == which) append_index(&indexes, position++, &INDEXES[i]);
    }
    bson_append_array_end(command, &indexes);
    if (position == 0) {
        bson_destroy(command);
        return GRI_OK;
    }
    return run(session, command, 0, "create indexes", error);
}

/* Events and the bodies beside them expire by `time`; the age may change between two starts. 0 days: the longest the server can
 * say. */
static enum gri_status create_expiry(const struct gri_mongo_session *session, enum gri_mongo_collection which,
                                     struct gri_error *error) {
    enum { INDEX_OPTIONS_CONFLICT = 85 };
    int64_t days = session->mongo->keep_days;
    int64_t seconds = days > 0 && days < INT32_MAX / SECONDS_A_DAY ? days * SECONDS_A_DAY : INT32_MAX;
    bson_t *command =
        BCON_NEW("createIndexes", BCON_UTF8(gri_mongo_collection_name(which)), "indexes", "[", "{", "name", "expiry", "key", "{",
                 "time", BCON_INT32(1), "}", "expireAfterSeconds", BCON_INT64(seconds), "}", "]");
    enum gri_status status = run(session, command, INDEX_OPTIONS_CONFLICT, "create the expiry of events", error);
    if (status != GRI_OK) return status;
    command = BCON_NEW("collMod", BCON_UTF8(gri_mongo_collection_name(which)), "index", "{", "name", "expiry",
                       "expireAfterSeconds", BCON_INT64(seconds), "}");
    return run(session, command, 0, "set the expiry of events", error);
}

static enum gri_status create_plain(const struct gri_mongo_session *session, struct gri_error *error) {
    enum { NAMESPACE_EXISTS = 48 };
    for (size_t i = 0; i < sizeof PLAIN / sizeof *PLAIN; i++) {
        bson_t *command = BCON_NEW("create", BCON_UTF8(gri_mongo_collection_name(PLAIN[i])));
        enum gri_status status = run(session, command, NAMESPACE_EXISTS, "create collections", error);
        if (status != GRI_OK) return status;
    }
    return GRI_OK;
}

static enum gri_status check_server(const struct gri_mongo_session *session, struct gri_error *error) {
    bson_error_t cause = {0};
    bson_t reply;
    bson_t *command = BCON_NEW("hello", BCON_INT32(1));
    bool ok = mongoc_client_command_simple(session->client, "admin", command, NULL, &reply, &cause);
    bool replicated = ok && (gri_mongo_has(&reply, "setName") || strcmp(gri_mongo_text(&reply, "msg"), "isdbgrid") == 0);
    bson_destroy(command);
    bson_destroy(&reply);
    if (!ok) return gri_mongo_fail(error, &cause, "hello");
    if (!replicated)
        return gri_fail(error, GRI_R_config,
                        "mongo.uri: the server is no member of a replica set (one node is enough: rs.initiate())");
    return GRI_OK;
}

static enum gri_status prepare_once(struct gri_mongo_session *session, struct gri_error *error) {
    enum gri_status status = check_server(session, error);
    /* Before anything is touched: a newer program's database is left alone. */
    if (status == GRI_OK) status = gri_mongo_migrate(session, &SCHEMA, error);
    if (status == GRI_OK) status = create_plain(session, error);
    for (int which = 0; status == GRI_OK && which < GRI_MONGO_COLLECTION_COUNT; which++) {
        status = create_indexes(session, (enum gri_mongo_collection)which, error);
    }
    if (status == GRI_OK) status = create_expiry(session, GRI_MONGO_EVENTS, error);
    if (status == GRI_OK) status = create_expiry(session, GRI_MONGO_BODIES, error);
    return status;
}

enum gri_status gri_mongo_prepare(struct gri_archive *archive, struct gri_error *error) {
    struct gri_mongo *mongo = gri_container_of(archive, struct gri_mongo, archive);
    struct gri_mongo_session session;
    enum gri_status status = gri_mongo_session_open(mongo, &session, error);
    if (status != GRI_OK) return status;
    int64_t deadline = bson_get_monotonic_time() + mongo->timeout_ms * 1000;
    /* Several processes that prepare at once meet refusals (a build in progress, a duplicate upsert) that pass. */
    for (int i = 0; i < PREPARE_TRIES; i++) {
        status = prepare_once(&session, error);
        if (status != GRI_RETRY || bson_get_monotonic_time() > deadline) break;
        struct timespec pause = {.tv_nsec = PREPARE_PAUSE_MS * 1000000L};
        nanosleep(&pause, NULL);
    }
    gri_mongo_session_close(&session);
    return status;
}
