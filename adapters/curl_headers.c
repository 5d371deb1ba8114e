/* SPDX-License-Identifier: Apache-2.0 */
/* The header lines of an answer: what of them a request keeps. */
#include <limits.h>
#include <string.h>
#include <time.h>

#include "curl_state.h"

/* A month: more than anybody waits, and far from any overflow. */
enum { RETRY_AFTER_MAX_SECONDS = 31 * 24 * 3600 };

static bool is_space(uint8_t c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct gri_slice trim(struct gri_slice text) {
    while (text.len && is_space(text.data[0]))
        text = (struct gri_slice){text.data + 1, text.len - 1};
    while (text.len && is_space(text.data[text.len - 1]))
        text.len--;
    return text;
}

/* A header may hold any bytes, what is stored is printable ASCII. */
static void keep(char *to, size_t size, struct gri_slice value) {
    size_t len = value.len < size ? value.len : size - 1;
    for (size_t i = 0; i < len; i++)
        to[i] = value.data[i] >= ' ' && value.data[i] < 0x7f ? (char)value.data[i] : '?';
    to[len] = '\0';
}

static bool is_named(struct gri_slice name, const char *wanted) {
    return name.len == strlen(wanted) && strncasecmp((const char *)name.data, wanted, name.len) == 0;
}

int64_t gri_curl_retry_after_ms(struct gri_slice value, int64_t now) {
    char text[64];
    int64_t seconds = 0;
    value = trim(value);
    if (value.len == 0 || value.len >= sizeof(text)) return -1;
    size_t digits = 0;
    for (; digits < value.len && value.data[digits] >= '0' && value.data[digits] <= '9'; digits++)
        if (seconds <= RETRY_AFTER_MAX_SECONDS) seconds = seconds * 10 + (value.data[digits] - '0');
    if (digits < value.len) {
        keep(text, sizeof(text), value);
        time_t date = curl_getdate(text, NULL);
        if (date == (time_t)-1) return -1;
        seconds = (int64_t)date - now;
    }
    if (seconds < 0) seconds = 0;
    return (seconds > RETRY_AFTER_MAX_SECONDS ? RETRY_AFTER_MAX_SECONDS : seconds) * 1000;
}

void gri_curl_headers_begin(struct gri_curl_slot *slot) {
    struct gri_fetch *request = slot->request;
    slot->headers_done = false;
    slot->location[0] = '\0';
    slot->retry_after_ms = -1;
    request->content_type[0] = request->etag[0] = request->last_modified[0] = request->provider_id[0] = '\0';
}

/* An entity tag as RFC 9110 has it; `*` and the like would match whatever is there. */
static bool is_tag(const char *text) {
    size_t len = strlen(text);
    size_t start = strncmp(text, "W/", 2) == 0 ? 2 : 0;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] <= ' ' || (unsigned char)text[i] >= 0x7f) return false;
    return len >= start + 2 && text[start] == '"' && text[len - 1] == '"' && !memchr(text + start + 1, '"', len - start - 2);
}

static bool add_condition(struct gri_curl_slot *slot, const char *name, const char *value) {
    char line[GRI_HEADER_MAX + 32];
    if (!gri_format(line, sizeof line, "%s: %s", name, value)) return true; /* without it the answer is only longer */
    struct curl_slist *more = curl_slist_append(slot->conditions, line);
    if (more) slot->conditions = more;
    return more != NULL;
}

bool gri_curl_conditions_set(struct gri_curl_slot *slot) {
    const struct gri_fetch *request = slot->request;
    bool ok = true;
    if (request->known_etag && is_tag(request->known_etag)) ok = add_condition(slot, "If-None-Match", request->known_etag);
    if (ok && request->known_modified && curl_getdate(request->known_modified, NULL) != (time_t)-1)
        ok = add_condition(slot, "If-Modified-Since", request->known_modified);
    if (slot->conditions) ok = curl_easy_setopt(slot->easy, CURLOPT_HTTPHEADER, slot->conditions) == CURLE_OK && ok;
    return ok;
}

void gri_curl_conditions_clear(struct gri_curl_slot *slot) {
    if (!slot->conditions) return;
    (void)curl_easy_setopt(slot->easy, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(slot->conditions);
    slot->conditions = NULL;
}

static void take_location(struct gri_curl_slot *slot, struct gri_slice value) {
    if (value.len > GRI_URL_MAX || (value.len && memchr(value.data, '\0', value.len))) {
        gri_fail(&slot->stop, GRI_R_redirect_refused, "a Location of %zu bytes, or with NUL, is not followed", value.len);
    } else if (value.len) {
        memcpy(slot->location, value.data, value.len);
        slot->location[value.len] = '\0';
    }
}

void gri_curl_headers_take(struct gri_curl_slot *slot, struct gri_slice line) {
    struct gri_fetch *request = slot->request;
    if (line.len >= 5 && memcmp(line.data, "HTTP/", 5) == 0) { /* of a redirect's next answer too, and after a 100 */
        gri_curl_headers_begin(slot);
        return;
    }
    if (slot->headers_done) return; /* a trailer */
    const uint8_t *colon = line.len ? memchr(line.data, ':', line.len) : NULL;
    if (!colon) {
        slot->headers_done = trim(line).len == 0;
        return;
    }
    struct gri_slice name = {line.data, (size_t)(colon - line.data)};
    struct gri_slice value = trim((struct gri_slice){colon + 1, line.len - name.len - 1});
    if (is_named(name, "location")) take_location(slot, value);
    if (is_named(name, "retry-after")) slot->retry_after_ms = gri_curl_retry_after_ms(value, (int64_t)time(NULL));
    if (is_named(name, "etag")) keep(request->etag, sizeof(request->etag), value);
    if (is_named(name, "last-modified")) keep(request->last_modified, sizeof(request->last_modified), value);
    if (is_named(name, "picsum-id")) keep(request->provider_id, sizeof(request->provider_id), value);
    if (is_named(name, "content-type")) {
        const uint8_t *end = value.len ? memchr(value.data, ';', value.len) : NULL;
        if (end) value.len = (size_t)(end - value.data);
        keep(request->content_type, sizeof(request->content_type), trim(value));
    }
}
