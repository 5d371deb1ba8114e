/* SPDX-License-Identifier: Apache-2.0 */
/* Chunks of a catalog: the same whatever the feed's pieces, every line in exactly one, monster lines in constant memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "catalog_kit.h"
#include "intake.h"
#include "lines.h"

/* What a sink saw. */
struct seen {
    struct gri_bytes text;    /* all chunks put together again */
    struct gri_bytes journal; /* one row a line and a chunk, as a reader of the chunks sees them */
    const struct gri_ruleset *rules;
    int64_t chunks, lines, blank;
    size_t largest;
    int64_t fail_at; /* the sink fails at this chunk; -1 never */
};

static enum gri_status see(void *arg, const struct gri_push_chunk *chunk, struct gri_error *error) {
    struct seen *seen = arg;
    if (chunk->number == seen->fail_at) return gri_fail(error, GRI_R_store, "the disk of the test is full");
    assert_int_equal(chunk->number, seen->chunks);
    assert_int_equal(chunk->first_line, seen->lines + 1);
    assert_true(chunk->text.len > 0 && chunk->text.len <= GRI_CHUNK_BYTES);
    assert_true(chunk->lines <= GRI_CHUNK_LINES);
    gri_bytes_put_slice(&seen->text, chunk->text);
    gri_bytes_printf(&seen->journal, "chunk %zu%s\n", chunk->text.len, chunk->continued ? " continued" : "");
    struct gri_lines lines;
    struct gri_slice line;
    int64_t number = 0, before = seen->lines;
    gri_lines_init(&lines, chunk->text, chunk->first_line, chunk->continued);
    while (gri_lines_next(&lines, &number, &line)) {
        struct gri_verdict verdict;
        assert_int_equal(number, ++seen->lines);
        gri_ruleset_judge(seen->rules, line, &verdict);
        if (verdict.kind == GRI_LINE_BLANK) seen->blank++;
        gri_bytes_printf(&seen->journal, "%lld %d %s %s\n", (long long)number, verdict.kind, verdict.url,
                         gri_reason_name(verdict.reason));
    }
    assert_int_equal(seen->lines - before, chunk->lines);
    seen->chunks++;
    if (chunk->text.len > seen->largest) seen->largest = chunk->text.len;
    return GRI_OK;
}

static void seen_init(struct seen *seen, const struct gri_ruleset *rules) {
    *seen = (struct seen){.rules = rules, .fail_at = -1};
    gri_bytes_init(&seen->text, 0);
    gri_bytes_init(&seen->journal, 0);
}

static void seen_clear(struct seen *seen) {
    gri_bytes_clear(&seen->text);
    gri_bytes_clear(&seen->journal);
}

/* Feeds the text in pieces of `first` bytes, then of `then`. */
static void run(struct seen *seen, struct gri_slice text, size_t first, size_t then, struct gri_push_totals *totals) {
    struct gri_error error = {0};
    struct gri_intake *intake = gri_intake_create(&kit_crypto, 0, see, seen);
    for (size_t at = 0, size = first; at < text.len; at += size, size = then) {
        if (size == 0) {
            assert_int_equal(gri_intake_feed(intake, (struct gri_slice){text.data + at, 0}, &error), GRI_OK);
            continue;
        }
        size_t len = size < text.len - at ? size : text.len - at;
        assert_int_equal(gri_intake_feed(intake, (struct gri_slice){text.data + at, len}, &error), GRI_OK);
    }
    assert_int_equal(gri_intake_finish(intake, totals, &error), GRI_OK);
    gri_intake_destroy(intake);
    assert_int_equal(seen->text.len, text.len);
    if (text.len) assert_memory_equal(seen->text.data, text.data, text.len);
    assert_int_equal(totals->bytes, text.len);
    assert_int_equal(totals->lines, seen->lines);
    assert_int_equal(totals->blank, seen->blank);
    assert_int_equal(totals->chunks, seen->chunks);
}

static void same_whatever_the_pieces(const struct gri_ruleset *rules, struct gri_slice text, size_t first, size_t then,
                                     const struct seen *whole, const struct gri_push_totals *expected) {
    struct seen seen;
    struct gri_push_totals totals;
    seen_init(&seen, rules);
    run(&seen, text, first, then, &totals);
    assert_string_equal(gri_bytes_text(&seen.journal), gri_bytes_text(&whole->journal));
    assert_string_equal(totals.sha256, expected->sha256);
    seen_clear(&seen);
}

static void a_small_catalog_is_the_same_at_each_border(void **state) {
    static const char catalog[] = "\xef\xbb\xbf# sample\r\nhttps://picsum.photos/200/300\r\n\r\n\n  \nhttps://picsum.photos/200\n"
                                  "htps://x\n\"https://picsum.photos/1/1\"\n\nhttps://picsum.photos/5001";
    struct gri_slice text = {(const uint8_t *)catalog, sizeof(catalog) - 1};
    struct seen whole;
    struct gri_push_totals totals;
    seen_init(&whole, *state);
    run(&whole, text, text.len, text.len, &totals);
    assert_int_equal(totals.lines, 10);
    assert_int_equal(totals.blank, 5);
    assert_int_equal(totals.chunks, 1);
    char sum[GRI_SHA256_HEX];
    kit_crypto.sha256_hex(text, sum);
    assert_string_equal(totals.sha256, sum);
    for (size_t at = 0; at <= text.len; at++) {
        same_whatever_the_pieces(*state, text, at, text.len, &whole, &totals);
        if (at) same_whatever_the_pieces(*state, text, at, at, &whole, &totals);
    }
    seen_clear(&whole);
}

static void the_end_of_the_last_line_makes_no_line(void **state) {
    static const struct {
        const char *text;
        int64_t lines, blank;
    } cases[] = {{"", 0, 0},      {"\n", 1, 1},   {"a", 1, 0},    {"a\n", 1, 0},
                 {"a\n\n", 2, 1}, {"a\nb", 2, 0}, {"\r\n", 1, 1}, {" ", 1, 1}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct seen seen;
        struct gri_push_totals totals;
        seen_init(&seen, *state);
        run(&seen, gri_slice_of(cases[i].text), 1, 1, &totals);
        assert_int_equal(totals.lines, cases[i].lines);
        assert_int_equal(totals.blank, cases[i].blank);
        seen_clear(&seen);
    }
}

/* A catalog of short lines, blanks, lines about as long as a chunk, and lines of several chunks, by seed. */
static void make_catalog(uint64_t seed, struct gri_bytes *out) {
    static const size_t around[] = {
        GRI_CHUNK_BYTES - 1, GRI_CHUNK_BYTES, GRI_CHUNK_BYTES + 1, 2 * GRI_CHUNK_BYTES, 1000000, 9000, 17000};
    size_t lines = 3 + kit_below(&seed, 3000);
    for (size_t i = 0; i < lines; i++) {
        size_t kind = kit_below(&seed, 600);
        size_t fill = kind < 2 ? around[kit_below(&seed, 7)] - 24 + kit_below(&seed, 5) : 0;
        if (kind > 100) gri_bytes_printf(out, "https://picsum.photos/%zu", kit_below(&seed, 9999));
        char fills[] = {'a', ' ', '#', '\r', '\0'};
        char with = fills[kit_below(&seed, 5)];
        for (size_t j = 0; j < fill; j++)
            gri_bytes_put_slice(out, (struct gri_slice){(const uint8_t *)&with, 1});
        if (i + 1 < lines || kit_below(&seed, 2)) gri_bytes_put(out, "\n");
    }
    assert_false(gri_bytes_failed(out));
}

static int64_t count_lines(struct gri_slice text) {
    int64_t lines = text.len && text.data[text.len - 1] != '\n';
    for (size_t i = 0; i < text.len; i++)
        lines += text.data[i] == '\n';
    return lines;
}

static void seeded_catalogs_lose_and_add_no_line(void **state) {
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct gri_bytes catalog;
        struct seen whole;
        struct gri_push_totals totals;
        gri_bytes_init(&catalog, 0);
        make_catalog(seed, &catalog);
        seen_init(&whole, *state);
        run(&whole, gri_bytes_slice(&catalog), catalog.len, catalog.len, &totals);
        assert_int_equal(totals.lines, count_lines(gri_bytes_slice(&catalog)));
        same_whatever_the_pieces(*state, gri_bytes_slice(&catalog), 1 + seed, 4096 + seed, &whole, &totals);
        same_whatever_the_pieces(*state, gri_bytes_slice(&catalog), GRI_CHUNK_BYTES, GRI_CHUNK_BYTES + 1, &whole, &totals);
        seen_clear(&whole);
        gri_bytes_clear(&catalog);
    }
}

static void each_line_is_judged_as_if_it_stood_alone(void **state) {
    struct gri_bytes catalog;
    struct seen seen;
    struct gri_push_totals totals;
    gri_bytes_init(&catalog, 0);
    make_catalog(77, &catalog);
    seen_init(&seen, *state);
    run(&seen, gri_bytes_slice(&catalog), 1000, 1000, &totals);
    struct gri_lines lines;
    struct gri_slice line;
    int64_t number = 0, blank = 0;
    gri_lines_init(&lines, gri_bytes_slice(&catalog), 1, false);
    while (gri_lines_next(&lines, &number, &line)) {
        struct gri_verdict verdict;
        char row[GRI_URL_MAX + 100];
        gri_ruleset_judge(*state, line, &verdict);
        blank += verdict.kind == GRI_LINE_BLANK;
        assert_true(gri_format(row, sizeof(row), "\n%lld %d %s %s\n", (long long)number, verdict.kind, verdict.url,
                               gri_reason_name(verdict.reason)));
        if (!strstr(gri_bytes_text(&seen.journal), row)) fail_msg("line %lld is another in its chunk:%s", (long long)number, row);
    }
    assert_int_equal(totals.lines, number);
    assert_int_equal(totals.blank, blank);
    seen_clear(&seen);
    gri_bytes_clear(&catalog);
}

static void a_line_of_megabytes_is_one_line(void **state) {
    size_t size = 3 * 1024 * 1024;
    uint8_t *text = gri_alloc(size + 60);
    static const char after[] = "\nhttps://picsum.photos/7\n";
    memset(text, 'x', size);
    memcpy(text, "https://picsum.photos/", 22);
    memcpy(text + size, after, sizeof(after));
    struct seen seen;
    struct gri_push_totals totals;
    seen_init(&seen, *state);
    run(&seen, (struct gri_slice){text, size + sizeof(after) - 1}, 65536, 65536, &totals);
    assert_int_equal(totals.lines, 2);
    assert_int_equal(totals.blank, 0);
    assert_int_equal(totals.chunks, 13);
    assert_non_null(strstr(gri_bytes_text(&seen.journal), "chunk 262144\n1 2  too_long\nchunk 262144 continued\n"));
    assert_non_null(strstr(gri_bytes_text(&seen.journal), "chunk 25 continued\n2 1 https://picsum.photos/7 none\n"));
    seen_clear(&seen);
    free(text);
}

static void chunks_end_at_their_number_of_lines(void **state) {
    struct gri_bytes catalog;
    struct seen seen;
    struct gri_push_totals totals;
    gri_bytes_init(&catalog, 0);
    for (int i = 0; i < 2 * GRI_CHUNK_LINES; i++)
        gri_bytes_put(&catalog, "a\n");
    seen_init(&seen, *state);
    run(&seen, gri_bytes_slice(&catalog), 100000, 100000, &totals);
    assert_int_equal(totals.chunks, 2);
    assert_int_equal(totals.lines, 2 * GRI_CHUNK_LINES);
    seen_clear(&seen);
    gri_bytes_clear(&catalog);
}

static void a_failing_sink_ends_the_intake(void **state) {
    struct seen seen;
    struct gri_error error = {0};
    struct gri_push_totals totals;
    seen_init(&seen, *state);
    seen.fail_at = 0;
    struct gri_intake *intake = gri_intake_create(&kit_crypto, 0, see, &seen);
    assert_int_equal(gri_intake_feed(intake, gri_slice_of("a\nb\n"), &error), GRI_OK);
    assert_int_equal(gri_intake_finish(intake, &totals, &error), GRI_RETRY);
    assert_int_equal(error.reason, GRI_R_store);
    memset(&error, 0, sizeof(error));
    assert_int_equal(gri_intake_feed(intake, gri_slice_of("c\n"), &error), GRI_RETRY);
    assert_string_equal(error.detail, "the disk of the test is full");
    gri_intake_destroy(intake);
    seen_clear(&seen);
}

static void a_catalog_over_its_maximum_is_refused(void **state) {
    struct seen seen;
    struct gri_error error = {0};
    struct gri_push_totals totals;
    seen_init(&seen, *state);
    struct gri_intake *intake = gri_intake_create(&kit_crypto, 4, see, &seen);
    assert_int_equal(gri_intake_feed(intake, gri_slice_of("abc\n"), &error), GRI_OK);
    assert_int_equal(gri_intake_feed(intake, gri_slice_of("d"), &error), GRI_PERMANENT);
    assert_int_equal(error.reason, GRI_R_body_too_large);
    assert_int_equal(gri_intake_finish(intake, &totals, &error), GRI_PERMANENT);
    assert_int_equal(seen.chunks, 0);
    gri_intake_destroy(intake);
    seen_clear(&seen);
}

static int setup(void **state) {
    *state = kit_ruleset(NULL, NULL);
    return 0;
}

static int teardown(void **state) {
    gri_ruleset_free(*state);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_small_catalog_is_the_same_at_each_border),
        cmocka_unit_test(the_end_of_the_last_line_makes_no_line),
        cmocka_unit_test(seeded_catalogs_lose_and_add_no_line),
        cmocka_unit_test(each_line_is_judged_as_if_it_stood_alone),
        cmocka_unit_test(a_line_of_megabytes_is_one_line),
        cmocka_unit_test(chunks_end_at_their_number_of_lines),
        cmocka_unit_test(a_failing_sink_ends_the_intake),
        cmocka_unit_test(a_catalog_over_its_maximum_is_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
