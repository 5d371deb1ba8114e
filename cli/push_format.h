/* SPDX-License-Identifier: Apache-2.0 */
/* Catalogs in other formats than text: CSV and JSON Lines become one URL a line. A row without the column, and a line that is
 * no JSON, goes on as it is, so that it is counted and shows up in the receipt.
 * Threads: one owner. Memory: one row, at most 1 MiB. */
#ifndef GRI_PUSH_FORMAT_H
#define GRI_PUSH_FORMAT_H

#include <grisaille/bytes.h>

enum gri_push_format { GRI_FORMAT_TEXT, GRI_FORMAT_CSV, GRI_FORMAT_JSONL };

struct gri_converter;

/* Takes plain catalog text. */
typedef enum gri_status gri_converter_sink(void *arg, struct gri_slice text, struct gri_error *error);

/* `column`: header of a CSV column, or key of a JSON object; borrowed. */
struct gri_converter *gri_converter_create(enum gri_push_format format, const char *column, gri_converter_sink *sink, void *arg);
void gri_converter_destroy(struct gri_converter *converter);
/* A CSV header without the column: reason bad_request, naming those there are; so is a row over 1 MiB. A byte-order mark at the
 * start is dropped; quotes open only at the start of a field, so a stray one swallows nothing. */
enum gri_status gri_converter_feed(struct gri_converter *converter, struct gri_slice data,
                                   struct gri_error *error) GRI_MUST_CHECK;
/* A quote that was never closed, and a CSV without a header: reason bad_request. */
enum gri_status gri_converter_finish(struct gri_converter *converter, struct gri_error *error) GRI_MUST_CHECK;

#endif
