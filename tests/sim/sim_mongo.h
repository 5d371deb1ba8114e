/* SPDX-License-Identifier: Apache-2.0 */
/* What the models of ledger and store share with the oracle: the documents. */
#ifndef GRI_SIM_MONGO_H
#define GRI_SIM_MONGO_H

#include "sim.h"

enum {
    SIM_IMAGES_PER_URL = 4,
    SIM_ROWS_MAX = 512,
    SIM_TOMBSTONES_MAX = 4,
    SIM_UPKEEP_URLS = 8, /* a call of upkeep */
    SIM_UPKEEP_IMAGES = SIM_UPKEEP_URLS * SIM_IMAGES_PER_URL
};

struct sim_url {
    char key[GRI_KEY_MAX];
    char url[96];
    char host[64];
    char pipeline[GRI_PIPELINE_MAX];
    enum gri_url_state state;
    int64_t run, attempts, queued_at_ms, next_at_ms, limited_at_ms, created_at_ms;
    int catalog; /* index of `first`, -1 a bare URL */
    int64_t line;
    char images[SIM_IMAGES_PER_URL][GRI_IMAGE_ID_MAX];
    int image_count;
    bool made, shared;
    bool expired, taken_down; /* its picture is gone: too old, or on purpose */
    enum gri_reason reason;
};

struct sim_image {
    bool damaged;
    bool removed;       /* taken down */
    int64_t deleted_ms; /* a stub since then; 0: it is none */
    int64_t inserted_ms;
    char id[GRI_IMAGE_ID_MAX];
    char job[GRI_IMAGE_JOB_MAX];
    char pipeline[GRI_PIPELINE_MAX];
};

struct sim_chunk {
    int catalog;
    int64_t number, first_line, lines;
    struct gri_slice text;
    char announced_id[GRI_ENTRY_ID_MAX];
    bool admitted;
};

struct sim_line_error {
    int catalog;
    int64_t line;
    enum gri_reason reason;
};

struct sim_catalog_state {
    bool pushed, finished, cancelled, retry_dead;
    bool doomed, records_only, gone; /* being deleted; of one that is too old, what it brought in stays; deleted */
    int64_t finished_ms;
    int64_t look_again_ms; /* deleted: for what is brought in of it meanwhile; 0: that is over */
};

/* A picture that was taken down: whatever has its source. */
struct sim_tombstone {
    char image[GRI_IMAGE_ID_MAX];
    int64_t at_ms, settle_ms; /* until then it is carried out again and again; 0: that is over */
};

/* Upkeep under way for a scheduler: what it has read, and its next step. */
struct sim_upkeep {
    int step, tombstones, catalog;
    int64_t now_ms;
    bool keep_images, keep_catalogs, more;
    size_t key_count, id_count;
    char keys[SIM_UPKEEP_URLS][GRI_KEY_MAX];
    char ids[SIM_UPKEEP_IMAGES][GRI_IMAGE_ID_MAX];
    bool alone[SIM_UPKEEP_IMAGES];
};

struct sim_mongo {
    size_t url_count, image_count, chunk_count, error_count, removal_count;
    int lease_count, tombstone_count;
    sim_short_key url_keys[SIM_ROWS_MAX], image_ids[SIM_ROWS_MAX], image_jobs[SIM_ROWS_MAX];
    struct sim_catalog_state catalogs[SIM_CATALOGS_MAX];
    struct sim_tombstone tombstones[SIM_TOMBSTONES_MAX];
    struct {
        char name[24], holder[GRI_WORKER_MAX];
        int64_t until_ms;
    } leases[4];
    /* what follows is not cleared between histories */
    struct sim_url urls[SIM_ROWS_MAX];
    struct sim_image images[SIM_ROWS_MAX];
    struct sim_chunk chunks[SIM_ROWS_MAX];
    struct sim_line_error errors[SIM_ROWS_MAX];
    struct {
        char image[GRI_IMAGE_ID_MAX];
        int64_t at_ms;
    } removals[SIM_ROWS_MAX];
    struct sim_upkeep upkeeps[SIM_PROCESSES_MAX];
};

/* The index of a catalog by its id: simulated ids are numbers. */
int sim_catalog_index(const char *id);
struct sim_url *sim_find_url(struct sim_mongo *mongo, const char *key);
struct sim_image *sim_find_image(struct sim_mongo *mongo, const char *id);
struct sim_image *sim_find_image_of(struct sim_mongo *mongo, const char *job, const char *pipeline);
struct sim_chunk *sim_find_chunk(struct sim_mongo *mongo, int catalog, int64_t number);
bool sim_has_line_error(const struct sim_mongo *mongo, int catalog, int64_t line);
/* sim_steer.c */
void sim_remove_image(struct sim_mongo *mongo, const struct sim_image *image);
/* The one that holds for this image's source, as far as the asking worker has heard of it; NULL. */
const struct sim_tombstone *sim_find_tombstone(struct sim_world *world, const char *image);
/* Upkeep looks whether some URL links it, and else reduces it to a stub. */
void sim_condemn(struct sim_world *world, const char *image);
void sim_upkeep_begin(struct sim_process *process, const struct gri_ledger_upkeep *request);
/* A step of it; ms until the next one, 0: it is over. */
int64_t sim_upkeep_step(struct sim_process *process, struct gri_ledger_upkeep *request);
/* For bulks that are cut: is this one done? */
bool sim_done_of_part(struct sim_process *process, bool part);

#endif
