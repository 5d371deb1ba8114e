/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer: a path, NUL, any bytes as a robots.txt. What is disallowed is so by a rule; a text without the agent's groups says
 * the same to every agent; /robots.txt is always allowed.
 *
 * Parser: workers/robots_rules.c */
#include "fuzz_kit.h"

#include "robots_rules.h"

static bool ask(struct gri_slice text, const char *agent, const char *path) {
    struct gri_robots_rules *rules = gri_robots_rules_parse(text, agent);
    const char *rule = NULL;
    bool allowed = gri_robots_rules_allow(rules, path, &rule);
    FUZZ_CHECK(allowed || (rule && strncmp(rule, "Disallow: ", 10) == 0));
    FUZZ_CHECK(gri_robots_rules_allow(rules, "/robots.txt", &rule) && !rule);
    int64_t delay_ms = gri_robots_rules_delay_ms(rules);
    FUZZ_CHECK(delay_ms >= 0 && delay_ms <= 3600000);
    FUZZ_CHECK(gri_robots_rules_size(rules) < 64 * text.len + 256);
    gri_robots_rules_free(rules);
    return allowed;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct gri_slice rest = {data, size};
    struct gri_slice first = fuzz_cut(&rest, '\0');
    char *path = gri_strndup(first.len ? (const char *)first.data : "/", first.len ? first.len : 1);
    (void)ask(rest, "grisaille", path);
    /* Names that the text can't have: libFuzzer learns what texts are compared with. */
    char one[24], other[24];
    unsigned long long sum = (unsigned long long)gri_hash(GRI_HASH_START, data, size);
    FUZZ_CHECK(gri_format(one, sizeof one, "n%016llxa", sum) && gri_format(other, sizeof other, "n%016llxb", sum));
    FUZZ_CHECK(ask(rest, one, path) == ask(rest, other, path));
    free(path);
    return 0;
}
