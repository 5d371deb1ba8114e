/* SPDX-License-Identifier: Apache-2.0 */
/* The fate of each line of a catalog, found by its text: canonical URL → ledger → is `first` this very line?
 * Memory: one chunk of text and one batch of records. Threads: one owner at a time. */
#ifndef GRI_API_FATE_H
#define GRI_API_FATE_H

#include "api_internal.h"

struct gri_fates;

/* Starts at line `from` (1 is the first). Fails with not_found for no such catalog. `api` is borrowed. */
enum gri_status gri_fates_open(struct gri_api *api, const char *catalog, int64_t from, struct gri_fates **out,
                               struct gri_error *error) GRI_MUST_CHECK;
void gri_fates_close(struct gri_fates *fates);

/* The next batch, at most 500 lines: an array of {line, url (or text of a bad one), outcome, reason, detail, image, first}.
 * outcome: blank invalid stored duplicate_content duplicate dead pending cancelled removed; and of a URL that this catalog wanted
 * fetched anew: unchanged changed refresh_failed. NULL with GRI_OK: the end. */
enum gri_status gri_fates_next(struct gri_fates *fates, struct gri_json **batch, struct gri_error *error) GRI_MUST_CHECK;

#endif
