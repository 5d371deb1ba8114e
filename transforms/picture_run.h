/* SPDX-License-Identifier: Apache-2.0 */
/* One run of the codec over one source: what its parts share (picture_codec.c, picture_compressed.c, picture_branches.c). */
#ifndef GRI_PICTURE_RUN_H
#define GRI_PICTURE_RUN_H

#include "step_run.h"

#include <grisaille/codec.h>
#include <grisaille/jpeg_port.h>

enum { GRI_PICTURE_OUTPUT_MAX = GRI_BASE64_MAX / 4 * 3 }; /* what still fits a document as base64 */

struct gri_picture_run {
    const struct gri_jpeg_port *jpeg; /* NULL: nothing is done in the compressed domain */
    const struct gri_plan *plan;
    struct gri_slice source;
    enum gri_picture_type type;
    int64_t max_pixels, timeout_ms;
    struct gri_step_run steps;
    struct gri_picture *picture;
    struct gri_error *error;
};

/* --- picture_compressed.c --------------------------------------------------------------------------------------------- */

/* Takes the luma out, where source and plan allow it, and runs the steps that look at the size alone. *handled false: it is not
 * that kind of picture. *orientation is EXIF's: where it is not 1, the output is not upright yet and no step has run. */
enum gri_status gri_picture_take_luma(struct gri_picture_run *run, bool *handled, int *orientation) GRI_MUST_CHECK;
/* Notes what stands behind the end of the source. */
void gri_picture_note_trailing(struct gri_picture *picture, struct gri_slice source, int64_t trailing);

/* --- picture_branches.c ----------------------------------------------------------------------------------------------- */

/* Runs a plan with named outputs: run->picture and those behind it. The source is decoded once at most, and the steps that all
 * outputs share run once over its pixels. On failure what was made is freed. */
enum gri_status gri_picture_run_outputs(struct gri_picture_run *run) GRI_MUST_CHECK;

/* --- picture_codec.c -------------------------------------------------------------------------------------------------- */

/* A picture's last fields, once its output is there. */
enum gri_status gri_picture_complete(struct gri_picture_run *run) GRI_MUST_CHECK;

#endif
