/* SPDX-License-Identifier: Apache-2.0 */
/* The transforms that pipelines may name: the built-ins, and the plugins that were added.
 *
 * Threads: filled at start by one thread, read-only and shared afterwards. Lives as long as any codec or plan made from it. */
#ifndef GRI_TRANSFORM_TABLE_H
#define GRI_TRANSFORM_TABLE_H

#include <grisaille/json.h>
#include <grisaille/transform.h>

enum { GRI_TRANSFORMS_MAX = 256 };

struct gri_transforms;

/* The built-ins. */
struct gri_transforms *gri_transforms_create(void);
void gri_transforms_destroy(struct gri_transforms *transforms);

/* Adds one; what it points to is borrowed for the table's life. `origin` ("/etc/…/negate.so") is copied. Reason config when its
 * ABI, its sizes, its name, its parameter table or its callbacks are not sound, or the name is taken. */
enum gri_status gri_transforms_add(struct gri_transforms *transforms, const struct gri_transform *transform, const char *origin,
                                   struct gri_error *error) GRI_MUST_CHECK;

/* By name, or NULL. */
const struct gri_transform *gri_transforms_find(const struct gri_transforms *transforms, const char *name);
size_t gri_transforms_count(const struct gri_transforms *transforms);
const struct gri_transform *gri_transforms_at(const struct gri_transforms *transforms, size_t index);
/* "built-in" or the plugin's path. */
const char *gri_transforms_origin(const struct gri_transforms *transforms, size_t index);

/* Notes a plugin that can't be used, with the reason; any number. */
void gri_transforms_refuse(struct gri_transforms *transforms, const char *detail);
/* These, an array of texts; borrowed. */
const struct gri_json *gri_transforms_refused(const struct gri_transforms *transforms);

/* What `grisaille transforms` and GET /v1/transforms show; owned by the caller:
 * [{"name","summary","origin","compressed":true|false (with all defaults),"parameters":[{"name","type","default",
 *   "minimum","maximum","choices","help"}]}] */
struct gri_json *gri_transforms_describe(const struct gri_transforms *transforms);

#endif
