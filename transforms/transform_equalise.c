/* SPDX-License-Identifier: Apache-2.0 */
/* equalise: all tones equally frequent, band by band. */
#include "transform_kit.h"

/* Of one band of the histogram: the sum of all tones below, in steps that leave out the last tone there is; as Pillow's. */
static void equal_table(const uint32_t *histogram, int bands, int band, uint8_t table[256]) {
    uint64_t total = 0, last = 0;
    int tones = 0;
    for (int tone = 0; tone < 256; tone++) {
        uint32_t count = histogram[tone * bands + band];
        total += count;
        if (count > 0) last = count, tones++;
    }
    uint64_t step = (total - last) / 255, below = step / 2;
    for (int tone = 0; tone < 256; tone++) {
        uint64_t equal = tones <= 1 || step == 0 ? (uint64_t)tone : below / step;
        table[tone] = (uint8_t)(equal < 255 ? equal : 255);
        below += histogram[tone * bands + band];
    }
}

static bool run(const struct gri_transform_call *call, VipsImage *in, VipsImage **out) {
    uint8_t tables[3][256];
    VipsImage *pixels = NULL, *found = NULL;
    size_t len = 0;
    uint32_t *histogram = NULL;
    bool ok = call->compute(call->host, in, &pixels) && vips_hist_find(pixels, &found, NULL) == 0 &&
              (histogram = vips_image_write_to_memory(found, &len)) != NULL;
    int bands = vips_image_get_bands(in);
    ok = ok && len == 256 * sizeof(uint32_t) * (size_t)bands;
    for (int band = 0; ok && band < bands; band++)
        equal_table(histogram, bands, band, tables[band]);
    ok = ok && gri_kit_map(pixels, tables, bands, out) == 0;
    g_free(histogram);
    g_clear_object(&found);
    g_clear_object(&pixels);
    return ok || gri_transform_fail(call->error, "the tones could not be equalised");
}

extern const struct gri_transform gri_transform_equalise;
const struct gri_transform gri_transform_equalise = {
    GRI_TRANSFORM_LAYOUT,
    .name = "equalise",
    .summary = "all tones equally frequent, in each band by itself",
    .run = run,
};
