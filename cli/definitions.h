/* SPDX-License-Identifier: Apache-2.0 */
/* What the configuration defines: pipelines of transforms (built in and plugins), and rules, checked and given their versions.
 * Threads: made by one, read-only afterwards. */
#ifndef GRI_DEFINITIONS_H
#define GRI_DEFINITIONS_H

#include <grisaille/archive.h>

#include "config.h"
#include "pipeline_definition.h"
#include "transform_table.h"

struct gri_definitions {
    const struct gri_transforms *transforms;
    struct gri_pipelines pipelines;
    struct gri_bytes rules_body; /* canonical JSON */
    char rules_id[GRI_PIPELINE_MAX];
    struct gri_json *transform_rows, *pipeline_rows; /* as the API and the commands show them */
};

/* The built-in transforms and those of plugins.dir. Reason config. *out: owned, gri_transforms_destroy. */
enum gri_status gri_definitions_transforms(const struct gri_config *config, struct gri_transforms **out,
                                           struct gri_error *error) GRI_MUST_CHECK;
/* Reason config; the detail names file and line where the configuration has them. `transforms` is borrowed. *out: owned. */
enum gri_status gri_definitions_load(const struct gri_config *config, const struct gri_transforms *transforms,
                                     const struct gri_crypto *crypto, struct gri_definitions **out,
                                     struct gri_error *error) GRI_MUST_CHECK;
void gri_definitions_free(struct gri_definitions *definitions);
/* Puts all of them, immutable, into the archive: before anything is pinned to them. */
enum gri_status gri_definitions_store(const struct gri_definitions *definitions, struct gri_archive *archive,
                                      struct gri_error *error) GRI_MUST_CHECK;

#endif
