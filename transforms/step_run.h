/* SPDX-License-Identifier: Apache-2.0 */
/* One run of a plan's steps over one picture: what a transform's callbacks are given, and what they may leave behind.
 * One thread a run. */
#ifndef GRI_STEP_RUN_H
#define GRI_STEP_RUN_H

#include "picture_decode.h"
#include "pipeline_plan.h"

#include <grisaille/json.h>

/* Zeroed but for the first block; gri_step_run_clear frees it. */
struct gri_step_run {
    const struct gri_plan *plan;
    struct gri_decode_limits limits; /* of the run, and of every picture that a step gives as bytes */
    bool naive;                      /* each step's pixels are made before the next is asked: what a plan is compared with */
    struct gri_json *facts;          /* {"<transform>":{"<name>":value}} or NULL */
    const struct gri_plan_step *step;
    const char *rejected; /* the step's reason, "" for none of its own, NULL: it did not reject */
    struct gri_bytes put; /* what the step gives instead of the picture */
    bool has_put;
    int decodes; /* times the source's pixels were decoded */
};

/* Runs step `index` on a picture whose true size is width × height. *image: owned by the caller, replaced; NULL with a step that
 * looks at the size only. Reasons: transform; those that a step rejects with. */
enum gri_status gri_step_run_picture(struct gri_step_run *run, size_t index, int width, int height, VipsImage **image,
                                     struct gri_error *error) GRI_MUST_CHECK;
/* Runs step `index`, one with run_bytes, on a file. run->has_put tells whether run->put is to be read instead. */
enum gri_status gri_step_run_file(struct gri_step_run *run, size_t index, struct gri_slice file, int width, int height,
                                  struct gri_error *error) GRI_MUST_CHECK;
/* Writes the facts as canonical JSON; "" where there are none. Reason transform: they are too many. */
enum gri_status gri_step_run_facts(const struct gri_step_run *run, char *text, size_t size,
                                   struct gri_error *error) GRI_MUST_CHECK;
void gri_step_run_clear(struct gri_step_run *run);

#endif
