/* SPDX-License-Identifier: Apache-2.0 */
/* JSON-lines log on standard error: one object a line, at most 8 KiB, written with one write(2).
 * Threads: any; the sink is a process-wide context handed around by pointer. */
#ifndef GRISAILLE_LOG_H
#define GRISAILLE_LOG_H

#include <grisaille/job.h>

struct gri_log;

/* A field of a line: one of text or number. Ends with {0}. */
struct gri_field {
    const char *name;
    const char *text;
    int64_t number;
    bool is_number;
};
#define GRI_TEXT(n, t) ((struct gri_field){.name = (n), .text = (t)})
#define GRI_NUM(n, v) ((struct gri_field){.name = (n), .number = (int64_t)(v), .is_number = true})

/* `fd` is borrowed; `role` ("worker") and `instance` (the consumer's name) stand in every line. */
struct gri_log *gri_log_create(int fd, enum gri_level level, const char *role, const char *instance);
void gri_log_destroy(struct gri_log *log);
/* Every line of level WARN and above that is written is shown to tap(arg) too, on the thread that writes it: a short step that
 * doesn't log. Set before there are other threads, taken back (NULL) when they are gone. */
typedef void (*gri_log_tap)(void *arg, enum gri_level level, const char *event, const struct gri_field *fields, size_t count);
void gri_log_set_tap(struct gri_log *log, gri_log_tap tap, void *arg);
void gri_log_set_level(struct gri_log *log, enum gri_level level);
/* How a line's fields are called: as below, or as the Elastic Common Schema 8.11 calls them. Set before there are other threads.
 */
enum gri_log_format { GRI_LOG_JSON, GRI_LOG_ECS };
void gri_log_set_format(struct gri_log *log, enum gri_log_format format);
bool gri_level_from_name(const char *name, enum gri_level *level); /* debug info warn error */
const char *gri_level_name(enum gri_level level);

/* {"time":"2026-11-21T09:00:00.000Z","level":"info","role":…,"instance":…,"event":"drain_started",…}. `event` is a stable
 * snake_case name. A field `job` (a job's key) is followed by `trace`, the key's first 32 digits. URLs lose their credentials;
 * text is cut at 1 KiB. A NULL log drops the line. */
void gri_log_write(struct gri_log *log, enum gri_level level, const char *event, const struct gri_field *fields, size_t count);
#define gri_log(log, level, event, ...)                                             \
    gri_log_write((log), (level), (event), (const struct gri_field[]){__VA_ARGS__}, \
                  sizeof((const struct gri_field[]){__VA_ARGS__}) / sizeof(struct gri_field))
/* A line for an error: fields reason, class, detail before those given. */
void gri_log_error(struct gri_log *log, enum gri_level level, const char *event, const struct gri_error *error);

#endif
