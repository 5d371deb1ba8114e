/* SPDX-License-Identifier: Apache-2.0 */
/* The sums of an image document: made by those who store one, checked by those who doubt one. Pure functions, any thread. */
#ifndef GRISAILLE_IMAGE_SUMS_H
#define GRISAILLE_IMAGE_SUMS_H

#include <grisaille/job.h>

/* Sets data, bytes, sums.output and sums.base64 from the output's bytes, and reads the text back: memory that lies is found
 * here, before anything is stored. image->data is overwritten: it must be empty. */
enum gri_status gri_image_encode(const struct gri_crypto *crypto, struct gri_image *image, const struct gri_bytes *output,
                                 struct gri_error *error) GRI_MUST_CHECK;
/* Sets sums.document; every other field is final. */
void gri_image_seal(const struct gri_crypto *crypto, struct gri_image *image);

/* In the order in which they are checked; the first that fails names the damage. */
enum gri_image_sum {
    GRI_SUM_SOUND,    /* nothing is wrong */
    GRI_SUM_BASE64,   /* `data` does not have sums.base64 */
    GRI_SUM_OUTPUT,   /* `data` is no base64, or what it stands for does not have sums.output */
    GRI_SUM_SOURCE,   /* the _id is not sums.source, pipeline and output */
    GRI_SUM_DOCUMENT, /* the other fields do not have sums.document */
    GRI_SUM_COUNT
};
/* "sound", "base64", "output", "source", "document"; static storage. */
const char *gri_image_sum_name(enum gri_image_sum stage);

struct gri_image_check {
    enum gri_image_sum stage;
    char recorded[GRI_SHA256_HEX], computed[GRI_SHA256_HEX]; /* of the sum that failed; "" where there is none */
    bool fields_sound;                                       /* source and document hold: only `data` may be wrong */
};
void gri_image_verify(const struct gri_crypto *crypto, const struct gri_image *image, struct gri_image_check *check);
/* Takes an _id apart: "<sha256>:<pipeline>[/<output>]". False when it is no such text. */
bool gri_image_parse_id(const char *id, char source[GRI_SHA256_HEX], char pipeline[GRI_PIPELINE_MAX], char output[GRI_NAME_MAX]);

#endif
