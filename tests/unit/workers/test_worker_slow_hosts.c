/* SPDX-License-Identifier: Apache-2.0 */
/* Many slow hosts beside a good one: what they take from it, in virtual time. */
#include "worker_test.h"
#include <stdio.h>
#include <string.h>

enum { GOOD = 1000, GOOD_MS = 50, SLOW_MS = 10000, WAITING = 1500 };

static struct world *far_away(size_t lingering) {
    struct world *world =
        world_create_with(&(struct gri_worker_options){.slots = 128, .lingering = lingering, .host_concurrency = 16});
    world->fetch_ms = GOOD_MS;
    world->slow_ms = SLOW_MS;
    world->dispatches = true;
    return world;
}

static size_t put_good(struct world *world) {
    char url[64];
    gri_format(url, sizeof url, "https://good.test/%zu", world->record_count);
    return world_put(world, url);
}

static void put_slow(struct world *world, size_t host) {
    char url[64];
    gri_format(url, sizeof url, "https://slow%zu.test/%zu", host, world->record_count);
    (void)world_put(world, url);
}

static size_t good_done(struct world *world) {
    size_t done = 0;
    for (size_t i = 0; i < world->record_count; i++)
        done += strncmp(world->entries[i].url, "https://good", 12) == 0 && world->records[i].record.state == GRI_URL_DONE;
    return done;
}

/* Virtual ms until this many good ones are done. */
static int64_t run_until(struct world *world, size_t good) {
    int64_t began = world->now;
    while (good_done(world) < good && world->now < began + 200000)
        world_run(world, 50);
    return world->now - began;
}

static int64_t alone(void) {
    struct world *world = far_away(WAITING);
    for (size_t i = 0; i < GOOD; i++)
        (void)put_good(world);
    int64_t took = run_until(world, GOOD);
    world_destroy(world);
    return took;
}

/* A thousand bad URLs of so many hosts, one behind each good one. */
static int64_t mixed(size_t hosts) {
    struct world *world = far_away(WAITING);
    for (size_t i = 0; i < GOOD; i++) {
        put_slow(world, i % hosts);
        (void)put_good(world);
    }
    int64_t took = run_until(world, GOOD);
    world_destroy(world);
    return took;
}

/* The crowd came first and has taken what it can get. */
static int64_t behind(size_t hosts, size_t each, bool together, int64_t ms) {
    struct world *world = far_away(WAITING);
    for (size_t i = 0; i < hosts * each; i++)
        put_slow(world, together ? i / each : i % hosts);
    world_run(world, ms);
    for (size_t i = 0; i < GOOD; i++)
        (void)put_good(world);
    int64_t took = run_until(world, GOOD);
    world_destroy(world);
    return took;
}

static void show(const char *what, int64_t took, int64_t best) {
    printf("%s: %lld ms, alone %lld ms\n", what, (long long)took, (long long)best);
}

static void a_thousand_bad_urls_take_no_fifth_from_the_good_ones(void **state) {
    (void)state;
    int64_t best = alone();
    static const size_t hosts[] = {1, 10, 100, 1000};
    bool ok = true;
    for (size_t i = 0; i < 4; i++) {
        int64_t took = mixed(hosts[i]);
        char what[40];
        gri_format(what, sizeof what, "among bad ones of %zu hosts", hosts[i]);
        show(what, took, best);
        ok = ok && took * 10 <= best * 12;
    }
    assert_true(ok);
}

static void a_crowd_that_came_first_leaves_four_fifths(void **state) {
    (void)state;
    int64_t best = alone();
    int64_t took = behind(600, 5, true, 5000);
    show("behind 600 slow hosts, five URLs each", took, best);
    int64_t more = behind(1000, 3, true, 5000);
    show("behind 1000 slow hosts, three URLs each, host by host", more, best);
    int64_t mix = behind(1000, 3, false, 40000);
    show("behind 1000 slow hosts, three URLs each, by turns, long after", mix, best);
    assert_true(took * 8 <= best * 10 && more * 8 <= best * 10 && mix * 8 <= best * 10);
}

/* 12 jobs in hand at most, however many hosts are silent; who has got much of a body needs a slot. */
static void what_lingers_is_bounded_and_holds_little(void **state) {
    (void)state;
    static const uint8_t much[100 * 1024];
    struct gri_error error;
    struct world *world = world_create_with(&(struct gri_worker_options){.slots = 4, .lingering = 8, .host_concurrency = 16});
    world->hold_fetches = true;
    for (size_t i = 0; i < 100; i++)
        put_slow(world, i);
    world_run(world, 3000);
    assert_int_equal(world->fetching, 8);
    assert_int_equal(gri_worker_busy(world->worker), 8);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(gri_bytes_append(&world->held[i]->body, much, sizeof much, &error), GRI_OK);
    world_run(world, 3000); /* the read that was asked for before has ended */
    put_slow(world, 100);
    world_run(world, 1000);
    assert_int_equal(world->fetching, 8); /* five of them in four slots: nothing more is read */
    world_destroy(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_thousand_bad_urls_take_no_fifth_from_the_good_ones),
                                       cmocka_unit_test(a_crowd_that_came_first_leaves_four_fifths),
                                       cmocka_unit_test(what_lingers_is_bounded_and_holds_little)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
