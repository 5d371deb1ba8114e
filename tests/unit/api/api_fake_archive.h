/* SPDX-License-Identifier: Apache-2.0 */
/* An archive in memory for the tests of api/, and short ways to ask the API. Threads: one. */
#ifndef GRISAILLE_TESTS_API_FAKE_ARCHIVE_H
#define GRISAILLE_TESTS_API_FAKE_ARCHIVE_H

#include <grisaille/archive.h>

#include "api.h"

enum { FAKE_CATALOGS_MAX = 8, FAKE_CHUNKS_MAX = 64, FAKE_IMAGES_MAX = 8 };

struct fake_catalog {
    char id[GRI_CATALOG_ID_MAX], name[256], pipeline[GRI_PIPELINE_MAX], rules[GRI_PIPELINE_MAX], by[GRI_NAME_MAX];
    bool retry_dead;
    struct gri_push_totals totals;
    struct gri_push_chunk chunks[FAKE_CHUNKS_MAX]; /* text unset */
    struct gri_bytes texts[FAKE_CHUNKS_MAX];
    size_t chunk_count;
};

struct fake_image {
    struct gri_json *meta;
    char *base64;
};

struct fake_archive {
    struct gri_archive port;
    struct fake_catalog catalogs[FAKE_CATALOGS_MAX];
    size_t catalog_count;
    struct fake_image images[FAKE_IMAGES_MAX];
    size_t image_count;
    struct gri_json *records; /* object: key → record */
    struct gri_json *errors;  /* array of {line, text, reason} of the first catalog, rising */
    char rules_id[GRI_PIPELINE_MAX];
    struct gri_bytes rules_body;
    struct gri_filter last_filter;
    /* What goes wrong: every read answers this (GRI_R_none: nothing); chunks from this one on are refused (-1: none). */
    enum gri_reason fail;
    int64_t refuse_chunk;
    int open_pushes; /* begun, neither committed nor aborted */
    enum gri_steer steered;
    char told[48], told_by[GRI_NAME_MAX]; /* the last event told, and whose doing it was */
};

extern const struct gri_steering_ops fake_steering_ops;

/* The API over the fake, with real crypto and gzip, the shipped rules and two pipelines, gray@0123456789ab and small@…. */
struct fixture {
    struct fake_archive archive;
    struct gri_api *api;
    struct gri_metrics *metrics;
    struct gri_json *pipelines, *transforms;
    const struct gri_crypto *crypto;
    struct gri_api_token tokens[4];
    bool healthy, reachable;
};

/* `tokens`: the first so many of reader, pusher, admin, read+push whose texts are "reader-token" and so on. */
void fixture_open(struct fixture *f, size_t tokens, int64_t max_catalog_bytes);
void fixture_close(struct fixture *f);

/* One request; `target`: path?name=value&… (not percent-decoded). The caller clears the reply. */
struct ask {
    const char *method, *target, *accept, *token, *if_none_match, *range, *if_range, *content_encoding;
    bool trusted;
};
void fixture_ask(struct fixture *f, const struct ask *ask, struct gri_api_reply *reply);
/* GET; checks the status, parses the body (owned by the caller). */
struct gri_json *fixture_get(struct fixture *f, const char *target, int status);
/* A push in pieces of `piece` bytes (0: all at once). */
void fixture_push(struct fixture *f, const struct ask *ask, struct gri_slice body, size_t piece, struct gri_api_reply *reply);
/* Pushes plain text; the new catalog's id into `id`. */
void fixture_catalog(struct fixture *f, const char *text, char id[GRI_CATALOG_ID_MAX]);
/* Adds an image whose bytes are `output`; sums are right. `spoil`: NULL, "base64" or "output". */
void fixture_image(struct fixture *f, const char *source, const char *output, const char *pipeline, const char *spoil);
/* A record for the URL, first asked for by that catalog's line. */
struct gri_json *fixture_record(struct fixture *f, const char *url, const char *catalog, int64_t line, const char *state);

const char *reply_header(const struct gri_api_reply *reply, const char *name);
/* The reply is a problem of that status and reason. */
void assert_problem(const struct gri_api_reply *reply, int status, const char *reason);
/* The whole body, streamed parts too; the text is owned by `out`. */
void reply_text(struct gri_api_reply *reply, struct gri_bytes *out, bool *cut);

#endif
