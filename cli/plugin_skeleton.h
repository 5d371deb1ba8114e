/* SPDX-License-Identifier: Apache-2.0 */
/* A plugin to begin with. */
#ifndef GRI_PLUGIN_SKELETON_H
#define GRI_PLUGIN_SKELETON_H

#include <grisaille/status.h>

/* Makes the folder `name` below the current one: NAME.c, Makefile, meson.build, test.sh, sample.jpg. Reason usage: the name is
 * none, or the folder is there already; io. */
enum gri_status gri_plugin_skeleton(const char *name, struct gri_error *error) GRI_MUST_CHECK;

#endif
