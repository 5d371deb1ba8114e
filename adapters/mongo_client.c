/* SPDX-License-Identifier: Apache-2.0 */
/* The pool of MongoDB clients, and how a request of the loop becomes a task of a store thread. */
#include "mongo_session.h"

#include <stdlib.h>
#include <string.h>

enum { DEFAULT_TIMEOUT_MS = 10000, SOCKET_SLACK_MS = 5000, CONNECT_TIMEOUT_MS = 5000, HEARTBEAT_MS = 2000 };

/* One request under way. */
struct request {
    struct gri_task task;
    struct gri_mongo *mongo;
    const char *name;
    gri_mongo_work work;
    struct gri_op *op;
};

static enum gri_status set_options(mongoc_uri_t *uri, int64_t timeout_ms, struct gri_error *error) {
    int32_t timeout = (int32_t)timeout_ms;
    bool ok = mongoc_uri_set_appname(uri, "grisaille") && mongoc_uri_set_option_as_bool(uri, MONGOC_URI_RETRYWRITES, true) &&
              mongoc_uri_set_option_as_bool(uri, MONGOC_URI_RETRYREADS, true) &&
              mongoc_uri_set_option_as_int32(uri, MONGOC_URI_SERVERSELECTIONTIMEOUTMS, timeout) &&
              mongoc_uri_set_option_as_int32(uri, MONGOC_URI_WAITQUEUETIMEOUTMS, timeout) &&
              mongoc_uri_set_option_as_int32(uri, MONGOC_URI_SOCKETTIMEOUTMS, timeout + SOCKET_SLACK_MS) &&
              mongoc_uri_set_option_as_int32(uri, MONGOC_URI_CONNECTTIMEOUTMS,
                                             timeout < CONNECT_TIMEOUT_MS ? timeout : CONNECT_TIMEOUT_MS);
    /* A server that was given up after an error is only asked again with the next of these. */
    if (!mongoc_uri_has_option(uri, MONGOC_URI_HEARTBEATFREQUENCYMS))
        ok = ok && mongoc_uri_set_option_as_int32(uri, MONGOC_URI_HEARTBEATFREQUENCYMS, HEARTBEAT_MS);
    if (!ok) return gri_fail(error, GRI_R_config, "mongo.uri: an option was refused by the driver");
    mongoc_write_concern_t *write = mongoc_write_concern_new();
    mongoc_write_concern_set_wmajority(write, timeout);
    mongoc_write_concern_set_journal(write, true);
    mongoc_uri_set_write_concern(uri, write);
    mongoc_write_concern_destroy(write);
    mongoc_read_concern_t *read = mongoc_read_concern_new();
    mongoc_read_concern_set_level(read, MONGOC_READ_CONCERN_LEVEL_MAJORITY);
    mongoc_uri_set_read_concern(uri, read);
    mongoc_read_concern_destroy(read);
    mongoc_read_prefs_t *primary = mongoc_read_prefs_new(MONGOC_READ_PRIMARY);
    mongoc_uri_set_read_prefs_t(uri, primary);
    mongoc_read_prefs_destroy(primary);
    return GRI_OK;
}

enum gri_status gri_mongo_create(const struct gri_mongo_options *options, struct gri_log *log, struct gri_metrics *metrics,
                                 struct gri_mongo **out, struct gri_error *error) {
    GRI_ASSERT(options->uri && options->database && (!options->store || options->loop));
    *out = NULL;
    /* The driver would write its own lines to standard error, the first while it begins; every failure reaches the log through
     * the ports. */
    mongoc_log_set_handler(NULL, NULL);
    mongoc_init();
    int64_t timeout_ms = options->timeout_ms > 0 ? options->timeout_ms : DEFAULT_TIMEOUT_MS;
    enum gri_status status = GRI_OK;
    bson_error_t cause = {0};
    mongoc_client_pool_t *pool = NULL;
    mongoc_uri_t *uri = mongoc_uri_new_with_error(options->uri, &cause);
    /* The driver's message may quote the password. */
    if (!uri && strchr(options->uri, '@')) {
        return gri_fail(error, GRI_R_config, "mongo.uri can't be parsed; are user and password percent-encoded?");
    }
    if (!uri) return gri_fail(error, GRI_R_config, "mongo.uri can't be parsed: %s", cause.message);
    status = set_options(uri, timeout_ms, error);
    if (status != GRI_OK) goto out;
    pool = mongoc_client_pool_new_with_error(uri, &cause);
    if (!pool) {
        status = gri_fail(error, GRI_R_config, "mongo.uri: %s", cause.message);
        goto out;
    }
    mongoc_client_pool_set_error_api(pool, MONGOC_ERROR_API_VERSION_2);
    struct gri_mongo *mongo = gri_calloc(1, sizeof *mongo);
    *mongo = (struct gri_mongo){.pool = pool,
                                .database = gri_strdup(options->database),
                                .timeout_ms = timeout_ms,
                                .keep_days = options->keep_days,
                                .notify = options->notify,
                                .crypto = options->crypto,
                                .executor = options->store,
                                .loop = options->loop,
                                .log = log,
                                .metrics = metrics,
                                .ledger = {.ops = &gri_mongo_ledger_ops},
                                .store = {.ops = &gri_mongo_store_ops},
                                .archive = {.ops = &gri_mongo_archive_ops}};
    pthread_mutex_init(&mongo->hosts_lock, NULL);
    *out = mongo;
out:
    mongoc_uri_destroy(uri);
    return status;
}

void gri_mongo_destroy(struct gri_mongo *mongo) {
    if (!mongo) return;
    mongoc_client_pool_destroy(mongo->pool);
    pthread_mutex_destroy(&mongo->hosts_lock);
    bson_destroy(mongo->paused_hosts);
    free(mongo->database);
    free(mongo);
}

void gri_mongo_cleanup(void) {
    mongoc_cleanup();
}

struct gri_ledger *gri_mongo_ledger(struct gri_mongo *mongo) {
    GRI_ASSERT(mongo->executor);
    return &mongo->ledger;
}

struct gri_store *gri_mongo_store(struct gri_mongo *mongo) {
    GRI_ASSERT(mongo->executor);
    return &mongo->store;
}

struct gri_archive *gri_mongo_archive(struct gri_mongo *mongo) {
    return &mongo->archive;
}

enum gri_status gri_mongo_session_open(struct gri_mongo *mongo, struct gri_mongo_session *session, struct gri_error *error) {
    *session = (struct gri_mongo_session){.mongo = mongo, .client = mongoc_client_pool_pop(mongo->pool)};
    if (session->client) return GRI_OK;
    return gri_fail(error, GRI_R_store, "no MongoDB client got free within %lld ms", (long long)mongo->timeout_ms);
}

void gri_mongo_session_close(struct gri_mongo_session *session) {
    if (session->client) mongoc_client_pool_push(session->mongo->pool, session->client);
    session->client = NULL;
}

static void count_failure(const struct gri_mongo *mongo, const char *name, const struct gri_error *error) {
    char labels[120];
    const char *kind = error->unknown ? "unknown" : error->status == GRI_RETRY ? "refused" : "permanent";
    if (!gri_format(labels, sizeof labels, "op=\"%s\",kind=\"%s\"", name, kind)) return;
    gri_counter_add(gri_metrics_counter(mongo->metrics, "grisaille_store_errors_total", "MongoDB operations that failed", labels),
                    1);
    gri_log_error(mongo->log, GRI_DEBUG, "store_failed", error);
}

static void work_on_thread(struct gri_task *task) {
    struct request *request = gri_container_of(task, struct request, task);
    struct gri_op *op = request->op;
    struct gri_mongo_session session;
    op->status = gri_mongo_session_open(request->mongo, &session, &op->error);
    if (op->status == GRI_OK) op->status = request->work(&session, op);
    gri_mongo_session_close(&session);
    if (op->status != GRI_OK) count_failure(request->mongo, request->name, &op->error);
}

static void done_on_loop(struct gri_task *task) {
    struct request *request = gri_container_of(task, struct request, task);
    struct gri_op *op = request->op;
    free(request);
    op->done(op);
}

static void refused_on_loop(void *arg) {
    struct request *request = arg;
    done_on_loop(&request->task);
}

void gri_mongo_submit(struct gri_mongo *mongo, const char *name, gri_mongo_work work, struct gri_op *op) {
    struct request *request = gri_calloc(1, sizeof *request);
    *request = (struct request){
        .task = {.work = work_on_thread, .done = done_on_loop}, .mongo = mongo, .name = name, .work = work, .op = op};
    if (gri_submit(mongo->executor, &request->task)) return;
    op->status = gri_fail(&op->error, GRI_R_store, "%s: the queue of the store threads is full", name);
    count_failure(mongo, name, &op->error);
    gri_post(mongo->loop, refused_on_loop, request);
}
