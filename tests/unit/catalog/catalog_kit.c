/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of catalog/ share. */
#include "catalog_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

struct gri_sha256 {
    uint64_t state;
};

static struct gri_sha256 *sum_begin(void) {
    struct gri_sha256 *sum = gri_calloc(1, sizeof(*sum));
    sum->state = 0xcbf29ce484222325U;
    return sum;
}

static void sum_add(struct gri_sha256 *sum, struct gri_slice bytes) {
    for (size_t i = 0; i < bytes.len; i++)
        sum->state = (sum->state ^ bytes.data[i]) * 0x100000001b3U;
}

static void sum_end(struct gri_sha256 *sum, char out[GRI_SHA256_HEX]) {
    unsigned long long s = sum->state;
    if (out) assert_true(gri_format(out, GRI_SHA256_HEX, "%016llx%016llx%016llx%016llx", s, s, s, s));
    free(sum);
}

static void sum_hex(struct gri_slice bytes, char out[GRI_SHA256_HEX]) {
    struct gri_sha256 *sum = sum_begin();
    sum_add(sum, bytes);
    sum_end(sum, out);
}

const struct gri_crypto kit_crypto = {
    .sha256_hex = sum_hex, .sha256_begin = sum_begin, .sha256_add = sum_add, .sha256_end = sum_end};

uint64_t kit_random(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15U;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

size_t kit_below(uint64_t *state, size_t below) {
    return (size_t)(kit_random(state) % below);
}

static enum gri_status body_of(const char *rules, const char *ports, struct gri_bytes *body, struct gri_error *error) {
    struct gri_json *rules_json = NULL, *ports_json = NULL;
    char id[GRI_PIPELINE_MAX];
    if (rules) assert_int_equal(gri_json_parse(gri_slice_of(rules), &rules_json, error), GRI_OK);
    if (ports) assert_int_equal(gri_json_parse(gri_slice_of(ports), &ports_json, error), GRI_OK);
    enum gri_status status = gri_ruleset_body(rules_json, ports_json, &kit_crypto, body, id, error);
    gri_json_free(rules_json);
    gri_json_free(ports_json);
    return status;
}

struct gri_ruleset *kit_ruleset(const char *rules, const char *ports) {
    struct gri_ruleset *set = NULL;
    struct gri_error error = {0};
    struct gri_bytes body;
    gri_bytes_init(&body, 0);
    if (body_of(rules, ports, &body, &error) != GRI_OK) fail_msg("rules refused: %s", error.detail);
    if (gri_ruleset_compile(gri_bytes_slice(&body), &set, &error) != GRI_OK) fail_msg("body refused: %s", error.detail);
    gri_bytes_clear(&body);
    return set;
}

void kit_rules_error(const char *rules, const char *ports, struct gri_error *error) {
    struct gri_bytes body;
    gri_bytes_init(&body, 0);
    assert_int_not_equal(body_of(rules, ports, &body, error), GRI_OK);
    gri_bytes_clear(&body);
}
