/* SPDX-License-Identifier: Apache-2.0 */
/* Answers, and the small things every route needs. */
#include "origin.h"

#include <stdlib.h>
#include <string.h>

uint64_t origin_mix(uint64_t value) { /* splitmix64 */
    value += 0x9e3779b97f4a7c15u;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
    return value ^ (value >> 31);
}

uint64_t origin_hash_text(const char *text) { /* FNV-1a, mixed */
    uint64_t hash = 0xcbf29ce484222325u;
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
    return origin_mix(hash);
}

struct wanted {
    const char *name, *value;
    bool found;
};

static enum MHD_Result see_argument(void *cls, enum MHD_ValueKind kind, const char *key, const char *value) {
    struct wanted *wanted = cls;
    (void)kind;
    if (strcmp(key, wanted->name) != 0) return MHD_YES;
    wanted->found = true;
    wanted->value = value ? value : "";
    return MHD_NO;
}

const char *origin_query(struct origin_request *request, const char *name) {
    struct wanted wanted = {.name = name};
    MHD_get_connection_values(request->connection, MHD_GET_ARGUMENT_KIND, see_argument, &wanted);
    return wanted.found ? wanted.value : NULL;
}

int64_t origin_query_int(struct origin_request *request, const char *name, int64_t otherwise) {
    const char *value = origin_query(request, name);
    char *end = NULL;
    if (!value || !*value) return otherwise;
    long long number = strtoll(value, &end, 10);
    return *end ? otherwise : number;
}

void origin_add_header(struct MHD_Response *response, const char *name, const char *value) {
    if (MHD_add_response_header(response, name, value) != MHD_YES) g_error("header %s: %s refused", name, value);
}

enum MHD_Result origin_send(struct origin_request *request, unsigned status, struct MHD_Response *response) {
    enum MHD_Result result = MHD_queue_response(request->connection, status, response);
    MHD_destroy_response(response);
    return result;
}

enum MHD_Result origin_send_text(struct origin_request *request, unsigned status, const char *type, const char *text) {
    struct MHD_Response *response = MHD_create_response_from_buffer(strlen(text), g_strdup(text), MHD_RESPMEM_MUST_FREE);
    origin_add_header(response, "Content-Type", type);
    return origin_send(request, status, response);
}

enum MHD_Result origin_send_error(struct origin_request *request, unsigned status, const char *text) {
    const char *accept = MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, "Accept");
    bool json = accept && !strcmp(accept, "application/json");
    char *body = json ? g_strdup_printf("{\"error\":\"%s\"}\n", text) : g_strdup_printf("%s\n", text);
    struct MHD_Response *response = MHD_create_response_from_buffer(strlen(body), body, MHD_RESPMEM_MUST_FREE);
    origin_add_header(response, "Content-Type", json ? "application/json" : "text/plain; charset=utf-8");
    origin_add_header(response, "X-Content-Type-Options", "nosniff");
    origin_add_header(response, "Cache-Control", "private, no-cache, no-store, must-revalidate");
    return origin_send(request, status, response);
}

static void release_bytes(void *cls) {
    g_bytes_unref(cls);
}

struct MHD_Response *origin_response_of(GBytes *bytes) {
    gsize size = 0;
    gconstpointer data = g_bytes_get_data(bytes, &size);
    /* MHD's parameter is not const, but it only reads */
    union {
        gconstpointer from;
        void *to;
    } cast = {.from = data ? data : ""};
    return MHD_create_response_from_buffer_with_free_callback_cls(size, cast.to, release_bytes, bytes);
}

enum MHD_Result origin_send_bytes(struct origin_request *request, unsigned status, const char *type, GBytes *bytes) {
    if (!bytes) return origin_send_error(request, 500, "Something went wrong");
    struct MHD_Response *response = origin_response_of(bytes);
    origin_add_header(response, "Content-Type", type);
    return origin_send(request, status, response);
}

void origin_sleep_ms(struct origin_request *request, int64_t ms) {
    int64_t until = g_get_monotonic_time() + ms * 1000;
    request->patient = true;
    MHD_set_connection_option(request->connection, MHD_CONNECTION_OPTION_TIMEOUT, 0u);
    while (!atomic_load(&request->origin->stopping)) {
        int64_t left = until - g_get_monotonic_time();
        if (left <= 0) return;
        g_usleep((gulong)MIN(left, 20000));
    }
}
