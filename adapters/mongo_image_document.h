/* SPDX-License-Identifier: Apache-2.0 */
/* What the store and the scrub share: image documents as BSON, and marks of damage. */
#ifndef GRISAILLE_ADAPTERS_MONGO_IMAGE_DOCUMENT_H
#define GRISAILLE_ADAPTERS_MONGO_IMAGE_DOCUMENT_H

#include "mongo_session.h"

/* Owned. */
bson_t *gri_mongo_image_document(const struct gri_image *image);
/* Whatever can be read; *image is overwritten (gri_image_clear). `malformed`: the first field that is missing, of another type
 * or too long; "" when all are as they should be. */
void gri_mongo_image_read(const bson_t *document, struct gri_image *image, char *malformed, size_t size);

/* --- mongo_heal.c ---------------------------------------------------------------------------------------------------- */

/* Sets `heal` and what belongs to it of those found items whose picture is marked corrupt. */
enum gri_status gri_mongo_look_for_marks(const struct gri_mongo_session *session, struct gri_image_lookup *items, size_t count,
                                         struct gri_error *error) GRI_MUST_CHECK;
/* {$set: every field of the image but _id, $unset: the mark}; owned. */
bson_t *gri_mongo_heal_change(const struct gri_image *image);
/* mongo_recall.c: gri_store's recall. */
enum gri_status gri_mongo_work_recall(struct gri_mongo_session *session, struct gri_op *op);

/* gri_store's heal. */
enum gri_status gri_mongo_work_heal(struct gri_mongo_session *session, struct gri_op *op);

#endif
