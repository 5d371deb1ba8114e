/* SPDX-License-Identifier: Apache-2.0 */
/* Compiles a pipeline's definition, and writes it down again in full. */
#include "pipeline_plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WHERE_MAX = 2 * GRI_NAME_MAX + 16 }; /* "<pipeline>, output <name>" */

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
    size_t number = plan->step_count - plan->shared + 1;
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
    char owner[WHERE_MAX + GRI_TRANSFORM_NAME_MAX + 40];
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
    char owner[WHERE_MAX + 60];
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

/* A key of the object that is not among the NULL-terminated `known`. */
struct key_search {
    const char *const *known;
    const char *found;
};

static void find_unknown_key(const char *key, const struct gri_json *value, void *arg) {
    struct key_search *search = arg;
    (void)value;
    for (const char *const *known = search->known; *known; known++)
        if (strcmp(key, *known) == 0) return;
    search->found = key;
}

static enum gri_status check_keys(const char *name, const struct gri_json *body, const char *const *known, const char *list,
                                  struct gri_error *error) {
    struct key_search search = {.known = known};
    if (gri_json_kind(body) != GRI_JSON_OBJECT) return gri_fail(error, GRI_R_config, "pipeline %s is a map, { %s }", name, list);
    gri_json_each(body, find_unknown_key, &search);
    if (!search.found) return GRI_OK;
    return gri_fail(error, GRI_R_config, "pipeline %s: there is no key %.40s; it has: %s", name, search.found, list);
}

/* `least` and GRI_STEPS_MAX: how many steps it may have, those that it shares included. */
static enum gri_status add_steps(struct gri_plan *plan, const struct gri_transforms *transforms, const char *name,
                                 const struct gri_json *steps, size_t least, struct gri_error *error) {
    size_t count = gri_json_count(steps), all = plan->shared + count;
    bool list = gri_json_kind(steps) == GRI_JSON_ARRAY || (!steps && least == 0);
    if (plan->shared > 0 && list && all > GRI_STEPS_MAX)
        return gri_fail(error, GRI_R_config, "pipeline %s: with the %zu steps that all outputs share it has %zu, over %d", name,
                        plan->shared, all, GRI_STEPS_MAX);
    if (!list || count < least || all > GRI_STEPS_MAX)
        return gri_fail(error, GRI_R_config, "pipeline %s: steps must be a list of %zu to %d transforms", name, least,
                        GRI_STEPS_MAX);
    for (size_t i = 0; i < count; i++)
        if (add_step(plan, transforms, name, gri_json_at(steps, i), error) != GRI_OK) return error->status;
    return GRI_OK;
}

/* --- named outputs ----------------------------------------------------------------------------------------------------- */

/* Branches that are being made. */
struct branching {
    struct gri_plan *plan;
    const struct gri_transforms *transforms;
    const char *name; /* the pipeline's */
    enum gri_status status;
    struct gri_error *error;
};

static enum gri_status fill_branch(const struct branching *branching, struct gri_plan *branch, const struct gri_json *body) {
    static const char *const keys[] = {"steps", "output", NULL};
    struct gri_error *error = branching->error;
    char where[WHERE_MAX];
    (void)gri_format(where, sizeof where, "%s, output %s", branching->name, branch->name);
    branch->step_count = branch->shared = branching->plan->step_count;
    memcpy(branch->steps, branching->plan->steps, sizeof branch->steps);
    if (check_keys(where, body, keys, "steps, output", error) != GRI_OK) return error->status;
    const struct gri_json *steps = gri_json_get(body, "steps");
    if (add_steps(branch, branching->transforms, where, steps, branch->shared > 0 ? 0 : 1, error) != GRI_OK) return error->status;
    if (set_output(branch, where, gri_json_get(body, "output"), error) != GRI_OK) return error->status;
    choose_form(branch);
    choose_shrink(branch);
    return GRI_OK;
}

static void add_branch(const char *name, const struct gri_json *body, void *arg) {
    struct branching *branching = arg;
    struct gri_plan *plan = branching->plan;
    if (branching->status != GRI_OK) return;
    if (!gri_pipeline_good_name(name)) {
        branching->status = gri_fail(branching->error, GRI_R_config,
                                     "pipeline %s, output %.70s: a name is of the form [a-z0-9_-]+, at most %d bytes",
                                     branching->name, name, GRI_NAME_MAX - 1);
        return;
    }
    struct gri_plan *branch = plan->branches[plan->branch_count++] = gri_calloc(1, sizeof *branch);
    (void)gri_copy(branch->name, sizeof branch->name, name);
    branching->status = fill_branch(branching, branch, body);
}

static int by_name(const void *a, const void *b) {
    return strcmp((*(struct gri_plan *const *)a)->name, (*(struct gri_plan *const *)b)->name);
}

static enum gri_status fill_branches(struct gri_plan *plan, const struct gri_transforms *transforms, const char *name,
                                     const struct gri_json *body, struct gri_error *error) {
    struct branching branching = {plan, transforms, name, GRI_OK, error};
    const struct gri_json *outputs = gri_json_get(body, "outputs");
    size_t count = gri_json_count(outputs);
    if (gri_json_get(body, "output"))
        return gri_fail(error, GRI_R_config,
                        "pipeline %s: it has output and outputs; each of the outputs has an output of its own", name);
    if (gri_json_kind(outputs) != GRI_JSON_OBJECT || count == 0 || count > GRI_OUTPUTS_MAX)
        return gri_fail(error, GRI_R_config, "pipeline %s: outputs is a map of 1 to %d, { name: { steps: […], output: {…} } }",
                        name, GRI_OUTPUTS_MAX);
    if (add_steps(plan, transforms, name, gri_json_get(body, "steps"), 0, error) != GRI_OK) return error->status;
    choose_shrink(plan);
    gri_json_each(outputs, add_branch, &branching);
    if (branching.status == GRI_OK) qsort(plan->branches, plan->branch_count, sizeof *plan->branches, by_name);
    return branching.status;
}

static enum gri_status fill_plan(struct gri_plan *plan, const struct gri_transforms *transforms, const char *name,
                                 const struct gri_json *body, struct gri_error *error) {
    static const char *const keys[] = {"name", "steps", "output", "outputs", NULL};
    if (check_keys(name, body, keys, "steps, output or outputs", error) != GRI_OK) return error->status;
    if (gri_json_get(body, "outputs")) return fill_branches(plan, transforms, name, body, error);
    if (add_steps(plan, transforms, name, gri_json_get(body, "steps"), 1, error) != GRI_OK) return error->status;
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

static enum gri_status prepare_steps(struct gri_plan *plan, struct gri_error *error) {
    for (size_t i = plan->shared; i < plan->step_count; i++) {
        struct gri_plan_step *step = &plan->steps[i];
        struct gri_transform_error said = {{0}};
        if (!step->transform->prepare || step->prepared) continue;
        step->prepared = step->transform->prepare(step->params, &step->state, &said);
        seal(&said);
        if (!step->prepared)
            return gri_fail(error, GRI_R_config, "%s%sstep %zu (%s): %s", plan->name, plan->name[0] ? ", " : "",
                            i - plan->shared + 1, step->transform->name, said.text);
    }
    return GRI_OK;
}

enum gri_status gri_plan_prepare(struct gri_plan *plan, struct gri_error *error) {
    enum gri_status status = prepare_steps(plan, error);
    for (size_t i = 0; status == GRI_OK && i < plan->branch_count; i++) {
        struct gri_plan *branch = plan->branches[i];
        for (size_t k = 0; k < branch->shared; k++)
            branch->steps[k].state = plan->steps[k].state;
        status = prepare_steps(branch, error);
    }
    return status;
}

bool gri_plan_works_outside(const struct gri_plan *plan) {
    for (size_t i = 0; i < plan->step_count; i++)
        if (plan->steps[i].transform->works_outside) return true;
    for (size_t i = 0; i < plan->branch_count; i++)
        if (gri_plan_works_outside(plan->branches[i])) return true;
    return false;
}

void gri_plan_destroy(struct gri_plan *plan) {
    if (!plan) return;
    for (size_t i = 0; i < plan->branch_count; i++)
        gri_plan_destroy(plan->branches[i]);
    for (size_t i = plan->shared; i < plan->step_count; i++) {
        struct gri_plan_step *step = &plan->steps[i];
        if (step->prepared && step->transform->release) step->transform->release(step->state);
        free(step->params);
    }
    free(plan->output);
    free(plan);
}

struct gri_json *gri_plan_body(const struct gri_plan *plan) {
    struct gri_json *body = gri_json_object(), *steps = gri_json_array();
    for (size_t i = plan->shared; i < plan->step_count; i++) {
        struct gri_json *step = gri_json_object();
        const struct gri_transform *transform = plan->steps[i].transform;
        gri_json_set(step, transform->name, gri_params_to_json(gri_params_of(transform), plan->steps[i].params));
        gri_json_append(steps, step);
    }
    gri_json_set(body, "steps", steps);
    if (plan->branch_count > 0) {
        struct gri_json *outputs = gri_json_object();
        for (size_t i = 0; i < plan->branch_count; i++)
            gri_json_set(outputs, plan->branches[i]->name, gri_plan_body(plan->branches[i]));
        gri_json_set(body, "outputs", outputs);
        return body;
    }
    struct gri_json *output = gri_params_to_json(plan->format->table, plan->output);
    gri_json_set_str(output, "format", plan->format->name);
    gri_json_set(body, "output", output);
    return body;
}
