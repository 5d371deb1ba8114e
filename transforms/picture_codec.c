/* SPDX-License-Identifier: Apache-2.0 */
/* Runs pipelines over pictures: in the compressed domain where the plan and the source allow, else decode, steps, encode. */
#include "picture_codec.h"

#include "picture_hash.h"
#include "picture_render.h"
#include "picture_run.h"

#include <grisaille/clock.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct picture_codec {
    struct gri_codec port;
    struct gri_picture_codec_options options;
    _Atomic int64_t max_pixels, timeout_ms; /* may be changed while pictures run; each takes them at its start */
    char version[96];
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

static enum gri_status render(struct gri_picture_run *run, struct gri_slice source, int orientation) {
    enum gri_status status =
        gri_picture_render(&run->steps, source, run->type, orientation, GRI_PICTURE_OUTPUT_MAX, run->picture, run->error);
    run->picture->decodes = run->steps.decodes;
    return status;
}

/* Luma that EXIF wants turned is decoded for that. */
static enum gri_status turn_luma(struct gri_picture_run *run, int orientation) {
    struct gri_bytes gray = run->picture->output;
    gri_bytes_init(&run->picture->output, 0);
    enum gri_status status = render(run, gri_bytes_slice(&gray), orientation);
    gri_bytes_clear(&gray);
    return status;
}

static enum gri_status run_one(struct gri_picture_run *run) {
    bool handled;
    int orientation;
    int64_t trailing;
    if (gri_picture_take_luma(run, &handled, &orientation) != GRI_OK) return run->error->status;
    if (handled) return orientation == 1 ? GRI_OK : turn_luma(run, orientation);
    if (gri_picture_survey(run->source, run->type, &trailing, run->error) != GRI_OK) return run->error->status;
    gri_picture_note_trailing(run->picture, run->source, trailing);
    return render(run, run->source, 0);
}

enum gri_status gri_picture_complete(struct gri_picture_run *run) {
    struct gri_picture *picture = run->picture;
    if (!picture->phash[0]) gri_picture_hash(gri_bytes_slice(&picture->output), picture->phash);
    gri_copy(picture->source_type, sizeof picture->source_type, gri_picture_mime(run->type));
    gri_copy(picture->content_type, sizeof picture->content_type, gri_picture_mime(run->plan->format->type));
    return gri_step_run_facts(&run->steps, picture->facts, sizeof picture->facts, run->error);
}

static enum gri_status codec_run(struct gri_codec *port, const struct gri_plan *plan, struct gri_slice source,
                                 struct gri_picture *out, struct gri_error *error) {
    const struct picture_codec *codec = codec_of(port);
    memset(out, 0, sizeof *out);
    gri_bytes_init(&out->output, 0);
    struct gri_picture_run run = {.plan = plan, .source = source, .picture = out, .error = error};
    run.jpeg = codec->options.naive ? NULL : codec->options.jpeg;
    run.max_pixels = atomic_load(&codec->max_pixels);
    run.timeout_ms = atomic_load(&codec->timeout_ms);
    run.steps = (struct gri_step_run){.plan = plan,
                                      .limits = {.max_pixels = run.max_pixels, .deadline_ms = gri_clock_ms() + run.timeout_ms},
                                      .naive = codec->options.naive};
    gri_bytes_init(&run.steps.put, 0);
    enum gri_status status = gri_picture_sniff(source, &run.type, error);
    if (status == GRI_OK && plan->branch_count > 0) return gri_picture_run_outputs(&run);
    if (status == GRI_OK) status = run_one(&run);
    if (status == GRI_OK) status = gri_picture_complete(&run);
    gri_step_run_clear(&run.steps);
    if (status != GRI_OK) gri_bytes_clear(&out->output);
    return status;
}

static size_t codec_outputs(struct gri_codec *port, const struct gri_plan *plan, const char *names[GRI_OUTPUTS_MAX]) {
    (void)port;
    names[0] = "";
    for (size_t i = 0; i < plan->branch_count; i++)
        names[i] = plan->branches[i]->name;
    return plan->branch_count > 0 ? plan->branch_count : 1;
}

static const char *codec_version(struct gri_codec *port) {
    return codec_of(port)->version;
}

void gri_picture_codec_limit(struct gri_codec *codec, int64_t max_pixels, int64_t timeout_ms) {
    atomic_store(&codec_of(codec)->max_pixels, max_pixels);
    atomic_store(&codec_of(codec)->timeout_ms, timeout_ms);
}

struct gri_codec *gri_picture_codec_create(const struct gri_picture_codec_options *options) {
    static const struct gri_codec_ops ops = {codec_compile, codec_plan_free, codec_run, codec_version, codec_outputs};
    struct picture_codec *codec = gri_calloc(1, sizeof *codec);
    codec->port.ops = &ops;
    codec->options = *options;
    gri_picture_codec_limit(&codec->port, options->max_pixels, options->timeout_ms);
    (void)gri_format(codec->version, sizeof codec->version, "libvips %d.%d.%d%s%s", vips_version(0), vips_version(1),
                     vips_version(2), options->jpeg ? "; " : "", options->jpeg ? options->jpeg->version() : "");
    return &codec->port;
}

void gri_picture_codec_destroy(struct gri_codec *codec) {
    if (codec) free(codec_of(codec));
}
