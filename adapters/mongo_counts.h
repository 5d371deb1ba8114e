/* SPDX-License-Identifier: Apache-2.0 */
/* Counts of a catalog: derived from chunks, line errors and URLs, cached in the catalog with the time they began. */
#ifndef GRISAILLE_ADAPTERS_MONGO_COUNTS_H
#define GRISAILLE_ADAPTERS_MONGO_COUNTS_H

#include "mongo_renewal.h"

struct gri_mongo_counts {
    int64_t lines, blank, accepted, invalid, stored, duplicate_content, dead, pending;
    int64_t duplicate; /* -1: not known before all is admitted */
    bool refreshes;    /* the catalog has asked for URLs to be fetched anew; the next has how that went */
    struct gri_mongo_renewed refreshed;
    int64_t at_ms; /* the server's clock when counting began */
    int64_t took_ms;
};

/* Is any chunk of the catalog not admitted yet? By index alone. */
enum gri_status gri_mongo_chunks_pending(const struct gri_mongo_session *session, const char *catalog, bool *pending,
                                         struct gri_error *error) GRI_MUST_CHECK;
/* URLs accepted from the catalog that are queued or waiting, counted up to `limit` by index alone. */
enum gri_status gri_mongo_urls_open(const struct gri_mongo_session *session, const char *catalog, int64_t limit, int64_t *open,
                                    struct gri_error *error) GRI_MUST_CHECK;
/* The same, of the queued ones alone. */
enum gri_status gri_mongo_urls_queued(const struct gri_mongo_session *session, const char *catalog, int64_t limit,
                                      int64_t *queued, struct gri_error *error) GRI_MUST_CHECK;
/* Counts anew. `catalog` is its document. */
enum gri_status gri_mongo_counts_make(const struct gri_mongo_session *session, const bson_t *catalog,
                                      struct gri_mongo_counts *counts, struct gri_error *error) GRI_MUST_CHECK;
/* The cached counts where they still hold, else new ones, which are cached. Costs at most a twentieth of the server's time
 * however often it is called: what is younger than twenty times its own cost is not counted again. */
enum gri_status gri_mongo_counts_get(const struct gri_mongo_session *session, const bson_t *catalog,
                                     struct gri_mongo_counts *counts, struct gri_error *error) GRI_MUST_CHECK;
/* Appends counts and counted {at, ms} to a $set document. */
void gri_mongo_counts_append(bson_t *set, const struct gri_mongo_counts *counts);

#endif
