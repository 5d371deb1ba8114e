/* SPDX-License-Identifier: Apache-2.0 */
/* Decodes once, chains the steps lazily, computes and encodes. Files in the middle (steps that take or give whole bytes) are
 * checked as a source is. */
#include "picture_render.h"

#include "jpeg_survey.h"
#include "vips_pixels.h"
#include "vips_runtime.h"

struct render {
    struct gri_step_run *run;
    struct render *trunk;  /* of a branch: whose pixels are taken while `file` is the source; else NULL */
    struct gri_slice file; /* the picture as a file, while no step of this output has had its pixels; else empty */
    enum gri_picture_type type;
    int orientation;
    VipsImage *image;                          /* its pixels, once they were asked for */
    int true_width, true_height;               /* upright; what `image` would have without shrink-on-load */
    const struct gri_picture_branch *branches; /* of a trunk: all that will want its pixels; else NULL */
    size_t branch_count;
    bool may_shrink; /* `file` is the source, and nothing but linear steps come before shrink_step */
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

/* No smaller than any of the outputs wants it. */
static double wanted_shrink(void *arg, int width, int height) {
    const struct render *render = arg;
    const struct gri_plan *plan = render->run->plan;
    double least = 0;
    for (size_t i = 0; i < (render->branches ? render->branch_count : 1); i++) {
        const struct gri_plan *one = render->branches ? render->branches[i].steps.plan : plan;
        const struct gri_plan_step *step = &one->steps[one->shrink_step];
        double wanted = step->transform->shrink(step->params, width, height);
        if (i == 0 || wanted < least) least = wanted;
    }
    return least;
}

static enum gri_status decode(struct render *render) {
    struct gri_decode_limits limits = render->run->limits;
    struct gri_decoded decoded = {0};
    if (render->may_shrink) {
        limits.shrink = wanted_shrink;
        limits.shrink_arg = render;
    }
    if (gri_picture_decode(render->file, render->type, render->orientation, &limits, &decoded, render->error) != GRI_OK)
        return render->error->status;
    render->image = decoded.image;
    render->true_width = decoded.true_width;
    render->true_height = decoded.true_height;
    render->file = (struct gri_slice){0};
    return GRI_OK;
}

/* The source's pixels, if they are not there yet; a branch has those of its trunk. */
static enum gri_status need_pixels(struct render *render) {
    struct render *trunk = render->trunk;
    if (render->image) return GRI_OK;
    if (!trunk) {
        render->run->decodes++;
        return decode(render);
    }
    if (need_pixels(trunk) != GRI_OK) return render->error->status;
    g_object_ref(trunk->image);
    render->image = trunk->image;
    render->true_width = trunk->true_width;
    render->true_height = trunk->true_height;
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
    render->trunk = NULL;
    enum gri_status status = gri_picture_sniff(put, &render->type, render->error);
    if (status == GRI_OK) status = gri_picture_survey(put, render->type, &trailing, render->error);
    if (status == GRI_OK) status = decode(render);
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
    if (render->image && file.len == 0 &&
        vips_pngsave_buffer(render->image, &made, &len, "compression", 1, "strip", TRUE, NULL)) {
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
    render->file = (struct gri_slice){0};
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

static enum gri_status run_steps(struct render *render, size_t from) {
    const struct gri_plan *plan = render->run->plan;
    enum gri_status status = GRI_OK;
    for (size_t i = from; status == GRI_OK && i < plan->step_count; i++)
        status = plan->steps[i].transform->run_bytes ? step_on_file(render, i) : step_on_pixels(render, i);
    return status;
}

enum gri_status gri_picture_render(struct gri_step_run *run, struct gri_slice source, enum gri_picture_type type, int orientation,
                                   size_t output_max, struct gri_picture *picture, struct gri_error *error) {
    const struct gri_plan *plan = run->plan;
    struct render render = {.run = run, .file = source, .type = type, .orientation = orientation, .error = error};
    render.may_shrink = !run->naive && plan->shrink_step < plan->step_count;
    enum gri_status status = gri_picture_measure(source, type, orientation, &run->limits, &picture->source_width,
                                                 &picture->source_height, &render.true_width, &render.true_height, error);
    if (status == GRI_OK) status = run_steps(&render, 0);
    if (status == GRI_OK) status = need_pixels(&render);
    if (status == GRI_OK) status = finish(&render, output_max, picture);
    g_clear_object(&render.image);
    return status;
}

/* --- several outputs --------------------------------------------------------------------------------------------------- */

/* From where the trunk's steps left off; `file` is what they left of the source, whether another branch has decoded it or not. */
static enum gri_status render_branch(struct render *trunk, struct gri_slice file, struct gri_picture_branch *branch,
                                     size_t output_max) {
    struct render render = *trunk;
    const struct gri_plan *plan = branch->steps.plan;
    render.file = file;
    render.run = &branch->steps;
    render.trunk = trunk;
    render.branches = NULL;
    if (render.image) g_object_ref(render.image);
    branch->steps.facts = trunk->run->facts ? gri_json_copy(trunk->run->facts) : NULL;
    enum gri_status status = run_steps(&render, plan->shared);
    if (status == GRI_OK) status = need_pixels(&render);
    if (status == GRI_OK) status = finish(&render, output_max, branch->picture);
    g_clear_object(&render.image);
    return status;
}

enum gri_status gri_picture_render_branches(struct gri_step_run *run, struct gri_slice source, enum gri_picture_type type,
                                            struct gri_picture_branch *branches, size_t count, size_t output_max,
                                            struct gri_error *error) {
    struct render trunk = {.run = run, .file = source, .type = type, .error = error, .branches = branches, .branch_count = count};
    int width, height;
    trunk.may_shrink = !run->naive;
    for (size_t i = 0; i < count; i++)
        trunk.may_shrink = trunk.may_shrink && branches[i].steps.plan->shrink_step < branches[i].steps.plan->step_count;
    enum gri_status status =
        gri_picture_measure(source, type, 0, &run->limits, &width, &height, &trunk.true_width, &trunk.true_height, error);
    if (status == GRI_OK) status = run_steps(&trunk, 0);
    if (status == GRI_OK && trunk.image && count > 1) { /* else each branch would compute them anew */
        VipsImage *lazy = trunk.image;
        trunk.image = NULL;
        status = gri_vips_compute(lazy, run->limits.deadline_ms, GRI_R_transform, "the shared steps", &trunk.image, error);
        g_object_unref(lazy);
    }
    struct gri_slice file = trunk.file;
    for (size_t i = 0; status == GRI_OK && i < count; i++) {
        branches[i].picture->source_width = width;
        branches[i].picture->source_height = height;
        status = render_branch(&trunk, file, &branches[i], output_max);
        if (status != GRI_OK) (void)gri_error_wrap(error, "output %s", branches[i].steps.plan->name);
    }
    g_clear_object(&trunk.image);
    return status;
}
