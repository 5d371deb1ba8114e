/* SPDX-License-Identifier: Apache-2.0 */
/* The fetcher port on libcurl: requests, their deadlines, their ends. */
#include "curl_fetcher.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "curl_state.h"

void gri_curl_options_init(struct gri_curl_options *options) {
    *options = (struct gri_curl_options){.connect_ms = 5000,
                                         .timeout_ms = 30000,
                                         .slow_bytes = 1024,
                                         .slow_seconds = 10,
                                         .max_bytes = (size_t)32 * 1024 * 1024,
                                         .max_redirects = 5,
                                         .max_host_connections = 64,
                                         .max_connections = 512,
                                         .idle_seconds = 4};
}

/* --- slots -------------------------------------------------------------------------------------------------------- */

static struct gri_curl_slot *slot_take(struct gri_curl *fetcher) {
    struct gri_curl_slot *slot = fetcher->free;
    if (slot) {
        fetcher->free = slot->next;
    } else {
        slot = gri_calloc(1, sizeof(*slot));
        slot->owner = fetcher;
        slot->easy = gri_curl_handle_create(slot);
        GRI_ASSERT(slot->easy); /* every option was accepted when the fetcher was made: only memory can be missing */
    }
    slot->next = NULL;
    slot->previous = fetcher->last;
    *(fetcher->last ? &fetcher->last->next : &fetcher->first) = slot;
    fetcher->last = slot;
    return slot;
}

static void slot_free(struct gri_curl_slot *slot) {
    curl_easy_cleanup(slot->easy);
    free(slot);
}

static void slot_give_back(struct gri_curl_slot *slot) {
    struct gri_curl *fetcher = slot->owner;
    *(slot->previous ? &slot->previous->next : &fetcher->first) = slot->next;
    *(slot->next ? &slot->next->previous : &fetcher->last) = slot->previous;
    slot->request = NULL;
    slot->previous = NULL;
    slot->next = fetcher->free;
    fetcher->free = slot;
}

/* --- ends ----------------------------------------------------------------------------------------------------------- */

static void arm_deadline(struct gri_curl *fetcher);

static void finish(struct gri_curl_slot *slot, CURLcode code) {
    struct gri_fetch *request = slot->request;
    if (slot->added) (void)curl_multi_remove_handle(slot->owner->multi, slot->easy);
    GRI_ASSERT(request);
    memset(&request->op.error, 0, sizeof(request->op.error));
    request->op.status = gri_curl_outcome(slot, code, &request->op.error);
    slot->added = false;
    slot_give_back(slot);
    request->op.done(&request->op);
}

/* Idle connections died under it, or held what was left over of an earlier answer that was longer than announced, and nothing of
 * an answer came: another try, on a new connection, is not a failure. */
static bool deserves_fresh_connection(const struct gri_curl_slot *slot, CURLcode code) {
    long connects = 1;
    bool broke = code == CURLE_SEND_ERROR || code == CURLE_RECV_ERROR || code == CURLE_GOT_NOTHING || code == CURLE_HTTP2 ||
                 code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_WEIRD_SERVER_REPLY;
    if (!broke || slot->again || slot->header_bytes > 0 || slot->stop.status != GRI_OK) return false;
    return curl_easy_getinfo(slot->easy, CURLINFO_NUM_CONNECTS, &connects) == CURLE_OK && connects == 0;
}

static bool start(struct gri_curl_slot *slot) {
    slot->message[0] = '\0';
    return curl_easy_setopt(slot->easy, CURLOPT_FRESH_CONNECT, slot->again ? 1L : 0L) == CURLE_OK &&
           curl_multi_add_handle(slot->owner->multi, slot->easy) == CURLM_OK;
}

void gri_curl_collect(struct gri_curl *fetcher) {
    int left = 0;
    for (CURLMsg *message; (message = curl_multi_info_read(fetcher->multi, &left));) {
        char *private_data = NULL;
        CURLcode code = message->data.result; /* the message dies with the handle's removal */
        CURL *easy = message->easy_handle;
        if (message->msg != CURLMSG_DONE) continue;
        GRI_ASSERT(curl_easy_getinfo(easy, CURLINFO_PRIVATE, &private_data) == CURLE_OK && private_data);
        struct gri_curl_slot *slot = (struct gri_curl_slot *)(void *)private_data;
        if (deserves_fresh_connection(slot, code)) {
            (void)curl_multi_remove_handle(fetcher->multi, easy);
            slot->again = true;
            if (start(slot)) continue;
        }
        finish(slot, code);
    }
    if (!fetcher->closing) arm_deadline(fetcher);
}

static void end_those_marked(uv_timer_t *timer) {
    struct gri_curl *fetcher = timer->data;
    struct gri_curl_slot *slot = fetcher->first;
    while (slot) {
        bool ending = slot->ending;
        if (ending) finish(slot, CURLE_OK);
        slot = ending ? fetcher->first : slot->next; /* `done` may have changed the list */
    }
    arm_deadline(fetcher);
}

/* Its `done` comes at the loop's next turn, with slot->stop. */
static void end_soon(struct gri_curl_slot *slot) {
    slot->ending = true;
    (void)uv_timer_start(&slot->owner->ending_timer, end_those_marked, 0, 0);
}

/* --- deadlines ------------------------------------------------------------------------------------------------------ */

static void deadlines_passed(uv_timer_t *timer) {
    struct gri_curl *fetcher = timer->data;
    uint64_t now = uv_now(fetcher->loop);
    for (struct gri_curl_slot *slot = fetcher->first; slot && slot->deadline_ms <= now; slot = slot->next) {
        if (slot->ending) continue;
        gri_fail(&slot->stop, GRI_R_timeout, "not done after %lld ms", (long long)fetcher->options.timeout_ms);
        end_soon(slot);
    }
    arm_deadline(fetcher);
}

static void arm_deadline(struct gri_curl *fetcher) {
    const struct gri_curl_slot *slot = fetcher->first; /* all have the same time, so the oldest is the first to be over */
    while (slot && slot->ending)
        slot = slot->next;
    if (!slot) {
        (void)uv_timer_stop(&fetcher->deadline_timer);
        return;
    }
    uint64_t now = uv_now(fetcher->loop);
    (void)uv_timer_start(&fetcher->deadline_timer, deadlines_passed, slot->deadline_ms > now ? slot->deadline_ms - now : 0, 0);
}

/* --- the port ------------------------------------------------------------------------------------------------------- */

static void slot_begin(struct gri_curl_slot *slot, struct gri_fetch *request) {
    struct gri_curl *fetcher = slot->owner;
    uv_update_time(fetcher->loop);
    slot->request = request;
    slot->deadline_ms = uv_now(fetcher->loop) + (uint64_t)fetcher->options.timeout_ms + CURL_DEADLINE_SLACK_MS;
    slot->added = slot->ending = slot->again = false;
    slot->stop = (struct gri_error){0};
    slot->refused = NULL;
    slot->header_bytes = slot->body_bytes = 0;
    gri_curl_headers_begin(slot);
    request->body.max = fetcher->options.max_bytes > CURL_ERROR_BODY_MAX ? fetcher->options.max_bytes : CURL_ERROR_BODY_MAX;
}

static void fetch(struct gri_fetcher *port, struct gri_fetch *request) {
    struct gri_curl *fetcher = gri_container_of(port, struct gri_curl, port);
    GRI_ASSERT(!fetcher->closing && request->op.done && request->url);
    struct gri_curl_slot *slot = slot_take(fetcher);
    slot_begin(slot, request);
    if (gri_curl_target_check(fetcher, request->url, NULL, &slot->stop) != GRI_OK) {
        end_soon(slot);
        return;
    }
    slot->added = curl_easy_setopt(slot->easy, CURLOPT_URL, request->url) == CURLE_OK && start(slot);
    if (!slot->added) {
        gri_fail(&slot->stop, GRI_R_no_memory, "libcurl took no further transfer");
        end_soon(slot);
    }
    arm_deadline(fetcher);
}

static void cancel(struct gri_fetcher *port, struct gri_fetch *request) {
    struct gri_curl *fetcher = gri_container_of(port, struct gri_curl, port);
    struct gri_curl_slot *slot = fetcher->first;
    while (slot && slot->request != request)
        slot = slot->next;
    if (!slot || slot->ending) return;
    gri_fail(&slot->stop, GRI_R_timeout, "cancelled");
    end_soon(slot);
}

static const struct gri_fetcher_ops operations = {.fetch = fetch, .cancel = cancel};

/* --- life ----------------------------------------------------------------------------------------------------------- */

static void free_memory(struct gri_curl *fetcher) {
    curl_slist_free_all(fetcher->connect_to);
    free(fetcher->user_agent);
    free(fetcher->ca_file);
    free(fetcher);
    curl_global_cleanup();
}

void gri_curl_handle_closed(struct gri_curl *fetcher) {
    if (--fetcher->handles == 0) free_memory(fetcher);
}

static void closed_timer(uv_handle_t *handle) {
    gri_curl_handle_closed(handle->data);
}

static enum gri_status copy_options(struct gri_curl *fetcher, const struct gri_curl_options *options, struct gri_error *error) {
    fetcher->options = *options;
    fetcher->options.allow_ranges = fetcher->options.connect_to = NULL; /* the caller's */
    fetcher->options.allow_ports = NULL;
    fetcher->options.user_agent = fetcher->options.ca_file = NULL;
    if (options->allow_port_count > CURL_PORTS_MAX)
        return gri_fail(error, GRI_R_config, "fetch.allow_ports: %zu ports are over the limit of %d", options->allow_port_count,
                        CURL_PORTS_MAX);
    for (size_t i = 0; i < options->allow_port_count; i++)
        fetcher->ports[i] = options->allow_ports[i];
    fetcher->port_count = options->allow_port_count;
    if (options->user_agent) fetcher->user_agent = gri_strdup(options->user_agent);
    if (options->ca_file) fetcher->ca_file = gri_strdup(options->ca_file);
    if (options->ca_file && access(options->ca_file, R_OK) != 0)
        return gri_fail(error, GRI_R_config, "fetch.ca_file: %s can't be read", options->ca_file);
    for (size_t i = 0; i < options->connect_to_count; i++) {
        struct curl_slist *more = curl_slist_append(fetcher->connect_to, options->connect_to[i]);
        if (!more) return gri_fail(error, GRI_R_no_memory, "no memory for fetch.connect_to");
        fetcher->connect_to = more;
    }
    return gri_guard_init(&fetcher->guard, options->allow_ranges, options->allow_range_count, error);
}

static void open_timers(struct gri_curl *fetcher) {
    uv_timer_t *timers[] = {&fetcher->curl_timer, &fetcher->deadline_timer, &fetcher->ending_timer};
    for (size_t i = 0; i < 3; i++) {
        (void)uv_timer_init(fetcher->loop, timers[i]); /* cannot fail */
        timers[i]->data = fetcher;
        fetcher->handles++;
    }
}

enum gri_status gri_curl_fetcher_create(struct uv_loop_s *loop, const struct gri_curl_options *options, struct gri_log *log,
                                        struct gri_metrics *metrics, struct gri_fetcher **out, struct gri_error *error) {
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) return gri_fail(error, GRI_R_internal, "libcurl can't be initialised");
    struct gri_curl *fetcher = gri_calloc(1, sizeof(*fetcher));
    fetcher->port.ops = &operations;
    fetcher->loop = loop;
    fetcher->log = log;
    fetcher->metrics = metrics;
    enum gri_status status = copy_options(fetcher, options, error);
    if (status == GRI_OK) status = gri_curl_socket_open(fetcher, error);
    if (status != GRI_OK) {
        free_memory(fetcher);
        return status;
    }
    open_timers(fetcher);
    *out = &fetcher->port;
    return GRI_OK;
}

void gri_curl_fetcher_destroy(struct gri_fetcher *port) {
    if (!port) return;
    struct gri_curl *fetcher = gri_container_of(port, struct gri_curl, port);
    fetcher->closing = true;
    while (fetcher->first) {
        if (fetcher->first->stop.status == GRI_OK) gri_fail(&fetcher->first->stop, GRI_R_timeout, "the fetcher is closing");
        finish(fetcher->first, CURLE_OK);
    }
    while (fetcher->free) {
        struct gri_curl_slot *slot = fetcher->free;
        fetcher->free = slot->next;
        slot_free(slot);
    }
    gri_curl_socket_close(fetcher);
    uv_close((uv_handle_t *)&fetcher->curl_timer, closed_timer);
    uv_close((uv_handle_t *)&fetcher->deadline_timer, closed_timer);
    uv_close((uv_handle_t *)&fetcher->ending_timer, closed_timer);
}
