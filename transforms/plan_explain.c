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

static void add(struct gri_json *list, const char *stage, const struct gri_bytes *what) {
    struct gri_json *row = gri_json_object();
    gri_json_set_str(row, "stage", stage);
    gri_json_set_str(row, "what", gri_bytes_text(what));
    gri_json_append(list, row);
}

static void tell_check(struct gri_json *list, enum gri_picture_type type, struct gri_bytes *what) {
    gri_bytes_put(what, type == GRI_PICTURE_JPEG  ? "markers, scans and bit planes to the end-of-image marker"
                        : type == GRI_PICTURE_PNG ? "chunks to IEND; one frame"
                                                  : "by the decoder");
    gri_bytes_put(what, "; size and frames by the header, before any pixel");
    add(list, "check", what);
}

static void tell_compressed(struct gri_json *list, const struct gri_plan *plan, struct gri_bytes *what) {
    gri_bytes_printf(
        what,
        "a YCbCr or gray JPEG that needs no turn: luma's scans are copied, not decoded, %s; its data is %s; nothing below "
        "is done. Any other JPEG:",
        plan->progressive ? "to a progressive file" : "in the source's form",
        plan->luma_unread ? "checked by structure only" : "validated to the last code");
    add(list, "copy", what);
}

static void tell_decode(struct gri_json *list, const struct gri_plan *plan, enum gri_picture_type type, int width, int height,
                        struct gri_bytes *what) {
    gri_bytes_put(what, "once, ");
    bool may = type == GRI_PICTURE_JPEG && plan->shrink_step < plan->step_count;
    const struct gri_plan_step *step = may ? &plan->steps[plan->shrink_step] : NULL;
    if (may && width > 0)
        gri_bytes_printf(what, "at 1/%d of its size, as %s allows; ",
                         gri_picture_shrink(step->transform->shrink(step->params, width, height)), step->transform->name);
    else if (may)
        gri_bytes_printf(what, "at 1/8, 1/4 or 1/2 of its size where %s allows it; ", step->transform->name);
    else
        gri_bytes_put(what, "at full size; ");
    gri_bytes_put(what, "then 8 bits, gray or sRGB, alpha on white, upright");
    add(list, "decode", what);
}

static void tell_step(struct gri_json *list, const struct gri_plan_step *step, bool first, struct gri_bytes *what) {
    struct gri_json *params = gri_params_to_json(gri_params_of(step->transform), step->params);
    struct gri_error error;
    if (gri_json_count(params) > 0 && gri_json_write(params, true, what, &error) == GRI_OK) gri_bytes_put(what, " ");
    if (step->transform->run_bytes)
        gri_bytes_put(what, first ? "(gets the source's bytes)" : "(gets the picture as a PNG)");
    else if (step->transform->compressed_form && step->transform->compressed_form(step->params) == GRI_COMPRESSED_SIZE_ONLY)
        gri_bytes_put(what, "(by the size alone)");
    add(list, step->transform->name, what);
    gri_json_free(params);
}

struct gri_json *gri_plan_explain(const struct gri_plan *plan, enum gri_picture_type type, int width, int height) {
    struct gri_json *list = gri_json_array();
    struct gri_bytes what;
    struct gri_error error;
    gri_bytes_init(&what, 65536);
    bool copies = plan->jpeg_luma && type == GRI_PICTURE_JPEG, bytes_first = plan->steps[0].transform->run_bytes != NULL;
    if (copies) tell_compressed(list, plan, &what);
    gri_bytes_reset(&what);
    tell_check(list, type, &what);
    gri_bytes_reset(&what);
    if (!bytes_first) tell_decode(list, plan, type, width, height, &what);
    for (size_t i = 0; i < plan->step_count; i++) {
        gri_bytes_reset(&what);
        tell_step(list, &plan->steps[i], i == 0, &what);
    }
    gri_bytes_reset(&what);
    struct gri_json *output = gri_params_to_json(plan->format->table, plan->output);
    gri_bytes_printf(&what, "%s ", plan->format->name);
    if (gri_json_write(output, true, &what, &error) == GRI_OK)
        gri_bytes_put(&what, "; all pixels are made here, in one pipeline");
    gri_json_free(output);
    add(list, "encode", &what);
    gri_bytes_reset(&what);
    gri_bytes_put(&what, "decoded again; size and bands are compared");
    add(list, "read back", &what);
    gri_bytes_clear(&what);
    return list;
}
