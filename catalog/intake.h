/* SPDX-License-Identifier: Apache-2.0 */
/* Turns the stream of bytes of a pushed catalog into chunks: constant memory (one chunk), the same chunks whatever the sizes of
 * the pieces that come in. The caller unpacks gzip first.
 *
 * A chunk ends behind a line's '\n', at GRI_CHUNK_LINES lines or before the line that would pass GRI_CHUNK_BYTES. A line longer
 * than GRI_CHUNK_BYTES is cut: it belongs to the chunk where it begins (at that chunk's first byte), the chunks with its rest are
 * `continued`. `lines` of a chunk are those that begin in it (0 where one line fills it all); their numbers go on from 1.
 * Threads: one owner at a time. */
#ifndef GRISAILLE_CATALOG_INTAKE_H
#define GRISAILLE_CATALOG_INTAKE_H

#include <grisaille/archive.h>
#include <grisaille/crypto.h>

struct gri_intake;

/* Takes one chunk; chunk->text is borrowed for the call. A failure ends the intake with it. */
typedef enum gri_status gri_intake_sink(void *arg, const struct gri_push_chunk *chunk, struct gri_error *error);

/* `max_bytes`: feeding more fails with body_too_large; 0: no limit. `crypto` is borrowed. */
struct gri_intake *gri_intake_create(const struct gri_crypto *crypto, int64_t max_bytes, gri_intake_sink *sink, void *arg);
/* Frees it, finished or not; NULL is fine. */
void gri_intake_destroy(struct gri_intake *intake);

/* Once it failed, every later call fails the same way. */
enum gri_status gri_intake_feed(struct gri_intake *intake, struct gri_slice bytes, struct gri_error *error) GRI_MUST_CHECK;
/* Hands out the last chunk and sums up; call it once, at the end. No bytes: no chunks, all zero. */
enum gri_status gri_intake_finish(struct gri_intake *intake, struct gri_push_totals *totals,
                                  struct gri_error *error) GRI_MUST_CHECK;

#endif
