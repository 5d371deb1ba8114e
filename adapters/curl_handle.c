/* SPDX-License-Identifier: Apache-2.0 */
/* An easy handle: every option that is the same for all requests, and the callbacks that watch a transfer. */
#include <netdb.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "curl_state.h"

enum { NAMES_KEPT_SECONDS = 60, READ_AHEAD = 64 * 1024, RESERVE_MAX = 4 * 1024 * 1024 };

static void refuse(struct gri_curl_slot *slot, const char *rule, const char *address) {
    char label[64];
    slot->refused = rule;
    (void)gri_copy(slot->refused_address, sizeof(slot->refused_address), address);
    gri_counter_add(gri_metrics_counter(slot->owner->metrics, "grisaille_addresses_refused_total",
                                        "Addresses the fetcher refused to use",
                                        gri_metrics_label(label, sizeof(label), "rule", rule)),
                    1);
}

static curl_socket_t open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address) {
    struct gri_curl_slot *slot = arg;
    (void)purpose;
    const char *rule = gri_guard_refuses(&slot->settings->guard, &address->addr, address->addrlen);
    if (rule) {
        char text[64];
        if (getnameinfo(&address->addr, address->addrlen, text, sizeof(text), NULL, 0, NI_NUMERICHOST) != 0) text[0] = '\0';
        refuse(slot, rule, text);
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* Runs before each request is sent, on reused connections and after redirects too. */
static int before_request(void *arg, char *remote, char *local, int remote_port, int local_port) {
    struct gri_curl_slot *slot = arg;
    (void)local;
    (void)remote_port;
    (void)local_port;
    const char *rule = gri_guard_refuses_text(&slot->settings->guard, remote);
    if (rule) refuse(slot, rule, remote);
    return slot->refused ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK; /* a name with one refused address is refused as a whole */
}

static long status_of(const struct gri_curl_slot *slot) {
    long status = 0;
    (void)curl_easy_getinfo(slot->easy, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

/* At the end of an answer's headers: where would it lead? */
static void check_redirect(struct gri_curl_slot *slot) {
    struct gri_fetch *request = slot->request;
    char *base = NULL, *url = NULL;
    long status = status_of(slot);
    if (status < 300 || status > 399 || !slot->location[0] || slot->stop.status != GRI_OK) return;
    (void)curl_easy_getinfo(slot->easy, CURLINFO_EFFECTIVE_URL, &base);
    char **wanted = request->may_follow != NULL ? &url : NULL;
    if (gri_curl_target_check(slot->settings, slot->location, base, wanted, &slot->stop) != GRI_OK)
        (void)gri_error_wrap(&slot->stop, "status %ld leads to a URL that is not followed", status);
    else if (wanted != NULL && (url == NULL || !request->may_follow(request, url)))
        (void)gri_fail(&slot->stop, GRI_R_redirect_refused, "status %ld leads to a URL that is not followed: %s", status,
                       url ? url : slot->location);
    free(url);
}

static size_t take_header(char *data, size_t size, size_t count, void *arg) {
    struct gri_curl_slot *slot = arg;
    struct gri_slice line = {(const uint8_t *)data, size * count};
    slot->header_bytes += line.len;
    if (slot->header_bytes > CURL_HEADERS_MAX) {
        gri_fail(&slot->stop, GRI_R_too_large, "the headers are over %d bytes", CURL_HEADERS_MAX);
        return 0;
    }
    gri_curl_headers_take(slot, line);
    if (slot->headers_done) check_redirect(slot);
    return slot->stop.status == GRI_OK ? line.len : 0;
}

/* Room for the announced length at once, so that a body is not copied as it grows; a lie costs no more than RESERVE_MAX. */
static enum gri_status make_room(struct gri_curl_slot *slot) {
    curl_off_t announced = -1;
    (void)curl_easy_getinfo(slot->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &announced);
    if (announced <= 0 || slot->request->keep > 0) return GRI_OK;
    if ((uint64_t)announced > slot->settings->options.max_bytes)
        return gri_fail(&slot->stop, GRI_R_too_large, "a body of %lld bytes is announced, the maximum is %zu",
                        (long long)announced, slot->settings->options.max_bytes);
    return gri_bytes_reserve(&slot->request->body, announced < RESERVE_MAX ? (size_t)announced : RESERVE_MAX, &slot->stop);
}

static enum gri_status keep_body(struct gri_curl_slot *slot, struct gri_slice part) {
    size_t max = slot->settings->options.max_bytes;
    enum gri_status status = slot->body_bytes == 0 ? make_room(slot) : GRI_OK;
    slot->body_bytes += part.len;
    if (status != GRI_OK) return status;
    if (slot->request->keep > 0 && slot->body_bytes >= slot->request->keep) {
        part.len -= slot->body_bytes - slot->request->keep;
        status = gri_bytes_append(&slot->request->body, part.data, part.len, &slot->stop);
        slot->enough = status == GRI_OK;
        return slot->enough ? GRI_RETRY : status; /* either ends the transfer */
    }
    if (slot->body_bytes > max) return gri_fail(&slot->stop, GRI_R_too_large, "the body is over %zu bytes", max);
    return gri_bytes_append(&slot->request->body, part.data, part.len, &slot->stop);
}

static size_t take_body(char *data, size_t size, size_t count, void *arg) {
    struct gri_curl_slot *slot = arg;
    struct gri_slice part = {(const uint8_t *)data, size * count};
    if (status_of(slot) < 300) return keep_body(slot, part) == GRI_OK ? part.len : 0;
    /* The text of an error: its beginning is enough; ending the transfer there changes nothing about its status. */
    if (slot->body_bytes + part.len > CURL_ERROR_BODY_MAX) return 0;
    slot->body_bytes += part.len;
    return gri_bytes_append(&slot->request->body, part.data, part.len, &slot->stop) == GRI_OK ? part.len : 0;
}

#define SET(option, value) ok = ok && curl_easy_setopt(easy, option, value) == CURLE_OK

static bool set_limits(CURL *easy, const struct gri_curl_options *options) {
    bool ok = true;
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)options->connect_ms);
    SET(CURLOPT_TIMEOUT_MS, (long)options->timeout_ms);
    SET(CURLOPT_LOW_SPEED_LIMIT, (long)options->slow_bytes);
    SET(CURLOPT_LOW_SPEED_TIME, (long)options->slow_seconds);
    SET(CURLOPT_MAXREDIRS, (long)options->max_redirects);
    SET(CURLOPT_MAXAGE_CONN, (long)options->idle_seconds);
    SET(CURLOPT_DNS_CACHE_TIMEOUT, (long)NAMES_KEPT_SECONDS);
    SET(CURLOPT_BUFFERSIZE, (long)READ_AHEAD);
    return ok;
}

/* What curl would otherwise take from the environment, the home folder or the answer. */
static bool set_isolation(CURL *easy) {
    bool ok = true;
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_PROXY, "");
    SET(CURLOPT_NOPROXY, "*");
    SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    SET(CURLOPT_FOLLOWLOCATION, 1L);
    SET(CURLOPT_HTTPGET, 1L);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_QUICK_EXIT, 1L); /* a cancelled transfer does not wait for the resolver's thread */
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    return ok;
}

static bool set_callbacks(CURL *easy, struct gri_curl_slot *slot) {
    bool ok = true;
    SET(CURLOPT_OPENSOCKETFUNCTION, open_socket);
    SET(CURLOPT_OPENSOCKETDATA, slot);
    SET(CURLOPT_CLOSESOCKETFUNCTION, gri_curl_socket_ended);
    SET(CURLOPT_CLOSESOCKETDATA, slot->owner); /* a connection outlives the handle that made it */
    SET(CURLOPT_PREREQFUNCTION, before_request);
    SET(CURLOPT_PREREQDATA, slot);
    SET(CURLOPT_HEADERFUNCTION, take_header);
    SET(CURLOPT_HEADERDATA, slot);
    SET(CURLOPT_WRITEFUNCTION, take_body);
    SET(CURLOPT_WRITEDATA, slot);
    SET(CURLOPT_ERRORBUFFER, slot->message);
    SET(CURLOPT_PRIVATE, slot);
    return ok;
}

CURL *gri_curl_handle_create(struct gri_curl_slot *slot) {
    const struct gri_curl_settings *settings = slot->settings;
    CURL *easy = curl_easy_init();
    bool ok = easy && set_limits(easy, &settings->options) && set_isolation(easy) && set_callbacks(easy, slot);
    if (settings->user_agent) SET(CURLOPT_USERAGENT, settings->user_agent);
    if (settings->ca_file) SET(CURLOPT_CAINFO, settings->ca_file);
    if (settings->connect_to) SET(CURLOPT_CONNECT_TO, settings->connect_to);
    if (ok) return easy;
    curl_easy_cleanup(easy);
    return NULL;
}
