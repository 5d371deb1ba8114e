/* SPDX-License-Identifier: Apache-2.0 */
/* What bytes are, by their signature alone. Reads hostile bytes; any thread. */
#ifndef GRI_PICTURE_SNIFF_H
#define GRI_PICTURE_SNIFF_H

#include <grisaille/bytes.h>

enum gri_picture_type { GRI_PICTURE_JPEG, GRI_PICTURE_PNG, GRI_PICTURE_WEBP, GRI_PICTURE_GIF };

/* Reason empty: no bytes; not_image: HTML, text, anything else; unsupported_format: an image of another kind, named. */
enum gri_status gri_picture_sniff(struct gri_slice source, enum gri_picture_type *type, struct gri_error *error) GRI_MUST_CHECK;

/* "image/jpeg", …; static. */
const char *gri_picture_mime(enum gri_picture_type type);

struct gri_png_survey {
    uint32_t frames;        /* what an animated PNG announces (acTL), else 1 */
    int64_t trailing_bytes; /* after the IEND chunk */
};

/* Walks a PNG's chunks. Reason corrupt_image when they end before IEND (libvips asks for no more than the pixels). */
enum gri_status gri_picture_png_survey(struct gri_slice source, struct gri_png_survey *survey,
                                       struct gri_error *error) GRI_MUST_CHECK;

/* True when a second frame begins in a GIF: libvips would read all of them first, and calls very many damage. */
bool gri_picture_gif_moves(struct gri_slice source);

#endif
