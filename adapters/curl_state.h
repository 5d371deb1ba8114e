/* SPDX-License-Identifier: Apache-2.0 */
/* The fetcher's inside, shared by the files curl_*.c. */
#ifndef GRISAILLE_CURL_STATE_H
#define GRISAILLE_CURL_STATE_H

#include <curl/curl.h>
#include <uv.h>

#include "curl_fetcher.h"
#include "curl_guard.h"

enum {
    CURL_DEADLINE_SLACK_MS = 250, /* libcurl's own time-out comes first: it knows the phase */
    CURL_PORTS_MAX = 64,
    CURL_HEADERS_MAX = 64 * 1024,
    CURL_ERROR_BODY_MAX = 64 * 1024
};

/* Immutable; freed with the last that holds it. */
struct gri_curl_settings {
    int references; /* the fetcher's own while it is the current one, and one a slot */
    struct gri_guard guard;
    int ports[CURL_PORTS_MAX];
    size_t port_count;
    struct gri_curl_options options; /* without its pointers, which are the caller's */
    char *user_agent, *ca_file;
    struct curl_slist *connect_to;
};

/* One transfer: an easy handle that is used again and again. In the list of free ones, or in that of active ones. */
struct gri_curl_slot {
    struct gri_curl *owner;
    CURL *easy;
    struct gri_curl_settings *settings; /* held: what `easy` was made with, and its transfer goes by to its end */
    struct gri_fetch *request;          /* NULL while free */
    struct gri_curl_slot *previous, *next;
    uint64_t deadline_ms;  /* by the loop's clock */
    bool added;            /* the multi handle has it */
    bool ending;           /* `stop` is its outcome; `done` comes at the loop's next turn */
    bool enough;           /* request->keep bytes came: it was ended for that */
    bool again;            /* it is on its second, fresh connection */
    struct gri_error stop; /* why a callback or a deadline ended it; status GRI_OK: none did */
    const char *refused;   /* the guard's rule that refused an address; NULL none */
    char refused_address[64];
    size_t header_bytes; /* of all answers */
    size_t body_bytes;
    bool headers_done; /* of the current answer */
    char location[GRI_URL_MAX + 2];
    int64_t retry_after_ms;
    struct curl_slist *conditions; /* If-None-Match, If-Modified-Since; NULL: it asks for the bytes, whatever is there */
    char message[CURL_ERROR_SIZE];
};

struct gri_curl {
    struct gri_fetcher port; /* first */
    CURLM *multi;
    uv_loop_t *loop;
    uv_timer_t curl_timer;              /* when libcurl wants to be called */
    uv_timer_t deadline_timer;          /* of the first active slot */
    uv_timer_t ending_timer;            /* runs `done` of the ending ones */
    int handles;                        /* of libuv's that are not closed yet; the fetcher is freed with the last */
    struct gri_curl_slot *first, *last; /* active, by deadline */
    long active;                        /* transfers */
    struct gri_curl_slot *free;         /* as many as ever were active at once */
    struct gri_curl_settings *settings; /* held: what a new transfer takes */
    struct gri_curl_watch **idle;       /* of connections that nobody uses, by socket; owned */
    size_t idle_room;
    struct gri_log *log;
    struct gri_metrics *metrics;
    bool closing;
};

/* curl_settings.c: owned by the caller, who lets go of it. Failures: config. */
enum gri_status gri_curl_settings_create(const struct gri_curl_options *options, struct gri_curl_settings **out,
                                         struct gri_error *error) GRI_MUST_CHECK;
void gri_curl_settings_let_go(struct gri_curl_settings *settings);

/* curl_handle.c: an easy handle with every option that does not change from request to request; NULL without memory. */
CURL *gri_curl_handle_create(struct gri_curl_slot *slot);

/* curl_target.c: may this URL be asked for? `base`: what a relative one stands in, or NULL. Of a redirect every refusal is
 * redirect_refused, else bad_scheme, bad_port, credentials or bad_host. Not NULL: *whole takes the absolute URL, owned by the
 * caller, with scheme and host in small letters and without a default port or a fragment; NULL where it is refused. */
enum gri_status gri_curl_target_check(const struct gri_curl_settings *settings, const char *url, const char *base, char **whole,
                                      struct gri_error *error);

/* curl_headers.c: forgets the answer before; then takes one header line, of which it keeps what the request wants. */
void gri_curl_headers_begin(struct gri_curl_slot *slot);
void gri_curl_headers_take(struct gri_curl_slot *slot, struct gri_slice line);
/* Retry-After in ms from now on (`now`: Unix seconds), never negative; -1 for what is neither seconds nor a date. */
int64_t gri_curl_retry_after_ms(struct gri_slice value, int64_t now);

/* curl_headers.c: makes the next request of this slot one for a change since the copy that is there, where the request says what
 * the host said of it. False without memory. And makes it an unconditional one again. */
bool gri_curl_conditions_set(struct gri_curl_slot *slot);
void gri_curl_conditions_clear(struct gri_curl_slot *slot);

/* curl_outcome.c: fills the request's outputs from a transfer that ended with `code`, and answers its status and error. */
enum gri_status gri_curl_outcome(struct gri_curl_slot *slot, CURLcode code, struct gri_error *error);
/* The reason of an answer with this status alone. */
enum gri_status gri_curl_judge_status(int http_status, struct gri_error *error);

/* curl_socket.c: libcurl's sockets and timer on the loop. */
enum gri_status gri_curl_socket_open(struct gri_curl *fetcher, struct gri_error *error);
void gri_curl_socket_close(struct gri_curl *fetcher);
/* CURLOPT_CLOSESOCKETFUNCTION with the fetcher: libcurl is done with a connection. */
int gri_curl_socket_ended(void *fetcher, curl_socket_t socket);
/* A handle of the fetcher was closed; frees it with the last. */
void gri_curl_handle_closed(struct gri_curl *fetcher);
/* curl_fetcher.c: takes what libcurl has finished. */
void gri_curl_collect(struct gri_curl *fetcher);

#endif
