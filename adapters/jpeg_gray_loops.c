/* SPDX-License-Identifier: Apache-2.0 */
/* Chooses the form of the loops at run time. */
#include "jpeg_gray_scans.h"

#define LOOPS(form) \
    { gri_gray_band_first_##form, gri_gray_band_refine_##form, gri_gray_dc_first_##form, gri_gray_sequential_##form }

/* The first two Zen generations have BMI2, but PDEP takes them up to hundreds of cycles. */
const struct gri_gray_loops *gri_gray_loops(bool portable) {
    static const struct gri_gray_loops plain = LOOPS(portable);
#ifdef __x86_64__
    static const struct gri_gray_loops fast = LOOPS(bmi2);
    bool has = __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("popcnt");
    if (has && !portable && !__builtin_cpu_is("znver1") && !__builtin_cpu_is("znver2")) return &fast;
#endif
    (void)portable;
    return &plain;
}
