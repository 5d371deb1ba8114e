/* SPDX-License-Identifier: Apache-2.0 */
/* Port: the images. adapters/mongo_images implements it on store threads; tests/sim has a model of it.
 * Threads, requests and failures as in ledger.h. */
#ifndef GRISAILLE_STORE_H
#define GRISAILLE_STORE_H

#include <grisaille/job.h>
#include <grisaille/loop.h>

struct gri_image_lookup {
    char id[GRI_IMAGE_ID_MAX];        /* in: look by this _id; "" → by job and pipeline */
    char job[GRI_IMAGE_JOB_MAX];      /* in */
    char pipeline[GRI_PIPELINE_MAX];  /* in */
    bool found;                       /* out: a majority read has seen it */
    bool removed;                     /* out: it was taken down */
    bool own;                         /* out: its `job` is the given job (this job made it) */
    char found_id[GRI_IMAGE_ID_MAX];  /* out */
    bool heal;                        /* out: found, but marked corrupt, and only its picture is: who holds the source makes it
                                         anew with the two fields below. A document damaged elsewhere is left to the scrub */
    char heal_job[GRI_IMAGE_JOB_MAX]; /* out */
    int64_t heal_inserted_at_ms;      /* out */
};

/* Majority read; only covered indexes, never the pictures. */
struct gri_store_lookup {
    struct gri_op op;
    struct gri_image_lookup *items;
    size_t count;
};

enum gri_inserted {
    GRI_INSERTED,     /* majority-acknowledged */
    GRI_SAME_CONTENT, /* duplicate _id: these bytes are stored already */
    GRI_SAME_JOB,     /* duplicate {job, pipeline, output}: an earlier delivery stored other bytes; id in found_id */
    GRI_NOT_INSERTED  /* the server refused this document; `error` says why; its mates are in */
};

struct gri_image_insert {
    const struct gri_image *image;   /* borrowed until done */
    bool joined;                     /* with the item before it: outputs of one run, of which all are stored or none */
    enum gri_inserted result;        /* out */
    bool own;                        /* out, SAME_CONTENT: the stored one's job is this job (an own earlier write) */
    char found_id[GRI_IMAGE_ID_MAX]; /* out: the image to link (its own id for INSERTED, SAME_CONTENT) */
    struct gri_error error;          /* out, NOT_INSERTED */
};

/* One unordered bulk insert. A duplicate is read back with majority before it is answered. With op.status != GRI_OK the
 * outcome of all is unknown: nothing may be acked.
 *
 * Joined items are inserted in one transaction, so that nobody ever sees some of them. Of joined ones that were stored in part
 * long ago the missing are inserted (the others: SAME_CONTENT). SAME_JOB is said of all of them: the whole set of the other
 * source is to be linked. NOT_INSERTED is said of all, too; with class retry nothing is wrong with them, another is about to
 * store or to delete the same. */
struct gri_store_insert {
    struct gri_op op;
    struct gri_image_insert *items;
    size_t count;
};

/* Puts complete images (sums.source as in their _id) in the place of those that are still marked corrupt; again is harmless.
 * The mark goes. */
struct gri_store_heal {
    struct gri_op op;
    const struct gri_image *const *images; /* borrowed until done */
    size_t count;
};

/* What is there of an image, for who asks its host whether it has changed. */
struct gri_image_recall {
    const char *id; /* in */
    bool found;   /* out: it is there, and it and its mates (the other outputs of that source) were read whole and are sound. What
                     was found damaged is marked, as the scrub does */
    bool removed; /* out: it was taken down */
    char etag[GRI_HEADER_MAX], last_modified[GRI_HEADER_MAX]; /* out, where found: what the host said of the source */
    char *final_url;                                          /* out, where found: owned */
};

/* Majority reads. */
struct gri_store_recall {
    struct gri_op op;
    struct gri_image_recall *items;
    size_t count;
};

struct gri_store {
    const struct gri_store_ops *ops;
};

struct gri_store_ops {
    void (*lookup)(struct gri_store *store, struct gri_store_lookup *request);
    void (*insert)(struct gri_store *store, struct gri_store_insert *request);
    void (*heal)(struct gri_store *store, struct gri_store_heal *request);     /* asked only where a lookup said `heal` */
    void (*recall)(struct gri_store *store, struct gri_store_recall *request); /* asked only of a record that is `renewing` */
};

#endif
