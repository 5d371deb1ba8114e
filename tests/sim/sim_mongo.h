/* SPDX-License-Identifier: Apache-2.0 */
/* What the models of ledger and store share with the oracle: the documents. */
#ifndef GRI_SIM_MONGO_H
#define GRI_SIM_MONGO_H

#include "sim.h"

enum { SIM_IMAGES_PER_URL = 4, SIM_ROWS_MAX = 512 };

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
    enum gri_reason reason;
};

struct sim_image {
    bool damaged;
    char id[GRI_IMAGE_ID_MAX];
    char job[GRI_KEY_MAX];
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

struct sim_mongo {
    size_t url_count, image_count, chunk_count, error_count;
    int lease_count;
    sim_short_key url_keys[SIM_ROWS_MAX], image_ids[SIM_ROWS_MAX], image_jobs[SIM_ROWS_MAX];
    struct {
        bool pushed, finished, cancelled, retry_dead;
    } catalogs[SIM_CATALOGS_MAX];
    struct {
        char name[24], holder[GRI_WORKER_MAX];
        int64_t until_ms;
    } leases[4];
    /* what follows is not cleared between histories */
    struct sim_url urls[SIM_ROWS_MAX];
    struct sim_image images[SIM_ROWS_MAX];
    struct sim_chunk chunks[SIM_ROWS_MAX];
    struct sim_line_error errors[SIM_ROWS_MAX];
};

/* The index of a catalog by its id: simulated ids are numbers. */
int sim_catalog_index(const char *id);
struct sim_url *sim_find_url(struct sim_mongo *mongo, const char *key);
struct sim_image *sim_find_image(struct sim_mongo *mongo, const char *id);
struct sim_image *sim_find_image_of(struct sim_mongo *mongo, const char *job, const char *pipeline);
struct sim_chunk *sim_find_chunk(struct sim_mongo *mongo, int catalog, int64_t number);
bool sim_has_line_error(const struct sim_mongo *mongo, int catalog, int64_t line);
/* For bulks that are cut: is this one done? */
bool sim_done_of_part(struct sim_process *process, bool part);

#endif
