/* SPDX-License-Identifier: Apache-2.0 */
/* Where an export goes: a folder tree, a tar in the WebDataset layout, NDJSON or CSV.
 *
 * A file grows as NAME.part and gets its name at the end. Beside it, or in the folder, NAME.state tells how far it is complete
 * (bytes, and the place in the list), and NAME.seen which images are in, so that an export that was cut off goes on from there
 * and has none twice. Threads: one owner. */
#ifndef GRI_EXPORT_SINK_H
#define GRI_EXPORT_SINK_H

#include <grisaille/crypto.h>
#include <grisaille/json.h>

enum gri_export_format { GRI_EXPORT_DIR, GRI_EXPORT_TAR, GRI_EXPORT_NDJSON, GRI_EXPORT_CSV };

struct gri_export_sink;

/* `what` describes the filter: a state left by another export is refused (reason conflict). *cursor: where the list goes on
 * (owned, NULL: the beginning). */
enum gri_status gri_export_open(const char *to, enum gri_export_format format, const char *what, const struct gri_crypto *crypto,
                                struct gri_export_sink **out, char **cursor, struct gri_error *error) GRI_MUST_CHECK;
/* False: it is in already. */
bool gri_export_is_new(struct gri_export_sink *sink, const char *id);
/* Is this image's file there already, whole? (folders) */
bool gri_export_has(struct gri_export_sink *sink, const struct gri_json *image);
/* Does it want the picture's bytes (`data` of put) or its base64 text, or neither? */
bool gri_export_wants_bytes(const struct gri_export_sink *sink);
bool gri_export_wants_base64(const struct gri_export_sink *sink);
enum gri_status gri_export_put(struct gri_export_sink *sink, const struct gri_json *image, struct gri_slice data,
                               struct gri_error *error) GRI_MUST_CHECK;
/* All before `cursor` is in: made durable, and noted. */
enum gri_status gri_export_save(struct gri_export_sink *sink, const char *cursor, struct gri_error *error) GRI_MUST_CHECK;
/* The end: the file gets its name, the state goes. */
enum gri_status gri_export_finish(struct gri_export_sink *sink, struct gri_error *error) GRI_MUST_CHECK;
void gri_export_close(struct gri_export_sink *sink);

#endif
