/* SPDX-License-Identifier: Apache-2.0 */
/* What can be told of a picture's luma as a whole: for require and analyse. Any thread. */
#ifndef GRI_PICTURE_FACTS_H
#define GRI_PICTURE_FACTS_H

#include "transform_kit.h"

struct gri_tones {
    double mean, deviation; /* of luma, in levels */
    double entropy;         /* of its histogram, in bits: 0 to 8 */
};

/* `pixels`: in memory. Non-zero: failed. */
int gri_tones_of(VipsImage *pixels, struct gri_tones *tones);
/* Variance of luma's Laplacian: low where nothing is in focus. */
int gri_sharpness_of(VipsImage *pixels, double *sharpness);
/* The middle of the fullest of 16 × 16 × 16 boxes of colours, as "#rrggbb". */
int gri_dominant_of(VipsImage *pixels, char color[GRI_KIT_COLOR_SIZE]);

#endif
