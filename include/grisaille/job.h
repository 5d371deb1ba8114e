/* SPDX-License-Identifier: Apache-2.0 */
/* What travels: job keys, jobs, images, events, and their limits. Every size that is a limit of the product stands here.
 * Plain data; ownership is told where a port uses them. */
#ifndef GRISAILLE_JOB_H
#define GRISAILLE_JOB_H

#include <grisaille/crypto.h>

enum {
    GRI_URL_MAX = 8192,                                          /* bytes of a URL */
    GRI_HOST_MAX = 256,                                          /* with NUL */
    GRI_NAME_MAX = 64,                                           /* a pipeline's, rule's, output's name, with NUL: [a-z0-9_-]+ */
    GRI_VERSION_HEX = 12,                                        /* digits of a pipeline's or ruleset's version */
    GRI_PIPELINE_MAX = GRI_NAME_MAX + 1 + GRI_VERSION_HEX,       /* "name@0123456789ab", with NUL */
    GRI_KEY_MAX = 64 + 1 + GRI_NAME_MAX,                         /* "<sha256 hex>:<pipeline name>", with NUL */
    GRI_IMAGE_JOB_MAX = GRI_KEY_MAX + 20,                        /* "<key>[#<renewal>]" */
    GRI_IMAGE_ID_MAX = 64 + 1 + GRI_PIPELINE_MAX + GRI_NAME_MAX, /* "<sha256>:<name@version>[/<output>]" */
    GRI_CATALOG_ID_MAX = 25,                                     /* 24 hex digits and NUL */
    GRI_ENTRY_ID_MAX = 44,                                       /* a Redis stream id, "ms-seq", with NUL */
    GRI_WORKER_MAX = 96,                                         /* a consumer's name: host-pid-random */
    GRI_CHUNK_LINES = 2000,                                      /* lines of a catalog chunk, at most */
    GRI_CHUNK_BYTES = 256 * 1024,                                /* bytes of a catalog chunk, at most */
    GRI_LINE_KEEP = 2048,                                        /* bytes kept of a rejected line */
    GRI_BODY_KEEP = 64 * 1024,                                   /* bytes kept of a rejected body */
    GRI_BASE64_MAX = 15 * 1024 * 1024,                           /* bytes of a stored base64 text */
    GRI_OUTPUTS_MAX = 8,                                         /* named outputs of a pipeline */
    GRI_FACTS_MAX = 4096,                                        /* bytes of an image's facts as JSON, with NUL */
    GRI_MIME_MAX = 80,
    GRI_HEADER_MAX = 256 /* kept of an etag, last-modified, provider id */
};

/* Work as it stands in {gri}:jobs. */
struct gri_job {
    char key[GRI_KEY_MAX];
    char pipeline[GRI_PIPELINE_MAX]; /* pinned name@version */
    int64_t run;                     /* the fence: rises at every change to `queued` */
    char *url;                       /* owned, canonical */
};

void gri_job_clear(struct gri_job *job);
void gri_job_copy(struct gri_job *to, const struct gri_job *from); /* to: uninitialised */
/* The host part of a canonical URL, lower case, without port; "" if it has none. */
void gri_url_host(const char *url, char host[GRI_HOST_MAX]);
/* The pipeline's name of "name@version". */
void gri_pipeline_name(const char *pipeline, char name[GRI_NAME_MAX]);

/* An entry read from {gri}:urls: a bare URL, or a reference to a chunk. */
struct gri_url_entry {
    char id[GRI_ENTRY_ID_MAX];
    int64_t deliveries; /* 1 at the first; from XPENDING at a reclaim */
    char *url;          /* owned; NULL for a chunk; bytes as pushed, NUL-terminated, may be any text */
    size_t url_len;
    char pipeline[GRI_NAME_MAX];      /* "" → the default pipeline */
    char catalog[GRI_CATALOG_ID_MAX]; /* "" for a bare URL */
    int64_t chunk;
};

/* An entry read from {gri}:jobs. */
struct gri_job_entry {
    char id[GRI_ENTRY_ID_MAX];
    int64_t deliveries;
    struct gri_job job;
};

void gri_url_entries_free(struct gri_url_entry *entries, size_t count);
void gri_job_entries_free(struct gri_job_entry *entries, size_t count);

/* What the source of an image was. */
struct gri_source {
    char *url;       /* owned: the canonical URL of the job */
    char *final_url; /* owned: after redirects */
    char host[GRI_HOST_MAX];
    char content_type[GRI_MIME_MAX]; /* by signature, not by header */
    int width, height;               /* pixels, as stored in the file (before EXIF orientation) */
    int64_t bytes;
    char etag[GRI_HEADER_MAX], last_modified[GRI_HEADER_MAX], provider_id[GRI_HEADER_MAX];
};

struct gri_sums {
    char source[GRI_SHA256_HEX], output[GRI_SHA256_HEX], base64[GRI_SHA256_HEX], document[GRI_SHA256_HEX];
};

/* An image document. `data` is the base64 text of the output. */
struct gri_image {
    char id[GRI_IMAGE_ID_MAX];
    char job[GRI_IMAGE_JOB_MAX]; /* gri_image_job */
    char pipeline[GRI_PIPELINE_MAX];
    char output[GRI_NAME_MAX]; /* "" where the pipeline has one output */
    struct gri_bytes data;
    char content_type[GRI_MIME_MAX];
    int width, height;
    int64_t bytes; /* of the output */
    struct gri_source source;
    struct gri_sums sums;
    char phash[17];                        /* perceptual hash of the output, "" where there is none */
    char made_by[160];                     /* "grisaille 0.1.0; libvips 8.14.1; libjpeg-turbo 2.1.2" */
    char facts[GRI_FACTS_MAX];             /* "" or canonical JSON: what steps found out, {"<transform>":{"<name>":value}} */
    char note[160];                        /* "" or what was odd about the source ("12 bytes after the end of the image") */
    int64_t fetched_at_ms, inserted_at_ms; /* Unix ms, UTC */
};

void gri_image_clear(struct gri_image *image);
/* The job that an image names: the key, and of a URL that was fetched anew ("renewal" 1, 2, …) "<key>#<renewal>". So a life of a
 * URL stores one image for each output, and the next life another. */
void gri_image_job(const char *key, int64_t renewal, char job[GRI_IMAGE_JOB_MAX]);
/* The key of that. */
void gri_image_job_key(const char *job, char key[GRI_KEY_MAX]);
/* "<sha256>:<pipeline>[/<output>]". */
void gri_image_set_id(struct gri_image *image);
/* Appends the text whose SHA-256 is sums.document: one "name=value\n" a field, in the fixed order that docs/data-model.md
 * lists, over every field but `data` and sums.document itself. */
void gri_image_document_text(const struct gri_image *image, struct gri_bytes *out);

enum gri_level { GRI_DEBUG, GRI_INFO, GRI_WARN, GRI_ERROR };

/* One thing worth troubleshooting; kept events.keep_days. Strings are borrowed for the call that submits it;
 * NULL or "" leaves the field out. */
struct gri_event {
    enum gri_level level;
    const char *event; /* attempt_failed dead_letter line_rejected image_corrupt reclaimed repaired … */
    const char *catalog, *key, *url, *host, *worker, *detail;
    enum gri_reason reason;
    int attempt;
    int64_t ms;
    struct gri_slice body; /* what the host sent and nobody could use: its first GRI_BODY_KEEP bytes, kept as long as the event */
    int64_t body_bytes;    /* how long it was */
};

#endif
