/* SPDX-License-Identifier: Apache-2.0 */
/* What the models of ledger and store share with the oracle: the documents. */
#ifndef GRI_SIM_MONGO_H
#define GRI_SIM_MONGO_H

#include "sim.h"

enum { SIM_IMAGES_PER_URL = 4, SIM_URLS_MAX = 2000, SIM_CHUNK_LINES = 20 };

struct sim_url {
    char key[GRI_KEY_MAX];
    char url[128];
    char host[64];
    char pipeline[GRI_PIPELINE_MAX];
    enum gri_url_state state;
    int64_t run, attempts, queued_at_ms, next_at_ms, limited_at_ms, created_at_ms;
    char catalog[GRI_CATALOG_ID_MAX];
    int64_t line;
    char images[SIM_IMAGES_PER_URL][GRI_IMAGE_ID_MAX];
    int image_count;
    bool made;
    enum gri_reason reason;
};

struct sim_image {
    char id[GRI_IMAGE_ID_MAX];
    char job[GRI_KEY_MAX];
    char pipeline[GRI_PIPELINE_MAX];
};

struct sim_chunk {
    char catalog[GRI_CATALOG_ID_MAX];
    int64_t number, first_line, lines;
    struct gri_slice text;
    char announced_id[GRI_ENTRY_ID_MAX];
    bool admitted;
};

struct sim_line_error {
    char catalog[GRI_CATALOG_ID_MAX];
    int64_t line;
    enum gri_reason reason;
};

struct sim_mongo {
    struct sim_url urls[SIM_URLS_MAX];
    size_t url_count;
    struct sim_image images[SIM_URLS_MAX];
    size_t image_count;
    struct sim_chunk chunks[256];
    size_t chunk_count;
    struct sim_line_error errors[SIM_URLS_MAX];
    size_t error_count;
    struct {
        char id[GRI_CATALOG_ID_MAX];
        bool finished;
    } catalogs[SIM_CATALOGS_MAX];
    int catalog_count;
    struct {
        char name[24], holder[GRI_WORKER_MAX];
        int64_t until_ms;
    } leases[4];
    int lease_count;
};

struct sim_url *sim_find_url(struct sim_mongo *mongo, const char *key);
struct sim_image *sim_find_image(struct sim_mongo *mongo, const char *id);
struct sim_image *sim_find_image_of(struct sim_mongo *mongo, const char *job, const char *pipeline);

#endif
