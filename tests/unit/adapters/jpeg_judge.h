/* SPDX-License-Identifier: Apache-2.0 */
/* What libjpeg reads in a JPEG's first component: its coefficients, and whether it complains. */
#ifndef GRI_JPEG_JUDGE_H
#define GRI_JPEG_JUDGE_H

#include <grisaille/bytes.h>

struct judgement {
    bool readable;         /* libjpeg came to the end */
    bool luma_sound;       /* it had nothing to say of a scan that brings the first component, or of the file before any scan */
    char said[200];        /* its first complaint of luma */
    int width, height;     /* pixels */
    size_t blocks;         /* ⌈width / 8⌉ × ⌈height / 8⌉ */
    int16_t *coefficients; /* 64 a block, raster order; NULL unless readable. Owned */
    uint16_t quant[64];
};

void judge_jpeg(struct gri_slice jpeg, struct judgement *judgement);
void judgement_clear(struct judgement *judgement);
/* Same size, quantisation and coefficients. */
bool judgements_agree(const struct judgement *a, const struct judgement *b);

#endif
