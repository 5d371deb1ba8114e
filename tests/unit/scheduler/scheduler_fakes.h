/* SPDX-License-Identifier: Apache-2.0 */
/* Fakes of the ports for the scheduler's tests: small models in memory on virtual time.
 *
 * Every call leaves a line in the trace ("admit 3", "ack 1-0"), and is answered 1 ms later. A port that is `down` answers
 * retry and changes nothing. Single-threaded; capacities are fixed and asserted. */
#ifndef GRISAILLE_TEST_SCHEDULER_FAKES_H
#define GRISAILLE_TEST_SCHEDULER_FAKES_H

#include <grisaille/ledger.h>
#include <grisaille/stream.h>

enum { FAKE_TRACE = 200000, FAKE_ENTRIES = 4000, FAKE_URLS = 20000, FAKE_CATALOGS = 16, FAKE_CHUNKS = 64, FAKE_ERRORS = 4000 };

/* --- loop ------------------------------------------------------------------------------------------------------------------- */

struct fake_loop {
    struct gri_loop base;
    int64_t now;
    uint64_t seed;
    struct gri_timer *timers; /* by time, then by age */
};

void fake_loop_init(struct fake_loop *loop);
void fake_loop_clear(struct fake_loop *loop);
/* Runs all that is due within the next ms, in order. */
void fake_loop_run(struct fake_loop *loop, int64_t ms);

/* --- trace ------------------------------------------------------------------------------------------------------------------ */

struct fake_trace {
    char (*lines)[96];
    size_t count;
};

void fake_trace_add(struct fake_trace *trace, const char *format, ...) GRI_PRINTF(2, 3);
size_t fake_trace_count(const struct fake_trace *trace, const char *prefix);
/* Index of the nth (from 0) line with that prefix, or -1. */
long fake_trace_find(const struct fake_trace *trace, const char *prefix, size_t nth);

/* A request that fails is chosen by its name in the trace. */
struct fake_fault {
    const char *op; /* NULL: none */
    int times;
    enum gri_status status;
    bool applied; /* the write happened nevertheless */
};

/* --- stream ----------------------------------------------------------------------------------------------------------------- */

struct fake_entry {
    struct gri_url_entry entry;
    bool delivered, mine;
    int64_t beat_ms;
};

struct fake_stream {
    struct gri_stream base;
    struct fake_loop *loop;
    struct fake_trace *trace;
    bool down;
    struct fake_fault fault;
    struct fake_entry *entries;
    size_t entry_count;
    int next_id;
    struct {
        char key[GRI_KEY_MAX];
        bool lost;
    } * inflight;
    size_t inflight_count;
    int64_t dispatched;           /* in all */
    int64_t slow_ms;              /* each answer takes so much longer */
    size_t dead_consumers[2];     /* a stream */
    struct gri_stream_read *read; /* blocked */
    int64_t read_until;
    struct gri_timer *read_timer;
};

void fake_stream_init(struct fake_stream *stream, struct fake_loop *loop, struct fake_trace *trace);
void fake_stream_clear(struct fake_stream *stream);
/* Returns the entry's id; borrowed until the entry is gone. `delivered` > 0: pending at another consumer since ever. */
const char *fake_stream_push_url(struct fake_stream *stream, const char *url, const char *pipeline, int delivered);
const char *fake_stream_push_chunk(struct fake_stream *stream, const char *catalog, int64_t chunk, int delivered);
struct fake_entry *fake_stream_entry(struct fake_stream *stream, const char *id);
void fake_stream_remove(struct fake_stream *stream, const char *id);
/* Everything is gone, and the epoch with it. */
void fake_stream_flush(struct fake_stream *stream);
void fake_stream_set_down(struct fake_stream *stream, bool down);
/* A worker finished them all. */
void fake_stream_finish_jobs(struct fake_stream *stream);

/* --- ledger ----------------------------------------------------------------------------------------------------------------- */

struct fake_chunk {
    char *text;
    int64_t first_line, lines;
    char announced_id[GRI_ENTRY_ID_MAX];
    bool admitted;
};

struct fake_catalog {
    char id[GRI_CATALOG_ID_MAX];
    enum gri_catalog_state state;
    bool retry_dead;
    struct fake_chunk chunks[FAKE_CHUNKS];
    size_t chunk_count;
    int64_t extra_open;   /* pretended, waiting */
    int64_t extra_queued; /* pretended, queued */
};

struct fake_url {
    char key[GRI_KEY_MAX], catalog[GRI_CATALOG_ID_MAX];
    char *url;
    int64_t line, run, queued_at, next_at;
    enum gri_url_state state;
};

struct fake_ledger {
    struct gri_ledger base;
    struct fake_loop *loop;
    struct fake_trace *trace;
    bool down, lease_taken; /* another process holds the leases */
    struct fake_fault fault;
    const char *poison; /* an admit with a URL that contains this is refused for good */
    const char *rules;
    struct fake_catalog catalogs[FAKE_CATALOGS];
    size_t catalog_count;
    struct fake_url *urls;
    size_t url_count;
    struct {
        char catalog[GRI_CATALOG_ID_MAX];
        int64_t line;
        enum gri_reason reason;
    } * errors;
    size_t error_count;
    char quarantined[GRI_ENTRY_ID_MAX];
    size_t largest_admit, event_count;
    enum gri_reason last_event;
};

void fake_ledger_init(struct fake_ledger *ledger, struct fake_loop *loop, struct fake_trace *trace);
void fake_ledger_clear(struct fake_ledger *ledger);
struct fake_catalog *fake_ledger_add_catalog(struct fake_ledger *ledger, const char *id);
void fake_ledger_add_chunk(struct fake_catalog *catalog, const char *text);
struct fake_catalog *fake_ledger_catalog(struct fake_ledger *ledger, const char *id);
struct fake_url *fake_ledger_url(struct fake_ledger *ledger, const char *url);

/* 64 hex digits that depend on every byte; no SHA-256. */
extern const struct gri_crypto fake_crypto;

#endif
