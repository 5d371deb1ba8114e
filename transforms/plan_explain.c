/* SPDX-License-Identifier: Apache-2.0 */
/* Tells what picture_codec.c and picture_render.c do with a plan; the choices themselves are the plan's. */
#include "plan_explain.h"

#include "picture_decode.h"

#include <string.h>

bool gri_plan_source_type(const char *word, enum gri_picture_type *type) {
    static const enum gri_picture_type types[] = {GRI_PICTURE_JPEG, GRI_PICTURE_PNG, GRI_PICTURE_WEBP, GRI_PICTURE_GIF};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (strcmp(gri_picture_mime(types[i]) + strlen("image/"), word) == 0) {
            *type = types[i];
            return true;
        }
    return false;
}

/* The rows so far, and whose the next ones are. */
struct telling {
    struct gri_json *list;
    const char *output; /* "" where the pipeline has one without a name, or where a row is of all */
};

/* Takes what stands in `what`, which is empty again. */
static void add(const struct telling *telling, const char *stage, struct gri_bytes *what) {
    struct gri_json *row = gri_json_object();
    if (telling->output[0]) gri_json_set_str(row, "output", telling->output);
    gri_json_set_str(row, "stage", stage);
    gri_json_set_str(row, "what", gri_bytes_text(what));
    gri_json_append(telling->list, row);
    gri_bytes_reset(what);
}

static void tell_check(const struct telling *telling, enum gri_picture_type type, struct gri_bytes *what) {
    gri_bytes_put(what, type == GRI_PICTURE_JPEG  ? "markers, scans and bit planes to the end-of-image marker"
                        : type == GRI_PICTURE_PNG ? "chunks to IEND; one frame"
                                                  : "by the decoder");
    gri_bytes_put(what, "; size and frames by the header, before any pixel");
    add(telling, "check", what);
}

static void tell_compressed(const struct telling *telling, const struct gri_plan *plan, struct gri_bytes *what) {
    gri_bytes_printf(
        what,
        "a YCbCr or gray JPEG that needs no turn: luma's scans are copied, not decoded, %s; its data is %s; nothing below "
        "is done. Any other JPEG:",
        plan->progressive ? "to a progressive file" : "in the source's form",
        plan->luma_unread ? "checked by structure only" : "validated to the last code");
    add(telling, "copy", what);
}

/* A JPEG of the usual kind is copied for this output, and needs no pixels. */
static bool copies(const struct gri_plan *plan, enum gri_picture_type type) {
    return plan->jpeg_luma && type == GRI_PICTURE_JPEG;
}

/* The outputs that need pixels: the plan itself, or some of its branches. */
static size_t who_decodes(const struct gri_plan *plan, enum gri_picture_type type, const struct gri_plan *who[GRI_OUTPUTS_MAX]) {
    size_t count = 0;
    who[0] = plan;
    for (size_t i = 0; i < plan->branch_count; i++)
        if (!copies(plan->branches[i], type)) who[count++] = plan->branches[i];
    return plan->branch_count > 0 ? count : 1;
}

/* How far the decoder may shrink it, as picture_render.c has it: as far as all of them allow. */
static void tell_size(const struct gri_plan *const *who, size_t count, enum gri_picture_type type, int width, int height,
                      struct gri_bytes *what) {
    const struct gri_plan_step *by = NULL;
    double least = 1;
    bool may = type == GRI_PICTURE_JPEG && count > 0;
    for (size_t i = 0; i < count && may; i++) {
        may = who[i]->shrink_step < who[i]->step_count;
        if (!may) break;
        const struct gri_plan_step *step = &who[i]->steps[who[i]->shrink_step];
        double wanted = width > 0 ? step->transform->shrink(step->params, width, height) : 1;
        if (!by || wanted < least) {
            by = step;
            least = wanted;
        }
    }
    if (may && width > 0)
        gri_bytes_printf(what, "at 1/%d of its size, as %s allows; ", gri_picture_shrink(least), by->transform->name);
    else if (may)
        gri_bytes_printf(what, "at 1/8, 1/4 or 1/2 of its size where %s allows it; ", by->transform->name);
    else
        gri_bytes_put(what, "at full size; ");
}

static void tell_decode(const struct telling *telling, const struct gri_plan *plan, enum gri_picture_type type, int width,
                        int height, struct gri_bytes *what) {
    const struct gri_plan *who[GRI_OUTPUTS_MAX];
    size_t count = who_decodes(plan, type, who);
    gri_bytes_put(what, "once, ");
    for (size_t i = 0; plan->branch_count > 0 && i < count; i++)
        gri_bytes_printf(what, "%s%s%s", i == 0 ? "for " : " and ", who[i]->name, i + 1 == count ? "; " : "");
    if (plan->branch_count > 0 && count == 0) gri_bytes_put(what, "and only where it can't be copied; ");
    tell_size(who, count, type, width, height, what);
    gri_bytes_put(what, "then 8 bits, gray or sRGB, alpha on white, upright");
    add(telling, "decode", what);
}

static void tell_step(const struct telling *telling, const struct gri_plan_step *step, bool first, struct gri_bytes *what) {
    struct gri_json *params = gri_params_to_json(gri_params_of(step->transform), step->params);
    struct gri_error error;
    if (gri_json_count(params) > 0 && gri_json_write(params, true, what, &error) == GRI_OK) gri_bytes_put(what, " ");
    if (step->transform->run_bytes)
        gri_bytes_put(what, first ? "(gets the source's bytes)" : "(gets the picture as a PNG)");
    else if (step->transform->compressed_form && step->transform->compressed_form(step->params) == GRI_COMPRESSED_SIZE_ONLY)
        gri_bytes_put(what, "(by the size alone)");
    add(telling, step->transform->name, what);
    gri_json_free(params);
}

/* What is done for one output behind the steps that it shares. */
static void tell_output(const struct telling *telling, const struct gri_plan *plan, struct gri_bytes *what) {
    struct gri_error error;
    for (size_t i = plan->shared; i < plan->step_count; i++)
        tell_step(telling, &plan->steps[i], i == 0, what);
    struct gri_json *output = gri_params_to_json(plan->format->table, plan->output);
    gri_bytes_printf(what, "%s ", plan->format->name);
    if (gri_json_write(output, true, what, &error) == GRI_OK) gri_bytes_put(what, "; all pixels are made here, in one pipeline");
    gri_json_free(output);
    add(telling, "encode", what);
    gri_bytes_put(what, "decoded again; size and bands are compared");
    add(telling, "read back", what);
}

struct gri_json *gri_plan_explain(const struct gri_plan *plan, enum gri_picture_type type, int width, int height) {
    struct telling all = {.list = gri_json_array(), .output = ""};
    struct gri_bytes what;
    gri_bytes_init(&what, 65536);
    bool bytes_first = plan->step_count > 0 && plan->steps[0].transform->run_bytes != NULL;
    if (copies(plan, type)) tell_compressed(&all, plan, &what);
    tell_check(&all, type, &what);
    if (!bytes_first) tell_decode(&all, plan, type, width, height, &what);
    if (plan->branch_count == 0) tell_output(&all, plan, &what);
    for (size_t i = 0; plan->branch_count > 0 && i < plan->step_count; i++)
        tell_step(&all, &plan->steps[i], i == 0, &what);
    for (size_t i = 0; i < plan->branch_count; i++) {
        struct telling one = {.list = all.list, .output = plan->branches[i]->name};
        if (copies(plan->branches[i], type)) tell_compressed(&one, plan->branches[i], &what);
        tell_output(&one, plan->branches[i], &what);
    }
    gri_bytes_clear(&what);
    return all.list;
}
