/* SPDX-License-Identifier: Apache-2.0 */
/* Small fakes of every port of the worker on a virtual clock: what they were asked is written into a trace, what they answer
 * is set by the test. Every answer comes one virtual ms later, never from inside the call. */
#ifndef GRISAILLE_WORKER_FAKES_H
#define GRISAILLE_WORKER_FAKES_H

#include "worker.h"
#include <pthread.h>
#include <stdatomic.h>

enum { FAKE_MAX = 4096 };

struct fake_post;  /* a call that another thread wants made */
struct fake_timer; /* one pending call of the virtual loop */

struct world;

struct fake_record {
    struct world *world; /* once it was put off */
    char key[GRI_KEY_MAX];
    struct gri_url_record record;
    struct gri_finish finish; /* the last that applied */
};

struct fake_image {
    char id[GRI_IMAGE_ID_MAX], job[GRI_IMAGE_JOB_MAX];
    bool removed;
    bool heal; /* its picture is damaged */
};

struct fake_entry {
    char id[GRI_ENTRY_ID_MAX], key[GRI_KEY_MAX], url[256];
    char pipeline[GRI_PIPELINE_MAX];
    int64_t run, deliveries;
    bool read, acked, fenced;
};

struct world {
    struct gri_loop loop;
    struct gri_stream stream;
    struct gri_ledger ledger;
    struct gri_store store;
    struct gri_fetcher fetcher;
    struct gri_codec codec;
    struct gri_executor cpu;
    struct gri_worker *worker;

    int64_t now;
    uint64_t seed;
    struct fake_timer *timers;
    uint64_t timer_serial;
    pthread_mutex_t post_lock;
    struct fake_post *posts;
    struct gri_executor *threads; /* NULL: CPU work runs inline */

    char trace[65536]; /* "check 2;insert 1;…" */

    struct fake_entry entries[FAKE_MAX];
    size_t entry_count;
    int64_t deliveries;           /* of entries put from now on; 0: 1 */
    struct gri_stream_read *read; /* the blocked one */
    struct gri_timer *read_timer;
    int64_t gate_blocked_ms; /* what the gate answers of every host */
    double gate_step_ms;     /* with a budget: time between turns */
    double gate_next;
    int64_t told_block_ms; /* the last `block` */
    int heartbeats;
    int acks_failing, gates_failing, reads_failing; /* how many of the next ones fail */
    size_t read_asked, acked, heartbeat_ids, last_ack_size;
    bool left;

    struct fake_record records[FAKE_MAX];
    size_t record_count;
    bool ledger_away;
    bool nothing_more; /* reads answer nothing */
    bool dispatches;   /* what was put off, or is tried again, comes back when it is due */
    int finishes_unknown, definitions_failing;
    bool definition_missing;
    int events;
    char last_event[64];

    struct fake_image images[FAKE_MAX];
    size_t image_count, last_insert_size;
    int inserts_unknown; /* how many of the next inserts apply, but say nothing */
    enum gri_inserted force_insert;
    struct gri_error insert_error;
    bool insert_forced;
    struct gri_image last_image; /* without owned parts */
    char last_data[256], last_url[256];

    void (*answer)(struct world *world, struct gri_fetch *fetch); /* fills the outputs; default: 200, body = URL */
    int64_t fetch_ms;
    int64_t slow_ms; /* a fetch from a host whose name begins with slow: so long, and in vain; 0: like any other */
    int fetches, fetching, fetching_most, cancelled;
    struct gri_fetch *held[FAKE_MAX]; /* fetches that end only when cancelled */
    bool hold_fetches;

    atomic_int runs;              /* of the codec */
    size_t outputs;               /* named output0, output1, … of every pipeline; 0: one without a name */
    size_t outputs_made;          /* how many a run gives; 0: as many as there are */
    bool codec_is_older;          /* compile refuses every definition: it asks for what this program can't do */
    struct gri_error codec_error; /* status not OK: run fails with it */
    int64_t codec_ms;             /* run lasts that long, and the loop goes on meanwhile */
    bool cpu_full;

    bool drained, fatal, hung;
    int host_concurrency;
    double per_second;
};

/* A world with an up stream and a started worker. `slots` 0: 8. */
struct world *world_create(size_t slots);
struct world *world_create_with(const struct gri_worker_options *extra);
void world_destroy(struct world *world);
/* Borrowed until world_destroy: CPU work runs there from now on. */
void world_use_threads(struct world *world, struct gri_executor *threads);
/* Runs the loop for ms of virtual time. */
void world_run(struct world *world, int64_t ms);
/* Runs until every entry put in is acked, at most `ms`; true if so. */
bool world_settle(struct world *world, int64_t ms);
/* A record `queued` with run 1 and its entry; returns its index (in both arrays). */
size_t world_put(struct world *world, const char *url);
/* Dispatches the record at this index once more. */
void world_again(struct world *world, size_t index);
struct fake_record *world_record(struct world *world, size_t index);
void world_say(struct world *world, enum gri_stream_state state);
/* Position of the text in the trace, -1 if it is not there. */
int world_when(const struct world *world, const char *text);
int world_count(const struct world *world, const char *text);
void fake_sha256_hex(struct gri_slice bytes, char out[GRI_SHA256_HEX]);
/* The id that an image of that source would have. */
void world_image_id(const char *source, char id[GRI_IMAGE_ID_MAX]);
void world_add_image(struct world *world, const char *id, const char *job, bool removed);

#endif
