/* SPDX-License-Identifier: Apache-2.0 */
/* Pieces of upkeep. Each does a bounded amount, is idempotent, and sets *more where there is more to do at once. */
#ifndef GRISAILLE_ADAPTERS_MONGO_UPKEEP_H
#define GRISAILLE_ADAPTERS_MONGO_UPKEEP_H

#include "mongo_session.h"

/* By then whoever had an image in hand has linked it, or lost the job; and lines of a deleted catalog are written down. */
enum { GRI_MONGO_SETTLE_MS = 600000 };

/* mongo_rollup.c: counts of what was finished since the last closed slice of time. */
enum gri_status gri_mongo_roll_up(const struct gri_mongo_session *session, int64_t keep_days, bool *more,
                                  struct gri_error *error) GRI_MUST_CHECK;

/* mongo_reprocess.c: URLs that an older version of a pipeline made, and that somebody wants made by the present one. */
enum gri_status gri_mongo_reprocess(const struct gri_mongo_session *session, bool *more, struct gri_error *error) GRI_MUST_CHECK;

/* mongo_takedown.c: takedowns younger than GRI_MONGO_SETTLE_MS again, for what was stored meanwhile. */
enum gri_status gri_mongo_repeat_takedowns(const struct gri_mongo_session *session, struct gri_error *error) GRI_MUST_CHECK;

/* mongo_removal.c */
/* Deleted catalogs whose work has ended: their records, and the images that nobody else links. GRI_MONGO_SETTLE_MS later what
 * was brought in of them meanwhile. */
enum gri_status gri_mongo_remove_catalogs(const struct gri_mongo_session *session, bool *more,
                                          struct gri_error *error) GRI_MUST_CHECK;
/* Images condemned by that: gone where no URL links them. */
enum gri_status gri_mongo_remove_images(const struct gri_mongo_session *session, bool *more,
                                        struct gri_error *error) GRI_MUST_CHECK;

/* mongo_retention.c: images and finished catalogs older than so many days (0: none). */
enum gri_status gri_mongo_expire_images(const struct gri_mongo_session *session, int64_t days, bool *more,
                                        struct gri_error *error) GRI_MUST_CHECK;
enum gri_status gri_mongo_expire_catalogs(const struct gri_mongo_session *session, int64_t days, bool *more,
                                          struct gri_error *error) GRI_MUST_CHECK;

/* --- images, for these files (mongo_removal.c) -------------------------------------------------------------------------------
 */

/* Some ids of images. */
struct gri_mongo_ids {
    char (*ids)[GRI_IMAGE_ID_MAX];
    size_t count, cap;
};
void gri_mongo_ids_init(struct gri_mongo_ids *ids, size_t cap);
void gri_mongo_ids_clear(struct gri_mongo_ids *ids);
bool gri_mongo_ids_add(struct gri_mongo_ids *ids, const char *id); /* false: it is full */
/* Upkeep looks whether a URL links them; those that none links go. */
enum gri_status gri_mongo_condemn_images(const struct gri_mongo_session *session, const struct gri_mongo_ids *ids,
                                         struct gri_error *error) GRI_MUST_CHECK;
/* What is left of such an image is its _id and a date; who has the same bytes later stores them anew. Taken down ones stay. */
enum gri_status gri_mongo_strip_images(const struct gri_mongo_session *session, const struct gri_mongo_ids *ids,
                                       struct gri_error *error) GRI_MUST_CHECK;

#endif
