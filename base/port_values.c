/* SPDX-License-Identifier: Apache-2.0 */
/* The plain values that ports exchange: how they begin and end, and the names of states
 * (grisaille/fetcher.h, codec.h, ledger.h). */
#include <grisaille/codec.h>
#include <grisaille/fetcher.h>
#include <grisaille/ledger.h>
#include <grisaille/scrub.h>

#include <stdlib.h>
#include <string.h>

void gri_fetch_init(struct gri_fetch *fetch, const char *url) {
    void (*done)(struct gri_op * op) = fetch->op.done;
    *fetch = (struct gri_fetch){.url = url, .retry_after_ms = -1};
    fetch->op.done = done;
    gri_bytes_init(&fetch->body, 0);
}

void gri_fetch_clear(struct gri_fetch *fetch) {
    if (!fetch) return;
    free(fetch->final_url);
    fetch->final_url = NULL;
    gri_bytes_clear(&fetch->body);
}

void gri_picture_clear(struct gri_picture *picture) {
    if (!picture) return;
    gri_bytes_clear(&picture->output);
    for (struct gri_picture *next = picture->next; next; next = picture->next) {
        picture->next = next->next;
        gri_bytes_clear(&next->output);
        free(next);
    }
}

struct gri_picture *gri_picture_find(struct gri_picture *picture, const char *name) {
    while (picture && strcmp(picture->name, name) != 0)
        picture = picture->next;
    return picture;
}

void gri_feed_catalogs_free(struct gri_feed_catalog *catalogs, size_t count) {
    for (size_t i = 0; catalogs && i < count; i++)
        free(catalogs[i].next);
    free(catalogs);
}

void gri_due_free(struct gri_due *due, size_t count) {
    for (size_t i = 0; due && i < count; i++)
        gri_job_clear(&due[i].job);
    free(due);
}

const char *gri_scrub_result_name(enum gri_scrub_result result) {
    static const char *const NAMES[] = {"sound", "corrupt", "healed", "removed", "adopted", "orphan"};
    GRI_ASSERT((unsigned)result < GRI_SCRUB_RESULTS);
    return NAMES[result];
}

const char *gri_url_state_name(enum gri_url_state state) {
    static const char *const NAMES[] = {"absent", "queued", "waiting", "done", "dead"};
    GRI_ASSERT((unsigned)state < sizeof NAMES / sizeof *NAMES);
    return NAMES[state];
}

const char *gri_renewed_name(enum gri_renewed renewed) {
    static const char *const NAMES[] = {"", "unchanged", "changed", "failed", "removed"};
    GRI_ASSERT((unsigned)renewed < sizeof NAMES / sizeof *NAMES);
    return NAMES[renewed];
}

const char *gri_catalog_state_name(enum gri_catalog_state state) {
    static const char *const NAMES[] = {"running", "finished", "paused", "cancelled", "deleting"};
    GRI_ASSERT((unsigned)state < sizeof NAMES / sizeof *NAMES);
    return NAMES[state];
}
