/* SPDX-License-Identifier: Apache-2.0 */
/* The model's data: two streams with one group each, inflight, epoch, host gates. */
#ifndef GRI_SIM_REDIS_H
#define GRI_SIM_REDIS_H

#include "sim.h"

struct sim_entry {
    int64_t id;
    struct gri_job job; /* jobs */
    char *url;          /* urls */
    char catalog[GRI_CATALOG_ID_MAX];
    int64_t chunk;
    /* pending: */
    bool delivered;
    bool gone; /* deleted by hand: only the pending list knows it */
    int64_t owner, deliveries, delivered_ms;
};

struct sim_list {
    struct sim_entry *entries; /* rising by id */
    size_t count, cap;
    int64_t next_id, last_delivered;
    bool no_group; /* the key was deleted: its first user makes the group again */
};

struct sim_inflight {
    sim_short_key short_key;
    int64_t id;
    char key[GRI_KEY_MAX];
};

struct sim_gate {
    char host[64];
    int64_t until_ms;
    double next_ms; /* theoretical arrival time of the budget's next request */
};

struct sim_redis_state {
    struct sim_list lists[2];
    struct sim_inflight *inflight;
    size_t inflight_count, inflight_cap;
    struct sim_gate gates[8];
    size_t gate_count;
    char epoch[24];
};

struct sim_redis {
    struct sim_redis_state now, kept;
    bool has_kept;
    int64_t epochs;
};

void sim_entry_clear(struct sim_entry *entry);
void sim_entry_remove(struct sim_list *list, struct sim_entry *entry);
/* Appends an entry to fill in, and wakes who waits for one. */
struct sim_entry *sim_entry_add(struct sim_world *world, struct sim_list *list);
/* The connection of a process: comes up, with the epoch it finds; breaks and comes back by itself. */
void sim_redis_connected(void *process);
void sim_redis_reconnect(struct sim_process *process);

#endif
