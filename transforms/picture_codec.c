/* SPDX-License-Identifier: Apache-2.0 */
/* Runs pipelines over pictures: in the compressed domain where the plan and the source allow, else decode, steps, encode. */
#include "picture_codec.h"

#include "jpeg_survey.h"
#include "picture_hash.h"
#include "picture_render.h"

#include <grisaille/clock.h>
#include <stdlib.h>
#include <string.h>

enum { OUTPUT_MAX = GRI_BASE64_MAX / 4 * 3 }; /* what still fits a document as base64 */

struct picture_codec {
    struct gri_codec port;
    struct gri_picture_codec_options options;
    char version[96];
};

/* One run. */
struct run {
    const struct picture_codec *codec;
    const struct gri_plan *plan;
    struct gri_slice source;
    enum gri_picture_type type;
    struct gri_step_run steps;
    struct gri_picture *picture;
    struct gri_error *error;
};

static struct picture_codec *codec_of(struct gri_codec *port) {
    return gri_container_of(port, struct picture_codec, port);
}

static enum gri_status codec_compile(struct gri_codec *port, struct gri_slice definition, struct gri_plan **plan,
                                     struct gri_error *error) {
    struct gri_json *body = NULL;
    *plan = NULL;
    if (gri_json_parse(definition, &body, error) != GRI_OK) {
        char detail[200];
        gri_copy(detail, sizeof detail, error->detail);
        return gri_fail_as(error, GRI_PERMANENT, GRI_R_config, "a pipeline's definition: %s", detail);
    }
    /* A stored definition that this worker can't run ends its jobs, not the worker. */
    enum gri_status status =
        gri_plan_create(codec_of(port)->options.transforms, gri_json_str(body, "name", "?"), body, plan, error);
    if (status == GRI_OK) status = gri_plan_prepare(*plan, error);
    if (status != GRI_OK) {
        gri_plan_destroy(*plan);
        *plan = NULL;
        status = error->status = GRI_PERMANENT;
    }
    gri_json_free(body);
    return status;
}

static void codec_plan_free(struct gri_codec *port, struct gri_plan *plan) {
    (void)port;
    gri_plan_destroy(plan);
}

static enum gri_status render(struct run *run, struct gri_slice source, int orientation) {
    return gri_picture_render(&run->steps, source, run->type, orientation, OUTPUT_MAX, run->picture, run->error);
}

static void note_trailing(struct gri_picture *picture, struct gri_slice source, int64_t trailing) {
    if (trailing <= 0) return;
    const uint8_t *rest = source.data + (source.len - (size_t)trailing);
    bool second = trailing >= 3 && rest[0] == 0xFF && rest[1] == 0xD8 && rest[2] == 0xFF;
    (void)gri_format(picture->note, sizeof picture->note, "%lld bytes after the end of the image%s", (long long)trailing,
                     second ? " (another picture)" : "");
}

/* Steps that ask for the size alone, of a picture whose pixels are not decoded. */
static enum gri_status run_size_only(struct run *run, const struct gri_jpeg_info *info) {
    bool across = info->orientation >= 5;
    int width = across ? info->height : info->width, height = across ? info->width : info->height;
    VipsImage *none = NULL;
    enum gri_status status = GRI_OK;
    for (size_t i = 0; status == GRI_OK && i < run->plan->step_count; i++)
        if (run->plan->steps[i].transform->run) status = gri_step_run_picture(&run->steps, i, width, height, &none, run->error);
    return status;
}

/* Takes the luma out; turns it upright by decoding that when EXIF asks for it. *handled false: not that kind of JPEG. */
static enum gri_status take_luma(struct run *run, bool *handled) {
    const struct gri_picture_codec_options *options = &run->codec->options;
    struct gri_jpeg_limits limits = {.max_pixels = options->max_pixels,
                                     .max_output_bytes = OUTPUT_MAX,
                                     .timeout_ms = options->timeout_ms,
                                     .max_scans = GRI_JPEG_SCANS_MAX,
                                     .verify = run->plan->luma_unread ? GRI_JPEG_VERIFY_STRUCTURE : GRI_JPEG_VERIFY_FULL};
    struct gri_jpeg_info info;
    struct gri_picture *picture = run->picture;
    enum gri_status status =
        options->jpeg->gray(run->source, run->plan->progressive, &limits, &picture->output, &info, handled, run->error);
    if (status != GRI_OK || !*handled) return status;
    picture->width = picture->source_width = info.width;
    picture->height = picture->source_height = info.height;
    note_trailing(picture, run->source, info.trailing_bytes);
    picture->lossless = info.orientation == 1;
    if (picture->lossless && info.small_known) gri_picture_hash_small(info.small, picture->phash);
    if (picture->lossless) return run_size_only(run, &info);
    struct gri_bytes gray = picture->output;
    gri_bytes_init(&picture->output, 0);
    status = render(run, gri_bytes_slice(&gray), info.orientation);
    gri_bytes_clear(&gray);
    return status;
}

static enum gri_status run_by_type(struct run *run) {
    bool luma = run->type == GRI_PICTURE_JPEG && run->plan->jpeg_luma && run->codec->options.jpeg && !run->codec->options.naive;
    bool handled = false;
    int64_t trailing;
    if (luma && take_luma(run, &handled) != GRI_OK) return run->error->status;
    if (handled) return GRI_OK;
    if (gri_picture_survey(run->source, run->type, &trailing, run->error) != GRI_OK) return run->error->status;
    note_trailing(run->picture, run->source, trailing);
    return render(run, run->source, 0);
}

static enum gri_status codec_run(struct gri_codec *port, const struct gri_plan *plan, struct gri_slice source,
                                 struct gri_picture *out, struct gri_error *error) {
    const struct picture_codec *codec = codec_of(port);
    memset(out, 0, sizeof *out);
    gri_bytes_init(&out->output, 0);
    struct run run = {.codec = codec, .plan = plan, .source = source, .picture = out, .error = error};
    run.steps = (struct gri_step_run){
        .plan = plan,
        .limits = {.max_pixels = codec->options.max_pixels, .deadline_ms = gri_clock_ms() + codec->options.timeout_ms},
        .naive = codec->options.naive};
    gri_bytes_init(&run.steps.put, 0);
    enum gri_status status = gri_picture_sniff(source, &run.type, error);
    if (status == GRI_OK) status = run_by_type(&run);
    if (status == GRI_OK) status = gri_step_run_facts(&run.steps, out->facts, sizeof out->facts, error);
    if (status == GRI_OK && !out->phash[0]) gri_picture_hash(gri_bytes_slice(&out->output), out->phash);
    gri_step_run_clear(&run.steps);
    if (status != GRI_OK) {
        gri_bytes_clear(&out->output);
        return status;
    }
    gri_copy(out->source_type, sizeof out->source_type, gri_picture_mime(run.type));
    gri_copy(out->content_type, sizeof out->content_type, gri_picture_mime(plan->format->type));
    return GRI_OK;
}

static const char *codec_version(struct gri_codec *port) {
    return codec_of(port)->version;
}

struct gri_codec *gri_picture_codec_create(const struct gri_picture_codec_options *options) {
    static const struct gri_codec_ops ops = {codec_compile, codec_plan_free, codec_run, codec_version};
    struct picture_codec *codec = gri_calloc(1, sizeof *codec);
    codec->port.ops = &ops;
    codec->options = *options;
    (void)gri_format(codec->version, sizeof codec->version, "libvips %d.%d.%d%s%s", vips_version(0), vips_version(1),
                     vips_version(2), options->jpeg ? "; " : "", options->jpeg ? options->jpeg->version() : "");
    return &codec->port;
}

void gri_picture_codec_destroy(struct gri_codec *codec) {
    if (codec) free(codec_of(codec));
}
