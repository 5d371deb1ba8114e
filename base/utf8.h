/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8: well-formedness, as Unicode's table 3-7 defines it (no overlong forms, no surrogates, at most U+10FFFF), and no NUL,
 * at which C readers of the text would stop.
 * Pure functions, any thread. */
#ifndef GRISAILLE_BASE_UTF8_H
#define GRISAILLE_BASE_UTF8_H

#include <grisaille/bytes.h>

/* Bytes (1…4) of the well-formed character at the start of the `len` bytes, or 0 if there is none. */
size_t gri_utf8_length(const uint8_t *text, size_t len);
bool gri_utf8_valid(struct gri_slice text);
/* Appends text with each byte that belongs to no well-formed character replaced by U+FFFD. Failures stick to `out`. */
void gri_utf8_put_clean(struct gri_bytes *out, struct gri_slice text);

#endif
