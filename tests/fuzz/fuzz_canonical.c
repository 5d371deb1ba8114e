/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer: any bytes as a URL. What is accepted has one spelling, in printable ASCII, within its bounds.
 *
 * Parser: catalog/canonical*.c */
#include "fuzz_kit.h"

#include "canonical.h"

static bool keep_short(struct gri_slice name, const void *arg) {
    (void)arg;
    return name.len < 3;
}

static void check_form(const struct gri_canonical *url) {
    FUZZ_CHECK(url->len == strlen(url->url) && url->len <= GRI_URL_MAX);
    FUZZ_CHECK(strncmp(url->url, "http://", 7) == 0 || strncmp(url->url, "https://", 8) == 0);
    for (size_t i = 0; i < url->len; i++)
        FUZZ_CHECK(url->url[i] > ' ' && url->url[i] < 0x7f);
    FUZZ_CHECK(url->host[0] != '\0' && !strpbrk(url->host, "/?#@\\"));
    FUZZ_CHECK(url->port > 0 && url->port < 65536);
    FUZZ_CHECK(url->path + url->path_len <= url->len && url->url[url->path] == '/');
    FUZZ_CHECK(url->query_len == 0 || url->query + url->query_len == url->len);
}

static void check_again(const struct gri_canonical *url, const struct gri_ports *ports) {
    struct gri_canonical again;
    FUZZ_CHECK(gri_canonical_url(gri_slice_of(url->url), ports, &again) == GRI_R_none);
    FUZZ_CHECK(strcmp(again.url, url->url) == 0 && strcmp(again.host, url->host) == 0 && again.port == url->port);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct gri_ports some = {{8080, 65535, 1}, 3};
    if (size == 0) return 0;
    const struct gri_ports *ports = data[0] & 1 ? &some : NULL;
    struct gri_slice text = {data + 1, size - 1};
    struct gri_canonical url;
    char host[GRI_HOST_MAX];
    if (gri_canonical_url(text, ports, &url) == GRI_R_none) {
        check_form(&url);
        check_again(&url, ports);
        gri_canonical_filter_query(&url, keep_short, NULL);
        check_form(&url);
    }
    if (gri_canonical_host(text, host)) FUZZ_CHECK(strlen(host) < sizeof host);
    return 0;
}
