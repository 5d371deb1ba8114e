/* SPDX-License-Identifier: Apache-2.0 */
/* Part of the archive port (grisaille/archive.h): what `grisaille scrub` needs of the images. Synchronous, any thread; failures
 * as in archive.h. Nothing here ever deletes. adapters/mongo_scrub implements it. */
#ifndef GRISAILLE_SCRUB_H
#define GRISAILLE_SCRUB_H

#include <grisaille/image_sums.h>

struct gri_archive;

/* What can be said of an image; counted for ever in the totals. */
enum gri_scrub_result {
    GRI_SCRUB_SOUND,   /* every sum holds */
    GRI_SCRUB_CORRUPT, /* one does not */
    GRI_SCRUB_HEALED,  /* it was corrupt, and is sound again */
    GRI_SCRUB_REMOVED, /* taken down: there is nothing to check */
    GRI_SCRUB_ADOPTED, /* no URL linked it; the one that made it does now */
    GRI_SCRUB_ORPHAN,  /* no URL links it, and none can be found that made it */
    GRI_SCRUB_RESULTS
};
/* "sound", "corrupt", …; static storage. */
const char *gri_scrub_result_name(enum gri_scrub_result result);

/* An image document as it lies there. */
struct gri_scrub_document {
    struct gri_image image; /* owned: gri_image_clear */
    bool found, removed, marked;
    char malformed[64]; /* a field that is missing, of another type or too long; "" */
};

/* What is wrong with it. */
struct gri_scrub_finding {
    const struct gri_image *image;
    const struct gri_image_check *check;
    const char *detail; /* one sentence */
    const char *by;     /* who found it: a token's name, "cli:<user>"; NULL or "": a worker */
};

struct gri_scrub_progress {
    char position[GRI_IMAGE_ID_MAX]; /* the last image of an unfinished walk; "": at the beginning */
    int64_t last_success_ms;         /* Unix ms of the end of the last complete walk; 0: there was none */
    int64_t totals[GRI_SCRUB_RESULTS];
};

enum gri_scrub_link { GRI_LINKED, GRI_LINK_PENDING, GRI_LINK_ADOPTED, GRI_LINK_ORPHAN };

struct gri_scrub_ops {
    /* `walk` (all of these): "all" or "sample", each with a position of its own. */
    enum gri_status (*load)(struct gri_archive *archive, const char *walk, struct gri_scrub_progress *out,
                            struct gri_error *error);
    /* Adds to the totals; keeps the position, or with `finished` puts it back to the beginning and notes the success. */
    enum gri_status (*save)(struct gri_archive *archive, const char *walk, const char *position, bool finished,
                            const int64_t add[GRI_SCRUB_RESULTS], struct gri_error *error);
    /* The next ids behind `after`, rising; fewer than `max` only at the end. */
    enum gri_status (*ids)(struct gri_archive *archive, const char *after, char (*ids)[GRI_IMAGE_ID_MAX], size_t max,
                           size_t *count, struct gri_error *error);
    enum gri_status (*read)(struct gri_archive *archive, const char *id, struct gri_scrub_document *out, struct gri_error *error);
    /* A copy as found to `quarantine` (once for the same finding), then the mark {stage, found, at}, then an event. */
    enum gri_status (*mark)(struct gri_archive *archive, const struct gri_scrub_finding *finding, struct gri_error *error);
    /* The mark goes; the document is sound. */
    enum gri_status (*unmark)(struct gri_archive *archive, const char *id, struct gri_error *error);
    /* Puts `image` in the place of the marked document with its _id, with an event. `by`: who repairs, as above. *replaced: it
     * was there, marked, not removed. */
    enum gri_status (*replace)(struct gri_archive *archive, const struct gri_image *image, const char *by, bool *replaced,
                               struct gri_error *error);
    /* The URL that the ledger says made the image, or that `job` names where it knows that one; key "" and *url NULL: neither.
     * *url: owned.
     */
    enum gri_status (*maker)(struct gri_archive *archive, const char *id, const char *job, char key[GRI_KEY_MAX], char **url,
                             struct gri_error *error);
    /* Does a URL link the image? If not, the record of its job does so now, where that is finished: a done one by adding it, a
     * dead one of the same pipeline becomes done, as a late success does. One still on its way is left to the worker. */
    enum gri_status (*link)(struct gri_archive *archive, const struct gri_image *image, enum gri_scrub_link *out,
                            struct gri_error *error);
};

#endif
