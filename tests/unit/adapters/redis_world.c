/* SPDX-License-Identifier: Apache-2.0 */
/* A private redis-server and streams on it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "redis_world.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <grisaille/bytes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

enum { PATIENCE_MS = 20000, OPS_MAX = 64 };

/* Operations that are under way and what came of them: an op has no room for a test's own data. */
static struct {
    struct gri_op *op;
    int done;
} ops[OPS_MAX];

static void op_done(struct gri_op *op) {
    for (size_t i = 0; i < OPS_MAX; i++) {
        if (ops[i].op == op) {
            ops[i].done++;
            return;
        }
    }
    fail_msg("done of an op that is not under way");
}

void world_arm(struct gri_op *op) {
    op->done = op_done;
    for (size_t i = 0; i < OPS_MAX; i++) {
        if (!ops[i].op) {
            ops[i].op = op;
            ops[i].done = 0;
            return;
        }
    }
    fail_msg("too many ops");
}

bool world_done(const struct gri_op *op) {
    for (size_t i = 0; i < OPS_MAX; i++) {
        if (ops[i].op == op) return ops[i].done > 0;
    }
    fail_msg("not under way");
    return false;
}

enum gri_status world_finish(struct redis_world *world, struct gri_op *op) {
    for (size_t i = 0; i < OPS_MAX; i++) {
        if (ops[i].op != op) continue;
        world_wait(world, &ops[i].done, 1);
        assert_int_equal(ops[i].done, 1);
        ops[i].op = NULL;
        return op->status;
    }
    fail_msg("not under way");
    return GRI_FATAL;
}

static int free_port(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    close(fd);
    return ntohs(address.sin_port);
}

void world_start_server(struct redis_world *world, const char *const *arguments) {
    char port[16];
    const char *argv[32] = {"redis-server", "--port", port, "--bind",       "127.0.0.1", "--unixsocket", world->socket, "--dir",
                            world->folder,  "--save", "",   "--appendonly", "no",        "--loglevel",   "warning"};
    size_t count = 15;
    gri_format(port, sizeof port, "%d", world->port);
    for (; arguments && *arguments; arguments++)
        argv[count++] = *arguments;
    unlink(world->socket);
    world->pid = fork();
    assert_true(world->pid >= 0);
    if (world->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        int quiet = open("/dev/null", O_WRONLY | O_CLOEXEC);
        dup2(quiet, STDOUT_FILENO);
        execvp(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    for (int i = 0; i < PATIENCE_MS / 10; i++) {
        world->admin = redisConnectUnix(world->socket);
        if (world->admin && !world->admin->err) return;
        redisFree(world->admin);
        world->admin = NULL;
        assert_int_equal(waitpid(world->pid, NULL, WNOHANG), 0); /* redis-server is needed for these tests */
        poll(NULL, 0, 10);
    }
    fail_msg("redis-server does not come up");
}

void world_kill_server(struct redis_world *world) {
    if (world->admin) redisFree(world->admin);
    world->admin = NULL;
    kill(world->pid, SIGKILL);
    waitpid(world->pid, NULL, 0);
    world->pid = 0;
}

void world_start(struct redis_world *world, const char *const *arguments) {
    struct gri_error error;
    const char *tmp = getenv("TMPDIR");
    *world = (struct redis_world){0};
    memset(ops, 0, sizeof ops);
    gri_format(world->folder, sizeof world->folder, "%s/gri-redis-XXXXXX", tmp && strlen(tmp) < 40 ? tmp : "/tmp");
    assert_non_null(mkdtemp(world->folder));
    gri_format(world->socket, sizeof world->socket, "%s/redis.sock", world->folder);
    gri_format(world->url, sizeof world->url, "unix://%s", world->socket);
    world->port = free_port();
    world_start_server(world, arguments);
    world->log_file = tmpfile();
    assert_non_null(world->log_file);
    world->log = gri_log_create(fileno(world->log_file), GRI_DEBUG, "test", "redis");
    world->metrics = gri_metrics_create();
    assert_int_equal(gri_uv_loop_create(&world->loop, &error), GRI_OK);
}

/* A failed test may leave requests under way whose memory was on its stack: then the loop is never turned again. */
static bool ops_under_way(void) {
    for (size_t i = 0; i < OPS_MAX; i++) {
        if (ops[i].op && ops[i].done == 0) return true;
    }
    return false;
}

void world_stop(struct redis_world *world) {
    if (!ops_under_way()) {
        for (size_t i = 0; i < sizeof world->streams / sizeof world->streams[0]; i++)
            gri_redis_stream_destroy(world->streams[i]);
        gri_uv_loop_destroy(world->loop);
        gri_log_destroy(world->log);
        gri_metrics_destroy(world->metrics);
        fclose(world->log_file);
    }
    if (world->pid) world_kill_server(world);
    unlink(world->socket);
    rmdir(world->folder);
}

static void changed(void *arg, enum gri_stream_state state) {
    struct changes *changes = arg;
    if (state == GRI_STREAM_DOWN)
        changes->down++;
    else if (state == GRI_STREAM_UP)
        changes->up++;
    else
        changes->epoch++;
}

struct gri_stream *world_stream(struct redis_world *world, const char *consumer, int64_t timeout_ms, struct changes *changes) {
    struct gri_redis_options options = {.url = world->url, .consumer = consumer, .timeout_ms = timeout_ms};
    struct gri_stream *stream = NULL;
    struct gri_error error = {0};
    enum gri_status status =
        gri_redis_stream_create(gri_uv_loop_handle(world->loop), &options, world->log, world->metrics, &stream, &error);
    assert_string_equal(error.detail, "");
    assert_int_equal(status, GRI_OK);
    if (changes) {
        stream->changed = changed;
        stream->changed_arg = changes;
    }
    stream->ops->open(stream);
    for (size_t i = 0; i < sizeof world->streams / sizeof world->streams[0]; i++) {
        if (!world->streams[i]) {
            world->streams[i] = stream;
            return stream;
        }
    }
    fail_msg("too many streams");
    return NULL;
}

struct gri_stream *world_ready_stream(struct redis_world *world, const char *consumer) {
    struct changes changes = {0};
    struct gri_stream *stream = world_stream(world, consumer, 0, &changes);
    for (int i = 0; i < PATIENCE_MS && changes.up + changes.epoch == 0; i += 5)
        world_turn(world, 5);
    assert_int_equal(changes.up + changes.epoch, 1);
    stream->changed = NULL;
    return stream;
}

void world_drop_stream(struct redis_world *world, struct gri_stream *stream) {
    for (size_t i = 0; i < sizeof world->streams / sizeof world->streams[0]; i++) {
        if (world->streams[i] == stream) world->streams[i] = NULL;
    }
    gri_redis_stream_destroy(stream);
    world_turn(world, 0);
}

static void set_flag(void *arg) {
    *(bool *)arg = true;
}

void world_turn(struct redis_world *world, int64_t ms) {
    bool over = false;
    gri_timer_start(world->loop, ms, set_flag, &over);
    while (!over)
        uv_run(gri_uv_loop_handle(world->loop), UV_RUN_ONCE);
}

void world_wait(struct redis_world *world, const int *count, int want) {
    bool late = false;
    struct gri_timer *timer = gri_timer_start(world->loop, PATIENCE_MS, set_flag, &late);
    while (*count < want && !late)
        uv_run(gri_uv_loop_handle(world->loop), UV_RUN_ONCE);
    if (late) fail_msg("it did not come within %d ms", PATIENCE_MS);
    gri_timer_stop(world->loop, timer);
}

long long world_command(struct redis_world *world, const char *format, ...) {
    va_list args;
    va_start(args, format);
    redisReply *reply = redisvCommand(world->admin, format, args);
    va_end(args);
    assert_non_null(reply);
    if (reply->type == REDIS_REPLY_ERROR) fail_msg("%s: %s", format, reply->str);
    long long value = reply->type == REDIS_REPLY_NIL ? -1 : reply->integer;
    if (reply->type == REDIS_REPLY_ARRAY) value = (long long)reply->elements;
    freeReplyObject(reply);
    return value;
}

bool world_logged(struct redis_world *world, const char *text) {
    char buffer[64 * 1024];
    ssize_t len = pread(fileno(world->log_file), buffer, sizeof buffer - 1, 0);
    if (len < 0) return false;
    buffer[len] = '\0';
    return strstr(buffer, text) != NULL;
}
