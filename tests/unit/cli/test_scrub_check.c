/* SPDX-License-Identifier: Apache-2.0 */
/* What the scrub does with one image, over a store that lies, heals, or does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crypto.h"
#include "scrub_check.h"

struct bench {
    struct gri_archive archive;
    struct gri_archive_ops ops;
    const struct gri_crypto *crypto;
    struct gri_image stored; /* what lies there */
    bool marked, removed, missing;
    int misreads; /* how many of the next readings come with a wrong picture */
    int reads, marks, unmarks, replaces, links;
    enum gri_image_sum marked_stage;
    bool marked_fields_sound;
    bool replace_is_lost, remake_fails;
};

static struct bench *bench_of(struct gri_archive *archive) {
    return gri_container_of(archive, struct bench, archive);
}

static void copy_image(struct gri_image *to, const struct gri_image *from) {
    struct gri_error error;
    *to = *from;
    to->source.url = gri_strdup(from->source.url);
    to->source.final_url = gri_strdup(from->source.final_url);
    gri_bytes_init(&to->data, 0);
    assert_int_equal(gri_bytes_append(&to->data, from->data.data, from->data.len, &error), GRI_OK);
}

static void make_image(const struct gri_crypto *crypto, struct gri_image *image) {
    struct gri_bytes output;
    struct gri_error error;
    *image = (struct gri_image){.width = 3, .height = 4, .inserted_at_ms = 5};
    image->source.url = gri_strdup("https://a.test/1");
    image->source.final_url = gri_strdup("https://a.test/2");
    crypto->sha256_hex(gri_slice_of("the source"), image->sums.source);
    gri_copy(image->pipeline, sizeof image->pipeline, "gray@0123456789ab");
    gri_copy(image->job, sizeof image->job, "some job");
    gri_image_set_id(image);
    gri_bytes_init(&output, 0);
    gri_bytes_put(&output, "the picture");
    assert_int_equal(gri_image_encode(crypto, image, &output, &error), GRI_OK);
    gri_bytes_clear(&output);
    gri_image_seal(crypto, image);
}

static enum gri_status read_one(struct gri_archive *archive, const char *id, struct gri_scrub_document *out,
                                struct gri_error *error) {
    struct bench *bench = bench_of(archive);
    (void)id, (void)error;
    bench->reads++;
    *out = (struct gri_scrub_document){.found = !bench->missing, .removed = bench->removed, .marked = bench->marked};
    if (bench->missing) return GRI_OK;
    copy_image(&out->image, &bench->stored);
    if (bench->misreads > 0) {
        bench->misreads--;
        out->image.data.data[0] ^= 1;
    }
    return GRI_OK;
}

static enum gri_status mark(struct gri_archive *archive, const struct gri_scrub_finding *finding, struct gri_error *error) {
    struct bench *bench = bench_of(archive);
    (void)error;
    assert_true(finding->detail[0] != '\0');
    assert_string_equal(finding->by, "cli:tester");
    bench->marks++;
    bench->marked = true;
    bench->marked_stage = finding->check->stage;
    bench->marked_fields_sound = finding->check->fields_sound;
    return GRI_OK;
}

static enum gri_status unmark(struct gri_archive *archive, const char *id, struct gri_error *error) {
    (void)id, (void)error;
    bench_of(archive)->unmarks++;
    bench_of(archive)->marked = false;
    return GRI_OK;
}

static enum gri_status replace(struct gri_archive *archive, const struct gri_image *image, const char *by, bool *replaced,
                               struct gri_error *error) {
    struct bench *bench = bench_of(archive);
    (void)error;
    assert_string_equal(by, "cli:tester");
    bench->replaces++;
    *replaced = true;
    if (bench->replace_is_lost) return GRI_OK;
    gri_image_clear(&bench->stored);
    copy_image(&bench->stored, image);
    bench->marked = false;
    return GRI_OK;
}

static enum gri_status link_image(struct gri_archive *archive, const struct gri_image *image, enum gri_scrub_link *out,
                                  struct gri_error *error) {
    (void)image, (void)error;
    bench_of(archive)->links++;
    *out = GRI_LINKED;
    return GRI_OK;
}

static const struct gri_scrub_ops scrub_ops = {
    .read = read_one, .mark = mark, .unmark = unmark, .replace = replace, .link = link_image};

static enum gri_status remake(void *arg, const struct gri_image *damaged, bool fields_sound, struct gri_image *image,
                              struct gri_error *error) {
    struct bench *bench = arg;
    (void)damaged, (void)fields_sound;
    if (bench->remake_fails) return gri_fail(error, GRI_R_http_4xx, "it is gone");
    make_image(bench->crypto, image);
    return GRI_OK;
}

static void begin(struct bench *bench) {
    struct gri_error error;
    *bench = (struct bench){.ops = {.scrub = &scrub_ops}};
    bench->archive.ops = &bench->ops;
    bench->crypto = gri_crypto_create(&error);
    assert_non_null(bench->crypto);
    make_image(bench->crypto, &bench->stored);
}

static void check(struct bench *bench, bool repair, struct gri_scrub_outcome *outcome) {
    struct gri_scrub_checker checker = {
        .by = "cli:tester", .archive = &bench->archive, .crypto = bench->crypto, .remake = repair ? remake : NULL, .arg = bench};
    struct gri_error error;
    assert_int_equal(gri_scrub_check(&checker, bench->stored.id, outcome, &error), GRI_OK);
}

static void a_sound_image_is_left_alone(void **state) {
    (void)state;
    struct bench bench;
    struct gri_scrub_outcome outcome;
    begin(&bench);
    check(&bench, true, &outcome);
    assert_int_equal(outcome.stage, GRI_SUM_SOUND);
    assert_int_equal(bench.reads, 1);
    assert_int_equal(bench.marks + bench.unmarks + bench.replaces, 0);
    assert_int_equal(bench.links, 1);
    gri_image_clear(&bench.stored);
}

static void what_one_reading_alone_shows_is_no_damage(void **state) {
    (void)state;
    struct bench bench;
    struct gri_scrub_outcome outcome;
    begin(&bench);
    bench.misreads = 1;
    check(&bench, true, &outcome);
    assert_int_equal(outcome.stage, GRI_SUM_SOUND);
    assert_int_equal(bench.reads, 2);
    assert_int_equal(bench.marks, 0);
    gri_image_clear(&bench.stored);
}

static void each_kind_of_damage_has_its_stage(void **state) {
    (void)state;
    for (int i = 0; i < 7; i++) {
        static const enum gri_image_sum stages[] = {GRI_SUM_BASE64,   GRI_SUM_BASE64,   GRI_SUM_OUTPUT,  GRI_SUM_SOURCE,
                                                    GRI_SUM_DOCUMENT, GRI_SUM_DOCUMENT, GRI_SUM_DOCUMENT};
        struct bench bench;
        struct gri_scrub_outcome outcome;
        begin(&bench);
        if (i == 0) bench.stored.data.data[3] ^= 1;
        if (i == 1) bench.stored.sums.base64[0] ^= 1;
        if (i == 2) bench.stored.sums.output[0] ^= 1;
        if (i == 3) bench.stored.sums.source[0] ^= 1;
        if (i == 4) bench.stored.sums.document[0] ^= 1;
        if (i == 5) bench.stored.width ^= 1;
        if (i == 6) {
            gri_copy(bench.stored.pipeline, sizeof bench.stored.pipeline, "other@0123456789ab");
            gri_image_seal(bench.crypto, &bench.stored); /* even where the sum was made to fit */
        }
        check(&bench, false, &outcome);
        assert_int_equal(outcome.stage, stages[i]);
        assert_int_equal(bench.marked_stage, stages[i]);
        assert_int_equal(bench.marked_fields_sound, i == 0);
        assert_int_equal(bench.links, i == 0 ? 1 : 0); /* the job of damaged fields is not relied on */
        assert_false(outcome.healed);
        gri_image_clear(&bench.stored);
    }
}

static void a_picture_made_anew_is_read_back_before_it_counts(void **state) {
    (void)state;
    struct bench bench;
    struct gri_scrub_outcome outcome;
    begin(&bench);
    bench.stored.data.data[3] ^= 1;
    bench.replace_is_lost = true;
    check(&bench, true, &outcome);
    assert_false(outcome.healed);
    assert_true(bench.marked);
    bench.replace_is_lost = false;
    check(&bench, true, &outcome);
    assert_true(outcome.healed);
    assert_false(bench.marked);
    check(&bench, true, &outcome);
    assert_int_equal(outcome.stage, GRI_SUM_SOUND);
    gri_image_clear(&bench.stored);
}

static void what_cannot_be_made_anew_stays_marked_and_says_why(void **state) {
    (void)state;
    struct bench bench;
    struct gri_scrub_outcome outcome;
    begin(&bench);
    bench.stored.data.data[3] ^= 1;
    bench.remake_fails = true;
    check(&bench, true, &outcome);
    assert_false(outcome.healed);
    assert_true(bench.marked);
    assert_int_equal(bench.replaces, 0);
    assert_non_null(strstr(outcome.detail, "it is gone"));
    gri_image_clear(&bench.stored);
}

static void a_mark_on_a_sound_image_goes(void **state) {
    (void)state;
    struct bench bench;
    struct gri_scrub_outcome outcome;
    begin(&bench);
    bench.marked = true;
    check(&bench, false, &outcome);
    assert_true(outcome.healed);
    assert_int_equal(bench.unmarks, 1);
    gri_image_clear(&bench.stored);
}

static void what_was_taken_down_or_is_gone_is_not_judged(void **state) {
    (void)state;
    struct bench bench;
    struct gri_scrub_outcome outcome;
    begin(&bench);
    bench.stored.data.data[3] ^= 1;
    bench.removed = true;
    check(&bench, true, &outcome);
    assert_true(outcome.removed);
    bench.missing = true;
    check(&bench, true, &outcome);
    assert_true(outcome.gone);
    assert_int_equal(bench.marks + bench.replaces + bench.links, 0);
    gri_image_clear(&bench.stored);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sound_image_is_left_alone),
        cmocka_unit_test(what_one_reading_alone_shows_is_no_damage),
        cmocka_unit_test(each_kind_of_damage_has_its_stage),
        cmocka_unit_test(a_picture_made_anew_is_read_back_before_it_counts),
        cmocka_unit_test(what_cannot_be_made_anew_stays_marked_and_says_why),
        cmocka_unit_test(a_mark_on_a_sound_image_goes),
        cmocka_unit_test(what_was_taken_down_or_is_gone_is_not_judged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
