/* SPDX-License-Identifier: Apache-2.0 */
/* The stage table and the moves between stages. */
#ifndef GRISAILLE_PIPELINE_H
#define GRISAILLE_PIPELINE_H

#include "slot.h"

/* How a stage ended. */
enum gri_outcome {
    GRI_OUTCOME_NEXT,  /* to the next stage of the table that the job needs */
    GRI_OUTCOME_STALE, /* the ledger does not want this run: ack only */
    GRI_OUTCOME_LINK,  /* slot->finish says which image to link */
    GRI_OUTCOME_AGAIN, /* the host's word is not enough: fetched once more, for the bytes */
    GRI_OUTCOME_SET,   /* one of its outputs was found: are all of them there? */
    GRI_OUTCOME_LED,   /* the host leads to slot->lead, of which nobody knows yet whether it may be fetched */
    GRI_OUTCOME_FAILED /* slot->error and slot->attempt say why; retry.c decides */
};

struct gri_stage_row {
    enum gri_stage stage;
    const char *name;
    void (*enter)(struct gri_slot *slot); /* begins the stage; ends it, now or later, with gri_pipeline_advance */
    bool (*eject)(struct gri_slot *slot); /* the slot was lost: true where it is given back at once, false where it comes by
                                             itself; NULL: it comes by itself */
    bool (*needed)(const struct gri_slot *slot); /* NULL: always; false skips the stage */
    enum gri_slot_state state;                   /* in grisaille_slots */
    bool timed;                                  /* counts against the job's deadline */
    enum gri_stage next;
};

const struct gri_stage_row *gri_pipeline_stage(enum gri_stage stage);

/* A job was read or reclaimed. Takes what *entry owns. A slot must be free. */
void gri_pipeline_begin(struct gri_worker *worker, struct gri_job_entry *entry);
/* The slot's stage is over. Releases it where it was lost. The slot belongs to another stage afterwards. */
void gri_pipeline_advance(struct gri_slot *slot, enum gri_outcome outcome);
/* The entry is another's now, or the job is past its deadline: no further effects, released as soon as it can be. */
void gri_pipeline_lose(struct gri_slot *slot, const char *why);
/* Time that the job spent in timed stages. */
int64_t gri_pipeline_worked_ms(const struct gri_slot *slot);

/* Frees all that the slot holds and gives it back. */
void gri_slot_release(struct gri_slot *slot);
/* Frees the fetch with the source in it. */
void gri_slot_fetch_clear(struct gri_slot *slot);
/* Before that: keeps the beginning of the body for the failure's event. */
void gri_slot_keep_rejected(struct gri_slot *slot);
/* Frees what the slot holds, without more (destroy). */
void gri_slot_clear(struct gri_slot *slot);

/* The leaves, one file each. */
void gri_check_enter(struct gri_slot *slot);
void gri_own_enter(struct gri_slot *slot);
void gri_recall_enter(struct gri_slot *slot);
void gri_plan_enter(struct gri_slot *slot);
bool gri_plan_eject(struct gri_slot *slot);
void gri_robots_enter(struct gri_slot *slot);
bool gri_robots_eject(struct gri_slot *slot);
bool gri_robots_is_needed(const struct gri_slot *slot);
void gri_set_enter(struct gri_slot *slot);
void gri_turn_enter(struct gri_slot *slot);
bool gri_turn_eject(struct gri_slot *slot);
void gri_isolate_enter(struct gri_slot *slot);
bool gri_isolate_eject(struct gri_slot *slot);
void gri_gate_enter(struct gri_slot *slot);
bool gri_gate_eject(struct gri_slot *slot);
void gri_fetch_enter(struct gri_slot *slot);
bool gri_fetch_eject(struct gri_slot *slot);
void gri_verify_enter(struct gri_slot *slot);
void gri_lookup_enter(struct gri_slot *slot);
void gri_transform_enter(struct gri_slot *slot);
bool gri_picture_eject(struct gri_slot *slot);
void gri_heal_enter(struct gri_slot *slot);
void gri_insert_enter(struct gri_slot *slot);
void gri_finish_enter(struct gri_slot *slot);
void gri_ack_enter(struct gri_slot *slot);

/* stage_fetch.c: what every fetch leaves behind, whoever made it: metrics, the host's throttle, its gate, attempt and error of
 * a failure. slot->fetch is filled. True when it succeeded. */
bool gri_fetch_settle(struct gri_slot *slot);

/* stage_isolate.c: must the job run in a process of its own? The job whose turn it is, if none has it. Frees what the slot
 * holds of it; gives the turn back. The picture that a child made, NULL: none. */
bool gri_is_isolated(const struct gri_slot *slot);
void gri_isolate_turn(struct gri_worker *worker);
void gri_isolate_let_go(struct gri_slot *slot);
void gri_isolation_clear(struct gri_slot *slot);
struct gri_picture *gri_isolated_picture(struct gri_slot *slot);

/* stage_picture.c: hands waiting CPU work to the executor, as much as it takes. */
void gri_picture_submit_waiting(struct gri_worker *worker);

/* What the lanes carry: stage_check.c, stage_store.c, stage_finish.c. */
struct gri_flight_kind;
extern const struct gri_flight_kind gri_check_flight, gri_lookup_flight, gri_recall_flight, gri_heal_flight, gri_insert_flight,
    gri_finish_flight, gri_ack_flight;

/* stage_recall.c: is it a renewal of a picture that the present pipeline made? Frees what RECALL found. The picture that the
 * URL had is the one that its host still has: what VERIFY would have found. */
bool gri_recall_is_needed(const struct gri_slot *slot);
void gri_recall_clear(struct gri_slot *slot);
void gri_recall_take(struct gri_slot *slot);

/* stage_picture.c: job, pipeline, output and _id of all images, once the first one knows its source's sum and the plan is there.
 */
void gri_picture_identify(struct gri_slot *slot);
/* Of output `index`. */
struct gri_image *gri_slot_image(struct gri_slot *slot, size_t index);
/* Frees the images of all outputs. */
void gri_slot_images_clear(struct gri_slot *slot);

/* stage_heal.c: LOOKUP found a damaged picture of this output of these bytes; the slot goes on to make it anew. */
void gri_heal_note(struct gri_slot *slot, size_t output, const struct gri_image_lookup *found);

/* stage_finish.c: what FINISH will write: the first image to link, then any others. */
void gri_finish_link(struct gri_slot *slot, const char *image, bool made, bool removed);
void gri_finish_link_too(struct gri_slot *slot, const char *image);
void gri_finish_verdict(struct gri_slot *slot, const struct gri_verdict *verdict);

#endif
