/* SPDX-License-Identifier: Apache-2.0 */
/* Makes JPEGs of every kind in memory for the tests, and reads their luma as libjpeg does. */
#ifndef GRI_PICTURE_MAKER_H
#define GRI_PICTURE_MAKER_H

#include <grisaille/bytes.h>

/* Scan scripts of progressive files. */
enum jpeg_script {
    SCRIPT_STANDARD, /* jpeg_simple_progression */
    SCRIPT_DC_APART, /* each component's DC in a scan of its own, AC bands of no refinement */
    SCRIPT_MOZJPEG,  /* as mozjpeg's: luma's AC first in two bands, chroma after */
    SCRIPT_DEEP,     /* three refinements of every coefficient, luma's of DC too */
    SCRIPT_COUNT
};

struct jpeg_recipe {
    int width, height;
    int components;   /* 1 gray, 3 colour, 4 CMYK */
    int across, down; /* luma's sampling factors; 1 1 is 4:4:4, 2 2 is 4:2:0 */
    bool progressive, optimised, arithmetic, rgb, separate_scans;
    bool many_scans;         /* gray only: 127 sound progressive scans, one a coefficient and bit plane */
    int restart;             /* MCUs between restart markers; 0: none */
    int orientation;         /* of an EXIF segment; 0: no EXIF */
    enum jpeg_script script; /* with `progressive` */
    int quality;             /* 0: 85 */
    int stop_scans;          /* keep only that many scans, then the end marker; 0: all */
};

/* Appends the file; aborts the test on failure. */
void make_jpeg(const struct jpeg_recipe *recipe, struct gri_bytes *out);

/* Decodes the luma component, as Pillow's draft("L") does. Returns malloc'd width × height bytes, or NULL when libjpeg
 * errs or warns. */
uint8_t *read_luma(struct gri_slice jpeg, int *width, int *height);

#endif
