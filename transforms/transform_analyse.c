/* SPDX-License-Identifier: Apache-2.0 */
/* analyse: facts about the picture, stored beside it. */
#include "picture_facts.h"

#include <math.h>

struct analyse {
    bool tones, sharpness, dominant;
};

static const struct gri_transform_param params[] = {
    {.name = "tones",
     .help = "facts mean and deviation of luma in levels, and entropy of its histogram in bits",
     .type = GRI_PARAM_BOOL,
     .offset = offsetof(struct analyse, tones),
     .standard = 1},
    {.name = "sharpness",
     .help = "fact sharpness: the variance of luma's Laplacian; low where nothing is in focus",
     .type = GRI_PARAM_BOOL,
     .offset = offsetof(struct analyse, sharpness),
     .standard = 1},
    {.name = "dominant",
     .help = "fact dominant: the colour that is most frequent, \"#rrggbb\", in steps of 16",
     .type = GRI_PARAM_BOOL,
     .offset = offsetof(struct analyse, dominant),
     .standard = 1},
};

/* Four places behind the point say all that there is to say. */
static bool tell(const struct gri_transform_call *call, const char *name, double value) {
    return call->fact_number(call->host, name, floor(value * 10000 + 0.5) / 10000);
}

static bool measure(const struct gri_transform_call *call, VipsImage *pixels) {
    const struct analyse *analyse = call->params;
    struct gri_tones tones;
    double sharpness;
    char color[GRI_KIT_COLOR_SIZE];
    if (analyse->tones && (gri_tones_of(pixels, &tones) || !tell(call, "mean", tones.mean) ||
                           !tell(call, "deviation", tones.deviation) || !tell(call, "entropy", tones.entropy)))
        return false;
    if (analyse->sharpness && (gri_sharpness_of(pixels, &sharpness) || !tell(call, "sharpness", sharpness))) return false;
    return !analyse->dominant || (gri_dominant_of(pixels, color) == 0 && call->fact_text(call->host, "dominant", color));
}

static bool run(const struct gri_transform_call *call, VipsImage *in, VipsImage **out) {
    return (call->compute(call->host, in, out) && measure(call, *out)) ||
           gri_transform_fail(call->error, "the picture could not be measured");
}

extern const struct gri_transform gri_transform_analyse;
const struct gri_transform gri_transform_analyse = {
    GRI_TRANSFORM_LAYOUT,
    .name = "analyse",
    .summary = "facts about the picture, stored beside it; the picture stays as it is",
    GRI_TRANSFORM_PARAMS(params, struct analyse),
    .run = run,
};
