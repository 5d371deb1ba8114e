/* SPDX-License-Identifier: Apache-2.0 */
/* Port: what people search for and change afterwards: events, roll-ups, dead letters, catalogs and hosts under way, takedowns.
 * A part of the archive (grisaille/archive.h): synchronous, any thread, deadlines and errors as there.
 *
 * Every change is one or more majority writes that may be cut off between any two of them and given again; what is left to do
 * after the last of them is done by a scheduler (feeder and upkeep), whether the caller lives or not. `by` is who asks, a
 * token's name or "cli:<user>"; it stands in the record that is changed and in an event. */
#ifndef GRISAILLE_STEERING_H
#define GRISAILLE_STEERING_H

#include <grisaille/json.h>
#include <grisaille/ledger.h>

struct gri_archive;
struct gri_filter;

enum gri_steer { GRI_STEER_PAUSE, GRI_STEER_RESUME, GRI_STEER_CANCEL, GRI_STEER_DELETE };

/* Which rows the roll-ups are summed into. */
struct gri_stats_query {
    int64_t since_ms, until_ms;  /* Unix ms; until 0: open */
    const char *host, *pipeline; /* NULL: any */
    const char *step;            /* "minute" (of five), "hour", "day", "week" or NULL: no time in the rows */
    bool by_host, by_pipeline, by_outcome, by_reason;
};

struct gri_steering_ops {
    /* Events rising in time from filter->since_ms (0: now) on: {"events":[…],"next":cursor}; the cursor is always given, for the
     * next call. One that becomes visible late (a failover) may be passed over. */
    enum gri_status (*follow)(struct gri_archive *archive, const struct gri_filter *filter, struct gri_json **out,
                              struct gri_error *error);
    /* The body kept with an event: appended; *bytes is how long it was in all. not_found: the event has none, or is gone. */
    enum gri_status (*event_body)(struct gri_archive *archive, const char *id, struct gri_bytes *body, int64_t *bytes,
                                  struct gri_error *error);
    /* Best effort: tells what was done. */
    void (*tell)(struct gri_archive *archive, const struct gri_event *event);
    /* Array of {at?, host?, pipeline?, outcome?, reason?, count, bytes, ms, total_ms, within}. */
    enum gri_status (*stats)(struct gri_archive *archive, const struct gri_stats_query *query, struct gri_json **out,
                             struct gri_error *error);

    /* {"dead":[…newest first…],"next":…}; filter: reason, host, catalog, since, until. Dropped ones are left out. */
    enum gri_status (*dead)(struct gri_archive *archive, const struct gri_filter *filter, struct gri_json **out,
                            struct gri_error *error);
    /* Gives those dead letters another life (attempts begin anew, the failure is kept in `history`), or, with `drop`, marks them
     * as seen: they are listed no more. At most filter->limit of them (0: all that were dead when it began). *count: how many. */
    enum gri_status (*dead_act)(struct gri_archive *archive, const struct gri_filter *filter, bool drop, const char *by,
                                int64_t *count, struct gri_error *error);
    /* How many match, counted up to 100,000. */
    enum gri_status (*dead_count)(struct gri_archive *archive, const struct gri_filter *filter, int64_t *count,
                                  struct gri_error *error);

    /* conflict: the catalog's state forbids it (detail says why). What is so already is fine. */
    enum gri_status (*catalog)(struct gri_archive *archive, const char *id, enum gri_steer steer, const char *by,
                               struct gri_error *error);
    /* A host whose URLs wait until it is resumed. */
    enum gri_status (*host)(struct gri_archive *archive, const char *host, bool pause, const char *by, struct gri_error *error);
    /* Array of {host, by, at}: the paused ones. */
    enum gri_status (*hosts)(struct gri_archive *archive, struct gri_json **out, struct gri_error *error);

    /* Takedown: a tombstone by that source sum for all pipelines, the pictures made of it stripped. *count: how many. Again is
     * harmless. */
    enum gri_status (*take_down)(struct gri_archive *archive, const char *source_sha256, const char *why, const char *by,
                                 int64_t *count, struct gri_error *error);

    /* What another version of that pipeline (name@version) made: {"pipeline", "count", "versions": [{"pipeline", "count"}],
     * "run"}; each counted up to 100,000; filter: host, catalog, and since, until of when they were done. "run": the last that
     * was begun for the pipeline, {"pipeline", "number", "state": running, finished or cancelled, "by", "created_at",
     * "finished_at", "filter", "counts": {"unchanged", "changed", "failed", "pending"}}, or null. */
    enum gri_status (*reprocess)(struct gri_archive *archive, const char *pipeline, const struct gri_filter *filter,
                                 struct gri_json **out, struct gri_error *error);
    /* Has them fetched anew and made by that version. What is under way already stays; another run of the same pipeline is
     * called off. */
    enum gri_status (*reprocess_start)(struct gri_archive *archive, const char *pipeline, const struct gri_filter *filter,
                                       const char *by, struct gri_error *error);
    /* No more are begun, and what is not fetched yet stays as it was. `name`: the pipeline's, without a version. */
    enum gri_status (*reprocess_cancel)(struct gri_archive *archive, const char *name, struct gri_error *error);

    /* Array of images whose perceptual hash differs from `phash` (16 hex digits) in at most `within` bits (0…11), each with
     * "distance", nearest first, at most `limit` (1…1000). */
    enum gri_status (*similar)(struct gri_archive *archive, const char *phash, int within, int64_t limit, struct gri_json **out,
                               struct gri_error *error);
};

#endif
