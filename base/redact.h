/* SPDX-License-Identifier: Apache-2.0 */
/* Taking credentials out of text before people see it. Pure functions, any thread. */
#ifndef GRISAILLE_BASE_REDACT_H
#define GRISAILLE_BASE_REDACT_H

#include <grisaille/bytes.h>

/* Appends text, which may be a URL or a sentence with URLs in it, with what stands between `://`
 * and `@` (user, password) as three stars. Only the authority is looked at: an @ in a path stays. Failures stick to `out`. */
void gri_redact_put(struct gri_bytes *out, struct gri_slice text);
/* The same for one connection string (redis://…, mongodb://…), where a password may hold unescaped slashes: all up to the
 * last @ before the options goes, and so do the values of options named …password…, …token… or …secret…. */
void gri_redact_put_uri(struct gri_bytes *out, const char *uri);

#endif
