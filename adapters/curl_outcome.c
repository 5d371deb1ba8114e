/* SPDX-License-Identifier: Apache-2.0 */
/* What a transfer came to: outputs, and the one reason with its class. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "curl_state.h"

enum gri_status gri_curl_judge_status(int http_status, struct gri_error *error) {
    if (http_status == 206) return gri_fail(error, GRI_R_truncated, "the host sent a part (206) that nobody asked for");
    if (http_status >= 200 && http_status < 300) return GRI_OK;
    if (http_status == 429) return gri_fail(error, GRI_R_rate_limited, "the host answered 429");
    if (http_status == 408 || http_status == 425 || http_status >= 500)
        return gri_fail(error, GRI_R_http_5xx, "the host answered %d", http_status);
    if (http_status >= 400) return gri_fail(error, GRI_R_http_4xx, "the host answered %d", http_status);
    return gri_fail(error, GRI_R_redirect_refused, "the host answered %d without a Location to follow", http_status);
}

static bool is_zero(CURL *easy, CURLINFO time) {
    curl_off_t us = 0;
    return curl_easy_getinfo(easy, time, &us) == CURLE_OK && us == 0;
}

/* All of its time, waiting for a connection included. */
static bool is_over(const struct gri_curl_slot *slot) {
    return uv_now(slot->owner->loop) + CURL_DEADLINE_SLACK_MS >= slot->deadline_ms;
}

/* Which limit was it? The message tells the minimum speed from the times: they share a code. */
static enum gri_status timed_out(const struct gri_curl_slot *slot, struct gri_error *error) {
    enum gri_reason reason = GRI_R_timeout;
    if (strncmp(slot->message, "Operation too slow", 18) == 0) {
        reason = GRI_R_too_slow;
    } else if (slot->header_bytes == 0 && !is_over(slot)) { /* that of the name and the connection, then */
        reason = is_zero(slot->easy, CURLINFO_NAMELOOKUP_TIME_T) ? GRI_R_dns : GRI_R_connect;
    }
    return gri_fail(error, reason, "%s", slot->message[0] ? slot->message : "the time is over");
}

static bool is_reset(const struct gri_curl_slot *slot) {
    long number = 0;
    (void)curl_easy_getinfo(slot->easy, CURLINFO_OS_ERRNO, &number);
    return number == ECONNRESET || number == EPIPE || number == ECONNREFUSED;
}

/* A connection that broke: before an answer it is the connection's failure, inside a body the body's. */
static enum gri_reason broken(const struct gri_curl_slot *slot) {
    return slot->headers_done ? GRI_R_truncated : GRI_R_connect;
}

/* libcurl also says "out of memory" where one line of an answer is longer than it keeps: that is the answer's fault. A lack of
 * memory that is real is worth another try; what a stranger's server can bring about must never end the worker. */
static enum gri_status no_memory(const struct gri_curl_slot *slot, const char *message, struct gri_error *error) {
    if (!is_zero(slot->easy, CURLINFO_PRETRANSFER_TIME_T))
        return gri_fail(error, GRI_R_too_large, "a line of the answer's headers is longer than libcurl takes");
    return gri_fail_as(error, GRI_RETRY, GRI_R_no_memory, "%s", message);
}

static enum gri_status judge_code(const struct gri_curl_slot *slot, CURLcode code, struct gri_error *error) {
    const char *message = slot->message[0] ? slot->message : curl_easy_strerror(code);
    switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
        return timed_out(slot, error);
    case CURLE_COULDNT_RESOLVE_HOST:
        return gri_fail(error, GRI_R_dns, "%s", message);
    case CURLE_TOO_MANY_REDIRECTS:
        return gri_fail(error, GRI_R_redirect_limit, "%s", message);
    case CURLE_OUT_OF_MEMORY:
        return no_memory(slot, message, error);
    case CURLE_SSL_CONNECT_ERROR: /* a reset in the handshake, or no common protocol: the certificate itself was not refused */
        if (is_reset(slot)) return gri_fail(error, GRI_R_connect, "%s", message);
        return gri_fail_as(error, GRI_RETRY, GRI_R_tls, "%s", message);
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_USE_SSL_FAILED:
        return gri_fail(error, GRI_R_tls, "%s", message);
    case CURLE_SSL_CACERT_BADFILE:
        return gri_fail(error, GRI_R_config, "fetch.ca_file: %s", message);
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL: /* also an answer that is no HTTP */
        if (slot->header_bytes > 0) return gri_fail(error, GRI_R_redirect_refused, "%s", message);
        return gri_fail(error, GRI_R_connect, "no HTTP: %s", message);
    case CURLE_PARTIAL_FILE:
        return gri_fail(error, GRI_R_truncated, "%s", message);
    default:
        return gri_fail(error, broken(slot), "%s", message);
    }
}

/* Owned; bytes that stand raw in no URL (a Location may hold them) are escaped. */
static char *final_url(CURL *easy) {
    static const char hex[] = "0123456789ABCDEF";
    char *url = NULL;
    if (curl_easy_getinfo(easy, CURLINFO_EFFECTIVE_URL, &url) != CURLE_OK || !url) return NULL;
    size_t len = strlen(url), at = 0;
    char *out = gri_alloc(len * 3 + 1);
    for (size_t i = 0; i < len; i++) {
        uint8_t byte = (uint8_t)url[i];
        if (byte > ' ' && byte < 0x7f) {
            out[at++] = url[i];
        } else {
            out[at++] = '%';
            out[at++] = hex[byte >> 4];
            out[at++] = hex[byte & 15];
        }
    }
    out[at] = '\0';
    return out;
}

static void fill(struct gri_curl_slot *slot) {
    struct gri_fetch *request = slot->request;
    long status = 0, redirects = 0;
    curl_off_t dns = 0, total = 0;
    (void)curl_easy_getinfo(slot->easy, CURLINFO_RESPONSE_CODE, &status);
    (void)curl_easy_getinfo(slot->easy, CURLINFO_REDIRECT_COUNT, &redirects);
    (void)curl_easy_getinfo(slot->easy, CURLINFO_NAMELOOKUP_TIME_T, &dns);
    (void)curl_easy_getinfo(slot->easy, CURLINFO_TOTAL_TIME_T, &total);
    request->http_status = (int)status;
    request->redirects = (int)redirects;
    request->dns_seconds = (double)dns / 1e6;
    request->total_seconds = (double)total / 1e6;
    request->retry_after_ms = slot->retry_after_ms;
    request->throttled = status == 429 || (status == 503 && slot->retry_after_ms >= 0);
    if (status) request->final_url = final_url(slot->easy);
}

static enum gri_status judge(struct gri_curl_slot *slot, CURLcode code, struct gri_error *error) {
    struct gri_fetch *request = slot->request;
    if (slot->refused)
        return gri_fail(error, GRI_R_refused_address, "%s: the address %s is never fetched from; fetch.allow_ranges can allow it",
                        slot->refused, slot->refused_address);
    if (slot->stop.status != GRI_OK) {
        *error = slot->stop;
        return error->status;
    }
    if (slot->headers_done && request->http_status >= 400) return gri_curl_judge_status(request->http_status, error);
    if (code != CURLE_OK && !slot->enough) return judge_code(slot, code, error);
    request->not_modified = request->http_status == 304 && slot->conditions;
    if (request->not_modified) return GRI_OK;
    enum gri_status status = gri_curl_judge_status(request->http_status, error);
    if (status == GRI_OK && request->body.len == 0)
        return gri_fail(error, GRI_R_empty, "the host answered %d with no bytes", request->http_status);
    return status;
}

enum gri_status gri_curl_outcome(struct gri_curl_slot *slot, CURLcode code, struct gri_error *error) {
    if (slot->added) fill(slot);
    enum gri_status status = judge(slot, code, error);
    if (status != GRI_OK && (slot->stop.status != GRI_OK || slot->request->http_status < 400))
        gri_bytes_clear(&slot->request->body);
    return status;
}
