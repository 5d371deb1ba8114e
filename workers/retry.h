/* SPDX-License-Identifier: Apache-2.0 */
/* The one place that decides what becomes of a try that made no image. Pure: no clock, no state. */
#ifndef GRISAILLE_RETRY_H
#define GRISAILLE_RETRY_H

#include "worker.h"

enum {
    GRI_HOLD_MS = 5000, /* up to that long a job waits in its slot for a throttled host */
    GRI_HOLD_MAX = 3,   /* so often; after that it gives its slot back */
    GRI_SETTLE_MS = 200 /* a repeated job is due no sooner: its present entry must be acked before it is dispatched again */
};

/* What is known of the try. */
struct gri_attempt {
    int64_t retry_after_ms; /* the answer's Retry-After; -1 none */
    bool throttled;         /* the host said 429 (or 503 with Retry-After), to this job or to the fleet */
    bool deferred;          /* it was not tried at all: the gate had no turn for it in time */
    int64_t defer_ms;       /* throttled, deferred: until its turn */
    int attempts;           /* tries charged before this one */
    int holds;              /* how often it waited in its slot already */
    int64_t limited_ms;     /* how long ago its host first said 429 to it; 0 never */
};

enum gri_verdict_kind {
    GRI_VERDICT_HOLD, /* back to the gate, in its slot */
    GRI_VERDICT_WAIT, /* ledger: waiting */
    GRI_VERDICT_DEAD, /* ledger: dead */
    GRI_VERDICT_FATAL /* this process can't work */
};

struct gri_verdict {
    enum gri_verdict_kind kind;
    int64_t delay_ms;       /* WAIT */
    bool charge, limited;   /* WAIT */
    struct gri_error error; /* what the ledger is told */
};

void gri_retry_decide(const struct gri_retry_policy *policy, const struct gri_error *error, const struct gri_attempt *attempt,
                      uint64_t random, struct gri_verdict *verdict);
/* Full jitter for a step that is repeated in place: random(base/2, min(max, base * 2^tries)). */
int64_t gri_retry_backoff(int64_t base_ms, int64_t max_ms, int tries, uint64_t random);
/* How long to leave a host alone that said 429 for the n-th time in a row (from 0), by its own Retry-After if there is one. */
int64_t gri_retry_block(const struct gri_retry_policy *policy, int64_t retry_after_ms, int n);

#endif
