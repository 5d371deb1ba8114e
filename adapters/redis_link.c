/* SPDX-License-Identifier: Apache-2.0 */
/* One connection to Redis on libuv and hiredis' reply parser. */
#include "redis_link.h"

#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum {
    READ_BYTES = 64 * 1024,
    UNPARSED_MAX = 64 * 1024 * 1024, /* bytes of one reply; over it the connection is dropped */
    UNSENT_MAX = 64 * 1024 * 1024,   /* bytes that may wait to be sent */
    KEEPALIVE_SECONDS = 15,
    LAST_LOOK_MS = 10 /* after a deadline, to read what may have come while this process itself stood still */
};

enum login_step { LOGIN_AUTH, LOGIN_SELECT, LOGIN_NAME, LOGIN_ID, LOGIN_DONE };

struct gri_redis_link {
    const struct gri_redis_address *address;
    struct gri_redis_link_hooks hooks;
    char name[GRI_WORKER_MAX];
    int64_t timeout_ms;
    int references; /* handles and requests libuv still holds */
    uv_loop_t *uv;
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } socket;
    bool socket_open;
    uv_timer_t timer; /* the deadline of the step under way, or of the oldest call */
    uv_getaddrinfo_t resolve;
    uv_connect_t connect;
    struct addrinfo *addresses, *untried;
    redisReader *reader;
    size_t unparsed;
    struct gri_redis_call *calls, **calls_end;
    struct gri_redis_call login;
    enum login_step step;
    int64_t id;
    bool last_look;
    bool ended; /* lost or dropped: nothing is sent or heard any more */
    bool dropped;
    struct gri_error why;
    char buffer[READ_BYTES];
};

struct write {
    uv_write_t request;
    struct gri_bytes bytes;
    struct gri_redis_link *link;
};

static void release(struct gri_redis_link *link) {
    if (--link->references > 0) return;
    GRI_ASSERT(link->dropped);
    if (link->addresses) uv_freeaddrinfo(link->addresses);
    redisReaderFree(link->reader);
    free(link);
}

static void handle_closed(uv_handle_t *handle) {
    release(handle->data);
}

static void close_socket(struct gri_redis_link *link) {
    if (!link->socket_open) return;
    link->socket_open = false;
    uv_close(&link->socket.handle, handle_closed);
}

static void deadline_passed(uv_timer_t *timer);

static void watch(struct gri_redis_link *link, int64_t after_ms) {
    uv_timer_start(&link->timer, deadline_passed, after_ms < 0 ? 0 : (uint64_t)after_ms, 0);
}

/* Ends the link and tells the owner; every way of failing comes here, once. */
static void lose(struct gri_redis_link *link, const char *format, ...) GRI_PRINTF(2, 3);
static void lose(struct gri_redis_link *link, const char *format, ...) {
    if (link->ended) return;
    char text[300];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    link->ended = true;
    uv_timer_stop(&link->timer);
    close_socket(link);
    (void)gri_fail(&link->why, GRI_R_stream, "Redis at %s: %s", link->address->shown, text);
    link->why.unknown = true;
    link->hooks.lost(link->hooks.arg, &link->why);
}

static void deadline_passed(uv_timer_t *timer) {
    struct gri_redis_link *link = timer->data;
    if (link->ended) return;
    if (link->calls && !link->last_look) { /* libuv runs timers before it reads */
        link->last_look = true;
        watch(link, LAST_LOOK_MS);
        return;
    }
    if (link->why.detail[0])
        lose(link, "%s", link->why.detail);
    else if (link->step == LOGIN_AUTH && !link->calls)
        lose(link, "no connection within %lld ms", (long long)link->timeout_ms);
    else
        lose(link, "no answer in time");
}

/* For failures inside a function that may not call a hook: the timer does, in the next turn. */
static void lose_soon(struct gri_redis_link *link, const char *what, int code) {
    gri_format(link->why.detail, sizeof link->why.detail, "%s: %s", what, uv_strerror(code));
    watch(link, 0);
}

/* The timer follows the oldest call: replies come in order, so that one is the next due. */
static void watch_oldest(struct gri_redis_link *link) {
    link->last_look = false;
    if (link->calls)
        watch(link, link->calls->deadline_ms - (int64_t)uv_now(link->uv));
    else
        uv_timer_stop(&link->timer);
}

static void login_next(struct gri_redis_link *link);

/* AUTH and SELECT must work; a name and a number are a convenience that an ACL may deny. Anything else (NOAUTH, DENIED of the
 * protected mode, too many clients) means that this server will not serve us. Sentinels may need no password; whether they
 * talk to us their answer to the question tells. */
static bool login_may_go_on(const struct gri_redis_link *link, const char *refusal) {
    if (link->address->sentinel) return true;
    return link->step > LOGIN_SELECT && (strncmp(refusal, "NOPERM", 6) == 0 || strncmp(refusal, "ERR unknown", 11) == 0);
}

static void login_replied(struct gri_redis_call *call, const redisReply *reply) {
    struct gri_redis_link *link = gri_container_of(call, struct gri_redis_link, login);
    if (!reply) return;
    if (reply->type == REDIS_REPLY_ERROR && !login_may_go_on(link, reply->str)) {
        static const char *const what[] = {"user or password", "the database", "the connection", "the connection"};
        lose(link, "%s refused: %.200s", what[link->step], reply->str);
        return;
    }
    if (link->step == LOGIN_ID && reply->type == REDIS_REPLY_INTEGER) link->id = reply->integer;
    link->step++;
    login_next(link);
}

static bool login_command(const struct gri_redis_link *link, struct gri_redis_command *command) {
    const struct gri_redis_address *address = link->address;
    switch (link->step) {
    case LOGIN_AUTH:
        if (address->password[0] == '\0' && address->user[0] == '\0') return false;
        gri_redis_command_add(command, "AUTH");
        if (address->user[0]) gri_redis_command_add(command, address->user);
        gri_redis_command_add(command, address->password);
        return true;
    case LOGIN_SELECT:
        if (address->database == 0) return false;
        gri_redis_command_add(command, "SELECT");
        gri_redis_command_add_int(command, address->database);
        return true;
    case LOGIN_NAME:
        gri_redis_command_add(command, "CLIENT");
        gri_redis_command_add(command, "SETNAME");
        gri_redis_command_add(command, link->name);
        return true;
    default:
        gri_redis_command_add(command, "CLIENT");
        gri_redis_command_add(command, "ID");
        return true;
    }
}

static void login_next(struct gri_redis_link *link) {
    struct gri_redis_command command;
    struct gri_error error;
    gri_redis_command_init(&command);
    while (link->step < LOGIN_DONE && !login_command(link, &command))
        link->step++;
    if (link->step == LOGIN_DONE) {
        link->hooks.ready(link->hooks.arg);
    } else if (gri_redis_link_send(link, &command, link->timeout_ms, &link->login, &error) != GRI_OK) {
        lose(link, "%s", error.detail);
    }
    gri_redis_command_clear(&command);
}

/* Hands complete replies to their calls, oldest first. A call may drop the link: then `ended` stops the loop. */
static void take_replies(struct gri_redis_link *link) {
    while (!link->ended) {
        void *got = NULL;
        if (redisReaderGetReply(link->reader, &got) != REDIS_OK) {
            lose(link, "its answer is no Redis protocol: %s", link->reader->errstr);
            return;
        }
        if (!got) return;
        redisReply *reply = got;
        link->unparsed = link->reader->len - link->reader->pos;
        struct gri_redis_call *call = link->calls;
        if (call) {
            link->calls = call->next;
            if (!link->calls) link->calls_end = &link->calls;
            watch_oldest(link);
            call->reply(call, reply);
        } else {
            lose(link, "an answer to nothing: %.100s", reply->type == REDIS_REPLY_ERROR ? reply->str : "no error");
        }
        freeReplyObject(reply);
    }
}

static void buffer_wanted(uv_handle_t *handle, size_t suggested, uv_buf_t *out) {
    struct gri_redis_link *link = handle->data;
    (void)suggested;
    *out = uv_buf_init(link->buffer, READ_BYTES);
}

static void received(uv_stream_t *stream, ssize_t len, const uv_buf_t *buffer) {
    struct gri_redis_link *link = stream->data;
    if (link->ended || len == 0) return;
    if (len < 0) {
        lose(link, "connection ended: %s", uv_strerror((int)len));
        return;
    }
    link->unparsed += (size_t)len;
    if (link->unparsed > UNPARSED_MAX) {
        lose(link, "one answer is over %d bytes", UNPARSED_MAX);
    } else if (redisReaderFeed(link->reader, buffer->base, (size_t)len) != REDIS_OK) {
        lose(link, "its answer can't be kept: %s", link->reader->errstr);
    } else {
        take_replies(link);
    }
}

static void try_next_address(struct gri_redis_link *link);

static void socket_closed_for_next(uv_handle_t *handle) {
    struct gri_redis_link *link = handle->data;
    if (!link->ended) try_next_address(link);
    release(link);
}

static void connected(uv_connect_t *request, int code) {
    struct gri_redis_link *link = request->data;
    if (link->ended) return;
    if (code != 0 && link->untried) {
        link->socket_open = false;
        uv_close(&link->socket.handle, socket_closed_for_next);
        return;
    }
    if (code != 0) {
        lose(link, "no connection: %s", uv_strerror(code));
        return;
    }
    if (link->address->path[0] == '\0') {
        uv_tcp_nodelay(&link->socket.tcp, 1);
        uv_tcp_keepalive(&link->socket.tcp, 1, KEEPALIVE_SECONDS);
    }
    code = uv_read_start(&link->socket.stream, buffer_wanted, received);
    if (code)
        lose(link, "it can't be read from: %s", uv_strerror(code));
    else
        login_next(link);
}

static void socket_opened(struct gri_redis_link *link) {
    link->socket_open = true;
    link->socket.handle.data = link;
    link->connect.data = link;
    link->references++;
}

static void try_next_address(struct gri_redis_link *link) {
    const struct addrinfo *address = link->untried;
    link->untried = address->ai_next;
    int code = uv_tcp_init(link->uv, &link->socket.tcp);
    if (code == 0) {
        socket_opened(link);
        code = uv_tcp_connect(&link->connect, &link->socket.tcp, address->ai_addr, connected);
    }
    if (code) lose_soon(link, "no connection", code);
}

static void resolved(uv_getaddrinfo_t *request, int code, struct addrinfo *addresses) {
    struct gri_redis_link *link = request->data;
    link->addresses = addresses;
    link->untried = addresses;
    if (!link->ended && (code != 0 || !addresses)) {
        lose(link, "the name does not resolve: %s", code ? uv_strerror(code) : "no address");
    } else if (!link->ended) {
        try_next_address(link);
    }
    release(link);
}

struct gri_redis_link *gri_redis_link_open(struct uv_loop_s *uv, const struct gri_redis_address *address, const char *name,
                                           int64_t timeout_ms, struct gri_redis_link_hooks hooks) {
    struct gri_redis_link *link = gri_calloc(1, sizeof *link);
    link->address = address;
    link->hooks = hooks;
    link->timeout_ms = timeout_ms;
    link->uv = uv;
    link->calls_end = &link->calls;
    link->login.reply = login_replied;
    link->reader = redisReaderCreate();
    GRI_ASSERT(link->reader); /* only memory can lack, as in gri_alloc */
    gri_copy(link->name, sizeof link->name, name);
    GRI_ASSERT(uv_timer_init(uv, &link->timer) == 0);
    link->timer.data = link;
    link->resolve.data = link;
    link->references = 1; /* the timer */
    uv_update_time(uv);
    watch(link, timeout_ms);
    if (address->path[0]) {
        GRI_ASSERT(uv_pipe_init(uv, &link->socket.pipe, 0) == 0);
        socket_opened(link);
        uv_pipe_connect(&link->connect, &link->socket.pipe, address->path, connected);
        return link;
    }
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    int code = uv_getaddrinfo(uv, &link->resolve, resolved, address->host, address->port, &hints);
    if (code)
        lose_soon(link, "the name does not resolve", code);
    else
        link->references++;
    return link;
}

static void written(uv_write_t *request, int code) {
    struct write *write = gri_container_of(request, struct write, request);
    struct gri_redis_link *link = write->link;
    if (code != 0) lose(link, "it can't be written to: %s", uv_strerror(code));
    gri_bytes_clear(&write->bytes);
    free(write);
    release(link);
}

enum gri_status gri_redis_link_send(struct gri_redis_link *link, const struct gri_redis_command *command, int64_t timeout_ms,
                                    struct gri_redis_call *call, struct gri_error *error) {
    if (link->ended || !link->socket_open) return gri_fail(error, GRI_R_stream, "the connection to Redis has ended");
    if (uv_stream_get_write_queue_size(&link->socket.stream) > UNSENT_MAX) {
        return gri_fail(error, GRI_R_stream, "more than %d bytes wait to be sent to Redis", UNSENT_MAX);
    }
    struct write *write = gri_calloc(1, sizeof *write);
    gri_bytes_init(&write->bytes, 0);
    if (gri_redis_command_write(command, &write->bytes, error) != GRI_OK) {
        gri_bytes_clear(&write->bytes);
        free(write);
        return gri_fail(error, GRI_R_stream, "a command for Redis is too long");
    }
    write->link = link;
    uv_buf_t buffer = uv_buf_init((char *)write->bytes.data, (unsigned)write->bytes.len);
    int code = uv_write(&write->request, &link->socket.stream, &buffer, 1, written);
    if (code) {
        gri_bytes_clear(&write->bytes);
        free(write);
        return gri_fail(error, GRI_R_stream, "Redis can't be written to: %s", uv_strerror(code));
    }
    link->references++;
    uv_update_time(link->uv); /* a long turn before this send must not eat the command's time */
    call->deadline_ms = (int64_t)uv_now(link->uv) + timeout_ms;
    call->next = NULL;
    *link->calls_end = call;
    link->calls_end = &call->next;
    if (link->calls == call) watch_oldest(link);
    return GRI_OK;
}

int64_t gri_redis_link_id(const struct gri_redis_link *link) {
    return link->id;
}

void gri_redis_link_drop(struct gri_redis_link *link) {
    if (!link) return;
    GRI_ASSERT(!link->dropped);
    link->ended = true;
    link->dropped = true;
    struct gri_redis_call *call = link->calls;
    link->calls = NULL;
    link->calls_end = &link->calls;
    while (call) {
        struct gri_redis_call *next = call->next;
        call->reply(call, NULL);
        call = next;
    }
    close_socket(link);
    uv_cancel((uv_req_t *)&link->resolve); /* refused where it is not waiting; then its callback finds the link ended */
    uv_close((uv_handle_t *)&link->timer, handle_closed);
}
