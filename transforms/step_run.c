/* SPDX-License-Identifier: Apache-2.0 */
/* Calls a step's transform, offers it what a call offers, and believes nothing that it says. */
#include "step_run.h"

#include "vips_pixels.h"
#include "vips_runtime.h"

#include <grisaille/clock.h>
#include <math.h>
#include <string.h>

enum { FACTS_EACH = 32, PUT_MAX = 64 * 1024 * 1024 };

/* --- what a call offers ------------------------------------------------------------------------------------------------ */

static int64_t left_ms(void *host) {
    const struct gri_step_run *run = host;
    int64_t left = run->limits.deadline_ms - gri_clock_ms();
    return left > 0 ? left : 0;
}

static bool compute(void *host, VipsImage *in, VipsImage **out) {
    const struct gri_step_run *run = host;
    struct gri_error error;
    *out = NULL;
    return in && gri_vips_compute(in, run->limits.deadline_ms, GRI_R_transform, "the steps", out, &error) == GRI_OK;
}

static bool good_fact_name(const char *name) {
    size_t len = name ? strnlen(name, GRI_TRANSFORM_NAME_MAX) : 0;
    return len > 0 && len < GRI_TRANSFORM_NAME_MAX && name[0] >= 'a' && name[0] <= 'z' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == len;
}

/* Takes `value`. A transform that runs twice in a pipeline overwrites what it said first. */
static bool add_fact(struct gri_step_run *run, const char *name, struct gri_json *value) {
    const char *owner = run->step->transform->name;
    if (!run->facts) run->facts = gri_json_object();
    struct gri_json *own = gri_json_get(run->facts, owner) ? gri_json_copy(gri_json_get(run->facts, owner)) : gri_json_object();
    gri_json_set(own, name, value);
    bool fits = gri_json_count(own) <= FACTS_EACH;
    if (fits)
        gri_json_set(run->facts, owner, own);
    else
        gri_json_free(own);
    return fits;
}

static bool fact_number(void *host, const char *name, double value) {
    if (!good_fact_name(name) || !isfinite(value)) return false;
    bool whole = value == floor(value) && fabs(value) < 1e15;
    return add_fact(host, name, whole ? gri_json_int((int64_t)value) : gri_json_real(value));
}

static bool fact_text(void *host, const char *name, const char *text) {
    if (!good_fact_name(name) || !text || strnlen(text, GRI_TRANSFORM_FACT_MAX + 1) > GRI_TRANSFORM_FACT_MAX) return false;
    return add_fact(host, name, gri_json_string(text));
}

static void reject(void *host, const char *reason) {
    struct gri_step_run *run = host;
    run->rejected = reason ? reason : "";
}

static bool put(void *host, const void *data, size_t len) {
    struct gri_step_run *run = host;
    struct gri_error error;
    if (run->has_put || gri_bytes_append(&run->put, data, len, &error) != GRI_OK) return false;
    run->has_put = true;
    return true;
}

/* --- calling ----------------------------------------------------------------------------------------------------------- */

static struct gri_transform_call begin(struct gri_step_run *run, size_t index, int width, int height,
                                       struct gri_transform_error *said) {
    run->step = &run->plan->steps[index];
    run->rejected = NULL;
    return (struct gri_transform_call){.struct_size = sizeof(struct gri_transform_call),
                                       .params = run->step->params,
                                       .state = run->step->state,
                                       .width = width,
                                       .height = height,
                                       .error = said,
                                       .host = run,
                                       .left_ms = left_ms,
                                       .compute = compute,
                                       .fact_number = fact_number,
                                       .fact_text = fact_text,
                                       .reject = reject,
                                       .put = put};
}

static enum gri_reason rejection(const char *reason) {
    static const enum gri_reason known[] = {GRI_R_too_small, GRI_R_bad_aspect, GRI_R_low_entropy, GRI_R_blank_image};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(gri_reason_name(known[i]), reason) == 0) return known[i];
    return GRI_R_unwanted;
}

static enum gri_status told(const struct gri_step_run *run, struct gri_transform_error *said, struct gri_error *error) {
    const char *name = run->step->transform->name;
    char text[120];
    said->text[sizeof said->text - 1] = 0;
    gri_vips_message(text, sizeof text); /* asked in any case: what stands there is not to be told of the next picture */
    if (left_ms((void *)(uintptr_t)run) == 0)
        return gri_fail(error, GRI_R_decode_timeout, "%s took longer than image.timeout_ms", name);
    if (run->rejected) return gri_fail(error, rejection(run->rejected), "%s: %s", name, said->text);
    return gri_fail(error, GRI_R_transform, "%s: %s (%s)", name, said->text[0] ? said->text : "it failed and did not say why",
                    text);
}

/* What a transform gave must be what the next one and the encoder take. */
static enum gri_status check_result(const struct gri_step_run *run, VipsImage *image, struct gri_error *error) {
    int bands = image ? vips_image_get_bands(image) : 0;
    if (!image || vips_image_get_format(image) != VIPS_FORMAT_UCHAR || (bands != 1 && bands != 3))
        return gri_fail(error, GRI_R_transform, "%s gave no 8-bit image of 1 or 3 bands", run->step->transform->name);
    if ((int64_t)vips_image_get_width(image) * vips_image_get_height(image) > run->limits.max_pixels)
        return gri_fail(error, GRI_R_too_many_pixels, "%s makes it %d × %d, over image.max_pixels", run->step->transform->name,
                        vips_image_get_width(image), vips_image_get_height(image));
    return GRI_OK;
}

enum gri_status gri_step_run_picture(struct gri_step_run *run, size_t index, int width, int height, VipsImage **image,
                                     struct gri_error *error) {
    VipsImage *next = NULL;
    struct gri_transform_error said = {{0}};
    struct gri_transform_call call = begin(run, index, width, height, &said);
    const struct gri_transform *transform = run->step->transform;
    enum gri_status status = GRI_OK;
    bool ok = transform->run ? transform->run(&call, *image, &next) : transform->apply(call.params, *image, &next, &said);
    if (!ok)
        status = told(run, &said, error);
    else if (*image)
        status = check_result(run, next, error);
    if (status == GRI_OK && *image && run->naive) {
        VipsImage *lazy = next;
        next = NULL;
        status = gri_vips_compute(lazy, run->limits.deadline_ms, GRI_R_transform, "the steps", &next, error);
        g_object_unref(lazy);
    }
    if (status != GRI_OK || !*image) {
        g_clear_object(&next);
        return status;
    }
    g_object_unref(*image);
    *image = next;
    return GRI_OK;
}

enum gri_status gri_step_run_file(struct gri_step_run *run, size_t index, struct gri_slice file, int width, int height,
                                  struct gri_error *error) {
    struct gri_transform_error said = {{0}};
    struct gri_transform_call call = begin(run, index, width, height, &said);
    gri_bytes_clear(&run->put);
    gri_bytes_init(&run->put, PUT_MAX);
    run->has_put = false;
    return run->step->transform->run_bytes(&call, file.data, file.len) ? GRI_OK : told(run, &said, error);
}

enum gri_status gri_step_run_facts(const struct gri_step_run *run, char *text, size_t size, struct gri_error *error) {
    struct gri_bytes json;
    text[0] = 0;
    if (!run->facts) return GRI_OK;
    gri_bytes_init(&json, size - 1);
    enum gri_status status = gri_json_write(run->facts, true, &json, error);
    if (status != GRI_OK)
        status = gri_fail(error, GRI_R_transform, "the facts of the steps have over %zu bytes", size - 1);
    else
        (void)gri_copy(text, size, gri_bytes_text(&json));
    gri_bytes_clear(&json);
    return status;
}

void gri_step_run_clear(struct gri_step_run *run) {
    gri_json_free(run->facts);
    gri_bytes_clear(&run->put);
    run->facts = NULL;
}
