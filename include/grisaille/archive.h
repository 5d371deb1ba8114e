/* SPDX-License-Identifier: Apache-2.0 */
/* Port: what people ask and push. Synchronous and blocking, from any thread (each call takes a pooled client and has a
 * deadline); used by api/ and cli/, never by the core. adapters/mongo_archive implements it.
 *
 * JSON that comes back has the field names of docs/data-model.md; times are RFC 3339 UTC strings with milliseconds.
 * Returned gri_json is owned by the caller. "Not there" is reason not_found; a server away is reason unavailable, class retry. */
#ifndef GRISAILLE_ARCHIVE_H
#define GRISAILLE_ARCHIVE_H

#include <grisaille/json.h>
#include <grisaille/ledger.h>
#include <grisaille/notices.h>
#include <grisaille/scrub.h>
#include <grisaille/steering.h>

struct gri_archive_push; /* a catalog being written */

struct gri_push_meta {
    const char *name;            /* may be "" */
    const char *pipeline;        /* pinned name@version, already put */
    const char *rules;           /* pinned rules@version, already put */
    const char *by;              /* who pushes: a token's name, "cli:<user>" or "" */
    const struct gri_json *tags; /* an object of texts; NULL: none */
    bool retry_dead;             /* its URLs that are dead get another life */
    bool refresh;                /* its URLs that are done are fetched anew */
};

struct gri_push_chunk {
    int64_t number;     /* from 0 */
    int64_t first_line; /* from 1 */
    int64_t lines;
    bool continued;
    struct gri_slice text;
};

struct gri_push_totals {
    char sha256[GRI_SHA256_HEX]; /* of the plain bytes */
    int64_t bytes, lines, blank, chunks;
};

struct gri_filter {
    const char *catalog, *host, *reason, *state, *match; /* NULL: any; match: a PCRE2 over detail (events) */
    const char *level, *event;                           /* of events */
    const char *url;                                     /* canonical; of dead letters */
    const char *output;                                  /* of images: the output's name, "" where a pipeline has one */
    int64_t since_ms, until_ms;                          /* Unix ms, 0: open */
    int64_t limit;                                       /* 1…1000 */
    const char *cursor;                                  /* opaque, from "next"; NULL: start */
};

struct gri_archive {
    const struct gri_archive_ops *ops;
};

struct gri_reading {
    const char *name; /* "slots_fetch" */
    double value;
};

/* What a daemon last said of itself. Texts are borrowed for the call. */
struct gri_presence {
    const char *id;   /* its instance: "host-pid-random" */
    const char *role; /* "worker" */
    const char *version;
    int64_t up_ms;                      /* since it started */
    bool ended;                         /* it has drained and ends now */
    const struct gri_reading *readings; /* what it is doing */
    size_t reading_count;
};

struct gri_archive_ops {
    /* Collections, indexes and the schema version; safe from several processes at once. */
    enum gri_status (*prepare)(struct gri_archive *archive, struct gri_error *error);
    enum gri_status (*ping)(struct gri_archive *archive, struct gri_error *error);

    /* Immutable definitions, upserted by id. */
    enum gri_status (*put_definition)(struct gri_archive *archive, enum gri_definition_kind kind, const char *id,
                                      struct gri_slice body, struct gri_error *error);
    enum gri_status (*definition)(struct gri_archive *archive, enum gri_definition_kind kind, const char *id,
                                  struct gri_bytes *body, struct gri_error *error);

    /* A push: begin, chunks in order, then commit or abort. Memory: one chunk. commit returns durable (majority, journal):
     * the catalog's id, or that of the first one with the same {sha256, name, pipeline} and existed = true (the chunks just
     * written are removed). commit and abort free the push. */
    enum gri_status (*push_begin)(struct gri_archive *archive, const struct gri_push_meta *meta, struct gri_archive_push **push,
                                  struct gri_error *error);
    enum gri_status (*push_chunk)(struct gri_archive_push *push, const struct gri_push_chunk *chunk, struct gri_error *error);
    enum gri_status (*push_commit)(struct gri_archive_push *push, const struct gri_push_totals *totals,
                                   char id[GRI_CATALOG_ID_MAX], bool *existed, struct gri_error *error);
    void (*push_abort)(struct gri_archive_push *push);

    /* {"catalogs":[…newest first…],"next":cursor or null} / one catalog, each with "counts". */
    enum gri_status (*catalogs)(struct gri_archive *archive, const struct gri_filter *filter, struct gri_json **out,
                                struct gri_error *error);
    enum gri_status (*catalog)(struct gri_archive *archive, const char *id, struct gri_json **out, struct gri_error *error);
    /* Chunk `number` of the catalog: text appended to *text, the rest into *chunk (chunk->text unset). not_found past the end. */
    enum gri_status (*chunk)(struct gri_archive *archive, const char *catalog, int64_t number, struct gri_push_chunk *chunk,
                             struct gri_bytes *text, struct gri_error *error);
    /* Number of the chunk in which line `line` begins. */
    enum gri_status (*chunk_of_line)(struct gri_archive *archive, const char *catalog, int64_t line, int64_t *number,
                                     struct gri_error *error);
    /* {"errors":[{line,text,reason,detail}…],"next":…} rising by line, from filter->cursor. */
    enum gri_status (*errors)(struct gri_archive *archive, const char *catalog, const struct gri_filter *filter,
                              struct gri_json **out, struct gri_error *error);
    /* Array, one value a key in order: the ledger's record or null. */
    enum gri_status (*urls)(struct gri_archive *archive, const char (*keys)[GRI_KEY_MAX], size_t count, struct gri_json **out,
                            struct gri_error *error);
    /* All records of that exact canonical URL (one a pipeline). */
    enum gri_status (*url_records)(struct gri_archive *archive, const char *url, struct gri_json **out, struct gri_error *error);

    /* Array of image metadata whose source, output or base64 sum is `sha256`, or begins with it where it is shorter than 64
     * digits (then at most 20 of them), each with "urls": its source URLs with their
     * first catalogs and times (up to 1,000; "urls_more": true past that). Empty array if none. */
    enum gri_status (*images_by_hash)(struct gri_archive *archive, const char *sha256, struct gri_json **out,
                                      struct gri_error *error);
    /* One image: metadata and its base64 text. */
    enum gri_status (*image)(struct gri_archive *archive, const char *id, struct gri_json **meta, struct gri_bytes *base64,
                             struct gri_error *error);
    /* {"images":[…newest first…],"next":…}. */
    enum gri_status (*images)(struct gri_archive *archive, const struct gri_filter *filter, struct gri_json **out,
                              struct gri_error *error);
    /* {"events":[…newest first…],"next":…}; key: only of this job, or NULL. */
    enum gri_status (*events)(struct gri_archive *archive, const char *key, const struct gri_filter *filter,
                              struct gri_json **out, struct gri_error *error);
    /* {"urls":{queued,waiting,done,dead},"images":…,"catalogs":{running,finished,…},"oldest_waiting_ms":…}. */
    enum gri_status (*totals)(struct gri_archive *archive, struct gri_json **out, struct gri_error *error);

    /* Best effort, kept for a day: who is there. */
    enum gri_status (*presence)(struct gri_archive *archive, const struct gri_presence *presence, struct gri_error *error);
    /* Array of {id, role, version, state, age_ms, up_ms, seen_at, readings}, by role and id, those heard of in the last hour,
     * at most 1,000. state by the server's clock: "alive", "silent" (not heard of for 30 s: hung, cut off, or killed) or "ended".
     */
    enum gri_status (*services)(struct gri_archive *archive, struct gri_json **out, struct gri_error *error);

    const struct gri_scrub_ops *scrub;       /* grisaille/scrub.h */
    const struct gri_steering_ops *steering; /* grisaille/steering.h */
    const struct gri_notice_ops *notices;    /* grisaille/notices.h */
};

#endif
