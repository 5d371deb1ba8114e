/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer: rules as JSON, then a NUL, then catalog lines that they judge. What is accepted compiles, and its canonical form is
 * its own canonical form.
 *
 * Parser: catalog/rules*.c */
#include "fuzz_kit.h"

#include "crypto.h"
#include "lines.h"
#include "rules.h"

static void judge_all(const struct gri_ruleset *rules, struct gri_slice text) {
    struct gri_verdict *verdict = gri_alloc(sizeof *verdict);
    struct gri_host_limit limit;
    struct gri_lines lines;
    struct gri_slice line;
    int64_t number;
    gri_lines_init(&lines, text, 1, false);
    while (gri_lines_next(&lines, &number, &line)) {
        gri_ruleset_judge(rules, line, verdict);
        FUZZ_CHECK((verdict->kind == GRI_LINE_BAD) == (verdict->reason != GRI_R_none));
        FUZZ_CHECK((verdict->kind == GRI_LINE_URL) == (verdict->url[0] != '\0'));
        if (verdict->kind != GRI_LINE_URL) continue;
        gri_ruleset_limit(rules, verdict->host, &limit);
        FUZZ_CHECK(limit.concurrency >= 0 && limit.per_second >= 0);
    }
    free(verdict);
}

static void compile(const struct gri_crypto *crypto, const struct gri_json *json, struct gri_slice text) {
    struct gri_bytes body, again;
    char id[GRI_PIPELINE_MAX], id_again[GRI_PIPELINE_MAX];
    struct gri_error error;
    gri_bytes_init(&body, 0);
    gri_bytes_init(&again, 0);
    enum gri_status status = gri_ruleset_body(json, NULL, crypto, &body, id, &error);
    fuzz_check_error(status, &error);
    if (status == GRI_OK) {
        struct gri_ruleset *rules = NULL;
        struct gri_json *parsed = NULL;
        FUZZ_CHECK(gri_ruleset_compile(gri_bytes_slice(&body), &rules, &error) == GRI_OK);
        judge_all(rules, text);
        gri_ruleset_free(rules);
        FUZZ_CHECK(gri_json_parse(gri_bytes_slice(&body), &parsed, &error) == GRI_OK);
        FUZZ_CHECK(gri_ruleset_body(gri_json_get(parsed, "rules"), gri_json_get(parsed, "allow_ports"), crypto, &again, id_again,
                                    &error) == GRI_OK);
        FUZZ_CHECK(gri_slice_equal(gri_bytes_slice(&body), gri_bytes_slice(&again)) && strcmp(id, id_again) == 0);
        gri_json_free(parsed);
    }
    gri_bytes_clear(&body);
    gri_bytes_clear(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct gri_slice rest = {data, size};
    struct gri_json *json = NULL;
    struct gri_ruleset *rules = NULL;
    struct gri_error error;
    const struct gri_crypto *crypto = gri_crypto_create(&error);
    struct gri_slice text = fuzz_cut(&rest, '\0');
    /* As a stored definition would be read: it need not be one of ours. */
    enum gri_status status = gri_ruleset_compile(text, &rules, &error);
    fuzz_check_error(status, &error);
    if (status == GRI_OK) judge_all(rules, rest);
    gri_ruleset_free(rules);
    status = gri_json_parse(text, &json, &error);
    fuzz_check_error(status, &error);
    if (status == GRI_OK) compile(crypto, json, rest);
    gri_json_free(json);
    return 0;
}
