/* SPDX-License-Identifier: Apache-2.0 */
/* A job in hand. Exactly one part of the worker owns a slot at a time: the stage it stands in (a lane's batch or flight, a
 * host's queue, the fetcher, a CPU thread, …). All of its memory is freed when the slot is released. */
#ifndef GRISAILLE_SLOT_H
#define GRISAILLE_SLOT_H

#include "retry.h"
#include "worker.h"
#include <stdatomic.h>

enum gri_stage {
    GRI_STAGE_FREE, /* no job */
    GRI_STAGE_CHECK,
    GRI_STAGE_OWN,
    GRI_STAGE_RECALL,
    GRI_STAGE_PLAN,
    GRI_STAGE_SET,
    GRI_STAGE_ROBOTS,
    GRI_STAGE_TURN,
    GRI_STAGE_GATE,
    GRI_STAGE_FETCH,
    GRI_STAGE_ISOLATE,
    GRI_STAGE_VERIFY,
    GRI_STAGE_LOOKUP,
    GRI_STAGE_TRANSFORM,
    GRI_STAGE_HEAL,
    GRI_STAGE_INSERT,
    GRI_STAGE_FINISH,
    GRI_STAGE_ACK,
    GRI_STAGE_COUNT
};

/* What grisaille_slots tells of them. */
enum gri_slot_state {
    GRI_SLOT_FREE,
    GRI_SLOT_LINGERING,
    GRI_SLOT_FETCHING,
    GRI_SLOT_TRANSFORMING,
    GRI_SLOT_STORING,
    GRI_SLOT_STATES
};

struct gri_host;
struct gri_image_recall;
struct gri_isolation;
struct gri_plan_entry;

struct gri_slot {
    struct gri_worker *worker;
    struct gri_slot *next; /* link of the one list that holds it */
    enum gri_stage stage;
    uint64_t generation;    /* rises with every job: an answer for an earlier one is recognised */
    int64_t stage_since_ms; /* entered the stage */
    bool lingers;           /* lingering.h: it takes no slot */
    int64_t lingers_since_ms;
    bool lost; /* fenced or past its deadline: no heartbeat, no further step; released when it comes back */

    struct gri_job_entry entry;
    struct gri_url_record record; /* as CHECK read it */
    int64_t checked_ms;           /* when */
    char host[GRI_HOST_MAX];
    int64_t worked_ms; /* time spent in the stages that the deadline counts, without the present one */

    struct gri_host *gate;    /* from GATE to the end of FETCH */
    int64_t not_before_ms;    /* GATE: its turn in the host's budget; FETCH: when it began */
    bool token;               /* GATE: it has such a turn */
    int holds;                /* times it waited in its slot for a throttled host */
    int64_t limited_since_ms; /* first 429 met in this slot; 0 none */

    struct gri_image_recall
        *recalled; /* RECALL to FETCH: what is there of the picture that may have changed; NULL: nothing sound */

    struct gri_plan_entry *plan; /* from PLAN on */
    struct gri_fetch fetch;      /* FETCH to the end of TRANSFORM; its body is the source */
    bool fetch_open;             /* fetch holds something to clear */
    char *lead; /* robots.obey, owned: where the host leads to, while that place has not said whether it may be fetched */
    int leads;  /* how often it did so */

    struct gri_isolation *isolation; /* ISOLATE to TRANSFORM: the child, and then the picture that it made */
    int deaths;                      /* children of this job that died by themselves */

    struct gri_task task; /* VERIFY, TRANSFORM */
    atomic_bool running;  /* a CPU thread has begun the task and not ended it */
    double transform_seconds, encode_seconds;
    int decodes; /* times the source's pixels were decoded */
    enum gri_status cpu_status;

    struct gri_image image;   /* VERIFY to INSERT or HEAL: of the first output */
    struct gri_image *others; /* of the outputs behind it; NULL: there are none */
    size_t outputs;           /* how many there are, these included: from when the images have their _id */
    bool own_set;             /* OWN has found one of several outputs: are all of them there? */
    bool looked_back;         /* it was about to end dead: OWN and SET look for what an earlier delivery stored, no more */
    unsigned heal, own; /* LOOKUP, a bit an output: these bytes are stored, but their picture is damaged; it is of this job */
    struct gri_attempt attempt; /* set by the leaf that fails */
    struct gri_error error;
    bool failed;               /* FINISH writes a failure: an event goes with it */
    struct gri_bytes rejected; /* FINISH: the beginning of what the host sent in vain, for that event */
    int64_t rejected_bytes;    /* the whole of it */
    struct gri_finish finish;  /* FINISH */
};

struct gri_slot_list {
    struct gri_slot *head, *tail;
    size_t count;
};

static inline void gri_slot_list_push(struct gri_slot_list *list, struct gri_slot *slot) {
    slot->next = NULL;
    if (list->tail != NULL)
        list->tail->next = slot;
    else
        list->head = slot;
    list->tail = slot;
    list->count++;
}

/* In front of all: what was used last is still warm. */
static inline void gri_slot_list_push_front(struct gri_slot_list *list, struct gri_slot *slot) {
    slot->next = list->head;
    list->head = slot;
    if (list->tail == NULL) list->tail = slot;
    list->count++;
}

static inline struct gri_slot *gri_slot_list_pop(struct gri_slot_list *list) {
    struct gri_slot *slot = list->head;
    if (slot == NULL) return NULL;
    list->head = slot->next;
    if (list->head == NULL) list->tail = NULL;
    slot->next = NULL;
    list->count--;
    return slot;
}

/* Takes it out from anywhere; false when it was not there. */
static inline bool gri_slot_list_remove(struct gri_slot_list *list, struct gri_slot *slot) {
    struct gri_slot *before = NULL;
    for (struct gri_slot *at = list->head; at != NULL; before = at, at = at->next) {
        if (at != slot) continue;
        if (before != NULL)
            before->next = at->next;
        else
            list->head = at->next;
        if (list->tail == at) list->tail = before;
        at->next = NULL;
        list->count--;
        return true;
    }
    return false;
}

#endif
