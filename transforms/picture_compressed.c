/* SPDX-License-Identifier: Apache-2.0 */
/* The compressed-domain form of a plan: a JPEG's luma component, taken out without decoding a pixel. */
#include "jpeg_survey.h"
#include "picture_hash.h"
#include "picture_run.h"

void gri_picture_note_trailing(struct gri_picture *picture, struct gri_slice source, int64_t trailing) {
    if (trailing <= 0) return;
    const uint8_t *rest = source.data + (source.len - (size_t)trailing);
    bool second = trailing >= 3 && rest[0] == 0xFF && rest[1] == 0xD8 && rest[2] == 0xFF;
    (void)gri_format(picture->note, sizeof picture->note, "%lld bytes after the end of the image%s", (long long)trailing,
                     second ? " (another picture)" : "");
}

/* Steps that ask for the size alone, of a picture whose pixels are not decoded. */
static enum gri_status run_size_only(struct gri_picture_run *run, const struct gri_jpeg_info *info) {
    bool across = info->orientation >= 5;
    int width = across ? info->height : info->width, height = across ? info->width : info->height;
    VipsImage *none = NULL;
    enum gri_status status = GRI_OK;
    for (size_t i = 0; status == GRI_OK && i < run->plan->step_count; i++)
        if (run->plan->steps[i].transform->run) status = gri_step_run_picture(&run->steps, i, width, height, &none, run->error);
    return status;
}

enum gri_status gri_picture_take_luma(struct gri_picture_run *run, bool *handled, int *orientation) {
    struct gri_jpeg_limits limits = {.max_pixels = run->max_pixels,
                                     .max_output_bytes = GRI_PICTURE_OUTPUT_MAX,
                                     .timeout_ms = run->timeout_ms,
                                     .max_scans = GRI_JPEG_SCANS_MAX,
                                     .verify = run->plan->luma_unread ? GRI_JPEG_VERIFY_STRUCTURE : GRI_JPEG_VERIFY_FULL};
    struct gri_jpeg_info info;
    struct gri_picture *picture = run->picture;
    *handled = false;
    *orientation = 1;
    if (run->type != GRI_PICTURE_JPEG || !run->plan->jpeg_luma || !run->jpeg) return GRI_OK;
    enum gri_status status =
        run->jpeg->gray(run->source, run->plan->progressive, &limits, &picture->output, &info, handled, run->error);
    if (status != GRI_OK || !*handled) return status;
    *orientation = info.orientation;
    picture->width = picture->source_width = info.width;
    picture->height = picture->source_height = info.height;
    gri_picture_note_trailing(picture, run->source, info.trailing_bytes);
    picture->lossless = info.orientation == 1;
    if (!picture->lossless) return GRI_OK;
    if (info.small_known) gri_picture_hash_small(info.small, picture->phash);
    return run_size_only(run, &info);
}
