/* SPDX-License-Identifier: Apache-2.0 */
/* The canonical form of a URL: takes it apart, decides the reasons in their order, puts it together again. */
#include "canonical.h"

#include <curl/curl.h>
#include <string.h>

#include "canonical_parts.h"
#include "utf8.h"

enum { PORT_MAX = 65535 };

/* What a URL's text says, nothing decided yet but the scheme. */
struct parts {
    bool https, credentials;
    struct gri_slice host, port, path, query;
};

static size_t span_until(struct gri_slice text, const char *stops) {
    size_t at = 0;
    while (at < text.len && !(text.data[at] && strchr(stops, text.data[at])))
        at++;
    return at;
}

static struct gri_slice after(struct gri_slice text, size_t count) {
    if (count > text.len) count = text.len;
    return (struct gri_slice){text.data + count, text.len - count};
}

static struct gri_slice before(struct gri_slice text, size_t count) {
    return (struct gri_slice){text.data, count};
}

static bool starts_with(struct gri_slice text, const char *with) {
    size_t len = strlen(with);
    return text.len >= len && memcmp(text.data, with, len) == 0;
}

static bool equals_ignoring_case(struct gri_slice text, const char *word) {
    return text.len == strlen(word) && strncasecmp((const char *)text.data, word, text.len) == 0;
}

static bool is_scheme(struct gri_slice text) {
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && (i == 0 || !((c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.'))) return false;
    }
    return text.len > 0;
}

/* "name.example:8080/…" and "localhost:8080" are hosts with a port, not schemes. */
static bool is_host_with_port(struct gri_slice name, struct gri_slice behind_colon) {
    if (name.len && memchr(name.data, '.', name.len)) return true;
    size_t len = span_until(behind_colon, "/?#");
    for (size_t i = 0; i < len; i++)
        if (behind_colon.data[i] < '0' || behind_colon.data[i] > '9') return false;
    return len > 0;
}

/* Where the authority begins: *rest is what stands behind "http://" or "https://". */
static enum gri_reason split_scheme(struct gri_slice text, bool *https, struct gri_slice *rest) {
    size_t len = span_until(text, ":/?#\\");
    struct gri_slice name = before(text, len), tail = after(text, len);
    if (len == 0) return GRI_R_no_scheme;
    if (starts_with(tail, "//")) /* "http//host": the colon was lost; "name.example//path" never had a scheme */
        return is_scheme(name) && !memchr(name.data, '.', name.len) ? GRI_R_bad_scheme : GRI_R_no_scheme;
    if (!starts_with(tail, ":")) return GRI_R_no_scheme;
    bool slashes = starts_with(tail, "://");
    if (!slashes && (!is_scheme(name) || is_host_with_port(name, after(tail, 1)))) return GRI_R_no_scheme;
    *https = equals_ignoring_case(name, "https");
    if (!*https && !equals_ignoring_case(name, "http")) return GRI_R_bad_scheme;
    if (!slashes) return GRI_R_bad_host; /* "http:/x": a parser that guesses would call x the host */
    *rest = after(tail, 3);
    return GRI_R_none;
}

/* Splits what stands behind "://"; false where no host can be told. */
static bool split_rest(struct gri_slice rest, struct parts *parts) {
    size_t len = span_until(rest, "/?#");
    struct gri_slice authority = before(rest, len);
    rest = after(rest, len);
    parts->path = before(rest, span_until(rest, "?#"));
    rest = after(rest, parts->path.len);
    if (starts_with(rest, "?")) parts->query = before(after(rest, 1), span_until(after(rest, 1), "#"));

    const uint8_t *at = authority.len ? memrchr(authority.data, '@', authority.len) : NULL;
    parts->credentials = at != NULL;
    if (at) authority = after(authority, (size_t)(at - authority.data) + 1);
    size_t host = span_until(authority, ":");
    if (starts_with(authority, "[")) {
        host = span_until(authority, "]") + 1;
        if (host > authority.len || (host < authority.len && authority.data[host] != ':')) return false;
    }
    parts->host = before(authority, host);
    parts->port = after(authority, host + 1);
    return true;
}

/* No digits at all stand for the default, as RFC 3986 (3.2.3) has it. */
static bool read_port(struct gri_slice text, const struct gri_ports *ports, int otherwise, int *port) {
    int value = text.len ? 0 : otherwise;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') return false;
        value = value * 10 + (text.data[i] - '0');
        if (value > PORT_MAX) return false;
    }
    *port = value;
    if (value == 80 || value == 443) return true;
    for (size_t i = 0; ports && i < ports->count; i++)
        if (ports->list[i] == value) return true;
    return false;
}

/* UTF-8 without control characters: C0, DEL, and C1 (U+0080…U+009F, in UTF-8 C2 80…C2 9F). */
static bool is_text(struct gri_slice text) {
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        if (c < 0x20 || c == 0x7f) return false;
        if (c == 0xc2 && i + 1 < text.len && text.data[i + 1] < 0xa0) return false;
    }
    return gri_utf8_valid(text);
}

/* Room is kept for the NUL; false when the canonical form is too long. */
static bool put_together(const struct parts *parts, struct gri_canonical *out) {
    int otherwise = parts->https ? 443 : 80;
    char port[8] = "";
    if (out->port != otherwise && !gri_format(port, sizeof(port), ":%d", out->port)) return false;
    if (!gri_format(out->url, sizeof(out->url), "%s://%s%s", parts->https ? "https" : "http", out->host, port)) return false;
    out->path = strlen(out->url);
    out->url[out->path] = '/';
    struct gri_slice inside = after(parts->path, 1); /* the first byte of a path is its slash */
    size_t len = gri_canonical_escape(inside, GRI_URL_PATH, out->url + out->path + 1, GRI_URL_MAX - out->path - 1);
    if (len == SIZE_MAX) return false;
    out->path_len = gri_canonical_resolve_dots(out->url + out->path, len + 1);
    out->len = out->path + out->path_len;
    out->query = out->len;
    out->query_len = 0;
    out->url[out->len] = '\0';
    if (parts->query.len == 0) return true;
    if (out->len + 1 > GRI_URL_MAX) return false;
    out->url[out->len++] = '?';
    out->query = out->len;
    out->query_len = gri_canonical_escape(parts->query, GRI_URL_QUERY, out->url + out->len, GRI_URL_MAX - out->len);
    if (out->query_len == SIZE_MAX) return false;
    out->len += out->query_len;
    out->url[out->len] = '\0';
    return true;
}

static bool part_is(CURLU *url, CURLUPart part, unsigned flags, const char *expected, size_t len) {
    char *value = NULL;
    CURLUcode code = curl_url_get(url, part, &value, flags);
    bool same = code == CURLUE_OK ? strlen(value) == len && memcmp(value, expected, len) == 0 : len == 0;
    curl_free(value);
    return same;
}

/* What libcurl will fetch must be what was judged here. It writes numeric addresses its own way: those it may. */
static bool libcurl_agrees(const struct gri_canonical *url) {
    char port[8];
    CURLU *parsed = curl_url();
    GRI_ASSERT(parsed && gri_format(port, sizeof(port), "%d", url->port));
    bool ok = curl_url_set(parsed, CURLUPART_URL, url->url, 0) == CURLUE_OK;
    bool literal = url->host[0] == '[' || gri_canonical_host_is_number(url->host);
    ok = ok && (literal || part_is(parsed, CURLUPART_HOST, 0, url->host, strlen(url->host)));
    ok = ok && part_is(parsed, CURLUPART_PORT, CURLU_DEFAULT_PORT, port, strlen(port));
    ok = ok && part_is(parsed, CURLUPART_PATH, 0, url->url + url->path, url->path_len);
    ok = ok && part_is(parsed, CURLUPART_QUERY, 0, url->url + url->query, url->query_len);
    ok = ok && part_is(parsed, CURLUPART_USER, 0, "", 0) && part_is(parsed, CURLUPART_PASSWORD, 0, "", 0);
    curl_url_cleanup(parsed);
    return ok;
}

enum gri_reason gri_canonical_url(struct gri_slice text, const struct gri_ports *ports, struct gri_canonical *out) {
    struct parts parts = {0};
    struct gri_slice rest = {0};
    enum gri_reason reason = split_scheme(text, &parts.https, &rest);
    if (reason != GRI_R_none) return reason;
    if (!split_rest(rest, &parts) || !gri_canonical_host(parts.host, out->host)) return GRI_R_bad_host;
    if (!read_port(parts.port, ports, parts.https ? 443 : 80, &out->port)) return GRI_R_bad_port;
    if (parts.credentials) return GRI_R_credentials;
    if (text.len > GRI_URL_MAX) return GRI_R_too_long;
    if (!is_text(text)) return GRI_R_not_text;
    if (!put_together(&parts, out)) return GRI_R_too_long;
    return libcurl_agrees(out) ? GRI_R_none : GRI_R_bad_host;
}

void gri_canonical_filter_query(struct gri_canonical *url, bool (*keep)(struct gri_slice name, const void *arg),
                                const void *arg) {
    char *query = url->url + url->query;
    size_t kept = 0;
    for (size_t from = 0, end; from < url->query_len; from = end + 1) {
        struct gri_slice rest = {(const uint8_t *)query + from, url->query_len - from};
        struct gri_slice parameter = before(rest, span_until(rest, "&"));
        end = from + parameter.len;
        if (!keep(before(parameter, span_until(parameter, "=")), arg)) continue;
        if (kept) query[kept++] = '&';
        memmove(query + kept, parameter.data, parameter.len);
        kept += parameter.len;
    }
    url->query_len = kept;
    url->len = url->path + url->path_len + (kept ? 1 + kept : 0);
    if (kept == 0) url->query = url->len;
    url->url[url->len] = '\0';
}
