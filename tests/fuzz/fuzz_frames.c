/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer: any bytes as what an isolated child says to its worker: a picture may have taken it over.
 *
 * Parser: base/isolated_frames.c */
#include "fuzz_kit.h"

#include <grisaille/isolator.h>

static void read_request(struct gri_slice payload) {
    struct gri_bytes definition, settings;
    struct gri_error error;
    char *url = NULL;
    gri_bytes_init(&definition, 0);
    gri_bytes_init(&settings, 0);
    enum gri_status status = gri_frame_read_request(payload, &url, &definition, &settings, &error);
    fuzz_check_error(status, &error);
    FUZZ_CHECK((status == GRI_OK) == (url != NULL));
    free(url);
    gri_bytes_clear(&definition);
    gri_bytes_clear(&settings);
}

static void read_result(struct gri_slice payload) {
    struct gri_isolated request = {0}, again = {0};
    struct gri_bytes written;
    struct gri_error error;
    gri_isolated_init(&request, "http://a/", (struct gri_slice){0});
    gri_isolated_init(&again, "http://a/", (struct gri_slice){0});
    gri_bytes_init(&written, 0);
    enum gri_status status = gri_frame_read_result(payload, &request, &error);
    fuzz_check_error(status, &error);
    if (status == GRI_OK) {
        FUZZ_CHECK(gri_frame_write_result(&request, &written, &error) == GRI_OK && written.len > GRI_FRAME_HEADER);
        struct gri_slice inside = {written.data + GRI_FRAME_HEADER, written.len - GRI_FRAME_HEADER};
        FUZZ_CHECK(gri_frame_read_result(inside, &again, &error) == GRI_OK);
        FUZZ_CHECK(again.op.status == request.op.status && again.picture.output.len == request.picture.output.len);
    }
    gri_bytes_clear(&written);
    gri_isolated_clear(&request);
    gri_isolated_clear(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct gri_slice bytes = {data, size};
    enum gri_frame_kind kind = GRI_FRAME_RESULT;
    uint64_t len;
    bool broken;
    if (!gri_frame_header(bytes, &kind, &len, &broken)) kind = GRI_FRAME_RESULT;
    struct gri_slice payload =
        size >= GRI_FRAME_HEADER ? (struct gri_slice){data + GRI_FRAME_HEADER, size - GRI_FRAME_HEADER} : bytes;
    if (kind == GRI_FRAME_REQUEST) {
        read_request(payload);
    } else {
        read_result(payload);
    }
    return 0;
}
