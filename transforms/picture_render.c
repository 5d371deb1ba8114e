/* SPDX-License-Identifier: Apache-2.0 */
/* Decodes once, chains the steps lazily, computes and encodes. Files in the middle (steps that take or give whole bytes) are
 * checked as a source is. */
#include "picture_render.h"

#include "jpeg_survey.h"
#include "vips_pixels.h"
#include "vips_runtime.h"

struct render {
    struct gri_step_run *run;
    struct gri_slice file; /* the picture as a file, while no step has had its pixels; else empty */
    enum gri_picture_type type;
    int orientation;
    VipsImage *image;            /* its pixels, once they were asked for */
    int true_width, true_height; /* upright; what `image` would have without shrink-on-load */
    bool may_shrink;             /* `file` is the source, and nothing but linear steps come before shrink_step */
    struct gri_error *error;
};

enum gri_status gri_picture_survey(struct gri_slice source, enum gri_picture_type type, int64_t *trailing,
                                   struct gri_error *error) {
    *trailing = 0;
    if (type == GRI_PICTURE_JPEG) {
        struct gri_jpeg_survey survey;
        if (gri_jpeg_survey(source, false, &survey, error) != GRI_OK) return error->status;
        *trailing = survey.trailing_bytes;
    } else if (type == GRI_PICTURE_PNG) {
        struct gri_png_survey survey;
        if (gri_picture_png_survey(source, &survey, error) != GRI_OK) return error->status;
        if (survey.frames > 1)
            return gri_fail(error, GRI_R_too_many_frames, "an animated PNG of %u frames; only still pictures are taken",
                            survey.frames);
        *trailing = survey.trailing_bytes;
    } else if (type == GRI_PICTURE_GIF && gri_picture_gif_moves(source)) {
        return gri_fail(error, GRI_R_too_many_frames, "an animated GIF; only still pictures are taken");
    }
    return GRI_OK;
}

static double wanted_shrink(void *arg, int width, int height) {
    const struct gri_plan *plan = arg;
    const struct gri_plan_step *step = &plan->steps[plan->shrink_step];
    return step->transform->shrink(step->params, width, height);
}

/* The file's pixels, if they are not there yet. */
static enum gri_status need_pixels(struct render *render) {
    struct gri_decode_limits limits = render->run->limits;
    struct gri_decoded decoded = {0};
    if (render->image) return GRI_OK;
    if (render->may_shrink) {
        limits.shrink = wanted_shrink;
        limits.shrink_arg = (void *)(uintptr_t)render->run->plan;
    }
    if (gri_picture_decode(render->file, render->type, render->orientation, &limits, &decoded, render->error) != GRI_OK)
        return render->error->status;
    render->image = decoded.image;
    render->true_width = decoded.true_width;
    render->true_height = decoded.true_height;
    render->file = (struct gri_slice){0};
    return GRI_OK;
}

/* What a step gave in place of the picture is decoded at once: the bytes go with the next step that gives some. */
static enum gri_status take_put(struct render *render) {
    struct gri_slice put = gri_bytes_slice(&render->run->put);
    char detail[200];
    int64_t trailing;
    g_clear_object(&render->image);
    render->file = put;
    render->orientation = 0;
    render->may_shrink = false;
    enum gri_status status = gri_picture_sniff(put, &render->type, render->error);
    if (status == GRI_OK) status = gri_picture_survey(put, render->type, &trailing, render->error);
    if (status == GRI_OK) status = need_pixels(render);
    gri_bytes_clear(&render->run->put);
    if (status == GRI_OK) return GRI_OK;
    gri_copy(detail, sizeof detail, render->error->detail);
    return gri_fail(render->error, GRI_R_transform, "%s gave a picture that can't be read: %s",
                    render->run->step->transform->name, detail);
}

static enum gri_status step_on_file(struct render *render, size_t index) {
    void *made = NULL;
    size_t len = 0;
    struct gri_slice file = render->file;
    if (render->image && vips_pngsave_buffer(render->image, &made, &len, "compression", 1, "strip", TRUE, NULL)) {
        char text[200];
        gri_vips_message(text, sizeof text);
        return gri_fail(render->error, GRI_R_transform, "a PNG for the next step: %s", text);
    }
    if (made) file = (struct gri_slice){made, len};
    enum gri_status status = gri_step_run_file(render->run, index, file, render->true_width, render->true_height, render->error);
    if (status == GRI_OK && render->run->has_put) status = take_put(render);
    g_free(made);
    return status;
}

static enum gri_status step_on_pixels(struct render *render, size_t index) {
    if (need_pixels(render) != GRI_OK) return render->error->status;
    enum gri_status status =
        gri_step_run_picture(render->run, index, render->true_width, render->true_height, &render->image, render->error);
    if (status == GRI_OK && (!render->may_shrink || index >= render->run->plan->shrink_step)) {
        render->true_width = vips_image_get_width(render->image);
        render->true_height = vips_image_get_height(render->image);
    }
    return status;
}

static enum gri_status finish(struct render *render, size_t output_max, struct gri_picture *picture) {
    const struct gri_plan *plan = render->run->plan;
    int64_t deadline_ms = render->run->limits.deadline_ms;
    VipsImage *pixels = NULL;
    enum gri_status status = gri_vips_compute(render->image, deadline_ms, GRI_R_transform, "the steps", &pixels, render->error);
    if (status == GRI_OK)
        status = gri_output_encode(plan->format, plan->output, pixels, deadline_ms, output_max, &picture->output, render->error);
    if (status == GRI_OK) {
        picture->width = vips_image_get_width(pixels);
        picture->height = vips_image_get_height(pixels);
    }
    g_clear_object(&pixels);
    return status;
}

enum gri_status gri_picture_render(struct gri_step_run *run, struct gri_slice source, enum gri_picture_type type, int orientation,
                                   size_t output_max, struct gri_picture *picture, struct gri_error *error) {
    const struct gri_plan *plan = run->plan;
    struct render render = {.run = run, .file = source, .type = type, .orientation = orientation, .error = error};
    render.may_shrink = !run->naive && plan->shrink_step < plan->step_count;
    enum gri_status status = gri_picture_measure(source, type, orientation, &run->limits, &picture->source_width,
                                                 &picture->source_height, &render.true_width, &render.true_height, error);
    for (size_t i = 0; status == GRI_OK && i < plan->step_count; i++)
        status = plan->steps[i].transform->run_bytes ? step_on_file(&render, i) : step_on_pixels(&render, i);
    if (status == GRI_OK) status = need_pixels(&render);
    if (status == GRI_OK) status = finish(&render, output_max, picture);
    g_clear_object(&render.image);
    return status;
}
