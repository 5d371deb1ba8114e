/* SPDX-License-Identifier: Apache-2.0 */
/* The private mongod, and a small loop on a condition variable. */
#include "mongo_world.h"

#include "mongo_replica.h"
#include "threads.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <grisaille/bytes.h>

enum { WAIT_S = 60, POST_MAX = 4096, STORE_THREADS = 4, STORE_QUEUE = 256 };

/* --- the loop: posts only, which is all that the adapter asks for ----------------------------------------------------- */

struct post {
    void (*run)(void *arg);
    void *arg;
};

struct post_loop {
    struct gri_loop loop;
    pthread_mutex_t lock;
    pthread_cond_t filled;
    struct post posts[POST_MAX];
    size_t head, count;
};

static void post(struct gri_loop *loop, void (*run)(void *arg), void *arg) {
    struct post_loop *posts = gri_container_of(loop, struct post_loop, loop);
    pthread_mutex_lock(&posts->lock);
    GRI_ASSERT(posts->count < POST_MAX);
    posts->posts[(posts->head + posts->count++) % POST_MAX] = (struct post){run, arg};
    pthread_cond_signal(&posts->filled);
    pthread_mutex_unlock(&posts->lock);
}

static struct gri_loop *loop_create(void) {
    static const struct gri_loop_ops ops = {.post = post};
    struct post_loop *posts = gri_calloc(1, sizeof *posts);
    posts->loop.ops = &ops;
    pthread_mutex_init(&posts->lock, NULL);
    pthread_cond_init(&posts->filled, NULL);
    return &posts->loop;
}

/* Runs one post; false when none came before `deadline`. */
static bool loop_turn(struct gri_loop *loop, const struct timespec *deadline) {
    struct post_loop *posts = gri_container_of(loop, struct post_loop, loop);
    struct post next = {0};
    pthread_mutex_lock(&posts->lock);
    while (posts->count == 0) {
        if (pthread_cond_timedwait(&posts->filled, &posts->lock, deadline) != 0) break;
    }
    if (posts->count > 0) {
        next = posts->posts[posts->head];
        posts->head = (posts->head + 1) % POST_MAX;
        posts->count--;
    }
    pthread_mutex_unlock(&posts->lock);
    if (next.run) next.run(next.arg);
    return next.run != NULL;
}

/* --- the server ------------------------------------------------------------------------------------------------------- */

static bool find_mongod(char *out, size_t size) {
    const char *given = getenv("GRISAILLE_MONGOD"), *root = getenv("GRISAILLE_SOURCE_ROOT");
    if (given && given[0]) return gri_copy(out, size, given) && access(out, X_OK) == 0;
    char *path = gri_strdup(getenv("PATH") ? getenv("PATH") : ""), *rest = path;
    for (char *folder = strsep(&rest, ":"); folder; folder = strsep(&rest, ":")) {
        if (gri_format(out, size, "%s/mongod", folder) && access(out, X_OK) == 0) {
            free(path);
            return true;
        }
    }
    free(path);
    return root && gri_format(out, size, "%s/.tools/mongod", root) && access(out, X_OK) == 0;
}

static int free_port(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    close(fd);
    return ntohs(address.sin_port);
}

static pid_t spawn(const char *mongod, const char *folder, int port) {
    char text[16];
    (void)gri_format(text, sizeof text, "%d", port);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid > 0) return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int null = open("/dev/null", O_WRONLY);
    dup2(null, 1);
    dup2(null, 2);
    execl(mongod, "mongod", "--dbpath", folder, "--port", text, "--bind_ip", "127.0.0.1", "--replSet", "test", "--oplogSize",
          "64", "--wiredTigerCacheSizeGB", "0.25", "--nounixsocket", "--setParameter", "enableTestCommands=1", "--setParameter",
          "diagnosticDataCollectionEnabled=false", (char *)NULL);
    _exit(127);
}

bool mongo_world_start(struct mongo_world *world) {
    char mongod[512], member[64], direct[128];
    struct gri_error error = {0};
    *world = (struct mongo_world){0};
    if (!find_mongod(mongod, sizeof mongod)) return false;
    const char *temporary = getenv("TMPDIR");
    assert_true(gri_format(world->folder, sizeof world->folder, "%s/gri-mongo-XXXXXX", temporary ? temporary : "/tmp"));
    assert_non_null(mkdtemp(world->folder));
    world->port = free_port();
    world->pid = spawn(mongod, world->folder, world->port);
    (void)gri_format(member, sizeof member, "127.0.0.1:%d", world->port);
    (void)gri_format(direct, sizeof direct, "mongodb://%s/?directConnection=true&serverSelectionTimeoutMS=500", member);
    if (gri_mongo_initiate(direct, "test", member, WAIT_S * 1000, &error) != GRI_OK) fail_msg("%s", error.detail);
    (void)gri_format(world->uri, sizeof world->uri, "mongodb://%s/", member);
    world->admin = mongoc_client_new(world->uri);
    world->loop = loop_create();
    world->executor = gri_threads_create(world->loop, "store", STORE_THREADS, STORE_QUEUE, NULL, NULL);
    world->metrics = gri_metrics_create();
    return true;
}

static int remove_entry(const char *path, const struct stat *status, int flag, struct FTW *walk) {
    (void)status;
    (void)flag;
    (void)walk;
    return remove(path);
}

void mongo_world_stop(struct mongo_world *world) {
    gri_threads_destroy(world->executor);
    gri_mongo_destroy(world->mongo);
    mongoc_client_destroy(world->admin);
    gri_metrics_destroy(world->metrics);
    free(gri_container_of(world->loop, struct post_loop, loop));
    kill(world->pid, SIGKILL);
    waitpid(world->pid, NULL, 0);
    nftw(world->folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    gri_mongo_cleanup();
}

struct gri_mongo *mongo_world_open(struct mongo_world *world, struct gri_executor *executor, int64_t timeout_ms) {
    struct gri_mongo *mongo = NULL;
    struct gri_error error = {0};
    struct gri_mongo_options options = {.uri = world->uri,
                                        .database = world->database,
                                        .timeout_ms = timeout_ms,
                                        .keep_days = 14,
                                        .store = executor,
                                        .loop = world->loop};
    if (gri_mongo_create(&options, NULL, world->metrics, &mongo, &error) != GRI_OK) fail_msg("%s", error.detail);
    return mongo;
}

static void empty_collections(struct mongo_world *world) {
    bson_error_t cause;
    mongoc_database_t *database = mongoc_client_get_database(world->admin, world->database);
    char **names = mongoc_database_get_collection_names_with_opts(database, NULL, &cause);
    if (!names) fail_msg("%s", cause.message);
    for (char **name = names; name && *name; name++) {
        bson_t all = BSON_INITIALIZER;
        mongoc_collection_t *collection = mongoc_database_get_collection(database, *name);
        if (!mongoc_collection_delete_many(collection, &all, NULL, NULL, &cause)) fail_msg("%s", cause.message);
        mongoc_collection_destroy(collection);
    }
    bson_strfreev(names);
    mongoc_database_destroy(database);
}

void mongo_world_fresh(struct mongo_world *world) {
    struct gri_error error = {0};
    if (!world->mongo) {
        (void)gri_copy(world->database, sizeof world->database, "test");
        world->mongo = mongo_world_open(world, world->executor, 5000);
        world->ledger = gri_mongo_ledger(world->mongo);
        world->store = gri_mongo_store(world->mongo);
        world->archive = gri_mongo_archive(world->mongo);
    }
    empty_collections(world);
    if (world->archive->ops->prepare(world->archive, &error) != GRI_OK) fail_msg("%s", error.detail);
}

/* --- requests --------------------------------------------------------------------------------------------------------- */

static const enum gri_status UNDER_WAY = (enum gri_status)99;

static void done(struct gri_op *op) {
    op->done = NULL;
}

void mongo_world_arm(struct gri_op *op) {
    op->done = done;
    op->status = UNDER_WAY;
}

void mongo_world_not_done(const struct gri_op *op) {
    assert_non_null(op->done);
}

enum gri_status mongo_world_wait(struct mongo_world *world, struct gri_op *op) {
    struct timespec deadline;
    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += WAIT_S;
    while (op->done) {
        if (!loop_turn(world->loop, &deadline)) fail_msg("a request was not answered in time");
    }
    assert_int_not_equal(op->status, UNDER_WAY);
    return op->status;
}

/* --- the test's own eyes ---------------------------------------------------------------------------------------------- */

static bson_t *parse(const char *json) {
    bson_error_t cause;
    bson_t *document = bson_new_from_json((const uint8_t *)json, -1, &cause);
    if (!document) fail_msg("%s: %s", json, cause.message);
    return document;
}

bson_t *mongo_world_find(struct mongo_world *world, const char *collection, const char *filter) {
    const bson_t *found;
    bson_t *query = parse(filter), *copy = NULL;
    mongoc_collection_t *from = mongoc_client_get_collection(world->admin, world->database, collection);
    mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(from, query, NULL, NULL);
    if (mongoc_cursor_next(cursor, &found)) copy = bson_copy(found);
    mongoc_cursor_destroy(cursor);
    mongoc_collection_destroy(from);
    bson_destroy(query);
    return copy;
}

int64_t mongo_world_count(struct mongo_world *world, const char *collection, const char *filter) {
    bson_error_t cause;
    bson_t *query = parse(filter);
    mongoc_collection_t *from = mongoc_client_get_collection(world->admin, world->database, collection);
    int64_t count = mongoc_collection_count_documents(from, query, NULL, NULL, NULL, &cause);
    mongoc_collection_destroy(from);
    bson_destroy(query);
    assert_true(count >= 0);
    return count;
}

void mongo_world_insert(struct mongo_world *world, const char *collection, const char *document) {
    bson_error_t cause;
    bson_t *parsed = parse(document);
    mongoc_collection_t *into = mongoc_client_get_collection(world->admin, world->database, collection);
    if (!mongoc_collection_insert_one(into, parsed, NULL, NULL, &cause)) fail_msg("%s", cause.message);
    mongoc_collection_destroy(into);
    bson_destroy(parsed);
}

void mongo_world_update(struct mongo_world *world, const char *collection, const char *filter, const char *change) {
    bson_error_t cause;
    bson_t *query = parse(filter), *parsed = parse(change);
    mongoc_collection_t *into = mongoc_client_get_collection(world->admin, world->database, collection);
    if (!mongoc_collection_update_many(into, query, parsed, NULL, NULL, &cause)) fail_msg("%s", cause.message);
    mongoc_collection_destroy(into);
    bson_destroy(query);
    bson_destroy(parsed);
}

bson_t *mongo_world_command(struct mongo_world *world, const char *database, const char *command) {
    bson_error_t cause;
    bson_t reply, *parsed = parse(command);
    if (!mongoc_client_command_simple(world->admin, database, parsed, NULL, &reply, &cause))
        fail_msg("%s: %s", command, cause.message);
    bson_destroy(parsed);
    bson_t *copy = bson_copy(&reply);
    bson_destroy(&reply);
    return copy;
}

static bool at_path(const bson_t *document, const char *path, bson_iter_t *at) {
    bson_iter_t top;
    return document && bson_iter_init(&top, document) && bson_iter_find_descendant(&top, path, at);
}

int64_t mongo_world_number(const bson_t *document, const char *path) {
    bson_iter_t at;
    if (!at_path(document, path, &at)) return -1;
    return BSON_ITER_HOLDS_DATE_TIME(&at) ? bson_iter_date_time(&at) : bson_iter_as_int64(&at);
}

const char *mongo_world_text(const bson_t *document, const char *path) {
    bson_iter_t at;
    return at_path(document, path, &at) && BSON_ITER_HOLDS_UTF8(&at) ? bson_iter_utf8(&at, NULL) : "";
}

bool mongo_world_has(const bson_t *document, const char *path) {
    bson_iter_t at;
    return at_path(document, path, &at);
}

void mongo_world_fail(struct mongo_world *world, int times, const char *commands, const char *data) {
    char command[512];
    assert_true(gri_format(command, sizeof command,
                           "{\"configureFailPoint\":\"failCommand\",\"mode\":{\"times\":%d},\"data\":{\"failCommands\":%s,%s}}",
                           times, commands, data));
    bson_destroy(mongo_world_command(world, "admin", command));
}

void mongo_world_key(char key[GRI_KEY_MAX], unsigned number) {
    assert_true(gri_format(key, GRI_KEY_MAX, "%064x:gray", number));
}
