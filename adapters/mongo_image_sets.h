/* SPDX-License-Identifier: Apache-2.0 */
/* Inserts of images that belong together (store.h's joined items), and what they share with single ones. */
#ifndef GRISAILLE_ADAPTERS_MONGO_IMAGE_SETS_H
#define GRISAILLE_ADAPTERS_MONGO_IMAGE_SETS_H

#include "mongo_session.h"

/* Is the item one of several that belong together? */
bool gri_mongo_is_joined(const struct gri_store_insert *request, size_t index);
/* Gives every joined item its result; the others are left alone. A failure leaves the outcome of all unknown. */
enum gri_status gri_mongo_insert_sets(const struct gri_mongo_session *session, struct gri_store_insert *request,
                                      struct gri_error *error) GRI_MUST_CHECK;

/* --- mongo_images.c ---------------------------------------------------------------------------------------------------- */

/* Fills the outputs of all items. */
enum gri_status gri_mongo_look_up(const struct gri_mongo_session *session, struct gri_image_lookup *items, size_t count,
                                  struct gri_error *error) GRI_MUST_CHECK;
/* The same of the items with an _id, for what covered indexes do not show: a document whose sums.source is damaged. Reads the
 * pictures; stubs must be gone. */
enum gri_status gri_mongo_look_up_hidden(const struct gri_mongo_session *session, struct gri_image_lookup *items, size_t count,
                                         struct gri_error *error) GRI_MUST_CHECK;
/* Removes the stubs of deleted images that have an _id of one of the items. */
enum gri_status gri_mongo_clear_stubs(const struct gri_mongo_session *session, const struct gri_image_insert *items, size_t count,
                                      int64_t *cleared, struct gri_error *error) GRI_MUST_CHECK;

#endif
