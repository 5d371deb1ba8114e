/* SPDX-License-Identifier: Apache-2.0 */
/* The one place that decides by class. */
#include "retry.h"
#include "worker_test.h"

static const struct gri_retry_policy policy = {
    .max_attempts = 8, .base_ms = 5000, .max_ms = 3600000, .max_after_ms = 3600000, .max_age_ms = 86400000};

static struct gri_verdict decide(enum gri_reason reason, struct gri_attempt attempt, uint64_t random) {
    struct gri_error error = {0};
    struct gri_verdict verdict;
    gri_fail(&error, reason, "x");
    gri_retry_decide(&policy, &error, &attempt, random, &verdict);
    return verdict;
}

static void the_wait_is_full_jitter_under_a_doubling_limit(void **state) {
    (void)state;
    int64_t limit = 5000;
    for (int n = 0; n < 7; n++, limit *= 2) {
        struct gri_attempt attempt = {.retry_after_ms = -1, .attempts = n};
        int64_t most = 0, least = INT64_MAX;
        for (uint64_t i = 0; i < 2000; i++) {
            struct gri_verdict verdict = decide(GRI_R_timeout, attempt, i * 2654435761u);
            assert_int_equal(verdict.kind, GRI_VERDICT_WAIT);
            assert_true(verdict.charge && !verdict.limited);
            if (verdict.delay_ms > most) most = verdict.delay_ms;
            if (verdict.delay_ms < least) least = verdict.delay_ms;
        }
        assert_in_range(most, limit * 9 / 10, limit);
        assert_in_range(least, GRI_SETTLE_MS, limit / 10);
    }
}

static void the_limit_never_passes_its_maximum(void **state) {
    (void)state;
    struct gri_retry_policy many = policy;
    struct gri_error error = {0};
    struct gri_verdict verdict;
    many.max_attempts = 1000;
    gri_fail(&error, GRI_R_dns, "x");
    gri_retry_decide(&many, &error, &(struct gri_attempt){.retry_after_ms = -1, .attempts = 900}, 3600000, &verdict);
    assert_int_equal(verdict.delay_ms, 3600000);
}

static void a_retry_after_is_kept_and_capped(void **state) {
    (void)state;
    struct gri_verdict verdict = decide(GRI_R_http_5xx, (struct gri_attempt){.retry_after_ms = 60000}, 0);
    assert_int_equal(verdict.delay_ms, 60000);
    verdict = decide(GRI_R_http_5xx, (struct gri_attempt){.retry_after_ms = 99999999}, 0);
    assert_int_equal(verdict.delay_ms, 3600000);
    assert_true(verdict.charge);
}

static void the_last_attempt_is_the_last(void **state) {
    (void)state;
    assert_int_equal(decide(GRI_R_dns, (struct gri_attempt){.retry_after_ms = -1, .attempts = 6}, 1).kind, GRI_VERDICT_WAIT);
    struct gri_verdict verdict = decide(GRI_R_dns, (struct gri_attempt){.retry_after_ms = -1, .attempts = 7}, 1);
    assert_int_equal(verdict.kind, GRI_VERDICT_DEAD);
    assert_int_equal(verdict.error.reason, GRI_R_dns);
}

static void classes_decide(void **state) {
    (void)state;
    struct gri_attempt attempt = {.retry_after_ms = -1};
    assert_int_equal(decide(GRI_R_not_image, attempt, 1).kind, GRI_VERDICT_DEAD);
    assert_int_equal(decide(GRI_R_config, attempt, 1).kind, GRI_VERDICT_FATAL);
    assert_int_equal(decide(GRI_R_connect, attempt, 1).kind, GRI_VERDICT_WAIT);
}

static void a_throttled_job_is_never_charged(void **state) {
    (void)state;
    struct gri_attempt attempt = {.retry_after_ms = 1000, .throttled = true, .defer_ms = 1000, .attempts = 7};
    assert_int_equal(decide(GRI_R_rate_limited, attempt, 1).kind, GRI_VERDICT_HOLD);
    attempt.defer_ms = 5000;
    struct gri_verdict verdict = decide(GRI_R_rate_limited, attempt, 1);
    assert_int_equal(verdict.kind, GRI_VERDICT_WAIT);
    assert_true(verdict.limited && !verdict.charge);
    assert_in_range(verdict.delay_ms, 5000, 5500);
    attempt.defer_ms = 1000;
    attempt.holds = GRI_HOLD_MAX;
    verdict = decide(GRI_R_rate_limited, attempt, 1);
    assert_int_equal(verdict.kind, GRI_VERDICT_WAIT);
    assert_true(verdict.delay_ms >= GRI_HOLD_MS);
}

static void a_job_throttled_for_a_day_is_dead_but_our_own_budget_never_kills(void **state) {
    (void)state;
    struct gri_attempt attempt = {.retry_after_ms = -1, .throttled = true, .defer_ms = 9000, .limited_ms = policy.max_age_ms + 1};
    struct gri_verdict verdict = decide(GRI_R_http_5xx, attempt, 1);
    assert_int_equal(verdict.kind, GRI_VERDICT_DEAD);
    assert_int_equal(verdict.error.reason, GRI_R_rate_limited);
    attempt.throttled = false;
    attempt.deferred = true;
    verdict = decide(GRI_R_rate_limited, attempt, 1);
    assert_int_equal(verdict.kind, GRI_VERDICT_WAIT);
    assert_false(verdict.limited);
}

static void blocks_follow_the_host_or_double(void **state) {
    (void)state;
    assert_int_equal(gri_retry_block(&policy, 7000, 5), 7000);
    assert_int_equal(gri_retry_block(&policy, 0, 0), 1000);
    assert_int_equal(gri_retry_block(&policy, 99999999, 0), 3600000);
    assert_int_equal(gri_retry_block(&policy, -1, 0), 5000);
    assert_int_equal(gri_retry_block(&policy, -1, 2), 20000);
    assert_int_equal(gri_retry_block(&policy, -1, 30), 3600000);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_wait_is_full_jitter_under_a_doubling_limit),
                                       cmocka_unit_test(the_limit_never_passes_its_maximum),
                                       cmocka_unit_test(a_retry_after_is_kept_and_capped),
                                       cmocka_unit_test(the_last_attempt_is_the_last),
                                       cmocka_unit_test(classes_decide),
                                       cmocka_unit_test(a_throttled_job_is_never_charged),
                                       cmocka_unit_test(a_job_throttled_for_a_day_is_dead_but_our_own_budget_never_kills),
                                       cmocka_unit_test(blocks_follow_the_host_or_double)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
