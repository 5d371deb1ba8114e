/* SPDX-License-Identifier: Apache-2.0 */
/* Hosts: percent escapes, international names, labels, IPv6 literals. */
#include <arpa/inet.h>
#include <curl/curl.h>
#include <locale.h>
#include <string.h>

#include "canonical_parts.h"
#include "utf8.h"

enum { RAW_HOST_MAX = 1024, LABEL_MAX = 63, NAME_MAX_BYTES = 253 };

int gri_canonical_hex(uint8_t digit) {
    if (digit >= '0' && digit <= '9') return digit - '0';
    if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
    return -1;
}

static bool is_alnum(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* ASCII only: the locale must not decide what a host is. */
static void lower(char *text) {
    for (; *text; text++)
        if (*text >= 'A' && *text <= 'Z') *text = (char)(*text - 'A' + 'a');
}

static bool unescape(struct gri_slice text, char out[RAW_HOST_MAX]) {
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t byte = text.data[i];
        if (byte == '%') {
            int high = i + 2 < text.len ? gri_canonical_hex(text.data[i + 1]) : -1;
            int low = i + 2 < text.len ? gri_canonical_hex(text.data[i + 2]) : -1;
            if (high < 0 || low < 0) return false;
            byte = (uint8_t)(high * 16 + low);
            i += 2;
        }
        if (byte <= ' ' || byte == 0x7f || len + 1 >= RAW_HOST_MAX) return false;
        out[len++] = (char)byte;
    }
    out[len] = '\0';
    return true;
}

/* libcurl asks libidn2, which reads the name in the charset of the calling thread's locale. */
static bool to_punycode(char name[RAW_HOST_MAX]) {
    bool ok = false;
    char *ascii = NULL;
    CURLU *url = curl_url();
    locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    if (!url || !utf8) goto out;
    locale_t before = uselocale(utf8);
    bool done = curl_url_set(url, CURLUPART_SCHEME, "https", 0) == CURLUE_OK &&
                curl_url_set(url, CURLUPART_HOST, name, 0) == CURLUE_OK &&
                curl_url_get(url, CURLUPART_HOST, &ascii, CURLU_PUNYCODE) == CURLUE_OK;
    uselocale(before);
    ok = done && ascii && gri_copy(name, RAW_HOST_MAX, ascii);
out:
    curl_free(ascii);
    if (utf8) freelocale(utf8);
    curl_url_cleanup(url);
    return ok;
}

/* Letters, digits, hyphens inside, underscores (seen in the wild), 1…63 bytes. */
static bool label_ok(const char *label, size_t len) {
    if (len == 0 || len > LABEL_MAX || label[0] == '-' || label[len - 1] == '-') return false;
    for (size_t i = 0; i < len; i++)
        if (!is_alnum(label[i]) && label[i] != '-' && label[i] != '_') return false;
    return true;
}

static bool name_ok(const char *name) {
    if (strlen(name) > NAME_MAX_BYTES) return false;
    for (;;) {
        size_t len = strcspn(name, ".");
        if (!label_ok(name, len)) return false;
        if (!name[len]) return true;
        name += len + 1;
    }
}

static bool ipv6(struct gri_slice text, char host[GRI_HOST_MAX]) {
    char inner[INET6_ADDRSTRLEN], shortest[INET6_ADDRSTRLEN];
    struct in6_addr address;
    size_t len = text.len - 2;
    if (len == 0 || len >= sizeof(inner)) return false;
    memcpy(inner, text.data + 1, len);
    inner[len] = '\0';
    if (strlen(inner) != len || inet_pton(AF_INET6, inner, &address) != 1) return false;
    if (!inet_ntop(AF_INET6, &address, shortest, sizeof(shortest))) return false;
    return gri_format(host, GRI_HOST_MAX, "[%s]", shortest);
}

bool gri_canonical_host(struct gri_slice text, char host[GRI_HOST_MAX]) {
    char name[RAW_HOST_MAX];
    if (text.len >= 2 && text.data[0] == '[' && text.data[text.len - 1] == ']') return ipv6(text, host);
    if (text.len == 0 || !unescape(text, name)) return false;
    bool ascii = true;
    for (const char *c = name; *c; c++)
        ascii = ascii && (uint8_t)*c < 0x80;
    if (!ascii && (!gri_utf8_valid(gri_slice_of(name)) || !to_punycode(name))) return false;
    lower(name);
    size_t len = strlen(name);
    if (len && name[len - 1] == '.') name[len - 1] = '\0';
    return name_ok(name) && gri_copy(host, GRI_HOST_MAX, name);
}

bool gri_canonical_host_is_number(const char *host) {
    const char *dot = strrchr(host, '.');
    const char *last = dot ? dot + 1 : host;
    size_t digits = strspn(last, "0123456789");
    if (last[digits] == '\0') return digits > 0;
    return last[0] == '0' && last[1] == 'x' && last[2 + strspn(last + 2, "0123456789abcdef")] == '\0';
}
