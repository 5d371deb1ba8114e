/* SPDX-License-Identifier: Apache-2.0 */
/* Taking credentials out of text (redact.h). */
#include "redact.h"

#include <string.h>
#include <strings.h>

static struct gri_slice part(struct gri_slice text, size_t from, size_t to) {
    return (struct gri_slice){text.data + from, to - from};
}

/* Where the next "://" at or after `from` ends; text.len if there is none. */
static size_t after_scheme(struct gri_slice text, size_t from) {
    for (size_t i = from; i + 3 <= text.len; i++) {
        if (memcmp(text.data + i, "://", 3) == 0) return i + 3;
    }
    return text.len;
}

void gri_redact_put(struct gri_bytes *out, struct gri_slice text) {
    size_t done = 0;
    while (done < text.len) {
        size_t start = after_scheme(text, done);
        gri_bytes_put_slice(out, part(text, done, start));
        size_t end = start, at = SIZE_MAX;
        while (end < text.len && text.data[end] > ' ' && !strchr("/?#\"'<>", text.data[end])) {
            if (text.data[end] == '@') at = end;
            end++;
        }
        if (at != SIZE_MAX) gri_bytes_put(out, "***");
        gri_bytes_put_slice(out, part(text, at != SIZE_MAX ? at : start, end));
        done = end;
    }
}

static bool names_secret(const char *name, size_t len) {
    static const char *const WORDS[] = {"password", "token", "secret"};
    for (size_t w = 0; w < sizeof WORDS / sizeof *WORDS; w++) {
        size_t n = strlen(WORDS[w]);
        for (size_t i = 0; i + n <= len; i++) {
            if (strncasecmp(name + i, WORDS[w], n) == 0) return true;
        }
    }
    return false;
}

static void put_options(struct gri_bytes *out, const char *options) {
    while (*options) {
        size_t len = strcspn(options, "&;");
        const char *equals = memchr(options, '=', len);
        bool secret = equals && names_secret(options, len);
        size_t shown = secret ? (size_t)(equals - options) + 1 : len;
        gri_bytes_put_slice(out, (struct gri_slice){(const uint8_t *)options, shown});
        if (secret) gri_bytes_put(out, "***");
        options += len;
        if (*options) gri_bytes_put_slice(out, (struct gri_slice){(const uint8_t *)options++, 1});
    }
}

void gri_redact_put_uri(struct gri_bytes *out, const char *uri) {
    const char *scheme = strstr(uri, "://");
    const char *start = scheme ? scheme + 3 : uri;
    const char *at = strrchr(start, '@');
    const char *host = at ? at : start;
    gri_bytes_put_slice(out, (struct gri_slice){(const uint8_t *)uri, (size_t)(start - uri)});
    if (at) gri_bytes_put(out, "***");
    size_t plain = strcspn(host, "?");
    gri_bytes_put_slice(out, (struct gri_slice){(const uint8_t *)host, plain});
    put_options(out, host + plain);
}
