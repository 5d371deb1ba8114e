/* SPDX-License-Identifier: Apache-2.0 */
/* One source, several named outputs: in the compressed domain where an output's chain allows, the rest from one decode. */
#include "picture_render.h"
#include "picture_run.h"

#include <stdlib.h>
#include <string.h>

/* The run of one branch over the same source. */
static struct gri_picture_run run_of(const struct gri_picture_run *run, const struct gri_plan *plan,
                                     const struct gri_step_run *steps, struct gri_picture *picture) {
    struct gri_picture_run one = *run;
    one.plan = plan;
    one.steps = *steps;
    one.picture = picture;
    return one;
}

static struct gri_step_run steps_of(const struct gri_picture_run *run, const struct gri_plan *plan) {
    struct gri_step_run steps = {.plan = plan, .limits = run->steps.limits, .naive = run->steps.naive};
    gri_bytes_init(&steps.put, 0);
    return steps;
}

/* A picture a branch, chained. */
static void begin(const struct gri_picture_run *run, struct gri_picture *pictures[GRI_OUTPUTS_MAX]) {
    for (size_t i = 0; i < run->plan->branch_count; i++) {
        pictures[i] = i == 0 ? run->picture : (pictures[i - 1]->next = gri_calloc(1, sizeof *pictures[i]));
        (void)gri_copy(pictures[i]->name, sizeof pictures[i]->name, run->plan->branches[i]->name);
        gri_bytes_init(&pictures[i]->output, 0);
    }
}

/* *made: this output is complete without its pixels. A picture that must be turned needs them, and then it has those of all. */
static enum gri_status compressed(const struct gri_picture_run *run, const struct gri_plan *plan, struct gri_picture *picture,
                                  bool *made) {
    struct gri_step_run steps = steps_of(run, plan);
    struct gri_picture_run one = run_of(run, plan, &steps, picture);
    int orientation;
    enum gri_status status = gri_picture_take_luma(&one, made, &orientation);
    if (status == GRI_OK && *made && orientation != 1) {
        gri_bytes_clear(&picture->output);
        gri_bytes_init(&picture->output, 0);
        *made = false;
    }
    if (status == GRI_OK && *made) status = gri_picture_complete(&one);
    if (status != GRI_OK) (void)gri_error_wrap(run->error, "output %s", plan->name);
    gri_step_run_clear(&one.steps);
    return status;
}

static enum gri_status from_pixels(struct gri_picture_run *run, struct gri_picture_branch *branches, size_t count) {
    int64_t trailing;
    if (gri_picture_survey(run->source, run->type, &trailing, run->error) != GRI_OK) return run->error->status;
    for (size_t i = 0; i < count; i++)
        gri_picture_note_trailing(branches[i].picture, run->source, trailing);
    enum gri_status status =
        gri_picture_render_branches(&run->steps, run->source, run->type, branches, count, GRI_PICTURE_OUTPUT_MAX, run->error);
    for (size_t i = 0; status == GRI_OK && i < count; i++) {
        struct gri_picture_run one = run_of(run, branches[i].steps.plan, &branches[i].steps, branches[i].picture);
        status = gri_picture_complete(&one);
    }
    for (size_t i = 0; i < count; i++)
        gri_step_run_clear(&branches[i].steps);
    return status;
}

enum gri_status gri_picture_run_outputs(struct gri_picture_run *run) {
    const struct gri_plan *plan = run->plan;
    struct gri_picture *pictures[GRI_OUTPUTS_MAX];
    struct gri_picture_branch rest[GRI_OUTPUTS_MAX];
    size_t count = 0;
    enum gri_status status = GRI_OK;
    begin(run, pictures);
    for (size_t i = 0; status == GRI_OK && i < plan->branch_count; i++) {
        bool made;
        status = compressed(run, plan->branches[i], pictures[i], &made);
        if (status == GRI_OK && !made)
            rest[count++] = (struct gri_picture_branch){.steps = steps_of(run, plan->branches[i]), .picture = pictures[i]};
    }
    if (status == GRI_OK && count > 0) status = from_pixels(run, rest, count);
    run->picture->decodes = run->steps.decodes;
    gri_step_run_clear(&run->steps);
    if (status != GRI_OK) gri_picture_clear(run->picture);
    return status;
}
