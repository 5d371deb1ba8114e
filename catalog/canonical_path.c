/* SPDX-License-Identifier: Apache-2.0 */
/* Paths and queries: one form of every escape (RFC 3986, 2 and 6.2.2), dot segments (5.2.4). */
#include <string.h>

#include "canonical_parts.h"

static bool is_unreserved(uint8_t c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr("-._~", c));
}

/* May stand raw beside the unreserved ones: sub-delims, ":", "@", "/", and "?" in a query. */
static bool stands_raw(uint8_t c, enum gri_url_part part) {
    if (is_unreserved(c)) return true;
    return c && (strchr("!$&'()*+,;=:@/", c) || (c == '?' && part == GRI_URL_QUERY));
}

size_t gri_canonical_escape(struct gri_slice raw, enum gri_url_part part, char *out, size_t cap) {
    static const char hex[] = "0123456789ABCDEF";
    size_t len = 0;
    for (size_t i = 0; i < raw.len; i++) {
        uint8_t byte = raw.data[i];
        bool escape = !stands_raw(byte, part);
        if (byte == '%' && i + 2 < raw.len && gri_canonical_hex(raw.data[i + 1]) >= 0 &&
            gri_canonical_hex(raw.data[i + 2]) >= 0) {
            byte = (uint8_t)(gri_canonical_hex(raw.data[i + 1]) * 16 + gri_canonical_hex(raw.data[i + 2]));
            escape = !is_unreserved(byte); /* an escaped delimiter means something else than a raw one */
            i += 2;
        }
        if (len + (escape ? 3 : 1) > cap) return SIZE_MAX;
        if (escape) {
            out[len++] = '%';
            out[len++] = hex[byte >> 4];
            out[len++] = hex[byte & 15];
        } else {
            out[len++] = (char)byte;
        }
    }
    return len;
}

size_t gri_canonical_resolve_dots(char *path, size_t len) {
    GRI_ASSERT(len > 0 && path[0] == '/');
    size_t kept = 0;
    for (size_t from = 0, end; from < len; from = end) {
        const char *next = memchr(path + from + 1, '/', len - from - 1);
        end = next ? (size_t)(next - path) : len;
        size_t segment = end - from - 1;
        bool up = segment == 2 && path[from + 1] == '.' && path[from + 2] == '.';
        if (up || (segment == 1 && path[from + 1] == '.')) {
            while (up && kept > 0 && path[--kept] != '/') {}
            if (end == len) path[kept++] = '/';
        } else {
            memmove(path + kept, path + from, end - from);
            kept += end - from;
        }
    }
    if (kept == 0) path[kept++] = '/';
    return kept;
}
