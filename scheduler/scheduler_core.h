/* SPDX-License-Identifier: Apache-2.0 */
/* Every structure of the scheduler on one page, and what its files offer each other. Private to this folder.
 *
 * Each part is a small state machine with at most one request of a kind out: `out` flags and
 * gri_scheduler_submit/gri_scheduler_landed say so. Control flow: a `…_landed` callback ends a request, decides, and submits the
 * next. */
#ifndef GRISAILLE_SCHEDULER_CORE_H
#define GRISAILLE_SCHEDULER_CORE_H

#include "lines.h"
#include "rules.h"
#include "scheduler.h"

enum {
    GRI_BARE_SLOTS = 2, /* batches of bare URLs at once */
    GRI_RULESETS_CACHED = 8,
    GRI_FEED_CATALOGS = 64, /* unfinished catalogs looked at in one round of the feeder */
    GRI_ROOM_POLL_MS = 250, /* how often a full window is looked at */
    GRI_READ_BLOCK_MS = 2000,
    GRI_LEASE_TTL_MS = 15000,
    GRI_GAUGES_MS = 5000,
    GRI_OVERFLOW_AGE_MS = 5000, /* jobs left behind for want of room are swept at that age */
    GRI_SHARE_MIN = 1000        /* lines a catalog may have open, at least */
};

/* --- pacer.c: the pause before a step is tried again ------------------------------------------------------- */

struct gri_pacer {
    struct gri_scheduler *scheduler;
    struct gri_timer *timer;
    int failures; /* in a row */
    void (*again)(void *arg);
    void *arg;
};

void gri_pacer_init(struct gri_pacer *pacer, struct gri_scheduler *scheduler, void *arg);
/* Calls again(arg) after 50 ms…5 s, doubling with each failure in a row. `what` is an event's name for the log. */
void gri_pacer_retry(struct gri_pacer *pacer, void (*again)(void *arg), const char *what, const struct gri_error *error);
/* Calls again(arg) after ms; the count of failures stays. */
void gri_pacer_after(struct gri_pacer *pacer, void (*again)(void *arg), int64_t ms);
void gri_pacer_reset(struct gri_pacer *pacer);
void gri_pacer_stop(struct gri_pacer *pacer);

/* --- scheduler_lease.c: one holder in the fleet ----------------------------------------------------------------------- */

struct gri_lease {
    struct gri_scheduler *scheduler;
    struct gri_ledger_lease request;
    struct gri_pacer timer;
    int64_t sent_ms, held_until_ms;
    bool out, given_back;
};

void gri_lease_init(struct gri_lease *lease, struct gri_scheduler *scheduler, const char *name);
void gri_lease_start(struct gri_lease *lease);
bool gri_lease_is_held(const struct gri_lease *lease);
/* Gives it back if it is held; no renewal any more. */
void gri_lease_release(struct gri_lease *lease);
void gri_lease_stop(struct gri_lease *lease);

/* --- dispatch_window.c: what may be put into the window ----------------------------------------------------------------- */

struct gri_window {
    int64_t limit;          /* dispatch.window */
    int64_t inflight;       /* as last answered */
    int64_t reserved;       /* lines of what is being admitted here */
    bool wanted;            /* something waits for room: look often */
    int64_t fresh, repairs; /* dispatched of late, of either sort: decaying */
};

int64_t gri_window_fresh_limit(const struct gri_window *window);
/* The whole window, unless retries and repairs had four fifths of what was dispatched of late: then as new work. */
int64_t gri_window_repair_limit(const struct gri_window *window);
/* Is there room to begin another admission? Notes `wanted` where not. */
bool gri_window_has_room(struct gri_window *window);
int64_t gri_window_repair_room(const struct gri_window *window);
void gri_window_count(struct gri_window *window, bool repair, size_t dispatched);

/* --- outbox.c: jobs on their way into the window -------------------------------------------------------------------------- */

struct gri_outbox {
    struct gri_scheduler *scheduler;
    struct gri_stream_dispatch request;
    struct gri_job *jobs; /* shallow: the URLs belong to whoever added them, until `done` */
    enum gri_dispatched *results;
    size_t count, cap;
    bool repair;
    bool sweep_rest;       /* what did not fit is the sweeper's to find (the sweeper itself knows) */
    int64_t hold_until_ms; /* until then it waits for room */
    size_t dispatched;     /* of this sending */
    struct gri_pacer retry;
    void (*done)(void *arg);
    void *arg;
};

void gri_outbox_init(struct gri_outbox *outbox, struct gri_scheduler *scheduler, size_t cap, bool repair);
void gri_outbox_clear(struct gri_outbox *outbox);
void gri_outbox_add(struct gri_outbox *outbox, const struct gri_job *job, int64_t run);
/* Dispatches all; where the window is full it waits for room up to hold_ms. Then done(arg): at once when there is nothing to
 * send. outbox->count is then what did not fit (the ledger has it); the caller empties it with gri_outbox_reset. */
void gri_outbox_send(struct gri_outbox *outbox, int64_t hold_ms, void (*done)(void *arg), void *arg);
void gri_outbox_reset(struct gri_outbox *outbox);

/* --- hand.c: the entries of {gri}:urls this consumer owns, their heartbeats, and the taking over of others' --------------- */

struct gri_held {
    struct gri_url_entry entry; /* owned */
    uint64_t serial;            /* rising along the list */
    uint64_t hash;              /* of the id */
    bool fenced;
    struct gri_held *prev, *next, *next_waiting;
};

struct gri_waiting {
    struct gri_held *first, *last;
    size_t count;
};

struct gri_hand {
    struct gri_scheduler *scheduler;
    struct gri_held *first, *last;
    size_t count, cap;
    uint64_t serial;
    struct gri_waiting chunks, bare; /* read, not begun */

    struct gri_stream_heartbeat heartbeat;
    char (*ids)[GRI_ENTRY_ID_MAX];
    uint64_t *serials;
    enum gri_fence *fences;
    bool heartbeat_out, heartbeat_again;
    struct gri_pacer heartbeat_timer;

    struct gri_stream_reclaim reclaim;
    bool reclaim_out;
    int64_t reclaim_from_ms; /* not before: the first lease after a (re)connect */
    struct gri_pacer reclaim_timer;
};

void gri_hand_init(struct gri_hand *hand, struct gri_scheduler *scheduler);
void gri_hand_clear(struct gri_hand *hand);
void gri_hand_start(struct gri_hand *hand);
void gri_hand_connected(struct gri_hand *hand);
/* Takes the entries (their URLs move; the array is freed) into the waiting queues; what is in hand already is left out. */
void gri_hand_take(struct gri_hand *hand, struct gri_url_entry *entries, size_t count);
/* The first that waits, NULL if none; those fenced meanwhile are dropped on the way. Pop takes it off the queue. */
struct gri_held *gri_hand_peek(struct gri_hand *hand, struct gri_waiting *queue);
struct gri_held *gri_hand_pop(struct gri_hand *hand, struct gri_waiting *queue);
void gri_hand_drop(struct gri_hand *hand, struct gri_held *held);
size_t gri_hand_room(const struct gri_hand *hand);

/* --- ruleset_cache.c -------------------------------------------------------------------------------------------------------- */

struct gri_ruleset_cache {
    struct {
        char id[GRI_PIPELINE_MAX];
        struct gri_ruleset *rules;
        uint64_t used;
    } rows[GRI_RULESETS_CACHED];
    uint64_t clock;
};

/* Borrowed until the next put; NULL when it is not there. */
const struct gri_ruleset *gri_ruleset_cache_get(struct gri_ruleset_cache *cache, const char *id);
/* Takes `rules`; the least used goes. */
void gri_ruleset_cache_put(struct gri_ruleset_cache *cache, const char *id, struct gri_ruleset *rules);
void gri_ruleset_cache_clear(struct gri_ruleset_cache *cache);

/* --- admission.c, admission_chunk.c, admission_bare.c: one run is one chunk, or one batch of bare URLs ------------------------
 */

/* The keys of one ledger call, so that of equal ones only the first is sent. */
struct gri_key_set {
    uint32_t *slots; /* index into admits + 1 */
    size_t mask;
};

struct gri_run {
    struct gri_scheduler *scheduler;
    bool busy, bare;
    bool alone;                /* line by line */
    bool unsure;               /* a write's outcome was unknown: known URLs may be our own */
    struct gri_held **entries; /* one for a chunk */
    size_t entry_count;
    int64_t reserved;
    struct gri_pacer retry;

    struct gri_admit *admits; /* judged, for the next ledger calls; URLs owned */
    int64_t *owners;          /* of each: its line; bare: the index of its entry */
    struct gri_slice *texts;  /* of each: the line as it stood; borrowed from the chunk or the entry */
    size_t admit_count, admit_next;
    struct gri_key_set keys;
    enum gri_admitted *results;
    int64_t *runs;
    struct gri_line_error *errors; /* bare: `line` is the entry's index */
    size_t error_count, error_next;
    struct gri_outbox outbox;

    struct gri_lines lines; /* chunk: what is not judged yet */
    bool judged_all;
    bool give_up_one;         /* the first line without a record is poison */
    enum gri_reason override; /* none, or what every further line is refused for */
    char override_detail[120];
    size_t accounted_next;

    int64_t seen, duplicates, invalid; /* counted when the run ends well */

    struct gri_ledger_chunk chunk;
    struct gri_ledger_definition definition;
    struct gri_ledger_accounted accounted;
    struct gri_ledger_admit admit;
    struct gri_ledger_reject reject;
    struct gri_ledger_chunk_done chunk_done;
    struct gri_ledger_quarantine quarantine;
    struct gri_ledger_events events;
    struct gri_event *event_rows;
    struct gri_stream_ack ack;
    char (*ack_ids)[GRI_ENTRY_ID_MAX];
    enum gri_fence *ack_fences;
};

struct gri_admission {
    struct gri_run *runs;   /* chunk_slots of chunks, then GRI_BARE_SLOTS of bare URLs */
    size_t run_count, turn; /* where the search for a free slot begins: chunks and bare URLs take turns */
    struct gri_verdict *verdict;
    struct gri_ruleset_cache rulesets;
    struct gri_ruleset *bare_rules;
};

void gri_admission_init(struct gri_admission *admission, struct gri_scheduler *scheduler);
void gri_admission_clear(struct gri_admission *admission);
/* Begins what waits, as far as slots and room go. */
void gri_admission_pump(struct gri_scheduler *scheduler);
bool gri_admission_is_idle(const struct gri_admission *admission);

/* For the two sorts of run. */
void gri_run_admit(void *run); /* the next call to the ledger, or gri_run_admitted */
void gri_run_admitted(struct gri_run *run);
void gri_run_add(struct gri_run *run, const char *pipeline, const char *salt, int64_t line, struct gri_slice text);
/* `line`: the line's number; bare: the index of its entry. Text is borrowed until the run ends. */
void gri_run_fail_line(struct gri_run *run, int64_t line, struct gri_slice text, enum gri_reason reason, const char *detail);
void gri_run_clear_batch(struct gri_run *run);
void gri_run_ack(void *run);
/* The run ends without an ack; entries are dropped. */
void gri_run_abandon(struct gri_run *run);
void gri_chunk_start(struct gri_run *run);
void gri_chunk_admitted(struct gri_run *run);
void gri_bare_start(struct gri_run *run);
void gri_bare_admitted(struct gri_run *run);

/* --- feeder.c ------------------------------------------------------------------------------------------------------------------
 */

struct gri_feeder {
    struct gri_scheduler *scheduler;
    struct gri_lease lease;
    struct gri_pacer timer;
    struct gri_ledger_feed feed;
    int64_t share;                 /* lines a catalog may have open, as of the round before */
    char last[GRI_CATALOG_ID_MAX]; /* served last: the turn goes on behind it */
    bool busy, worked;

    struct gri_stream_present present;
    char (*present_ids)[GRI_ENTRY_ID_MAX];
    bool *present_flags;
    int64_t *outstanding; /* by catalog of `feed`: chunks announced and there */

    int64_t *picks; /* chunk numbers, [catalog * feeder_outstanding + i] */
    size_t pick_counts[GRI_FEED_CATALOGS];
    size_t turn; /* catalog that is being announced or settled */
    char (*announced_ids)[GRI_ENTRY_ID_MAX];
    struct gri_stream_announce announce;
    struct gri_ledger_announced announced;
    struct gri_ledger_settle settle;
};

void gri_feeder_init(struct gri_feeder *feeder, struct gri_scheduler *scheduler);
void gri_feeder_clear(struct gri_feeder *feeder);
void gri_feeder_start(struct gri_feeder *feeder);
void gri_feeder_drain(struct gri_feeder *feeder);

/* --- dispatcher.c --------------------------------------------------------------------------------------------------------------
 */

struct gri_dispatcher {
    struct gri_scheduler *scheduler;
    struct gri_pacer timer;
    struct gri_ledger_due request;
    struct gri_outbox outbox;
    bool busy;
};

void gri_dispatcher_init(struct gri_dispatcher *dispatcher, struct gri_scheduler *scheduler);
void gri_dispatcher_clear(struct gri_dispatcher *dispatcher);
void gri_dispatcher_start(struct gri_dispatcher *dispatcher);
void gri_dispatcher_drain(struct gri_dispatcher *dispatcher);

/* --- sweeper.c -----------------------------------------------------------------------------------------------------------------
 */

struct gri_sweeper {
    struct gri_scheduler *scheduler;
    struct gri_lease lease;
    struct gri_pacer timer;
    struct gri_outbox outbox;
    bool busy;
    int64_t wanted_age_ms; /* a sweep of all at least that old is due; -1: the ordinary one */
    int64_t wanted_by_ms;  /* not before */
    int64_t age_ms;        /* of the pass under way */
    int64_t began_ms;
    struct gri_ledger_stale stale;
    char cursor[GRI_KEY_MAX + 32];
    bool deep;            /* which part of the page is inspected: the long queued ones first */
    size_t *rows;         /* of the page: what is inspected now */
    size_t *suspect_rows; /* of the page: not inflight */
    size_t suspects;
    char (*keys)[GRI_KEY_MAX];
    enum gri_inflight *inflight;
    struct gri_url_record *records;
    struct gri_stream_inspect inspect;
    struct gri_ledger_check check;
};

void gri_sweeper_init(struct gri_sweeper *sweeper, struct gri_scheduler *scheduler);
void gri_sweeper_clear(struct gri_sweeper *sweeper);
void gri_sweeper_start(struct gri_sweeper *sweeper);
void gri_sweeper_drain(struct gri_sweeper *sweeper);
/* Jobs may be queued and not inflight: sweep soon those that are age_ms old (0: now). */
void gri_sweeper_want(struct gri_sweeper *sweeper, int64_t age_ms);

/* --- reaper.c ------------------------------------------------------------------------------------------------------- */

struct gri_reaper {
    struct gri_scheduler *scheduler;
    struct gri_pacer timer;
    struct gri_ledger_reap request;
};

void gri_reaper_init(struct gri_reaper *reaper, struct gri_scheduler *scheduler);
void gri_reaper_start(struct gri_reaper *reaper);
void gri_reaper_stop(struct gri_reaper *reaper);

/* --- upkeep.c ------------------------------------------------------------------------------------------------------- */

struct gri_upkeep {
    struct gri_scheduler *scheduler;
    struct gri_pacer timer;
    struct gri_ledger_upkeep request;
    int64_t began_ms; /* the request */
};

void gri_upkeep_init(struct gri_upkeep *upkeep, struct gri_scheduler *scheduler);
void gri_upkeep_start(struct gri_upkeep *upkeep);
void gri_upkeep_stop(struct gri_upkeep *upkeep);

/* --- retirer.c ------------------------------------------------------------------------------------------------------ */

enum { GRI_RETIRE_LEASES = 10 }; /* how long a consumer is silent before it is taken for dead, and how often that is looked for */

struct gri_retirer {
    struct gri_scheduler *scheduler;
    struct gri_pacer timer;
    enum gri_stream_name stream; /* the turn is its */
    struct gri_stream_retire request;
};

void gri_retirer_init(struct gri_retirer *retirer, struct gri_scheduler *scheduler);
void gri_retirer_start(struct gri_retirer *retirer);
void gri_retirer_stop(struct gri_retirer *retirer);

/* --- gauges.c ------------------------------------------------------------------------------------------------------------------
 */

struct gri_gauges {
    struct gri_scheduler *scheduler;
    struct gri_pacer stats_timer, ledger_timer;
    struct gri_stream_stats stats;
    struct gri_ledger_gauges ledger;
    bool stats_out, ledger_out, hurried;
    struct gri_counter *ingested_catalog, *ingested_stream, *duplicate, *invalid, *swept, *reclaims, *fenced, *missing, *retired;
    struct gri_gauge *urls_lag, *urls_pending, *jobs_lag, *jobs_pending, *oldest, *waiting, *window;
};

void gri_gauges_init(struct gri_gauges *gauges, struct gri_scheduler *scheduler);
void gri_gauges_start(struct gri_gauges *gauges);
void gri_gauges_connected(struct gri_gauges *gauges);
void gri_gauges_stop(struct gri_gauges *gauges);
/* The window is wanted: look soon. */
void gri_gauges_hurry(struct gri_gauges *gauges);

/* --- scheduler_journal.c: events of the scheduler's own, best effort --------------------------------------------------- */

enum { GRI_NOTES_MAX = 128 };

struct gri_note {
    const char *event; /* static */
    char key[GRI_KEY_MAX], catalog[GRI_CATALOG_ID_MAX], detail[96];
    int attempt;
};

struct gri_journal {
    struct gri_scheduler *scheduler;
    struct gri_pacer timer;
    struct gri_ledger_events request;
    struct gri_note notes[GRI_NOTES_MAX];
    struct gri_event rows[GRI_NOTES_MAX];
    size_t count;
    bool out;
};

void gri_journal_init(struct gri_journal *journal, struct gri_scheduler *scheduler);
void gri_journal_stop(struct gri_journal *journal);
void gri_journal_reclaimed(struct gri_journal *journal, const struct gri_url_entry *entry);
void gri_journal_repaired(struct gri_journal *journal, const struct gri_job *job);

/* --- scheduler.c ---------------------------------------------------------------------------------------------------------------
 */

struct gri_scheduler {
    struct gri_scheduler_options options;
    struct gri_loop *loop;
    struct gri_log *log;
    bool started, up, draining;
    int out; /* requests whose `done` is to come */
    int64_t tick_ms;
    int64_t ledger_ok_ms; /* when the ledger last answered the gauges; -1 never */
    struct gri_timer *ticker;

    struct gri_window window;
    struct gri_hand hand;
    struct gri_admission admission;
    struct gri_feeder feeder;
    struct gri_dispatcher dispatcher;
    struct gri_sweeper sweeper;
    struct gri_gauges gauges;
    struct gri_reaper reaper;
    struct gri_retirer retirer;
    struct gri_upkeep upkeep;
    struct gri_journal journal;

    struct gri_stream_read read;
    bool reading;
    size_t read_size; /* grows while only bare URLs come */
    struct gri_pacer read_retry;

    struct gri_stream_leave leave;
    bool leaving, left;
    void (*drained)(void *arg);
    void *drained_arg;
};

/* Bracket each request. Landed answers whether it went well. */
void gri_scheduler_submit(struct gri_scheduler *scheduler, struct gri_op *op, void (*done)(struct gri_op *op));
bool gri_scheduler_landed(struct gri_scheduler *scheduler, const struct gri_op *op);
/* Something changed that may let work begin or end: begin runs, read, end the drain. */
void gri_scheduler_poke(struct gri_scheduler *scheduler);
#endif
