/* SPDX-License-Identifier: Apache-2.0 */
/* From a source's bytes through a plan's steps to an output's bytes: one decode, one libvips pipeline. One thread a run. */
#ifndef GRI_PICTURE_RENDER_H
#define GRI_PICTURE_RENDER_H

#include "step_run.h"

#include <grisaille/codec.h>

/* Whether the file is whole, as far as its kind tells: JPEG markers, PNG chunks. *trailing: bytes after its end. Reasons
 * corrupt_image, unsupported_format, too_many_frames. */
enum gri_status gri_picture_survey(struct gri_slice source, enum gri_picture_type type, int64_t *trailing,
                                   struct gri_error *error) GRI_MUST_CHECK;

/* Decode → steps → encode → read back. `orientation`: 1 to 8, or 0: what the file says. Fills output, sizes and facts of
 * `picture`, whose output is empty; at most `output_max` bytes of output. */
enum gri_status gri_picture_render(struct gri_step_run *run, struct gri_slice source, enum gri_picture_type type, int orientation,
                                   size_t output_max, struct gri_picture *picture, struct gri_error *error) GRI_MUST_CHECK;

/* One output of several, on its way. */
struct gri_picture_branch {
    struct gri_step_run steps; /* its plan is the branch's */
    struct gri_picture *picture;
};

/* The same for several outputs: `run` is of the steps that they share, which run once, over a source that is decoded once. */
enum gri_status gri_picture_render_branches(struct gri_step_run *run, struct gri_slice source, enum gri_picture_type type,
                                            struct gri_picture_branch *branches, size_t count, size_t output_max,
                                            struct gri_error *error) GRI_MUST_CHECK;

#endif
