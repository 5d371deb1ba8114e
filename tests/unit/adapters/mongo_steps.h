/* SPDX-License-Identifier: Apache-2.0 */
/* Steps that the tests of the MongoDB adapter share: making catalogs, URLs, outcomes and images on the one `world`. Each fails
 * the test where it does not succeed. */
#ifndef GRISAILLE_MONGO_STEPS_H
#define GRISAILLE_MONGO_STEPS_H

#include "mongo_world.h"

#define PIPELINE "gray@0123456789ab"
#define RULES "rules@0123456789ab"
#define CATALOG_A "aaaaaaaaaaaaaaaaaaaaaaaa"
#define CATALOG_B "bbbbbbbbbbbbbbbbbbbbbbbb"
#define SUM_A "000000000000000000000000000000000000000000000000000000000000aaaa"

enum { ADMIT_MAX = 600 };

extern struct mongo_world world;

/* Runs the tests on a server of their own; 77 where there is no mongod. */
int run_on_mongod(int (*tests)(void));

/* A synchronous call of the archive that must succeed; it is given `why` as its error. */
#define ASK(call)                                               \
    do {                                                        \
        struct gri_error ask_error = {0};                       \
        struct gri_error *why = &ask_error;                     \
        if ((call) != GRI_OK) fail_msg("%s", ask_error.detail); \
    } while (0)

/* An admission of `count` URLs numbered from `from`; line numbers the same, from 1. */
struct admission {
    struct gri_ledger_admit request;
    struct gri_admit urls[ADMIT_MAX];
    enum gri_admitted results[ADMIT_MAX];
    int64_t runs[ADMIT_MAX];
    char texts[ADMIT_MAX][64];
};

struct admission *admission_of(const char *catalog, unsigned from, size_t count);
/* Admits that many new URLs. */
void admit(const char *catalog, unsigned from, size_t count);
/* The ledger's document (owned) of the URL of that number, or NULL; an update of it. */
bson_t *record(unsigned number);
void update_record(unsigned number, const char *change);
/* A test's setup: an empty database. */
int fresh(void **state);
/* An outcome of that URL's job; its image is of content number + 1000. */
struct gri_finish finish_of(enum gri_finish_kind kind, unsigned number, int64_t run);
void finish(struct gri_finish *items, size_t count);
/* Chunks of two lines each: "line 1\nline 2\n"…; a whole catalog of them. True where it was there already. */
void push_chunks(struct gri_archive_push *push, int chunks);
bool push_catalog(const char *name, int chunks, bool retry_dead, char id[GRI_CATALOG_ID_MAX]);
/* One line of a catalog: admitted, or rejected. */
void admit_line(const char *catalog, unsigned number, int64_t line, enum gri_admitted expected);
void reject_line(const char *catalog, int64_t line);
void chunk_done(const char *catalog, int64_t number);
void image_id(char id[GRI_IMAGE_ID_MAX], unsigned content);
/* The job of that number ends: with the image of `content`, or dead where content is 0. */
void finish_url(unsigned number, unsigned content, bool made);
void insert_image(unsigned content, unsigned job, const char *host, int64_t inserted_at_ms);
bool settle(const char *catalog);
/* Owned. */
struct gri_json *get_catalog(const char *id);
void expect_counts(const char *id, int64_t accepted, int64_t duplicate, int64_t invalid, int64_t stored, int64_t same,
                   int64_t dead, int64_t pending);

#endif
