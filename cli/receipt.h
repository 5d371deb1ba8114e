/* SPDX-License-Identifier: Apache-2.0 */
/* A catalog's receipt as people read it, and its progress while it runs. */
#ifndef GRI_RECEIPT_H
#define GRI_RECEIPT_H

#include <stdio.h>

#include "cli.h"

/* The counts of a catalog (JSON of GET /v1/catalogs/{id}) as a table, with whether they add up. */
void gri_receipt_print(FILE *out, const struct gri_json *catalog);
/* Do they add up? lines = blank + accepted + duplicate + invalid, accepted = stored + duplicate_content + dead + pending. */
bool gri_receipt_adds_up(const struct gri_json *catalog);

/* Readings of a running catalog; rates come from the last ten seconds. Zero-initialise. */
struct gri_progress {
    int64_t at_ms[64], done[64];
    size_t count;
};

/* Draws one line on standard error: a bar on a terminal (rewritten in place), nothing elsewhere. `now_ms`: monotonic. */
void gri_progress_draw(struct gri_progress *progress, const struct gri_json *catalog, int64_t now_ms);
/* A reading, and how many a second the readings of the last ten seconds come to (0: can't tell yet). */
void gri_progress_note(struct gri_progress *progress, int64_t now_ms, int64_t done);
double gri_progress_speed(const struct gri_progress *progress);
/* Finished URLs a second and milliseconds left by it (-1: can't tell yet). */
void gri_progress_rate(const struct gri_progress *progress, const struct gri_json *catalog, double *per_second, int64_t *left_ms);
void gri_progress_end(void);

/* Polls the catalog until it is finished or cancelled, drawing progress; *catalog is its last reading (owned). */
enum gri_status gri_receipt_wait(struct gri_cli *cli, const char *id, struct gri_json **catalog,
                                 struct gri_error *error) GRI_MUST_CHECK;

#endif
