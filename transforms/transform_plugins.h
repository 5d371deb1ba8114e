/* SPDX-License-Identifier: Apache-2.0 */
/* Loads transforms from shared objects. At start, one thread. */
#ifndef GRI_TRANSFORM_PLUGINS_H
#define GRI_TRANSFORM_PLUGINS_H

#include "transform_table.h"

/* Adds every *.so of `folder` (an absolute path), in the order of their names. An empty or NULL `folder` adds none.
 * Reason config, and nothing is loaded further: the folder, or a file in it, belongs to someone other than root and this
 * process's user or may be written by others, or a file is no regular file. One that is no shared object, has no
 * `gri_transform_plugin`, or that gri_transforms_add refuses, is left out, and gri_transforms_refused tells of it: pipelines that
 * don't ask for it go on. What was loaded stays loaded for the life of the process: code that threads may run is
 * never unmapped. */
enum gri_status gri_transforms_load_folder(struct gri_transforms *transforms, const char *folder,
                                           struct gri_error *error) GRI_MUST_CHECK;

#endif
