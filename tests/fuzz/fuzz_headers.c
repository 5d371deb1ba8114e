/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer: any bytes as the header lines of an answer. What is kept is printable and within its bounds.
 *
 * Parser: adapters/curl_headers.c */
#include "fuzz_kit.h"

#include "curl_state.h"

static void check_kept(const char *text, size_t size) {
    FUZZ_CHECK(strnlen(text, size) < size);
    for (; *text; text++)
        FUZZ_CHECK(*text >= ' ' && *text < 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct gri_slice rest = {data, size};
    struct gri_fetch *request = gri_calloc(1, sizeof *request);
    struct gri_curl_slot *slot = gri_calloc(1, sizeof *slot);
    gri_fetch_init(request, "http://a/");
    slot->request = request;
    gri_curl_headers_begin(slot);
    while (rest.len > 0) {
        struct gri_slice line = fuzz_cut(&rest, '\n');
        int64_t wait = gri_curl_retry_after_ms(line, 1700000000);
        FUZZ_CHECK(wait >= -1 && wait <= INT64_C(31) * 24 * 3600 * 1000);
        gri_curl_headers_take(slot, line);
    }
    check_kept(request->content_type, sizeof request->content_type);
    check_kept(request->etag, sizeof request->etag);
    check_kept(request->last_modified, sizeof request->last_modified);
    check_kept(request->provider_id, sizeof request->provider_id);
    FUZZ_CHECK(slot->retry_after_ms >= -1 && strnlen(slot->location, sizeof slot->location) < sizeof slot->location);
    gri_fetch_clear(request);
    free(request);
    free(slot);
    return 0;
}
