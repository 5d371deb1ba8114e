/* SPDX-License-Identifier: Apache-2.0 */
/* Many short runs in which everything goes wrong by a seed, then heals: every entry must end acked or fenced, every slot free.
 * The fakes assert meanwhile that no link is written without its image and that nothing is acked twice. */
#include "worker_test.h"

enum { SEEDS = 150, JOBS = 60 };

static uint64_t draw(struct world *world) {
    return gri_random(&world->loop);
}

static void answer_anything(struct world *world, struct gri_fetch *fetch) {
    static const enum gri_reason reasons[] = {GRI_R_dns, GRI_R_timeout, GRI_R_http_4xx, GRI_R_http_5xx, GRI_R_refused_address};
    uint64_t kind = draw(world) % 10;
    fetch->retry_after_ms = -1;
    if (kind < 6) {
        char body[32];
        gri_format(body, sizeof body, "picture %d", (int)(draw(world) % 20)); /* often the same bytes */
        fetch->op.status = GRI_OK;
        fetch->http_status = 200;
        fetch->final_url = gri_strdup(fetch->url);
        gri_bytes_put(&fetch->body, body);
    } else if (kind == 6) {
        fetch->op.status = gri_fail(&fetch->op.error, GRI_R_rate_limited, "429");
        fetch->http_status = 429;
        fetch->throttled = true;
        fetch->retry_after_ms = (int64_t)(draw(world) % 8000);
    } else {
        fetch->op.status = gri_fail(&fetch->op.error, reasons[draw(world) % (sizeof reasons / sizeof *reasons)], "scripted");
    }
}

static void go_wrong(struct world *world) {
    switch (draw(world) % 14) {
    case 0:
        world->inserts_unknown += 1;
        break;
    case 1:
        world->finishes_unknown += 1;
        break;
    case 2:
        world->acks_failing += 1;
        break;
    case 3:
        world->ledger_away = true;
        break;
    case 4:
        world->ledger_away = false;
        break;
    case 5:
        world->entries[draw(world) % world->entry_count].fenced = true;
        break;
    case 6:
        world->gate_blocked_ms = (int64_t)(draw(world) % 7000);
        break;
    case 7:
        world->gate_blocked_ms = 0;
        break;
    case 8:
        world->cpu_full = !world->cpu_full;
        break;
    case 9:
        world_say(world, GRI_STREAM_DOWN);
        break;
    case 11:
        world->gates_failing += 1;
        break;
    case 12:
        world->reads_failing += 1;
        break;
    case 10:
        world_say(world, GRI_STREAM_EPOCH);
        break;
    default:
        world->definitions_failing += 1;
        break;
    }
}

static void heal(struct world *world) {
    world->ledger_away = world->cpu_full = false;
    world->gate_blocked_ms = 0;
    world_say(world, GRI_STREAM_UP);
}

static void note_drained(void *arg) {
    ((struct world *)arg)->drained = true;
}

static void whatever_goes_wrong_every_job_ends(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct world *world = world_create(1 + seed % 12);
        world->seed = seed * 0x9E3779B97F4A7C15u;
        world->answer = answer_anything;
        world->host_concurrency = 1 + (int)(seed % 4);
        world->per_second = seed % 5 == 0 ? 20 : 0;
        world->gate_step_ms = 50;
        for (int i = 0; i < JOBS; i++) {
            char url[64];
            gri_format(url, sizeof url, "https://h%d.test/%d", (int)(draw(world) % 4), i);
            world_put(world, url);
        }
        for (int i = 0; i < 60; i++) {
            world_run(world, (int64_t)(draw(world) % 300));
            go_wrong(world);
            world->trace[0] = '\0';
        }
        heal(world);
        world_run(world, 120000);
        for (size_t i = 0; i < world->entry_count; i++)
            if (!world->entries[i].acked && !world->entries[i].fenced) fail_msg("seed %d: job %d is left", (int)seed, (int)i);
        if (gri_worker_busy(world->worker) != 0)
            fail_msg("seed %d: %d slots are not free", (int)seed, (int)gri_worker_busy(world->worker));
        gri_worker_drain(world->worker, note_drained, world);
        world_run(world, 3000);
        if (!world->drained) fail_msg("seed %d: it does not drain", (int)seed);
        world_destroy(world);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(whatever_goes_wrong_every_job_ends)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
