/* SPDX-License-Identifier: Apache-2.0 */
/* A compiled pipeline: its steps with their parameters in place, and its output or outputs. Immutable once made; any thread. */
#ifndef GRI_PIPELINE_PLAN_H
#define GRI_PIPELINE_PLAN_H

#include "picture_output.h"
#include "transform_table.h"

#include <grisaille/job.h>

enum { GRI_STEPS_MAX = 16 };

struct gri_plan_step {
    const struct gri_transform *transform;
    void *params;  /* owned; never NULL */
    void *state;   /* what prepare made; its release frees it */
    bool prepared; /* prepare has succeeded */
};

struct gri_plan {
    struct gri_plan_step steps[GRI_STEPS_MAX];
    size_t step_count;
    const struct gri_output_format *format; /* NULL where there are branches */
    void *output;                           /* owned; never NULL: the format's parameters */
    size_t shrink_step;                     /* the step that may ask for fewer pixels; step_count: none */
    bool jpeg_luma;                         /* a JPEG source may be done in the compressed domain */
    bool luma_unread;                       /* … and its entropy-coded data need not be validated */
    bool progressive;                       /* … and how that is written */

    /* Named outputs: each is a whole plan, whose first `shared` steps are this plan's own; these are the ones that all share. */
    struct gri_plan *branches[GRI_OUTPUTS_MAX]; /* owned; by name */
    size_t branch_count;                        /* 0: one output, without a name */
    char name[GRI_NAME_MAX];                    /* of a branch: its output's */
    size_t shared;                              /* of a branch: steps that are borrowed from the plan it belongs to */
};

/* Whether `name` is a pipeline's or an output's: [a-z0-9_-]+, shorter than GRI_NAME_MAX. */
bool gri_pipeline_good_name(const char *name);

/* From {"steps":[…],"output":{…}}, or {"steps":[…],"outputs":{name:{"steps":[…],"output":{…}},…}}, where defaults may be left
 * out; `name` is for messages. Returns it owned. Reason config; the detail names pipeline, output, step and parameter. */
enum gri_status gri_plan_create(const struct gri_transforms *transforms, const char *name, const struct gri_json *body,
                                struct gri_plan **plan, struct gri_error *error) GRI_MUST_CHECK;
/* Lets each step open, load and start what it needs: once, before the plan runs. Reason config or transform. May take long;
 * not on a thread that must not open files or start programs. */
enum gri_status gri_plan_prepare(struct gri_plan *plan, struct gri_error *error) GRI_MUST_CHECK;
/* Whether a step has threads or programs of its own at work, which a filter of the whole process would hit too. */
bool gri_plan_works_outside(const struct gri_plan *plan);
void gri_plan_destroy(struct gri_plan *plan);

/* {"output":…,"steps":…}, or {"outputs":…,"steps":…}, with every default filled in: equal plans give equal bodies. Owned by the
 * caller. */
struct gri_json *gri_plan_body(const struct gri_plan *plan);

#endif
