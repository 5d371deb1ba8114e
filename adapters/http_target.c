/* SPDX-License-Identifier: Apache-2.0 */
/* Request targets (RFC 9112, chapter 3.2): path and query, decoded once (http_server.h). */
#include "http_server.h"

#include <strings.h>

static int hex(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* In place. False: % without two digits, or a NUL, which would hide what stands behind it. */
static bool decode(char *text, bool plus) {
    char *to = text;
    for (const char *from = text; *from; from++) {
        char c = *from;
        if (c == '%') {
            int high = hex(from[1]), low = high < 0 ? -1 : hex(from[2]);
            if (low < 0 || (high == 0 && low == 0)) return false;
            c = (char)(high * 16 + low);
            from += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        }
        *to++ = c;
    }
    *to = '\0';
    return true;
}

static bool decode_query(char *text, struct gri_http_pair query[GRI_HTTP_QUERY_MAX], size_t *count) {
    for (char *next = text; next;) {
        char *name = next;
        next = strchr(name, '&');
        if (next) *next++ = '\0';
        if (*name == '\0') continue;
        char *value = strchr(name, '=');
        if (value) *value++ = '\0';
        if (*count == GRI_HTTP_QUERY_MAX) return false;
        if (!decode(name, true) || (value && !decode(value, true))) return false;
        query[(*count)++] = (struct gri_http_pair){name, value ? value : ""};
    }
    return true;
}

bool gri_http_parse_target(char *text, const char **path, struct gri_http_pair query[GRI_HTTP_QUERY_MAX], size_t *query_count) {
    *query_count = 0;
    size_t scheme = strncasecmp(text, "http://", 7) == 0 ? 7 : strncasecmp(text, "https://", 8) == 0 ? 8 : 0;
    if (scheme) text += scheme + strcspn(text + scheme, "/?");
    char *fragment = strchr(text, '#');
    if (fragment) *fragment = '\0';
    char *mark = strchr(text, '?');
    if (mark) *mark++ = '\0';
    /* "http://host" and "http://host?x" ask for the root. */
    *path = scheme && *text == '\0' ? "/" : text;
    if ((*path)[0] != '/') return false;
    return decode(text, false) && (!mark || decode_query(mark, query, query_count));
}
