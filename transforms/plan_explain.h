/* SPDX-License-Identifier: Apache-2.0 */
/* A plan told to people. */
#ifndef GRI_PLAN_EXPLAIN_H
#define GRI_PLAN_EXPLAIN_H

#include "pipeline_plan.h"

/* "jpeg", "png", "webp" or "gif". False: none of them. */
bool gri_plan_source_type(const char *word, enum gri_picture_type *type);

/* What the codec does with a source of that type: [{"stage","what"}], with "output" where a row is of one of several; owned by
 * the caller. width and height: of the upright source, 0 where they are not known. */
struct gri_json *gri_plan_explain(const struct gri_plan *plan, enum gri_picture_type type, int width, int height);

#endif
