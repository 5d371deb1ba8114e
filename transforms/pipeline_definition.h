/* SPDX-License-Identifier: Apache-2.0 */
/* The configured pipelines, checked, completed and given their versions. */
#ifndef GRI_PIPELINE_DEFINITION_H
#define GRI_PIPELINE_DEFINITION_H

#include "transform_table.h"

#include <grisaille/job.h>

#define GRI_PIPELINE_STANDARD "gray" /* there whether it is configured or not; what a catalog gets that names none */

enum { GRI_PIPELINES_MAX = 64 };

struct gri_pipeline {
    char name[GRI_NAME_MAX];
    char version[GRI_PIPELINE_MAX]; /* "gray@0123456789ab": digits of the SHA-256 of the canonical body */
    char *definition; /* owned: canonical JSON {"name","output" or "outputs","steps"}, as the codec port compiles it */
};

struct gri_pipelines {
    struct gri_pipeline *items; /* in the order of the configuration; `gray` first when it is the shipped one */
    size_t count;
};

/* `config`: {"gray":{"steps":[{"grayscale":{"method":"luma"}}],"output":{…}}, …}, or NULL/null for none. Fills `out`
 * (uninitialised); clear it after success. Reason config; the detail names pipeline, step and parameter. */
enum gri_status gri_pipelines_load(const struct gri_transforms *transforms, const struct gri_crypto *crypto,
                                   const struct gri_json *config, struct gri_pipelines *out,
                                   struct gri_error *error) GRI_MUST_CHECK;
void gri_pipelines_clear(struct gri_pipelines *pipelines);

/* By name ("" is the standard one), or NULL. */
const struct gri_pipeline *gri_pipelines_find(const struct gri_pipelines *pipelines, const char *name);

#endif
