/* SPDX-License-Identifier: Apache-2.0 */
/* Part of the archive port (grisaille/archive.h): notices that a catalog is finished, to be told to a webhook. Synchronous, any
 * thread; failures as in archive.h. adapters/mongo_notices implements it.
 *
 * A notice is made in the same write that finishes its catalog. Whoever sends takes it for a while (`take`), by the server's
 * clock: so one at a time sends it, and one whose sender has died is taken by another. It is sent at least once; its number is
 * the same each time. */
#ifndef GRISAILLE_NOTICES_H
#define GRISAILLE_NOTICES_H

#include <grisaille/json.h>
#include <grisaille/ledger.h>

struct gri_archive;

struct gri_notice {
    char catalog[GRI_CATALOG_ID_MAX];
    int64_t number;        /* how often this catalog has been finished: a retry of its dead letters finishes it again */
    int64_t attempts;      /* this one included */
    int64_t age_ms;        /* since the catalog was finished */
    struct gri_json *body; /* owned: the catalog as the API shows it */
};

enum gri_notice_end { GRI_NOTICE_SENT, GRI_NOTICE_AGAIN, GRI_NOTICE_GIVEN_UP };

struct gri_notice_ops {
    /* The notice that is longest due, nobody else's for claim_ms. *found: is there one? */
    enum gri_status (*take)(struct gri_archive *archive, int64_t claim_ms, struct gri_notice *notice, bool *found,
                            struct gri_error *error);
    /* What became of it. AGAIN: due once more in again_ms. `detail`: one sentence, "" of SENT. A notice that another has taken
     * meanwhile is left to that one, unless it was sent. */
    enum gri_status (*settle)(struct gri_archive *archive, const struct gri_notice *notice, enum gri_notice_end end,
                              int64_t again_ms, const char *detail, struct gri_error *error);
};

#endif
