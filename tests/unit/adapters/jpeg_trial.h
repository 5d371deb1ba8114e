/* SPDX-License-Identifier: Apache-2.0 */
/* One trial of gray without decoding against libjpeg, over any bytes. */
#ifndef GRI_JPEG_TRIAL_H
#define GRI_JPEG_TRIAL_H

#include <grisaille/bytes.h>

struct trial {
    bool taken;      /* handled, with full validation */
    bool refused;    /* corrupt_image */
    bool stricter;   /* refused, and libjpeg had nothing to say of luma (`strict` asked for it) */
    char wrong[200]; /* what must not be; "" when all is well */
};

/* The two forms agree; what is taken libjpeg calls sound in luma, and reads the same coefficients in the output; structure
 * checks take whatever full ones take, and give the same. */
void trial_run(struct gri_slice source, bool strict, struct trial *trial);

#endif
