/* SPDX-License-Identifier: Apache-2.0 */
/* Makes a damaged image anew: its source is fetched again, in a process of its own with all limits of the fetcher, and only
 * bytes that hash to its _id go through the pipeline of its _id. */
#ifndef GRI_SCRUB_REPAIR_H
#define GRI_SCRUB_REPAIR_H

#include "cli.h"

struct gri_scrub_repair;

/* Borrows cli (whose definitions are made) and archive until destroyed. */
enum gri_status gri_scrub_repair_create(struct gri_cli *cli, struct gri_archive *archive, struct gri_scrub_repair **out,
                                        struct gri_error *error) GRI_MUST_CHECK;
void gri_scrub_repair_destroy(struct gri_scrub_repair *repair);

/* scrub_check.h's remake; `arg` is the repair. */
enum gri_status gri_scrub_remake(void *arg, const struct gri_image *damaged, bool fields_sound, struct gri_image *image,
                                 struct gri_error *error);

#endif
