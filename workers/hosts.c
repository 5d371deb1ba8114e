/* SPDX-License-Identifier: Apache-2.0 */
/* Hosts: per-host queues, concurrency, and the fleet's gate. */
#include "hosts.h"
#include "robots.h"
#include "worker_state.h"
#include <stdlib.h>
#include <string.h>

enum {
    BUCKETS = 256,
    GATE_TAKE = 64,       /* turns asked for at once */
    GATE_CACHE_MS = 1000, /* an answer of the gate is believed that long */
    GATE_RETRY_MS = 500,  /* after a failed request */
    PROBE_MS = 150,       /* while many jobs linger, a host must begin to show so soon that it answers */
    PROMPT_MS = 500,      /* jobs of hosts that take longer linger (lingering.h) */
    LONG_MS = 2000,       /* a fetch that lasts so long is no quick one */
    IDLE_MS = 60000,      /* a host without jobs is forgotten */
    HOSTS_MAX = 4096,     /* with more, idle ones are forgotten at once */
    TURN_MAX_MS = 600000  /* no job is put off further by our own doing */
};

struct gri_host {
    struct gri_hosts *hosts;
    struct gri_host *next;     /* in its bucket */
    struct gri_host *all_next; /* of all */
    char name[GRI_HOST_MAX];
    char label[GRI_NAME_MAX];
    int concurrency;
    double per_second;
    struct gri_slot_list queue;
    int active;        /* fetches out */
    int64_t began_sum; /* of the moments at which those began */
    double average_ms; /* of a fetch; 0: none was seen */
    double between_ms; /* mean between the ends of two fetches, while others wait */
    int64_t ended_ms;  /* the last end */
    int ends;          /* of fetches, up to a round of `concurrency` */
    int silences;      /* fetches that took long and brought nothing, since one that did not */
    int throttles;     /* bouts of 429 since the last success */
    int64_t blocked_until_ms, checked_until_ms, ask_after_ms;
    int64_t next_turn_ms; /* the turn given to the last job that was put off */
    int64_t used_ms;
    struct gri_timer *wake;
    struct gri_stream_gate gate;
    int64_t waits[GATE_TAKE];
    bool gate_out;
    struct gri_stream_block block;
    int64_t told_until_ms; /* what the fleet was told */
    int64_t tell_after_ms; /* it could not be told: not tried again before */
    bool block_out;
};

struct gri_hosts {
    struct gri_worker *worker;
    struct gri_host *buckets[BUCKETS];
    struct gri_host *all;
    size_t count, requests;
};

static void pump(struct gri_host *host);

static struct gri_loop *loop_of(const struct gri_host *host) {
    return host->hosts->worker->o.loop;
}

struct gri_hosts *gri_hosts_create(struct gri_worker *worker) {
    struct gri_hosts *hosts = gri_calloc(1, sizeof *hosts);
    hosts->worker = worker;
    return hosts;
}

static void host_free(struct gri_host *host) {
    if (host->wake != NULL) gri_timer_stop(loop_of(host), host->wake);
    free(host);
}

void gri_hosts_destroy(struct gri_hosts *hosts) {
    if (hosts == NULL) return;
    while (hosts->all != NULL) {
        struct gri_host *host = hosts->all;
        hosts->all = host->all_next;
        host_free(host);
    }
    free(hosts);
}

bool gri_hosts_idle(const struct gri_hosts *hosts) {
    return hosts->requests == 0;
}

static size_t bucket_of(const char *name) {
    return gri_hash_text(name) % BUCKETS;
}

static void refresh_limit(struct gri_host *host) {
    const struct gri_worker_options *o = &host->hosts->worker->o;
    host->concurrency = o->host_concurrency;
    host->per_second = 0;
    host->label[0] = '\0';
    if (o->limit != NULL) o->limit(o->hooks, host->name, &host->concurrency, &host->per_second, host->label);
    if (host->concurrency < 1) host->concurrency = 1;
    if (!(host->per_second > 0)) host->per_second = 0;
    int64_t delay_ms = gri_robots_delay_ms(host->hosts->worker->robots, host->name);
    if (delay_ms > 0 && (host->per_second <= 0 || host->per_second * (double)delay_ms > 1000))
        host->per_second = 1000 / (double)delay_ms;
}

static struct gri_host *find(struct gri_hosts *hosts, const char *name) {
    size_t bucket = bucket_of(name);
    struct gri_host *host = hosts->buckets[bucket];
    while (host != NULL && strcmp(host->name, name) != 0)
        host = host->next;
    if (host != NULL) return host;
    host = gri_calloc(1, sizeof *host);
    host->hosts = hosts;
    gri_copy(host->name, sizeof host->name, name);
    refresh_limit(host);
    host->next = hosts->buckets[bucket];
    hosts->buckets[bucket] = host;
    host->all_next = hosts->all;
    hosts->all = host;
    hosts->count++;
    return host;
}

/* --- turns ---------------------------------------------------------------------------------------------------------- */

/* Mean ms since the fetches under way began. */
static double age_ms(const struct gri_host *host) {
    return host->active > 0 ? (double)gri_now_ms(loop_of(host)) - (double)host->began_sum / host->active : 0;
}

static bool is_crowded(const struct gri_host *host) {
    return gri_lingering_is_crowded(host->hosts->worker);
}

/* It has answered, and does still. */
static bool is_proven(const struct gri_host *host) {
    return host->average_ms > 0 && host->silences == 0;
}

/* Mean ms of a fetch. Those under way count once they take long: a host that has stopped answering shows in no other way, and
 * would fill the worker until the first time-out. What has lasted so long is taken to be half done. */
static double fetch_ms(const struct gri_host *host) {
    double age = age_ms(host), notable = is_crowded(host) && !is_proven(host) ? PROBE_MS : LONG_MS;
    return age >= notable && 2 * age > host->average_ms ? 2 * age : host->average_ms;
}

static bool is_slow(const struct gri_host *host) {
    return host->average_ms >= PROMPT_MS || age_ms(host) >= PROMPT_MS;
}

/* Fetches at once. While many jobs linger, one that has to show first that it answers gets one. */
static int places(const struct gri_host *host) {
    return is_crowded(host) && !is_proven(host) ? 1 : host->concurrency;
}

/* Mean ms between two turns at this host; 0: not known yet. The first fetches of many at once take long, and end together: before
 * a whole round has ended they tell nothing, and then the ends count, not how long each lasted. */
static double step_ms(const struct gri_host *host) {
    double fetch = fetch_ms(host), busy = fetch / places(host);
    bool stalled = fetch > host->average_ms;
    if (!stalled && host->ends < host->concurrency) busy = 0;
    if (!stalled && host->between_ms > 0 && host->between_ms < busy) busy = host->between_ms;
    double budget = host->per_second > 0 ? 1000 / host->per_second : 0;
    return busy > budget ? busy : budget;
}

/* Takes the slot out of the queue and lets it go until its turn. */
static void put_off(struct gri_host *host, struct gri_slot *slot, int64_t ms, bool throttled, const char *why) {
    gri_slot_list_remove(&host->queue, slot);
    slot->gate = NULL;
    (void)gri_lingering_begin(slot, GRI_LINGERING_UNKNOWN); /* that it is written down keeps no slot either */
    gri_gate_defer(slot, ms, throttled, why);
}

/* Puts off for our own reasons; each gets a later turn, so that it is not put off again and again. */
static void put_off_to_turn(struct gri_host *host, struct gri_slot *slot, const char *why) {
    int64_t now = gri_now_ms(loop_of(host)), soonest = now + GRI_HOLD_MS;
    int64_t turn = (host->next_turn_ms > soonest ? host->next_turn_ms : soonest) + (int64_t)step_ms(host);
    if (turn > now + TURN_MAX_MS) turn = now + TURN_MAX_MS;
    host->next_turn_ms = turn;
    put_off(host, slot, turn - now, false, why);
}

/* Keeps no more in the queue than will have their turn soon; those at the end go. */
static void trim(struct gri_host *host) {
    double step = step_ms(host);
    bool silent = is_crowded(host) && !is_proven(host) && age_ms(host) >= PROBE_MS;
    if (step <= 0 && !silent) return;
    double soon = silent ? 0 : GRI_HOLD_MS / step;
    size_t allowed = silent ? 0 : soon < 1 ? 1 : soon > 1e6 ? 1000000 : (size_t)soon;
    while (host->queue.count > allowed && !host->queue.tail->token)
        put_off_to_turn(host, host->queue.tail, "the host's queue is long");
}

/* --- the fleet's gate ------------------------------------------------------------------------------------------------ */

static void woken(void *arg) {
    struct gri_host *host = arg;
    host->wake = NULL;
    pump(host);
}

static void wake_at(struct gri_host *host, int64_t at_ms) {
    int64_t wait = at_ms - gri_now_ms(loop_of(host));
    if (host->wake != NULL) gri_timer_stop(loop_of(host), host->wake);
    host->wake = gri_timer_start(loop_of(host), wait > 0 ? wait : 0, woken, host);
}

/* The turns that the gate gave, to the jobs in the order of the queue. */
static void give_turns(struct gri_host *host, int64_t now) {
    struct gri_slot *slot = host->queue.head;
    for (size_t i = 0; i < host->gate.take && slot != NULL;) {
        struct gri_slot *next = slot->next;
        if (!slot->token) {
            if (host->waits[i] < 0) {
                put_off_to_turn(host, slot, "over the host's budget");
            } else {
                slot->token = true;
                slot->not_before_ms = now + host->waits[i];
            }
            i++;
        }
        slot = next;
    }
}

static void gate_answered(struct gri_op *op) {
    struct gri_stream_gate *gate = gri_container_of(op, struct gri_stream_gate, op);
    struct gri_host *host = gri_container_of(gate, struct gri_host, gate);
    int64_t now = gri_now_ms(loop_of(host));
    host->gate_out = false;
    host->hosts->requests--;
    if (op->status != GRI_OK) {
        host->ask_after_ms = now + GATE_RETRY_MS;
    } else {
        host->checked_until_ms = now + GATE_CACHE_MS;
        if (gate->blocked_ms > 0) {
            if (now + gate->blocked_ms > host->blocked_until_ms) host->blocked_until_ms = now + gate->blocked_ms;
        } else {
            give_turns(host, now);
        }
    }
    refresh_limit(host);
    pump(host);
}

static void ask(struct gri_host *host, int64_t now) {
    size_t take = 0;
    if (host->gate_out) return;
    if (host->per_second > 0) {
        size_t ready = 0, wanted = 0; /* no more turns than there are places: an unused turn is lost */
        for (const struct gri_slot *slot = host->queue.head; slot != NULL; slot = slot->next)
            *(slot->token ? &ready : &wanted) += 1;
        size_t used = ready + (size_t)host->active, room = (size_t)places(host);
        take = used < room ? room - used : 0;
        if (take > wanted) take = wanted;
        if (take > GATE_TAKE) take = GATE_TAKE;
        if (take == 0) return;
    } else if (host->checked_until_ms > now) {
        return;
    }
    if (host->ask_after_ms > now) {
        wake_at(host, host->ask_after_ms);
        return;
    }
    host->gate = (struct gri_stream_gate){.op.done = gate_answered,
                                          .host = host->name,
                                          .per_second = host->per_second,
                                          .take = take,
                                          .horizon_ms = GRI_HOLD_MS,
                                          .wait_ms = host->waits};
    host->gate_out = true;
    host->hosts->requests++;
    struct gri_stream *stream = host->hosts->worker->o.stream;
    stream->ops->gate(stream, &host->gate);
}

static void tell_block(struct gri_host *host);

static void block_answered(struct gri_op *op) {
    struct gri_stream_block *block = gri_container_of(op, struct gri_stream_block, op);
    struct gri_host *host = gri_container_of(block, struct gri_host, block);
    host->block_out = false;
    host->hosts->requests--;
    if (op->status != GRI_OK) { /* we keep it ourselves; the others must hear of it once Redis is back */
        host->told_until_ms = 0;
        host->tell_after_ms = gri_now_ms(loop_of(host)) + GATE_RETRY_MS;
    } else {
        tell_block(host); /* it may have grown meanwhile */
    }
}

/* The fleet leaves a host alone that one worker was told to leave alone. */
static void tell_block(struct gri_host *host) {
    int64_t now = gri_now_ms(loop_of(host));
    if (host->block_out || host->blocked_until_ms <= now || host->blocked_until_ms <= host->told_until_ms) return;
    if (host->tell_after_ms > now) return;
    host->told_until_ms = host->blocked_until_ms;
    host->block = (struct gri_stream_block){.op.done = block_answered, .host = host->name, .ms = host->blocked_until_ms - now};
    host->block_out = true;
    host->hosts->requests++;
    struct gri_stream *stream = host->hosts->worker->o.stream;
    stream->ops->block(stream, &host->block);
}

int64_t gri_hosts_throttled(struct gri_slot *slot, int64_t retry_after_ms) {
    struct gri_host *host = slot->gate;
    int64_t now = gri_now_ms(loop_of(host));
    bool new_bout = host->blocked_until_ms <= now; /* fetches that were out already belong to the same bout */
    int bout = new_bout ? host->throttles++ : host->throttles - 1;
    if (host->throttles > 30) host->throttles = 30;
    int64_t ms = gri_retry_block(&host->hosts->worker->o.retry, retry_after_ms, bout > 0 ? bout : 0);
    if (now + ms > host->blocked_until_ms) host->blocked_until_ms = now + ms;
    tell_block(host);
    return host->blocked_until_ms - now;
}

/* --- the queue ------------------------------------------------------------------------------------------------------- */

/* A blocked host: short blocks are waited out in the slot, but not one after the other. */
static void wait_or_put_off(struct gri_host *host, int64_t now) {
    int64_t left = host->blocked_until_ms - now;
    for (struct gri_slot *slot = host->queue.head, *next; slot != NULL; slot = next) {
        next = slot->next;
        if (left >= GRI_HOLD_MS || host->blocked_until_ms - slot->stage_since_ms >= 2 * GRI_HOLD_MS)
            put_off(host, slot, left, true, "the host asked to be left alone");
    }
    if (host->queue.count > 0) wake_at(host, host->blocked_until_ms);
}

static bool may_go(const struct gri_host *host, const struct gri_slot *slot, int64_t now) {
    if (host->per_second > 0) return slot->token && slot->not_before_ms <= now;
    return host->checked_until_ms > now;
}

/* A fetch from a host that is not prompt, or of which nothing is known, takes no slot but a place among those that linger. */
static bool has_place(const struct gri_host *host, struct gri_slot *slot) {
    if (host->hosts->worker->o.lingering == 0 || (is_proven(host) && !is_slow(host))) return true;
    return gri_lingering_begin(slot, host->average_ms > 0 ? GRI_LINGERING_SLOW : GRI_LINGERING_UNKNOWN);
}

static void put_off_to_place(struct gri_host *host, struct gri_slot *slot) {
    put_off(host, slot, gri_lingering_turn(host->hosts->worker, GRI_HOLD_MS), false, "many slow hosts are waited for");
}

/* Lets go who may go; asks the gate for the others. */
static void pump(struct gri_host *host) {
    int64_t now = gri_now_ms(loop_of(host));
    if (host->queue.count == 0) return;
    if (host->blocked_until_ms > now) {
        wait_or_put_off(host, now);
        return;
    }
    while (host->queue.head != NULL && host->active < places(host) && may_go(host, host->queue.head, now)) {
        struct gri_slot *slot = host->queue.head;
        if (!has_place(host, slot)) {
            put_off_to_place(host, slot);
            continue;
        }
        (void)gri_slot_list_pop(&host->queue);
        host->active++;
        slot->not_before_ms = now; /* from here on: when its fetch began */
        host->began_sum += now;
        gri_gate_go(slot);
    }
    if (host->queue.head == NULL || host->active >= places(host)) return;
    if (host->queue.head->token && host->queue.head->not_before_ms > now) wake_at(host, host->queue.head->not_before_ms);
    ask(host, now);
}

void gri_hosts_enter(struct gri_hosts *hosts, struct gri_slot *slot) {
    struct gri_host *host = find(hosts, slot->host);
    slot->gate = host;
    slot->token = false;
    slot->not_before_ms = 0;
    gri_slot_list_push(&host->queue, slot);
    if (is_slow(host) || (is_crowded(host) && !is_proven(host))) (void)gri_lingering_begin(slot, GRI_LINGERING_QUEUE);
    host->used_ms = gri_now_ms(loop_of(host));
    pump(host);
    trim(host);
}

void gri_hosts_remove(struct gri_slot *slot) {
    bool was_there = gri_slot_list_remove(&slot->gate->queue, slot);
    GRI_ASSERT(was_there);
    slot->gate = NULL;
}

void gri_hosts_leave(struct gri_slot *slot, bool ok) {
    struct gri_host *host = slot->gate;
    int64_t now = gri_now_ms(loop_of(host)), took = now - slot->stage_since_ms;
    GRI_ASSERT(host->active > 0);
    host->active--;
    host->began_sum -= slot->not_before_ms;
    host->used_ms = now;
    if (took < 1) took = 1;
    host->average_ms = host->average_ms <= 0 ? (double)took : 0.8 * host->average_ms + 0.2 * (double)took;
    if (host->ends < host->concurrency) host->ends++;
    if (host->ended_ms > 0 && host->queue.count > 0)
        host->between_ms += (host->between_ms > 0 ? 0.05 : 1) * ((double)(now - host->ended_ms) - host->between_ms);
    host->ended_ms = now;
    host->silences = ok || took < LONG_MS ? 0 : host->silences + 1;
    if (ok) host->throttles = 0;
    slot->gate = NULL;
    pump(host);
}

const char *gri_hosts_label(const struct gri_slot *slot) {
    return slot->gate->label;
}

static bool forgettable(const struct gri_host *host, int64_t now) {
    if (host->queue.count > 0 || host->active > 0 || host->gate_out || host->block_out) return false;
    if (host->hosts->count > HOSTS_MAX) return true;
    return host->used_ms + IDLE_MS < now && host->blocked_until_ms <= now && host->next_turn_ms <= now;
}

/* Takes it out of its bucket. */
static void forget(struct gri_host *host) {
    struct gri_host **at = &host->hosts->buckets[bucket_of(host->name)];
    while (*at != host)
        at = &(*at)->next;
    *at = host->next;
    host->hosts->count--;
    host_free(host);
}

void gri_hosts_tick(struct gri_hosts *hosts) {
    int64_t now = gri_now_ms(hosts->worker->o.loop);
    struct gri_host **at = &hosts->all;
    while (*at != NULL) {
        struct gri_host *host = *at;
        if (forgettable(host, now)) {
            *at = host->all_next;
            forget(host);
            continue;
        }
        trim(host);
        if (host->tell_after_ms > 0 && hosts->worker->up && !hosts->worker->drain.draining) tell_block(host);
        at = &host->all_next;
    }
}
