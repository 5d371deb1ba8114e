/* SPDX-License-Identifier: Apache-2.0 */
/* `grisaille pipelines diff`: what another configuration would change in the pipelines and rules. */
#ifndef GRI_PIPELINES_DIFF_H
#define GRI_PIPELINES_DIFF_H

#include "cli.h"

/* Compares two configuration files; `before` NULL: the configuration in force. Definitions of `cli` are made. */
enum gri_exit gri_pipelines_diff(struct gri_cli *cli, const char *before, const char *after);

#endif
