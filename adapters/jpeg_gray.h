/* SPDX-License-Identifier: Apache-2.0 */
/* The JPEG port (grisaille/jpeg_port.h) without decoding: luma's scans are copied, or their bits, and validated on the way
 * (docs/jpeg.md). What it does not do goes to gri_jpeg_lossless_port().
 *
 * Memory: the source once more, and 26 bytes an 8×8 block of luma at most (20 MB for 50 megapixels). */
#ifndef GRI_JPEG_GRAY_H
#define GRI_JPEG_GRAY_H

#include <grisaille/jpeg_port.h>

/* Flags of gri_jpeg_gray_take. */
enum {
    GRI_JPEG_GRAY_PROGRESSIVE = 1, /* only progressive sources */
    GRI_JPEG_GRAY_PORTABLE = 2     /* without the instructions that only some processors have */
};

/* Static; any thread. */
const struct gri_jpeg_port *gri_jpeg_gray_port(void);

/* The same without a way out to libjpeg: *handled false for whatever is not done here, with `form`
 * GRI_JPEG_GRAY_PROGRESSIVE for sequential sources too; else the output has the source's form, sequential or progressive.
 * For tests and measurements. */
enum gri_status gri_jpeg_gray_take(struct gri_slice source, unsigned form, const struct gri_jpeg_limits *limits,
                                   struct gri_bytes *out, struct gri_jpeg_info *info, bool *handled, struct gri_error *error);

#endif
