/* SPDX-License-Identifier: Apache-2.0 */
/* Port: JPEG work in the compressed domain. adapters/jpeg_gray implements it without decoding, adapters/jpeg_lossless over
 * libjpeg-turbo, for what the first leaves. Synchronous; any number of threads at once; it keeps no state. */
#ifndef GRISAILLE_JPEG_PORT_H
#define GRISAILLE_JPEG_PORT_H

#include <grisaille/bytes.h>

/* How far luma's entropy-coded data is checked. */
enum gri_jpeg_verify {
    GRI_JPEG_VERIFY_FULL = 0, /* to the last code */
    GRI_JPEG_VERIFY_STRUCTURE /* markers, lengths, the scan script and the end marker; of the data what must be read anyway */
};

struct gri_jpeg_limits {
    int64_t max_pixels;      /* width × height */
    size_t max_output_bytes; /* more is reason output_too_large */
    int64_t timeout_ms;      /* from the call; more is reason decode_timeout */
    int max_scans;           /* more is reason corrupt_image */
    enum gri_jpeg_verify verify;
};

enum { GRI_JPEG_SMALL = 32 };

struct gri_jpeg_info {
    int width, height;      /* as the file's header has them; the output has the same */
    int orientation;        /* of EXIF, 1 to 8; 1 where there is none. The output carries none: not 1 is the caller's to apply */
    int64_t trailing_bytes; /* after the end-of-image marker */
    /* The picture as the file has it, brought to 32 × 32 gray pixels, where DC coefficients were read on the way: to within a
     * few levels, as it is the first scan's. Else `small_known` is false. */
    bool small_known;
    uint8_t small[GRI_JPEG_SMALL * GRI_JPEG_SMALL];
};

struct gri_jpeg_port {
    /* Appends to `out` a one-component JPEG whose coefficients are those of the source's luma component, every one of them,
     * with the source's quantisation table and no metadata. *handled false with GRI_OK: the file is sound as far as it was
     * read, but of a kind that has no such form (CMYK, RGB, arithmetic coding, not 8 bits, luma not the largest
     * component): decode it instead; `out` is as it was. Damage, and whatever libjpeg merely warns of, is
     * reason corrupt_image. On failure `out` is as it was.
     * `progressive`: the output is to be progressive. Without it, it has the source's form or is sequential, whichever is
     * cheaper: a progressive source may stay progressive. */
    enum gri_status (*gray)(struct gri_slice source, bool progressive, const struct gri_jpeg_limits *limits,
                            struct gri_bytes *out, struct gri_jpeg_info *info, bool *handled, struct gri_error *error);
    const char *(*version)(void); /* "libjpeg-turbo 2.1.5"; static */
};

#endif
