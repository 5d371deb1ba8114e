/* SPDX-License-Identifier: Apache-2.0 */
/* /fault/…: an origin that misbehaves in one way each. A query parameter `n` (or any other) makes URLs distinct; where an
 * image comes after all, it depends on the target alone. */
#include "origin.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { STALL_MS = 120000, HUGE_BYTES = 1 << 30 };

GBytes *origin_fault_picture(struct origin_request *request) {
    uint64_t hash = origin_hash_text(request->target);
    struct origin_picture picture = {
        .id = origin_id_draw(hash), .width = 48 + (unsigned)(hash >> 8) % 64, .height = 48 + (unsigned)(hash >> 20) % 64};
    return origin_picture_encode(request->origin, &picture);
}

static enum MHD_Result send_picture(struct origin_request *request) {
    return origin_send_bytes(request, 200, "image/jpeg", origin_fault_picture(request));
}

/* A body that is given out in a bad way. */
struct body {
    struct origin_request *request; /* lives until the request is completed, as the response does */
    GBytes *bytes;                  /* NULL: nothing but filler */
    size_t give;                    /* bytes given before the connection is broken (or, with `stall`, left alone) */
    int64_t bytes_per_second;       /* 0: at once */
    bool stall, endless;
};

static void free_body(void *cls) {
    struct body *body = cls;
    if (body->bytes) g_bytes_unref(body->bytes);
    g_free(body);
}

static ssize_t give_filler(char *out, size_t most) {
    memset(out, 0xa5, most);
    return (ssize_t)most;
}

static ssize_t give(void *cls, uint64_t position, char *out, size_t most) {
    struct body *body = cls;
    if (atomic_load(&body->request->origin->stopping)) return MHD_CONTENT_READER_END_WITH_ERROR;
    if (body->endless) return position > HUGE_BYTES ? MHD_CONTENT_READER_END_WITH_ERROR : give_filler(out, most);
    if (position >= body->give) {
        if (body->stall) origin_sleep_ms(body->request, STALL_MS);
        return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    size_t size = MIN(most, body->give - (size_t)position);
    if (body->bytes_per_second) {
        size = (size_t)MAX(1, MIN((int64_t)size, body->bytes_per_second / 10));
        origin_sleep_ms(body->request, MAX(1, (int64_t)size * 1000 / body->bytes_per_second));
    }
    const char *data = g_bytes_get_data(body->bytes, NULL);
    memcpy(out, data + position, size);
    return (ssize_t)size;
}

static enum MHD_Result send_body(struct origin_request *request, struct body body, uint64_t announced) {
    struct body *kept = g_new(struct body, 1);
    *kept = body;
    kept->request = request;
    struct MHD_Response *response = MHD_create_response_from_callback(announced, 32 * 1024, give, kept, free_body);
    origin_add_header(response, "Content-Type", "image/jpeg");
    return origin_send(request, 200, response);
}

static enum MHD_Result serve_slow(struct origin_request *request, const char *rest) {
    origin_sleep_ms(request, CLAMP(strtoll(rest, NULL, 10), 0, STALL_MS));
    return send_picture(request);
}

static enum MHD_Result serve_stall(struct origin_request *request, const char *rest) {
    (void)rest;
    GBytes *bytes = origin_fault_picture(request);
    return send_body(request, (struct body){.bytes = bytes, .give = 0, .stall = true}, g_bytes_get_size(bytes));
}

/* After half of the announced bytes the connection ends. */
static enum MHD_Result serve_truncate(struct origin_request *request, const char *rest) {
    (void)rest;
    GBytes *bytes = origin_fault_picture(request);
    return send_body(request, (struct body){.bytes = bytes, .give = g_bytes_get_size(bytes) / 2}, g_bytes_get_size(bytes));
}

/* The whole picture, but more was announced. */
static enum MHD_Result serve_lie(struct origin_request *request, const char *rest) {
    (void)rest;
    GBytes *bytes = origin_fault_picture(request);
    return send_body(request, (struct body){.bytes = bytes, .give = g_bytes_get_size(bytes)}, g_bytes_get_size(bytes) + 1000);
}

static enum MHD_Result serve_drip(struct origin_request *request, const char *rest) {
    GBytes *bytes = origin_fault_picture(request);
    size_t size = g_bytes_get_size(bytes);
    int64_t rate = CLAMP(strtoll(rest, NULL, 10), 1, 1000000);
    return send_body(request, (struct body){.bytes = bytes, .give = size, .bytes_per_second = rate}, size);
}

static enum MHD_Result serve_huge(struct origin_request *request, const char *rest) {
    (void)rest;
    bool announced = origin_query(request, "length") != NULL;
    return send_body(request, (struct body){.endless = true}, announced ? (uint64_t)HUGE_BYTES : MHD_SIZE_UNKNOWN);
}

/* `status` the first `times` times that this key is asked for (always, where it is not said), then a picture. */
static enum MHD_Result serve_often(struct origin_request *request, unsigned status) {
    const char *key = origin_query(request, "key");
    int64_t times = origin_query_int(request, "times", INT64_MAX), after = origin_query_int(request, "after", -1);
    char *name = g_strdup_printf("%u %s", status, key ? key : request->target);
    bool enough = (int64_t)origin_stats_bump(request->origin->stats, name) >= times;
    g_free(name);
    if (enough) return send_picture(request);
    const char *text = status == 429   ? "Too many requests"
                       : status == 503 ? "Something went wrong. Timed out."
                                       : "Something went wrong";
    struct MHD_Response *response = MHD_create_response_from_buffer(strlen(text), g_strdup(text), MHD_RESPMEM_MUST_FREE);
    origin_add_header(response, "Content-Type", "text/plain; charset=utf-8");
    if (after >= 0) {
        char seconds[24];
        g_snprintf(seconds, sizeof seconds, "%" G_GINT64_FORMAT, after);
        origin_add_header(response, "Retry-After", seconds);
    }
    return origin_send(request, status, response);
}

static enum MHD_Result serve_429(struct origin_request *request, const char *rest) {
    return (void)rest, serve_often(request, 429);
}
static enum MHD_Result serve_503(struct origin_request *request, const char *rest) {
    return (void)rest, serve_often(request, 503);
}
static enum MHD_Result serve_flaky(struct origin_request *request, const char *rest) {
    return (void)rest, serve_often(request, 500);
}

/* Any error status as it is: /fault/500, /fault/404, /fault/410, … */
static enum MHD_Result serve_status(struct origin_request *request, unsigned status) {
    return origin_send_error(request, status, status == 404 ? "page not found" : "Something went wrong");
}

static enum MHD_Result redirect_to(struct origin_request *request, const char *location) {
    struct MHD_Response *response = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    if (MHD_add_response_header(response, "Location", location) != MHD_YES) { /* CR, LF: not even a fault sends that */
        MHD_destroy_response(response);
        return origin_send_error(request, 400, "Invalid parameters");
    }
    return origin_send(request, 302, response);
}

static enum MHD_Result serve_loop(struct origin_request *request, const char *rest) {
    (void)rest;
    return redirect_to(request, request->target);
}

static enum MHD_Result serve_redirect(struct origin_request *request, const char *rest) {
    (void)rest;
    const char *to = origin_query(request, "to");
    return to && *to ? redirect_to(request, to) : origin_send_error(request, 400, "Invalid parameters");
}

/* hops/N: N redirects, then a picture. */
static enum MHD_Result serve_hops(struct origin_request *request, const char *rest) {
    long long left = strtoll(rest, NULL, 10);
    if (left <= 0) return send_picture(request);
    char next[64];
    g_snprintf(next, sizeof next, "/fault/hops/%lld", CLAMP(left - 1, 0, 1000));
    return redirect_to(request, next);
}

static enum MHD_Result serve_html(struct origin_request *request, const char *rest) {
    (void)rest;
    return origin_send_text(request, 200, "image/png",
                            "<!DOCTYPE html><html><body><h1>Welcome to the portal</h1></body></html>\n");
}

static enum MHD_Result serve_empty(struct origin_request *request, const char *rest) {
    (void)rest;
    return origin_send_text(request, 200, "image/jpeg", "");
}

/* Linux aborts a connection that is connected to nowhere: a reset, which close() after MHD's shutdown() would not send. */
static enum MHD_Result serve_reset(struct origin_request *request, const char *rest) {
    (void)rest;
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
    if (info) (void)connect(info->connect_fd, &nowhere, sizeof nowhere);
    return MHD_NO;
}

struct fault {
    const char *name; /* a name ending in '/' takes what follows it */
    enum MHD_Result (*serve)(struct origin_request *request, const char *rest);
};

static const struct fault faults[] = {
    {"slow/", serve_slow},  {"stall", serve_stall}, {"truncate", serve_truncate}, {"lie", serve_lie},
    {"drip/", serve_drip},  {"huge", serve_huge},   {"429", serve_429},           {"503", serve_503},
    {"flaky", serve_flaky}, {"loop", serve_loop},   {"hops/", serve_hops},        {"redirect", serve_redirect},
    {"html", serve_html},   {"empty", serve_empty}, {"reset", serve_reset},
};

enum MHD_Result origin_fault_serve(struct origin_request *request) {
    const char *name = request->path + strlen("/fault/");
    for (size_t i = 0; i < G_N_ELEMENTS(faults); i++) {
        size_t length = strlen(faults[i].name);
        bool prefix = faults[i].name[length - 1] == '/';
        if (prefix ? !strncmp(name, faults[i].name, length) : !strcmp(name, faults[i].name))
            return faults[i].serve(request, name + length);
    }
    if (!strcmp(name, "version") || !strncmp(name, "version/", 8)) return origin_version_serve(request, name + strlen("version"));
    char *end = NULL;
    unsigned long status = strtoul(name, &end, 10);
    if (end != name && *end == 0 && status >= 400 && status <= 599) return serve_status(request, (unsigned)status);
    return origin_send_error(request, 404, "page not found");
}
