/* SPDX-License-Identifier: Apache-2.0 */
/* Images and the ledger's records that made or link them: two operations of the scrub (grisaille/scrub.h). */
#ifndef GRISAILLE_ADAPTERS_MONGO_SCRUB_LINKS_H
#define GRISAILLE_ADAPTERS_MONGO_SCRUB_LINKS_H

#include "mongo_session.h"

enum gri_status gri_mongo_scrub_maker(struct gri_archive *archive, const char *id, const char *job, char key[GRI_KEY_MAX],
                                      char **url, struct gri_error *error);
enum gri_status gri_mongo_scrub_link(struct gri_archive *archive, const struct gri_image *image, enum gri_scrub_link *out,
                                     struct gri_error *error);

/* mongo_scrub.c: a copy as found to `quarantine`, the mark, an event. */
enum gri_status gri_mongo_mark_image(const struct gri_mongo_session *session, const struct gri_scrub_finding *finding,
                                     struct gri_error *error);

#endif
