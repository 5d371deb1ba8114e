/* SPDX-License-Identifier: Apache-2.0 */
/* The fetcher port on libcurl: requests, their deadlines, their ends. */
#include "curl_fetcher.h"

#include <stdlib.h>
#include <string.h>

#include "curl_state.h"

void gri_curl_options_init(struct gri_curl_options *options) {
    *options = (struct gri_curl_options){.connect_ms = 5000,
                                         .timeout_ms = 30000,
                                         .slow_bytes = 1024,
                                         .slow_seconds = 10,
                                         .max_bytes = (size_t)32 * 1024 * 1024,
                                         .max_redirects = 5,
                                         .max_host_connections = 0,
                                         .kept_connections = 256,
                                         .idle_seconds = 4};
}

/* --- slots -------------------------------------------------------------------------------------------------------- */

/* Its handle anew, by the current settings. The connections are the multi handle's, and stay. */
static void slot_renew(struct gri_curl_slot *slot) {
    if (slot->easy) curl_easy_cleanup(slot->easy);
    gri_curl_settings_let_go(slot->settings);
    slot->settings = slot->owner->settings;
    slot->settings->references++;
    slot->easy = gri_curl_handle_create(slot);
    GRI_ASSERT(slot->easy); /* every option was accepted when the settings were made: only memory can be missing */
}

static struct gri_curl_slot *slot_take(struct gri_curl *fetcher) {
    struct gri_curl_slot *slot = fetcher->free;
    if (slot) {
        fetcher->free = slot->next;
    } else {
        slot = gri_calloc(1, sizeof(*slot));
        slot->owner = fetcher;
    }
    if (slot->settings != fetcher->settings) slot_renew(slot);
    return slot;
}

/* Among the active ones, by deadline: at the end, but after the time allowed was made shorter. */
static void slot_enlist(struct gri_curl_slot *slot) {
    struct gri_curl *fetcher = slot->owner;
    struct gri_curl_slot *before = fetcher->last;
    while (before && before->deadline_ms > slot->deadline_ms)
        before = before->previous;
    slot->previous = before;
    slot->next = before ? before->next : fetcher->first;
    *(before ? &before->next : &fetcher->first) = slot;
    *(slot->next ? &slot->next->previous : &fetcher->last) = slot;
}

static void slot_free(struct gri_curl_slot *slot) {
    curl_easy_cleanup(slot->easy);
    gri_curl_settings_let_go(slot->settings);
    free(slot);
}

/* As many connections as there are transfers, and some kept beside them: libcurl's own bound counts both. */
static void count_active(struct gri_curl *fetcher, long more) {
    fetcher->active += more;
    (void)curl_multi_setopt(fetcher->multi, CURLMOPT_MAXCONNECTS, fetcher->active + fetcher->settings->options.kept_connections);
}

static void slot_give_back(struct gri_curl_slot *slot) {
    struct gri_curl *fetcher = slot->owner;
    count_active(fetcher, -1);
    *(slot->previous ? &slot->previous->next : &fetcher->first) = slot->next;
    *(slot->next ? &slot->next->previous : &fetcher->last) = slot->previous;
    gri_curl_conditions_clear(slot);
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
        gri_fail(&slot->stop, GRI_R_timeout, "not done after %lld ms", (long long)slot->settings->options.timeout_ms);
        end_soon(slot);
    }
    arm_deadline(fetcher);
}

static void arm_deadline(struct gri_curl *fetcher) {
    const struct gri_curl_slot *slot = fetcher->first; /* they stand in the order of their ends */
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
    slot->deadline_ms = uv_now(fetcher->loop) + (uint64_t)slot->settings->options.timeout_ms + CURL_DEADLINE_SLACK_MS;
    slot->added = slot->ending = slot->again = slot->enough = false;
    slot->stop = (struct gri_error){0};
    slot->refused = NULL;
    slot->header_bytes = slot->body_bytes = 0;
    gri_curl_headers_begin(slot);
    size_t max = slot->settings->options.max_bytes;
    request->body.max = max > CURL_ERROR_BODY_MAX ? max : CURL_ERROR_BODY_MAX;
    slot_enlist(slot);
    count_active(fetcher, 1);
}

static void fetch(struct gri_fetcher *port, struct gri_fetch *request) {
    struct gri_curl *fetcher = gri_container_of(port, struct gri_curl, port);
    GRI_ASSERT(!fetcher->closing && request->op.done && request->url);
    struct gri_curl_slot *slot = slot_take(fetcher);
    slot_begin(slot, request);
    if (gri_curl_target_check(slot->settings, request->url, NULL, NULL, &slot->stop) != GRI_OK) {
        end_soon(slot);
        return;
    }
    slot->added =
        curl_easy_setopt(slot->easy, CURLOPT_URL, request->url) == CURLE_OK && gri_curl_conditions_set(slot) && start(slot);
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
    gri_curl_settings_let_go(fetcher->settings);
    free(fetcher);
    curl_global_cleanup();
}

void gri_curl_handle_closed(struct gri_curl *fetcher) {
    if (--fetcher->handles == 0) free_memory(fetcher);
}

static void closed_timer(uv_handle_t *handle) {
    gri_curl_handle_closed(handle->data);
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
    enum gri_status status = gri_curl_settings_create(options, &fetcher->settings, error);
    if (status == GRI_OK) status = gri_curl_socket_open(fetcher, error);
    if (status != GRI_OK) {
        free_memory(fetcher);
        return status;
    }
    open_timers(fetcher);
    *out = &fetcher->port;
    return GRI_OK;
}

enum gri_status gri_curl_fetcher_reload(struct gri_fetcher *port, const struct gri_curl_options *options,
                                        struct gri_error *error) {
    struct gri_curl *fetcher = gri_container_of(port, struct gri_curl, port);
    struct gri_curl_settings *settings;
    enum gri_status status = gri_curl_settings_create(options, &settings, error);
    if (status != GRI_OK) return status;
    gri_curl_settings_let_go(fetcher->settings);
    fetcher->settings = settings;
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
