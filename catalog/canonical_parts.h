/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of the canonical form (canonical.h) that stand in files of their own: hosts, and escapes with dot segments.
 * Threads: any; no shared state. */
#ifndef GRISAILLE_CATALOG_CANONICAL_PARTS_H
#define GRISAILLE_CATALOG_CANONICAL_PARTS_H

#include "canonical.h"

/* True for a name whose last label is a number (127.1, 0x7f.1, 2130706433): what resolvers read as an IPv4 address. */
bool gri_canonical_host_is_number(const char *host);

enum gri_url_part { GRI_URL_PATH, GRI_URL_QUERY };

/* Writes `raw` with every escape and every byte in its one form; returns the length, or SIZE_MAX when it is over `cap`. */
size_t gri_canonical_escape(struct gri_slice raw, enum gri_url_part part, char *out, size_t cap);
/* Resolves "." and ".." segments of a path that begins with "/", in place; returns the new length (at least 1). */
size_t gri_canonical_resolve_dots(char *path, size_t len);
/* The value of a hexadecimal digit, or -1. */
int gri_canonical_hex(uint8_t digit);

#endif
