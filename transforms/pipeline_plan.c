/* SPDX-License-Identifier: Apache-2.0 */
/* Compiles a pipeline's definition, and writes it down again in full. */
#include "pipeline_plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool gri_pipeline_good_name(const char *name) {
    size_t len = strnlen(name, GRI_NAME_MAX);
    return len > 0 && len < GRI_NAME_MAX && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") == len;
}

/* The one member of a step's object, taken by gri_json_each. */
struct member {
    const char *key;
    const struct gri_json *value;
};

static void take_member(const char *key, const struct gri_json *value, void *arg) {
    *(struct member *)arg = (struct member){key, value};
}

/* What a callback says may lack its NUL: it is a stranger's code. */
static void seal(struct gri_transform_error *said) {
    said->text[sizeof said->text - 1] = 0;
}

static enum gri_status add_step(struct gri_plan *plan, const struct gri_transforms *transforms, const char *name,
                                const struct gri_json *entry, struct gri_error *error) {
    size_t number = plan->step_count + 1;
    struct member member = {0};
    if (gri_json_kind(entry) == GRI_JSON_STRING) /* "- grayscale": all defaults */
        member.key = gri_json_text(entry, "");
    else if (gri_json_kind(entry) == GRI_JSON_OBJECT && gri_json_count(entry) == 1)
        gri_json_each(entry, take_member, &member);
    else
        return gri_fail(error, GRI_R_config, "pipeline %s, step %zu: a step is one transform, { name: { parameter: value } }",
                        name, number);
    const struct gri_transform *transform = gri_transforms_find(transforms, member.key);
    if (!transform)
        return gri_fail(error, GRI_R_config,
                        "pipeline %s, step %zu: there is no transform %.40s (grisaille transforms lists them)", name, number,
                        member.key);
    char owner[GRI_NAME_MAX + GRI_TRANSFORM_NAME_MAX + 40];
    (void)gri_format(owner, sizeof owner, "pipeline %s, step %zu (%s)", name, number, transform->name);
    struct gri_plan_step *step = &plan->steps[plan->step_count++];
    *step = (struct gri_plan_step){.transform = transform, .params = gri_calloc(1, transform->params_size + 1)};
    if (gri_params_parse(gri_params_of(transform), owner, member.value, step->params, error) != GRI_OK) return error->status;
    struct gri_transform_error said = {{0}};
    if (transform->check && !transform->check(step->params, &said)) {
        seal(&said);
        return gri_fail(error, GRI_R_config, "%s: %s", owner, said.text);
    }
    return GRI_OK;
}

static enum gri_status set_output(struct gri_plan *plan, const char *name, const struct gri_json *output,
                                  struct gri_error *error) {
    if (gri_json_kind(output) != GRI_JSON_NULL && gri_json_kind(output) != GRI_JSON_OBJECT)
        return gri_fail(error, GRI_R_config, "pipeline %s: output is a map, { format: jpeg, quality: 75 }", name);
    const struct gri_json *wanted = gri_json_get(output, "format");
    const char *format = wanted ? gri_json_text(wanted, "") : "jpeg";
    plan->format = gri_output_find(format);
    if (!plan->format)
        return gri_fail(error, GRI_R_config, "pipeline %s, output: there is no format %.20s; there are: jpeg, png, webp", name,
                        format);
    plan->output = gri_calloc(1, plan->format->table.size + 1);
    char owner[GRI_NAME_MAX + 60];
    (void)gri_format(owner, sizeof owner, "pipeline %s, output (%s)", name, plan->format->name);
    struct gri_json *values = output ? gri_json_copy(output) : gri_json_object();
    gri_json_remove(values, "format");
    enum gri_status status = gri_params_parse(plan->format->table, owner, values, plan->output, error);
    gri_json_free(values);
    return status;
}

static enum gri_compressed_form form_of(const struct gri_plan_step *step) {
    return step->transform->compressed_form ? step->transform->compressed_form(step->params) : GRI_COMPRESSED_NONE;
}

/* One grayscale by luma, beside steps that look at the size alone, written as JPEG: the luma component itself is the answer. */
static void choose_form(struct gri_plan *plan) {
    size_t luma = 0;
    if (!plan->format->allows_compressed || !plan->format->allows_compressed(plan->output, &plan->progressive)) return;
    for (size_t i = 0; i < plan->step_count; i++) {
        enum gri_compressed_form form = form_of(&plan->steps[i]);
        if (form == GRI_COMPRESSED_SIZE_ONLY && plan->steps[i].transform->run) continue;
        if (form != GRI_COMPRESSED_JPEG_LUMA && form != GRI_COMPRESSED_JPEG_LUMA_UNREAD) return;
        plan->luma_unread = form == GRI_COMPRESSED_JPEG_LUMA_UNREAD;
        luma++;
    }
    plan->jpeg_luma = luma == 1;
}

/* Which step may ask for a smaller picture: the first that is not linear, pixel by pixel, or indifferent to pixels. */
static void choose_shrink(struct gri_plan *plan) {
    size_t i = 0;
    while (i < plan->step_count &&
           ((plan->steps[i].transform->linear && plan->steps[i].transform->linear(plan->steps[i].params)) ||
            form_of(&plan->steps[i]) == GRI_COMPRESSED_SIZE_ONLY))
        i++;
    plan->shrink_step = i < plan->step_count && plan->steps[i].transform->shrink ? i : plan->step_count;
}

static void find_unknown_key(const char *key, const struct gri_json *value, void *arg) {
    (void)value;
    if (strcmp(key, "name") != 0 && strcmp(key, "steps") != 0 && strcmp(key, "output") != 0) *(const char **)arg = key;
}

static enum gri_status fill_plan(struct gri_plan *plan, const struct gri_transforms *transforms, const char *name,
                                 const struct gri_json *body, struct gri_error *error) {
    if (gri_json_kind(body) != GRI_JSON_OBJECT)
        return gri_fail(error, GRI_R_config, "pipeline %s is a map, { steps: […], output: {…} }", name);
    const char *unknown = NULL;
    gri_json_each(body, find_unknown_key, &unknown);
    if (unknown) return gri_fail(error, GRI_R_config, "pipeline %s: there is no key %.40s; it has: steps, output", name, unknown);
    const struct gri_json *steps = gri_json_get(body, "steps");
    size_t count = gri_json_count(steps);
    if (gri_json_kind(steps) != GRI_JSON_ARRAY || count == 0 || count > GRI_STEPS_MAX)
        return gri_fail(error, GRI_R_config, "pipeline %s: steps must be a list of 1 to %d transforms", name, GRI_STEPS_MAX);
    for (size_t i = 0; i < count; i++)
        if (add_step(plan, transforms, name, gri_json_at(steps, i), error) != GRI_OK) return error->status;
    if (set_output(plan, name, gri_json_get(body, "output"), error) != GRI_OK) return error->status;
    choose_form(plan);
    choose_shrink(plan);
    return GRI_OK;
}

enum gri_status gri_plan_create(const struct gri_transforms *transforms, const char *name, const struct gri_json *body,
                                struct gri_plan **plan, struct gri_error *error) {
    struct gri_plan *made = gri_calloc(1, sizeof *made);
    enum gri_status status = fill_plan(made, transforms, name, body, error);
    if (status != GRI_OK) {
        gri_plan_destroy(made);
        made = NULL;
    }
    *plan = made;
    return status;
}

enum gri_status gri_plan_prepare(struct gri_plan *plan, struct gri_error *error) {
    for (size_t i = 0; i < plan->step_count; i++) {
        struct gri_plan_step *step = &plan->steps[i];
        struct gri_transform_error said = {{0}};
        if (!step->transform->prepare || step->prepared) continue;
        step->prepared = step->transform->prepare(step->params, &step->state, &said);
        seal(&said);
        if (!step->prepared) return gri_fail(error, GRI_R_config, "step %zu (%s): %s", i + 1, step->transform->name, said.text);
    }
    return GRI_OK;
}

bool gri_plan_works_outside(const struct gri_plan *plan) {
    for (size_t i = 0; i < plan->step_count; i++)
        if (plan->steps[i].transform->works_outside) return true;
    return false;
}

void gri_plan_destroy(struct gri_plan *plan) {
    if (!plan) return;
    for (size_t i = 0; i < plan->step_count; i++) {
        struct gri_plan_step *step = &plan->steps[i];
        if (step->prepared && step->transform->release) step->transform->release(step->state);
        free(step->params);
    }
    free(plan->output);
    free(plan);
}

struct gri_json *gri_plan_body(const struct gri_plan *plan) {
    struct gri_json *body = gri_json_object(), *steps = gri_json_array();
    for (size_t i = 0; i < plan->step_count; i++) {
        struct gri_json *step = gri_json_object();
        const struct gri_transform *transform = plan->steps[i].transform;
        gri_json_set(step, transform->name, gri_params_to_json(gri_params_of(transform), plan->steps[i].params));
        gri_json_append(steps, step);
    }
    gri_json_set(body, "steps", steps);
    struct gri_json *output = gri_params_to_json(plan->format->table, plan->output);
    gri_json_set_str(output, "format", plan->format->name);
    gri_json_set(body, "output", output);
    return body;
}
