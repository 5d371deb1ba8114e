/* SPDX-License-Identifier: Apache-2.0 */
/* Port: the ledger (MongoDB: urls, catalogs, catalog_chunks, catalog_errors, rulesets, pipelines, leases, events).
 *
 * The truth. adapters/mongo_* implements it on store threads; tests/sim has a model of it. Every write is majority with
 * journal; what a decision rests on is read with majority. Threads: the loop's thread only. Requests: see struct gri_op.
 * Failures are class retry (the outcome of a write is then unknown) unless told otherwise. All times compared are the
 * server's ($$NOW). Inputs are borrowed until `done`; outputs belong to the caller. */
#ifndef GRISAILLE_LEDGER_H
#define GRISAILLE_LEDGER_H

#include <grisaille/job.h>
#include <grisaille/loop.h>

enum gri_url_state { GRI_URL_ABSENT, GRI_URL_QUEUED, GRI_URL_WAITING, GRI_URL_DONE, GRI_URL_DEAD };
enum gri_catalog_state {
    GRI_CATALOG_RUNNING,
    GRI_CATALOG_FINISHED,
    GRI_CATALOG_PAUSED,
    GRI_CATALOG_CANCELLED,
    GRI_CATALOG_DELETING
};

/* "queued", "running", …; static storage. */
const char *gri_url_state_name(enum gri_url_state state);
const char *gri_catalog_state_name(enum gri_catalog_state state);

/* --- leases ------------------------------------------------------------------------------------------------------- */

/* Compare-and-set with the server's clock: held when free, expired or already ours. ttl_ms 0 gives it back. */
struct gri_ledger_lease {
    struct gri_op op;
    const char *name;   /* "feeder", "sweeper" */
    const char *holder; /* this process */
    int64_t ttl_ms;
    bool held; /* out */
};

/* --- feeder ------------------------------------------------------------------------------------------------------- */

struct gri_feed_chunk {
    int64_t number;
    char announced_id[GRI_ENTRY_ID_MAX]; /* "" when never announced */
};

struct gri_feed_catalog {
    char id[GRI_CATALOG_ID_MAX];
    enum gri_catalog_state state;
    int64_t chunks;              /* in all */
    bool refreshes;              /* it asks for URLs that are done to be fetched anew */
    int64_t open;                /* accepted, or fetched anew for it, and not finished; counted up to open_limit */
    int64_t queued;              /* of these, not waiting for a retry; counted up to queued_limit */
    struct gri_feed_chunk *next; /* owned: the first chunks not yet admitted, by number, up to chunk_limit */
    size_t next_count;           /* 0: every chunk is admitted */
};

/* The unfinished catalogs, oldest first, up to catalog_limit. */
struct gri_ledger_feed {
    struct gri_op op;
    size_t catalog_limit, chunk_limit;
    int64_t open_limit, queued_limit;
    struct gri_feed_catalog *catalogs; /* out: gri_feed_catalogs_free */
    size_t count;                      /* out */
};
void gri_feed_catalogs_free(struct gri_feed_catalog *catalogs, size_t count);

/* Sets announced_id of one chunk each, where it is not admitted. */
struct gri_ledger_announced {
    struct gri_op op;
    const char *catalog;
    const int64_t *chunks;
    const char (*ids)[GRI_ENTRY_ID_MAX];
    size_t count;
};

/* Finishes a catalog: where all chunks are admitted (read first) and then nothing of it is queued or waiting, its final
 * counts are computed and it becomes `finished`. `finished` tells whether it is now. Of one that is cancelled or being deleted,
 * what is queued or waiting and not shared with another becomes dead first, reason cancelled; it keeps its state. */
struct gri_ledger_settle {
    struct gri_op op;
    const char *catalog;
    bool finished; /* out */
};

/* --- admission ---------------------------------------------------------------------------------------------------- */

/* A chunk of a catalog, with what of its catalog is needed to judge it. */
struct gri_ledger_chunk {
    struct gri_op op;
    const char *catalog;
    int64_t number;
    bool found, admitted;            /* out; not found: GRI_OK with found = false */
    enum gri_catalog_state state;    /* out */
    char pipeline[GRI_PIPELINE_MAX]; /* out: pinned name@version */
    char rules[GRI_PIPELINE_MAX];    /* out: pinned ruleset, "rules@version" */
    bool retry_dead;                 /* out: the catalog gives known dead URLs another life */
    int64_t refresh;           /* out: the how-manieth time it asks for URLs that are done to be fetched anew; 0: it does not */
    int64_t first_line, lines; /* out: number (from 1) of the first line that begins here; how many begin here */
    bool continued;            /* out: the text begins inside a line of the chunk before (skip to the first newline) */
    struct gri_bytes text;     /* out: initialise before, clear after */
};

enum gri_definition_kind { GRI_DEF_RULES, GRI_DEF_PIPELINE };

/* Body (canonical JSON) of an immutable definition; not found: class permanent, reason no_pipeline. */
struct gri_ledger_definition {
    struct gri_op op;
    enum gri_definition_kind kind;
    const char *id;        /* name@version */
    struct gri_bytes body; /* out: initialise before, clear after */
};

/* Numbers, rising, of the lines first…last of the catalog that have a record already (a `first` or an error). */
struct gri_ledger_accounted {
    struct gri_op op;
    const char *catalog;
    int64_t first, last;
    int64_t *lines; /* out: free() */
    size_t count;   /* out */
};

struct gri_admit {
    struct gri_job job; /* run is 1; borrowed */
    char host[GRI_HOST_MAX];
    int64_t line;
};

enum gri_admitted { GRI_ADMITTED, GRI_KNOWN, GRI_REVIVED };

/* Unordered bulk upserts {$setOnInsert: {state: queued, run: 1, …, first: {catalog, line}}}. Known ones whose `first` is
 * another catalog are marked `shared`. With `revive`, known ones that are dead with reason cancelled — and, with
 * `revive_dead`, any dead one — become queued again (run+1, attempts 0): GRI_REVIVED, and the job's run is written to
 * runs[i]. With `refresh`, known ones that are done (and not taken down) begin a renewal, once for each catalog and number:
 * GRI_REVIVED as well. A bare URL has catalog NULL. */
struct gri_ledger_admit {
    struct gri_op op;
    const char *catalog;
    bool revive_dead;
    int64_t refresh; /* of the catalog, see gri_ledger_chunk; 0: no */
    const struct gri_admit *urls;
    size_t count;
    enum gri_admitted *results; /* out: array of `count` that the caller provides */
    int64_t *runs;              /* out: array of `count`: the run to dispatch of admitted and revived ones */
};

struct gri_line_error {
    int64_t line;
    struct gri_slice text; /* cut at GRI_LINE_KEEP by the adapter; any bytes */
    enum gri_reason reason;
    char detail[120]; /* the rule's name, say */
};

/* One catalog_errors document a line (_id = catalog and number; again is harmless). */
struct gri_ledger_reject {
    struct gri_op op;
    const char *catalog;
    const struct gri_line_error *errors;
    size_t count;
};

/* Sets admitted_at of the chunk. */
struct gri_ledger_chunk_done {
    struct gri_op op;
    const char *catalog;
    int64_t number;
};

/* Keeps a bare stream entry that failed six times alone. */
struct gri_ledger_quarantine {
    struct gri_op op;
    const char *entry_id;
    struct gri_slice text;
    enum gri_reason reason;
    const char *detail;
};

/* --- dispatcher and sweeper ----------------------------------------------------------------------------------------- */

/* Jobs to hand out; gri_due_free frees. */
struct gri_due {
    struct gri_job job;
    char host[GRI_HOST_MAX];
    int64_t queued_ms; /* how long ago it became queued, by the server's clock */
};
void gri_due_free(struct gri_due *due, size_t count);

/* Waiting and due, oldest first, hosts in `skip_hosts` left out → queued with run+1 and queued_at now. Several dispatchers
 * may get the same one: dispatch is idempotent. */
struct gri_ledger_due {
    struct gri_op op;
    size_t limit;
    const char *const *skip_hosts;
    size_t skip_count;
    struct gri_due *due; /* out */
    size_t count;        /* out */
    int64_t next_ms;     /* out: ms until the next waiting one is due; -1: none waits */
};

/* Queued for at least min_age_ms, by queued_at, from `after` on. */
struct gri_ledger_stale {
    struct gri_op op;
    int64_t min_age_ms;
    size_t limit;
    const char *after;             /* the `cursor` of the page before, or "" */
    struct gri_due *due;           /* out */
    size_t count;                  /* out */
    char cursor[GRI_KEY_MAX + 32]; /* out: "" at the end */
};

/* --- workers ------------------------------------------------------------------------------------------------------ */

struct gri_url_record {
    enum gri_url_state state; /* GRI_URL_ABSENT: no such key */
    int64_t run;
    int attempts;
    char pipeline[GRI_PIPELINE_MAX];
    int64_t limited_ms;                /* since its first 429; 0 never */
    int64_t age_ms;                    /* since it was accepted */
    char catalog[GRI_CATALOG_ID_MAX];  /* first.catalog, or "" */
    enum gri_reason reason;            /* of its last failure; none: there was none */
    bool host_paused;                  /* an operator holds its host */
    int64_t renewal;                   /* times it was fetched anew after it was done; 0: this is its first life */
    bool renewing;                     /* such a renewal is under way */
    char renew_from[GRI_IMAGE_ID_MAX]; /* renewing: the image that it had */
};

/* Majority read by key, in the order of `keys`. Before a job is run, and by the sweeper's second look. */
struct gri_ledger_check {
    struct gri_op op;
    const char (*keys)[GRI_KEY_MAX];
    size_t count;
    struct gri_url_record *records; /* out: array of `count` that the caller provides */
};

/* How a renewal ended. */
enum gri_renewed {
    GRI_RENEWED_NONE, /* there was none */
    GRI_RENEWED_UNCHANGED,
    GRI_RENEWED_CHANGED,
    GRI_RENEWED_FAILED,
    GRI_RENEWED_REMOVED /* the picture was taken down */
};
/* "", "unchanged", "changed", "failed", "removed"; static storage. */
const char *gri_renewed_name(enum gri_renewed renewed);

enum gri_finish_kind { GRI_FINISH_DONE, GRI_FINISH_WAIT, GRI_FINISH_DEAD };

struct gri_finish {
    enum gri_finish_kind kind;
    char key[GRI_KEY_MAX];
    char pipeline[GRI_PIPELINE_MAX];
    int64_t run;
    char image[GRI_IMAGE_ID_MAX];                       /* DONE: the image to link */
    char others[GRI_OUTPUTS_MAX - 1][GRI_IMAGE_ID_MAX]; /* DONE: those of the pipeline's other outputs, linked with it */
    size_t other_count;
    bool made;                /* DONE: this job's insert stored it */
    bool removed;             /* DONE: linked to a takedown */
    int64_t bytes, ms;        /* DONE: of the source; worked on it, waiting left out. For the roll-ups */
    int64_t delay_ms;         /* WAIT: due that long after the server's now */
    bool charge;              /* WAIT: attempts+1 */
    bool limited;             /* WAIT: the host said 429 (limited_at is set where it is not) */
    struct gri_error error;   /* WAIT, DEAD: the last error */
    int64_t renewal;          /* of the record this job was run for: a result of another life matches nothing */
    enum gri_renewed renewed; /* DONE, DEAD: how the renewal under way ended; a DEAD one leaves the URL done, as it was */
    bool applied;             /* out: the record was changed by this very write (false: someone was first; harmless) */
};

/* One unordered bulk and the events beside it. done matches {_id, state ≠ done, pipeline}; waiting and dead match
 * {_id, state: queued, run}. A done that matched nothing is read again: where `made` and the image is not linked, it is
 * added ($addToSet) and `made` set. */
struct gri_ledger_finish {
    struct gri_op op;
    struct gri_finish *items;
    size_t count;
    const struct gri_event *events; /* written unordered, w:1; losing them loses no promise */
    size_t event_count;
};

/* Events alone. */
struct gri_ledger_events {
    struct gri_op op;
    const struct gri_event *events;
    size_t count;
};

/* Counts for gauges: waiting, queued, done, dead (bounded: estimated where over 100,000), unfinished catalogs. */
struct gri_ledger_gauges {
    struct gri_op op;
    int64_t waiting, queued; /* out, counted up to 100,000 */
    int64_t catalogs;        /* out */
};

/* Chunks of catalogs that were never written, whose push began at least min_age_ms ago: their catalog's id is taken (state
 * `abandoned`, so that a push that is only slow fails instead of losing its beginning), then they are removed. */
struct gri_ledger_reap {
    struct gri_op op;
    int64_t min_age_ms;
    size_t limit;    /* catalogs looked at, at most */
    char cursor[40]; /* in and out: where to go on; "" the beginning, and the end */
    int64_t reaped;  /* out */
};

/* Now and then, by whoever holds the sweeper's lease; every step is idempotent, so that one cut off is begun again. A bounded
 * piece a call: roll-ups of what was finished, pictures and catalogs past their retention, deleted catalogs whose work has
 * ended, takedowns repeated. */
struct gri_ledger_upkeep {
    struct gri_op op;
    int64_t images_keep_days, catalogs_keep_days, rollups_keep_days; /* 0: for ever */
    bool more;                                                       /* out: there is more to do at once */
};

struct gri_ledger {
    const struct gri_ledger_ops *ops;
};

struct gri_ledger_ops {
    void (*lease)(struct gri_ledger *ledger, struct gri_ledger_lease *request);
    void (*feed)(struct gri_ledger *ledger, struct gri_ledger_feed *request);
    void (*announced)(struct gri_ledger *ledger, struct gri_ledger_announced *request);
    void (*settle)(struct gri_ledger *ledger, struct gri_ledger_settle *request);
    void (*chunk)(struct gri_ledger *ledger, struct gri_ledger_chunk *request);
    void (*definition)(struct gri_ledger *ledger, struct gri_ledger_definition *request);
    void (*accounted)(struct gri_ledger *ledger, struct gri_ledger_accounted *request);
    void (*admit)(struct gri_ledger *ledger, struct gri_ledger_admit *request);
    void (*reject)(struct gri_ledger *ledger, struct gri_ledger_reject *request);
    void (*chunk_done)(struct gri_ledger *ledger, struct gri_ledger_chunk_done *request);
    void (*quarantine)(struct gri_ledger *ledger, struct gri_ledger_quarantine *request);
    void (*due)(struct gri_ledger *ledger, struct gri_ledger_due *request);
    void (*stale)(struct gri_ledger *ledger, struct gri_ledger_stale *request);
    void (*check)(struct gri_ledger *ledger, struct gri_ledger_check *request);
    void (*finish)(struct gri_ledger *ledger, struct gri_ledger_finish *request);
    void (*events)(struct gri_ledger *ledger, struct gri_ledger_events *request);
    void (*gauges)(struct gri_ledger *ledger, struct gri_ledger_gauges *request);
    void (*reap)(struct gri_ledger *ledger, struct gri_ledger_reap *request);
    void (*upkeep)(struct gri_ledger *ledger, struct gri_ledger_upkeep *request);
};

#endif
