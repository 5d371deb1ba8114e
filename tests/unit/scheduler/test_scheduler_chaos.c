/* SPDX-License-Identifier: Apache-2.0 */
/* Seeded chaos over the fakes: crashes, outages, lost and doubtful writes, emptied streams. Once healed, every line has one
 * record, whatever is queued is inflight, and the stream is empty. A failing seed is printed and replays. */
#include "scheduler_bench.h"

#include <stdlib.h>
#include <string.h>

enum { SEEDS = 40, STEPS = 60, CHUNKS = 6, CHUNK_URLS = 60 };

static uint64_t pick(struct bench *b, uint64_t n) {
    return gri_random(&b->loop.base) % n;
}

/* The process dies: its timers and requests with it; its entries stay pending at nobody alive. */
static void crash(struct bench *b) {
    gri_scheduler_destroy(b->scheduler);
    b->scheduler = NULL;
    fake_loop_clear(&b->loop);
    b->stream.read = NULL;
    b->stream.read_timer = NULL;
    for (size_t i = 0; i < b->stream.entry_count; i++)
        b->stream.entries[i].mine = false;
    bench_start(b);
}

static void disturb(struct bench *b) {
    static const char *const ledger_ops[] = {"admit", "reject", "chunk_done", "accounted", "announced", "due", "check", "stale"};
    static const char *const stream_ops[] = {"dispatch", "ack", "announce", "heartbeat", "read", "inspect"};
    struct fake_fault fault = {.times = 1 + (int)pick(b, 3), .status = GRI_RETRY, .applied = pick(b, 2)};
    switch (pick(b, 8)) {
    case 0:
        crash(b);
        break;
    case 1:
        fake_stream_flush(&b->stream);
        break;
    case 2:
        fake_stream_set_down(&b->stream, true);
        break;
    case 3:
        fake_stream_set_down(&b->stream, false);
        break;
    case 4:
        b->ledger.down = !b->ledger.down;
        break;
    case 5:
        b->ledger.fault = fault;
        b->ledger.fault.op = ledger_ops[pick(b, 8)];
        break;
    case 6:
        b->stream.fault = fault;
        b->stream.fault.op = stream_ops[pick(b, 6)];
        break;
    default:
        if (b->stream.entry_count > 0) b->stream.entries[pick(b, b->stream.entry_count)].mine = pick(b, 2);
        break;
    }
}

/* Workers: some jobs end, some are to be tried again. */
static void work(struct bench *b) {
    for (size_t i = 0; i < b->stream.inflight_count;) {
        if (pick(b, 4) != 0) {
            i++;
            continue;
        }
        for (size_t j = 0; j < b->ledger.url_count; j++) {
            struct fake_url *url = &b->ledger.urls[j];
            if (strcmp(url->key, b->stream.inflight[i].key) != 0 || url->state != GRI_URL_QUEUED) continue;
            url->state = pick(b, 3) == 0 ? GRI_URL_WAITING : GRI_URL_DONE;
            url->next_at = b->loop.now + (int64_t)pick(b, 20000);
        }
        b->stream.inflight[i] = b->stream.inflight[--b->stream.inflight_count];
    }
}

static void heal(struct bench *b) {
    b->ledger.down = false;
    b->ledger.fault.op = b->stream.fault.op = NULL;
    fake_stream_set_down(&b->stream, false);
    for (int i = 0; i < 200; i++) {
        bench_run(b, 2000);
        work(b);
    }
}

static void check_oracle(struct bench *b) {
    const struct fake_catalog *c = &b->ledger.catalogs[0];
    for (size_t i = 0; i < c->chunk_count; i++)
        assert_true(c->chunks[i].admitted);
    assert_int_equal(c->state, GRI_CATALOG_FINISHED);
    assert_int_equal(b->ledger.url_count, CHUNKS * CHUNK_URLS);
    for (size_t i = 0; i < b->ledger.url_count; i++)
        assert_int_equal(b->ledger.urls[i].state, GRI_URL_DONE);
    assert_int_equal(b->stream.entry_count, 0);
    assert_int_equal(b->stream.inflight_count, 0);
    bool bad[CHUNKS * (CHUNK_URLS + 1) + 1] = {false};
    for (size_t i = 0; i < b->ledger.error_count; i++)
        bad[b->ledger.errors[i].line] = true;
    size_t bads = 0;
    for (size_t i = 0; i < sizeof bad; i++)
        bads += bad[i];
    assert_int_equal(bads, CHUNKS); /* one nonsense line a chunk */
}

static void run_seed(uint64_t seed) {
    void *state;
    (void)bench_setup(&state);
    struct bench *b = state;
    print_message("seed %llu\n", (unsigned long long)seed);
    b->loop.seed = seed * 7919;
    b->options.batch = 16;
    b->options.window = seed % 2 ? 100 : 10000;
    struct fake_catalog *c = fake_ledger_add_catalog(&b->ledger, "c1");
    for (int i = 0; i < CHUNKS; i++) {
        struct gri_bytes text;
        gri_bytes_init(&text, 0);
        for (int j = 0; j < CHUNK_URLS; j++)
            gri_bytes_printf(&text, "https://a.test/%d\n", i * CHUNK_URLS + j);
        gri_bytes_put(&text, "nonsense\n");
        fake_ledger_add_chunk(c, gri_bytes_text(&text));
        gri_bytes_clear(&text);
    }
    bench_start(b);
    for (int i = 0; i < STEPS; i++) {
        bench_run(b, (int64_t)(pick(b, 3) ? pick(b, 30) : pick(b, 20000)));
        disturb(b);
        work(b);
    }
    heal(b);
    check_oracle(b);
    bench_drain(b);
    bench_run(b, 5000);
    assert_int_equal(b->drained, 1);
    (void)bench_teardown(&state);
}

static void nothing_is_lost_in_any_seed(void **state) {
    (void)state;
    const char *one = getenv("GRISAILLE_TEST_SEED");
    if (one) {
        run_seed(strtoull(one, NULL, 10));
        return;
    }
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        run_seed(seed);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_is_lost_in_any_seed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
