/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs, hosts, image ids and the text behind sums.document. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <grisaille/codec.h>
#include <grisaille/fetcher.h>
#include <grisaille/ledger.h>
#include <string.h>

static void check_host(const char *url, const char *expected) {
    char host[GRI_HOST_MAX];
    gri_url_host(url, host);
    assert_string_equal(host, expected);
}

static void the_host_of_a_url_is_found(void **state) {
    (void)state;
    check_host("https://picsum.photos/200/300", "picsum.photos");
    check_host("http://Picsum.Photos:8080?x", "picsum.photos");
    check_host("http://user:p@h.example/", "h.example");
    check_host("http://[2606:4700::1]:80/x", "[2606:4700::1]");
    check_host("http://h#frag@not", "h");
    check_host("picsum.photos/200", "");
    check_host("http:///x", "");
}

static void the_name_of_a_pipeline_is_what_stands_before_the_at(void **state) {
    (void)state;
    char name[GRI_NAME_MAX];
    gri_pipeline_name("gray@0123456789ab", name);
    assert_string_equal(name, "gray");
    gri_pipeline_name("gray", name);
    assert_string_equal(name, "gray");
}

static void a_copied_job_owns_its_url(void **state) {
    (void)state;
    struct gri_job job = {.run = 3, .url = gri_strdup("https://a/")}, copy;
    gri_copy(job.key, sizeof job.key, "k:gray");
    gri_job_copy(&copy, &job);
    gri_job_clear(&job);
    assert_null(job.url);
    assert_string_equal(copy.url, "https://a/");
    assert_int_equal(copy.run, 3);
    assert_string_equal(copy.key, "k:gray");
    gri_job_clear(&copy);
    gri_job_clear(&copy);
}

static void lists_of_entries_are_freed_with_all_in_them(void **state) {
    (void)state;
    struct gri_url_entry *urls = gri_calloc(2, sizeof *urls);
    urls[1].url = gri_strdup("x");
    gri_url_entries_free(urls, 2);
    struct gri_job_entry *jobs = gri_calloc(1, sizeof *jobs);
    jobs[0].job.url = gri_strdup("x");
    gri_job_entries_free(jobs, 1);
    struct gri_feed_catalog *catalogs = gri_calloc(1, sizeof *catalogs);
    catalogs[0].next = gri_calloc(1, sizeof *catalogs[0].next);
    gri_feed_catalogs_free(catalogs, 1);
    struct gri_due *due = gri_calloc(1, sizeof *due);
    due[0].job.url = gri_strdup("x");
    gri_due_free(due, 1);
    gri_url_entries_free(NULL, 0);
    gri_job_entries_free(NULL, 0);
    gri_feed_catalogs_free(NULL, 0);
    gri_due_free(NULL, 0);
}

static void a_fetch_begins_empty_and_keeps_its_callback(void **state) {
    (void)state;
    struct gri_fetch fetch;
    memset(&fetch, 0x5a, sizeof fetch);
    gri_fetch_init(&fetch, "https://a/");
    assert_string_equal(fetch.url, "https://a/");
    assert_int_equal(fetch.retry_after_ms, -1);
    assert_int_equal(fetch.http_status, 0);
    assert_null(fetch.final_url);
    gri_bytes_put(&fetch.body, "x");
    fetch.final_url = gri_strdup("y");
    gri_fetch_clear(&fetch);
    gri_fetch_clear(&fetch);
    struct gri_picture picture = {.width = 1};
    gri_bytes_put(&picture.output, "x");
    gri_picture_clear(&picture);
    gri_picture_clear(NULL);
}

static struct gri_image sample(void) {
    struct gri_image image = {.width = 200, .height = 300, .bytes = 9, .fetched_at_ms = 1, .inserted_at_ms = 2};
    memset(image.sums.source, 'a', 64);
    gri_copy(image.pipeline, sizeof image.pipeline, "gray@0123456789ab");
    image.source.url = gri_strdup("https://a/");
    return image;
}

static void an_image_id_names_source_pipeline_and_output(void **state) {
    (void)state;
    struct gri_image image = sample();
    gri_image_set_id(&image);
    assert_int_equal(strspn(image.id, "a"), 64);
    assert_string_equal(image.id + 64, ":gray@0123456789ab");
    gri_copy(image.output, sizeof image.output, "small");
    gri_image_set_id(&image);
    assert_string_equal(image.id + 64, ":gray@0123456789ab/small");
    gri_image_clear(&image);
    gri_image_clear(&image);
}

static void document_text(const struct gri_image *image, struct gri_bytes *out) {
    gri_bytes_reset(out);
    gri_image_document_text(image, out);
    assert_false(gri_bytes_failed(out));
}

static void the_document_text_changes_with_each_field_but_data(void **state) {
    (void)state;
    struct gri_bytes before, after;
    gri_bytes_init(&before, 0);
    gri_bytes_init(&after, 0);
    struct gri_image image = sample();
    document_text(&image, &before);
    gri_bytes_put(&image.data, "zzzz");
    gri_copy(image.sums.document, sizeof image.sums.document, "ffff");
    document_text(&image, &after);
    assert_string_equal(gri_bytes_text(&before), gri_bytes_text(&after));
    char *texts[] = {image.id,
                     image.job,
                     image.pipeline,
                     image.output,
                     image.content_type,
                     image.source.host,
                     image.source.content_type,
                     image.source.etag,
                     image.source.last_modified,
                     image.source.provider_id,
                     image.sums.source,
                     image.sums.output,
                     image.sums.base64,
                     image.made_by,
                     image.note};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        texts[i][0]++;
        document_text(&image, &after);
        assert_string_not_equal(gri_bytes_text(&before), gri_bytes_text(&after));
        texts[i][0]--;
    }
    int64_t *numbers[] = {&image.bytes, &image.source.bytes, &image.fetched_at_ms, &image.inserted_at_ms};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        ++*numbers[i];
        document_text(&image, &after);
        assert_string_not_equal(gri_bytes_text(&before), gri_bytes_text(&after));
        --*numbers[i];
    }
    gri_image_clear(&image);
    gri_bytes_clear(&before);
    gri_bytes_clear(&after);
}

static void a_newline_in_a_value_makes_no_new_field(void **state) {
    (void)state;
    struct gri_bytes out;
    gri_bytes_init(&out, 0);
    struct gri_image image = sample();
    gri_copy(image.source.etag, sizeof image.source.etag, "x\nsource.last_modified=y\\");
    document_text(&image, &out);
    assert_non_null(strstr(gri_bytes_text(&out), "source.etag=x\\nsource.last_modified=y\\\\\n"));
    gri_image_clear(&image);
    gri_bytes_clear(&out);
}

static void states_have_names(void **state) {
    (void)state;
    assert_string_equal(gri_url_state_name(GRI_URL_QUEUED), "queued");
    assert_string_equal(gri_url_state_name(GRI_URL_DEAD), "dead");
    assert_string_equal(gri_catalog_state_name(GRI_CATALOG_RUNNING), "running");
    assert_string_equal(gri_catalog_state_name(GRI_CATALOG_DELETING), "deleting");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_host_of_a_url_is_found),
        cmocka_unit_test(the_name_of_a_pipeline_is_what_stands_before_the_at),
        cmocka_unit_test(a_copied_job_owns_its_url),
        cmocka_unit_test(lists_of_entries_are_freed_with_all_in_them),
        cmocka_unit_test(a_fetch_begins_empty_and_keeps_its_callback),
        cmocka_unit_test(an_image_id_names_source_pipeline_and_output),
        cmocka_unit_test(the_document_text_changes_with_each_field_but_data),
        cmocka_unit_test(a_newline_in_a_value_makes_no_new_field),
        cmocka_unit_test(states_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
