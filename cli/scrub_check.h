/* SPDX-License-Identifier: Apache-2.0 */
/* One image under the scrub: read, verified, marked, repaired where asked, and its links seen to. Ports only. */
#ifndef GRI_SCRUB_CHECK_H
#define GRI_SCRUB_CHECK_H

#include <grisaille/archive.h>

struct gri_scrub_outcome {
    bool gone;                /* it is not there any more */
    bool removed;             /* taken down */
    enum gri_image_sum stage; /* what was wrong; sound */
    bool healed;              /* and is no more */
    enum gri_scrub_link link; /* whether a URL links it */
    char detail[400];         /* what was wrong, or why it could not be healed */
};

struct gri_scrub_checker {
    struct gri_archive *archive;
    const struct gri_crypto *crypto;
    /* Makes the image of the damaged document anew: *image (owned) is complete and sealed. NULL: no repair. */
    enum gri_status (*remake)(void *arg, const struct gri_image *damaged, bool fields_sound, struct gri_image *image,
                              struct gri_error *error);
    void *arg;
    const char *by; /* who checks and repairs */
};

/* Failures: MongoDB is away. A repair that fails is no failure; the outcome tells. */
enum gri_status gri_scrub_check(const struct gri_scrub_checker *checker, const char *id, struct gri_scrub_outcome *outcome,
                                struct gri_error *error) GRI_MUST_CHECK;

#endif
