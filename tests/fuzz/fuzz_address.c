/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer: addresses as text: redis.url, ranges of the guard, addresses that the guard judges. Nothing that is no global
 * address passes a guard without ranges, whichever way it is written.
 *
 * Parser: adapters/curl_guard.c adapters/redis_address.c base/redact.c */
#include "fuzz_kit.h"

#include "curl_guard.h"
#include "redact.h"
#include "redis_address.h"

#include <arpa/inet.h>

static void parse_redis(const char *url) {
    struct gri_redis_address address;
    struct gri_redis_sentinels sentinels;
    struct gri_error error;
    if (gri_redis_address_is_sentinel(url)) {
        enum gri_status status = gri_redis_sentinels_parse(url, &sentinels, &address, &error);
        fuzz_check_error(status, &error);
        if (status == GRI_OK)
            FUZZ_CHECK(sentinels.count > 0 && sentinels.count <= GRI_REDIS_SENTINELS_MAX && sentinels.master[0]);
    } else {
        enum gri_status status = gri_redis_address_parse(url, &address, &error);
        fuzz_check_error(status, &error);
        if (status == GRI_OK) FUZZ_CHECK(address.host[0] || address.path[0] == '/');
    }
}

/* Text and binary form are judged alike; the plainest private ranges never pass. */
static void judge(const char *text) {
    struct gri_guard none, all;
    struct gri_error error;
    const char *everything[] = {"0.0.0.0/0", "::/0"}, *range[] = {text};
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    FUZZ_CHECK(gri_guard_init(&none, NULL, 0, &error) == GRI_OK && gri_guard_init(&all, everything, 2, &error) == GRI_OK);
    const char *refused = gri_guard_refuses_text(&none, text);
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) {
        const char *same = gri_guard_refuses(&none, (struct sockaddr *)&v4, sizeof v4);
        unsigned first = ntohl(v4.sin_addr.s_addr) >> 24;
        FUZZ_CHECK((refused == NULL) == (same == NULL) && (!refused || strcmp(refused, same) == 0));
        if (first == 10 || first == 127 || first == 0 || first >= 224) FUZZ_CHECK(refused);
        FUZZ_CHECK(!gri_guard_refuses_text(&all, text));
    }
    enum gri_status status = gri_guard_init(&all, range, 1, &error);
    fuzz_check_error(status, &error);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = fuzz_text((struct gri_slice){data, size});
    struct gri_bytes shown;
    if (!text) return 0;
    parse_redis(text);
    judge(text);
    gri_bytes_init(&shown, 0);
    gri_redact_put_uri(&shown, text);
    gri_redact_put(&shown, (struct gri_slice){data, size});
    gri_bytes_clear(&shown);
    free(text);
    return 0;
}
