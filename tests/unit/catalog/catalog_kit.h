/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of catalog/ share: a small hash in place of real crypto, seeded randomness, rules from text. */
#ifndef GRISAILLE_TESTS_CATALOG_KIT_H
#define GRISAILLE_TESTS_CATALOG_KIT_H

#include "rules.h"

/* Sums are 64 hex digits of a 64-bit FNV-1a, four times: enough to tell texts apart. */
extern const struct gri_crypto kit_crypto;

/* splitmix64. */
uint64_t kit_random(uint64_t *state);
/* 0 … below-1. */
size_t kit_below(uint64_t *state, size_t below);

/* The ruleset of these JSON arrays (NULL: shipped rules, no ports); fails the test on an error. */
struct gri_ruleset *kit_ruleset(const char *rules, const char *ports);
/* The error that these rules give; fails the test when they are fine. */
void kit_rules_error(const char *rules, const char *ports, struct gri_error *error);

#endif
