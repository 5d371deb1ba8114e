/* SPDX-License-Identifier: Apache-2.0 */
/* The shared steps. */
#include "mongo_steps.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct mongo_world world;

int run_on_mongod(int (*tests)(void)) {
    if (!mongo_world_start(&world)) {
        fputs("no mongod: set GRISAILLE_MONGOD\n", stderr);
        return 77;
    }
    int failures = tests();
    mongo_world_stop(&world);
    return failures;
}

struct admission *admission_of(const char *catalog, unsigned from, size_t count) {
    struct admission *admission = gri_calloc(1, sizeof *admission);
    admission->request = (struct gri_ledger_admit){
        .catalog = catalog, .urls = admission->urls, .count = count, .results = admission->results, .runs = admission->runs};
    for (size_t i = 0; i < count; i++) {
        struct gri_admit *url = &admission->urls[i];
        mongo_world_key(url->job.key, from + (unsigned)i);
        assert_true(gri_format(admission->texts[i], sizeof admission->texts[i], "https://host%u.test/%u",
                               (from + (unsigned)i) % 3, from + (unsigned)i));
        assert_true(gri_copy(url->job.pipeline, sizeof url->job.pipeline, PIPELINE));
        assert_true(gri_format(url->host, sizeof url->host, "host%u.test", (from + (unsigned)i) % 3));
        url->job.url = admission->texts[i];
        url->job.run = 1;
        url->line = from + (unsigned)i + 1;
    }
    return admission;
}

void admit(const char *catalog, unsigned from, size_t count) {
    struct admission *admission = admission_of(catalog, from, count);
    assert_int_equal(MONGO_RUN(&world, ledger, admit, &admission->request), GRI_OK);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(admission->results[i], GRI_ADMITTED);
    free(admission);
}

bson_t *record(unsigned number) {
    char key[GRI_KEY_MAX], filter[128];
    mongo_world_key(key, number);
    assert_true(gri_format(filter, sizeof filter, "{\"_id\":\"%s\"}", key));
    return mongo_world_find(&world, "urls", filter);
}

void update_record(unsigned number, const char *change) {
    char key[GRI_KEY_MAX], filter[128];
    mongo_world_key(key, number);
    assert_true(gri_format(filter, sizeof filter, "{\"_id\":\"%s\"}", key));
    mongo_world_update(&world, "urls", filter, change);
}

int fresh(void **state) {
    (void)state;
    mongo_world_fresh(&world);
    return 0;
}

struct gri_finish finish_of(enum gri_finish_kind kind, unsigned number, int64_t run) {
    struct gri_finish item = {.kind = kind, .run = run};
    mongo_world_key(item.key, number);
    assert_true(gri_copy(item.pipeline, sizeof item.pipeline, PIPELINE));
    assert_true(gri_format(item.image, sizeof item.image, "%064x:" PIPELINE, number + 1000));
    if (kind != GRI_FINISH_DONE) (void)!gri_fail(&item.error, GRI_R_http_5xx, "$detail of %u", number);
    return item;
}

void finish(struct gri_finish *items, size_t count) {
    struct gri_ledger_finish request = {.items = items, .count = count};
    assert_int_equal(MONGO_RUN(&world, ledger, finish, &request), GRI_OK);
}

void push_chunks(struct gri_archive_push *push, int chunks) {
    for (int i = 0; i < chunks; i++) {
        char text[64];
        assert_true(gri_format(text, sizeof text, "line %d\nline %d\n", 2 * i + 1, 2 * i + 2));
        struct gri_push_chunk chunk = {.number = i, .first_line = 2 * i + 1, .lines = 2, .text = gri_slice_of(text)};
        ASK(world.archive->ops->push_chunk(push, &chunk, why));
    }
}

bool push_catalog(const char *name, int chunks, bool retry_dead, char id[GRI_CATALOG_ID_MAX]) {
    struct gri_archive_push *push = NULL;
    bool existed = false;
    struct gri_push_meta meta = {.name = name, .pipeline = PIPELINE, .rules = RULES, .by = "cli:me", .retry_dead = retry_dead};
    struct gri_push_totals totals = {.sha256 = SUM_A, .bytes = 14 * chunks, .lines = 2 * chunks, .blank = 1, .chunks = chunks};
    ASK(world.archive->ops->push_begin(world.archive, &meta, &push, why));
    push_chunks(push, chunks);
    ASK(world.archive->ops->push_commit(push, &totals, id, &existed, why));
    return existed;
}

void admit_line(const char *catalog, unsigned number, int64_t line, enum gri_admitted expected) {
    struct gri_admit url = {.host = "a.test", .line = line};
    enum gri_admitted result;
    int64_t run;
    char text[64];
    struct gri_ledger_admit request = {.catalog = catalog, .urls = &url, .count = 1, .results = &result, .runs = &run};
    assert_true(gri_format(text, sizeof text, "https://a.test/%u", number));
    mongo_world_key(url.job.key, number);
    assert_true(gri_copy(url.job.pipeline, sizeof url.job.pipeline, PIPELINE));
    url.job.url = text;
    assert_int_equal(MONGO_RUN(&world, ledger, admit, &request), GRI_OK);
    assert_int_equal(result, expected);
}

void reject_line(const char *catalog, int64_t line) {
    struct gri_line_error bad = {.line = line, .text = gri_slice_of("nonsense"), .reason = GRI_R_no_scheme, .detail = "d"};
    struct gri_ledger_reject request = {.catalog = catalog, .errors = &bad, .count = 1};
    assert_int_equal(MONGO_RUN(&world, ledger, reject, &request), GRI_OK);
}

void chunk_done(const char *catalog, int64_t number) {
    struct gri_ledger_chunk_done request = {.catalog = catalog, .number = number};
    assert_int_equal(MONGO_RUN(&world, ledger, chunk_done, &request), GRI_OK);
}

void image_id(char id[GRI_IMAGE_ID_MAX], unsigned content) {
    assert_true(gri_format(id, GRI_IMAGE_ID_MAX, "%064x:" PIPELINE, content));
}

/* The job of that number ends: with the image of `content`, or dead where content is 0. */
void finish_url(unsigned number, unsigned content, bool made) {
    struct gri_finish item = {.kind = content ? GRI_FINISH_DONE : GRI_FINISH_DEAD, .run = 1, .made = made};
    struct gri_ledger_finish request = {.items = &item, .count = 1};
    mongo_world_key(item.key, number);
    assert_true(gri_copy(item.pipeline, sizeof item.pipeline, PIPELINE));
    image_id(item.image, content);
    if (!content) (void)!gri_fail(&item.error, GRI_R_http_4xx, "404");
    assert_int_equal(MONGO_RUN(&world, ledger, finish, &request), GRI_OK);
    assert_true(item.applied);
}

void insert_image(unsigned content, unsigned job, const char *host, int64_t inserted_at_ms) {
    struct gri_image image = {
        .inserted_at_ms = inserted_at_ms, .fetched_at_ms = inserted_at_ms, .width = 3, .height = 2, .bytes = 5};
    struct gri_image_insert item = {.image = &image};
    struct gri_store_insert request = {.items = &item, .count = 1};
    struct gri_error error = {0};
    mongo_world_key(image.job, job);
    assert_true(gri_copy(image.pipeline, sizeof image.pipeline, PIPELINE));
    assert_true(gri_copy(image.source.host, sizeof image.source.host, host));
    assert_true(gri_format(image.sums.source, sizeof image.sums.source, "%064x", content));
    assert_true(gri_format(image.sums.output, sizeof image.sums.output, "%064x", content + 0x10000));
    assert_true(gri_format(image.sums.base64, sizeof image.sums.base64, "%064x", content + 0x20000));
    gri_image_set_id(&image);
    gri_bytes_init(&image.data, 0);
    assert_int_equal(gri_bytes_append(&image.data, "QUJD", 4, &error), GRI_OK);
    assert_int_equal(MONGO_RUN(&world, store, insert, &request), GRI_OK);
    assert_int_equal(item.result, GRI_INSERTED);
    gri_image_clear(&image);
}

bool settle(const char *catalog) {
    struct gri_ledger_settle request = {.catalog = catalog};
    assert_int_equal(MONGO_RUN(&world, ledger, settle, &request), GRI_OK);
    return request.finished;
}

struct gri_json *get_catalog(const char *id) {
    struct gri_json *out = NULL;
    ASK(world.archive->ops->catalog(world.archive, id, &out, why));
    return out;
}

void expect_counts(const char *id, int64_t accepted, int64_t duplicate, int64_t invalid, int64_t stored, int64_t same,
                   int64_t dead, int64_t pending) {
    struct gri_json *catalog = get_catalog(id);
    const struct gri_json *counts = gri_json_get(catalog, "counts");
    assert_int_equal(gri_json_get_int(counts, "accepted", -1), accepted);
    assert_int_equal(gri_json_get_int(counts, "duplicate", -1), duplicate);
    assert_int_equal(gri_json_get_int(counts, "invalid", -1), invalid);
    assert_int_equal(gri_json_get_int(counts, "stored", -1), stored);
    assert_int_equal(gri_json_get_int(counts, "duplicate_content", -1), same);
    assert_int_equal(gri_json_get_int(counts, "dead", -1), dead);
    assert_int_equal(gri_json_get_int(counts, "pending", -1), pending);
    gri_json_free(catalog);
}
