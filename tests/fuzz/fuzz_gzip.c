/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer: any bytes as gzip. The same comes out whatever pieces go in, and never more than was allowed.
 *
 * Parser: adapters/gzip.c */
#include "fuzz_kit.h"

#include "gzip.h"

enum { PLAIN_MAX = 256 * 1024 };

static enum gri_status take(void *arg, struct gri_slice plain, struct gri_error *error) {
    return gri_bytes_append(arg, plain.data, plain.len, error);
}

static enum gri_status unpack(struct gri_slice gzip, size_t piece, struct gri_bytes *plain, struct gri_error *error) {
    const struct gri_inflate_ops *ops = gri_gzip_inflate();
    struct gri_inflate *inflate = ops->begin(PLAIN_MAX);
    enum gri_status status = GRI_OK;
    gri_bytes_init(plain, PLAIN_MAX);
    for (size_t at = 0; at < gzip.len && status == GRI_OK; at += piece) {
        size_t len = gzip.len - at < piece ? gzip.len - at : piece;
        status = ops->feed(inflate, (struct gri_slice){gzip.data + at, len}, take, plain, error);
    }
    if (status == GRI_OK) {
        status = ops->end(inflate, error);
    } else {
        ops->abort(inflate);
    }
    fuzz_check_error(status, error);
    FUZZ_CHECK(plain->len <= PLAIN_MAX);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct gri_bytes whole, pieces;
    struct gri_error error, other;
    if (size == 0) return 0;
    struct gri_slice gzip = {data + 1, size - 1};
    enum gri_status status = unpack(gzip, size, &whole, &error);
    enum gri_status again = unpack(gzip, data[0] % 17 + 1, &pieces, &other);
    /* Of data that is both damaged and over the maximum, either may be told. */
    FUZZ_CHECK(status == again);
    if (status == GRI_OK) FUZZ_CHECK(gri_slice_equal(gri_bytes_slice(&whole), gri_bytes_slice(&pieces)));
    gri_bytes_clear(&whole);
    gri_bytes_clear(&pieces);
    return 0;
}
