/* SPDX-License-Identifier: Apache-2.0 */
/* Decides by class what becomes of a failed try; nothing else in the worker does. */
#include "retry.h"

/* min(max, base * 2^n) without overflow. */
static int64_t exponential(int64_t base_ms, int64_t max_ms, int n) {
    int64_t value = base_ms;
    for (int i = 0; i < n && value < max_ms; i++)
        value *= 2;
    return value < max_ms ? value : max_ms;
}

/* Uniform in 0 … limit. */
static int64_t uniform(uint64_t random, int64_t limit) {
    return limit <= 0 ? 0 : (int64_t)(random % ((uint64_t)limit + 1));
}

static int64_t at_least(int64_t value, int64_t floor) {
    return value > floor ? value : floor;
}

static int64_t capped_after(const struct gri_retry_policy *policy, int64_t retry_after_ms) {
    return retry_after_ms < policy->max_after_ms ? retry_after_ms : policy->max_after_ms;
}

/* A host that wants to be left alone, or our own budget: never charged. */
static void decide_deferred(const struct gri_retry_policy *policy, const struct gri_attempt *attempt, uint64_t random,
                            struct gri_verdict *verdict) {
    if (attempt->throttled && attempt->limited_ms > policy->max_age_ms) {
        verdict->kind = GRI_VERDICT_DEAD;
        verdict->error.reason = GRI_R_rate_limited;
        verdict->error.status = GRI_PERMANENT;
        return;
    }
    if (!attempt->deferred && attempt->defer_ms < GRI_HOLD_MS && attempt->holds < GRI_HOLD_MAX) {
        verdict->kind = GRI_VERDICT_HOLD;
        return;
    }
    verdict->kind = GRI_VERDICT_WAIT;
    verdict->limited = attempt->throttled;
    int64_t delay = at_least(attempt->defer_ms, attempt->holds >= GRI_HOLD_MAX ? GRI_HOLD_MS : GRI_SETTLE_MS);
    verdict->delay_ms = delay + uniform(random, delay / 10); /* not all of them in the same instant */
}

static void decide_retry(const struct gri_retry_policy *policy, const struct gri_attempt *attempt, uint64_t random,
                         struct gri_verdict *verdict) {
    if (attempt->attempts + 1 >= policy->max_attempts) {
        verdict->kind = GRI_VERDICT_DEAD;
        return;
    }
    verdict->kind = GRI_VERDICT_WAIT;
    verdict->charge = true;
    verdict->delay_ms = uniform(random, exponential(policy->base_ms, policy->max_ms, attempt->attempts));
    verdict->delay_ms = at_least(verdict->delay_ms, capped_after(policy, attempt->retry_after_ms));
    verdict->delay_ms = at_least(verdict->delay_ms, GRI_SETTLE_MS);
}

void gri_retry_decide(const struct gri_retry_policy *policy, const struct gri_error *error, const struct gri_attempt *attempt,
                      uint64_t random, struct gri_verdict *verdict) {
    *verdict = (struct gri_verdict){.kind = GRI_VERDICT_DEAD, .error = *error};
    switch (error->status) {
    case GRI_FATAL:
        verdict->kind = GRI_VERDICT_FATAL;
        return;
    case GRI_PERMANENT:
        verdict->kind = GRI_VERDICT_DEAD;
        return;
    case GRI_RETRY:
        if (attempt->throttled || attempt->deferred)
            decide_deferred(policy, attempt, random, verdict);
        else
            decide_retry(policy, attempt, random, verdict);
        return;
    case GRI_OK:
        break;
    }
    GRI_ASSERT(!"a failure without a class");
}

int64_t gri_retry_backoff(int64_t base_ms, int64_t max_ms, int tries, uint64_t random) {
    int64_t limit = exponential(base_ms, max_ms, tries);
    return base_ms / 2 + uniform(random, limit - base_ms / 2);
}

int64_t gri_retry_block(const struct gri_retry_policy *policy, int64_t retry_after_ms, int n) {
    if (retry_after_ms >= 0) return at_least(capped_after(policy, retry_after_ms), 1000);
    return exponential(policy->base_ms, policy->max_after_ms, n);
}
