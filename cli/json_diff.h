/* SPDX-License-Identifier: Apache-2.0 */
/* What differs between two JSON values. Threads: any. */
#ifndef GRI_JSON_DIFF_H
#define GRI_JSON_DIFF_H

#include <grisaille/json.h>

/* Owned array of {path, before, after}, one for each leaf that differs, "steps[1].resize.width" say; null stands for what is not
 * there. Either may be NULL. */
struct gri_json *gri_json_diff(const struct gri_json *before, const struct gri_json *after);

#endif
