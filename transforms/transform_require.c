/* SPDX-License-Identifier: Apache-2.0 */
/* require: refuses pictures that are too small, of the wrong shape, blank or without detail. */
#include "picture_facts.h"

struct require {
    int min_width, min_height;
    double min_aspect, max_aspect, min_entropy;
    bool not_blank;
};

static const struct gri_transform_param params[] = {
    {.name = "min_width",
     .help = "pixels; fewer: too_small",
     .type = GRI_PARAM_INT,
     .offset = offsetof(struct require, min_width),
     .maximum = GRI_KIT_SIDE_MAX},
    {.name = "min_height",
     .help = "pixels; fewer: too_small",
     .type = GRI_PARAM_INT,
     .offset = offsetof(struct require, min_height),
     .maximum = GRI_KIT_SIDE_MAX},
    {.name = "min_aspect",
     .help = "width divided by height; less: bad_aspect",
     .type = GRI_PARAM_DOUBLE,
     .offset = offsetof(struct require, min_aspect),
     .maximum = 1000},
    {.name = "max_aspect",
     .help = "width divided by height; more: bad_aspect; 0: any",
     .type = GRI_PARAM_DOUBLE,
     .offset = offsetof(struct require, max_aspect),
     .maximum = 1000},
    {.name = "min_entropy",
     .help = "bits of the histogram of luma, 0 to 8; less: low_entropy",
     .type = GRI_PARAM_DOUBLE,
     .offset = offsetof(struct require, min_entropy),
     .maximum = 8},
    {.name = "not_blank",
     .help = "true: a picture whose luma deviates from its mean by less than two levels is refused: blank_image",
     .type = GRI_PARAM_BOOL,
     .offset = offsetof(struct require, not_blank)},
};

static const double blank_deviation = 2;

static bool check(const void *values, struct gri_transform_error *error) {
    const struct require *require = values;
    if (require->max_aspect > 0 && require->min_aspect > require->max_aspect)
        return gri_transform_fail(error, "min_aspect is over max_aspect: no picture is like that");
    return require->min_width > 0 || require->min_height > 0 || require->min_aspect > 0 || require->max_aspect > 0 ||
           require->min_entropy > 0 || require->not_blank || gri_transform_fail(error, "it requires nothing");
}

static bool needs_pixels(const struct require *require) {
    return require->min_entropy > 0 || require->not_blank;
}

static enum gri_compressed_form compressed_form(const void *values) {
    return needs_pixels(values) ? GRI_COMPRESSED_NONE : GRI_COMPRESSED_SIZE_ONLY;
}

static bool check_size(const struct gri_transform_call *call) {
    const struct require *require = call->params;
    double aspect = (double)call->width / call->height;
    if (call->width < require->min_width || call->height < require->min_height) {
        call->reject(call->host, "too_small");
        return gri_transform_fail(call->error, "%d × %d; at least %d × %d is required", call->width, call->height,
                                  require->min_width, require->min_height);
    }
    if (aspect >= require->min_aspect && (require->max_aspect <= 0 || aspect <= require->max_aspect)) return true;
    call->reject(call->host, "bad_aspect");
    return gri_transform_fail(call->error, "%d × %d has the aspect %.3f; required is %g to %g", call->width, call->height, aspect,
                              require->min_aspect, require->max_aspect);
}

static bool check_tones(const struct gri_transform_call *call, const struct gri_tones *tones) {
    const struct require *require = call->params;
    if (require->not_blank && tones->deviation < blank_deviation) {
        call->reject(call->host, "blank_image");
        return gri_transform_fail(call->error, "its luma deviates by %.2f levels from %.0f: it is blank", tones->deviation,
                                  tones->mean);
    }
    if (tones->entropy >= require->min_entropy) return true;
    call->reject(call->host, "low_entropy");
    return gri_transform_fail(call->error, "its entropy is %.2f bits; at least %g is required", tones->entropy,
                              require->min_entropy);
}

static bool run(const struct gri_transform_call *call, VipsImage *in, VipsImage **out) {
    struct gri_tones tones;
    if (!check_size(call)) return false;
    if (!in) return true;
    if (!needs_pixels(call->params)) return vips_copy(in, out, NULL) == 0;
    if (!call->compute(call->host, in, out) || gri_tones_of(*out, &tones))
        return gri_transform_fail(call->error, "the picture could not be measured");
    return check_tones(call, &tones);
}

extern const struct gri_transform gri_transform_require;
const struct gri_transform gri_transform_require = {
    GRI_TRANSFORM_LAYOUT,
    .name = "require",
    .summary = "refuses pictures that are too small, of the wrong shape, blank, or without detail",
    GRI_TRANSFORM_PARAMS(params, struct require),
    .check = check,
    .compressed_form = compressed_form,
    .run = run,
};
