/* SPDX-License-Identifier: Apache-2.0 */
/* The index of perceptual hashes: multi-index hashing (Norouzi, Punjani, Fleet, 2012). A hash is cut into four bands of 16 bits;
 * of two hashes that differ in at most r bits some band differs in at most r/4, so that asking for every band's few neighbours
 * finds them all, and only a small part of the index is looked at. */
#ifndef GRISAILLE_ADAPTERS_MONGO_PHASH_H
#define GRISAILLE_ADAPTERS_MONGO_PHASH_H

#include "mongo_session.h"

/* Hashes of images about to be inserted; best effort. One that never is inserted leaves a hash that nothing shows. */
void gri_mongo_write_phashes(const struct gri_mongo_session *session, const struct gri_store_insert *request);

#endif
