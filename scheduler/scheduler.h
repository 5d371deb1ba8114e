/* SPDX-License-Identifier: Apache-2.0 */
/* The scheduler: feeds catalogs into {gri}:urls, admits what stands there to the ledger, dispatches, and repairs the window.
 *
 * A state machine on the loop's thread over the ports; it does no I/O, and everything it holds is bounded by its options.
 * Any number of schedulers run at once. Each step is idempotent in ledger and stream, so a crash between any two of them
 * loses nothing:
 *
 *   chunk     chunk read → (unknown or admitted: ack) → lines accounted for → rules → per batch: judge, admit, dispatch →
 *             reject bad lines → chunk_done → ack. The ack is last, so that whatever failed before is done again.
 *   bare URL  many entries a batch: judge, admit, dispatch → quarantine and events of the bad ones → ack.
 *   feeder    lease, feed, present, announce, announced; settle where nothing of a catalog is left to admit or open.
 *   due       ledger due (the URL is `queued` from here on) → dispatch.
 *   sweeper   lease, stale, inspect, check (a second look: still queued with this run?), dispatch.
 *
 * A job that is `queued` but never reached the stream is found by the sweeper; one that is there twice is fenced by its run.
 * A request that fails with class retry is tried again in place with a jittered, doubling pause; entries stay in hand and keep
 * their heartbeat, and an outage never counts against them. A heartbeat answered FENCED drops the entry: another has it.
 *
 * The window: new work fills at most four fifths of it, retries and repairs may use the rest. Where it is full nothing is
 * read; an entry that was begun waits for room for up to one lease, then leaves its jobs to the sweeper.
 * An entry delivered GRI_DELIVERIES_ALONE times is handled line by line, and a line the ledger refuses for good becomes an error
 * `poison` (a bare URL goes to the quarantine); from GRI_DELIVERIES_POISON on its first line without a record is given up
 * unjudged, one a delivery, so that even a line that kills the process comes to an end. */
#ifndef GRISAILLE_SCHEDULER_H
#define GRISAILLE_SCHEDULER_H

#include <grisaille/ledger.h>
#include <grisaille/log.h>
#include <grisaille/metrics.h>
#include <grisaille/stream.h>

enum { GRI_DELIVERIES_ALONE = 6, GRI_DELIVERIES_POISON = 12 };

struct gri_scheduler;

/* Pointers are borrowed for the scheduler's life, except `rules` and `name` (copied). */
struct gri_scheduler_options {
    const char *name; /* this process: the consumer's name, and the holder of leases */
    struct gri_loop *loop;
    struct gri_stream *stream;
    struct gri_ledger *ledger;
    const struct gri_crypto *crypto;
    struct gri_log *log;         /* may be NULL */
    struct gri_metrics *metrics; /* may be NULL */

    /* The pinned "name@version" of a pipeline, "" meaning the default one; NULL when there is none of that name. The answer is
     * borrowed until the next call. */
    const char *(*pin_pipeline)(void *arg, const char *name);
    void *pin_arg;
    struct gri_slice rules; /* body of the ruleset that bare URLs are judged by */

    int64_t window;            /* jobs inflight at most (dispatch.window) */
    size_t batch;              /* URLs a ledger or stream call, 1…5000 */
    size_t chunk_slots;        /* chunks admitted at once, 1…64 */
    size_t feeder_outstanding; /* chunks announced and not admitted, of all catalogs, 1…1000 */
    int64_t lease_ms;          /* entries idle that long are another's to take */
    int64_t heartbeat_ms;      /* a fraction of lease_ms */
    int64_t sweep_ms;          /* pause between sweeps */
    int64_t stale_ms;          /* queued that long and not inflight: dispatched again */
    int64_t lost_ms;           /* queued that long and inflight: its entry is looked for */
    int64_t reap_ms;           /* pause between looks for chunks without a catalog */
    int64_t abandon_ms;        /* a push that began that long ago and has no catalog is given up */
    int64_t upkeep_ms;         /* pause between pieces of upkeep: roll-ups, retention, deletions */
    int64_t images_keep_days, catalogs_keep_days, rollups_keep_days; /* 0: for ever */
};

/* Numbers: window 100,000, batch 500, 4 slots, 32 outstanding, lease 30 s, heartbeat 5 s, sweep 10 s, stale 60 s, lost 10 min,
 * reap 10 min, abandon 1 day, upkeep 10 s, nothing expires. */
void gri_scheduler_options_init(struct gri_scheduler_options *options);

/* Fails (class of the rules' error) when the rules don't compile. Sets stream->changed. *out: owned. */
enum gri_status gri_scheduler_create(const struct gri_scheduler_options *options, struct gri_scheduler **out,
                                     struct gri_error *error) GRI_MUST_CHECK;
/* Opens the stream and begins. */
void gri_scheduler_start(struct gri_scheduler *scheduler);
/* From now on bare URLs are judged by these rules; window, sweep_ms, stale_ms, lost_ms, reap_ms, abandon_ms, upkeep_ms and the
 * keep_days are these. The other options stay as they were. On failure (rules that don't compile) nothing changes. */
enum gri_status gri_scheduler_reload(struct gri_scheduler *scheduler, const struct gri_scheduler_options *options,
                                     struct gri_error *error) GRI_MUST_CHECK;
/* Stops reading, finishes and acks what is in hand, gives leases back, leaves the group; then drained(arg), once. It takes as
 * long as the servers are away: the caller has the deadline. The stream stays open. */
void gri_scheduler_drain(struct gri_scheduler *scheduler, void (*drained)(void *arg), void *arg);
/* Stops the timers and frees all. No request may ever end afterwards: drained, or (a simulated crash) the ports forget them. */
void gri_scheduler_destroy(struct gri_scheduler *scheduler);

/* gri_now_ms of the latest tick (one a second): liveness. */
int64_t gri_scheduler_tick_ms(const struct gri_scheduler *scheduler);
/* Is the stream connected and did the ledger answer lately: readiness. */
bool gri_scheduler_is_ready(const struct gri_scheduler *scheduler);

#endif
