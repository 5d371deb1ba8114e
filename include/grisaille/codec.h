/* SPDX-License-Identifier: Apache-2.0 */
/* Port: pictures. Compiles a pipeline's definition to a plan and runs a plan over one source. transforms/ implements it over
 * the picture backends; tests/sim has a toy one. Synchronous; `run` may be called from many threads at once on one plan. */
#ifndef GRISAILLE_CODEC_H
#define GRISAILLE_CODEC_H

#include <grisaille/job.h>

struct gri_plan; /* a compiled pipeline; immutable */

/* What ran, for one output. */
struct gri_picture {
    char name[GRI_NAME_MAX]; /* the output's; "" where the pipeline has one without a name */
    struct gri_bytes output; /* owned: the encoded file */
    char content_type[GRI_MIME_MAX];
    int width, height;
    char source_type[GRI_MIME_MAX]; /* by signature */
    int source_width, source_height;
    bool lossless; /* no pixel was decoded and encoded again */
    char note[160];
    char facts[GRI_FACTS_MAX]; /* "" or canonical JSON: what steps found out */
    char phash[17];            /* perceptual hash of the output, 16 hex digits; "" where there is none */
    int decodes;               /* of the first: how often the run decoded the source's pixels */
    struct gri_picture *next;  /* owned: the pipeline's next output, by name; NULL: this is the last */
};
/* Those behind it too. */
void gri_picture_clear(struct gri_picture *picture);
/* The one of that name among it and those behind it, or NULL. */
struct gri_picture *gri_picture_find(struct gri_picture *picture, const char *name);

struct gri_codec {
    const struct gri_codec_ops *ops;
};

struct gri_codec_ops {
    /* `definition`: canonical JSON {"name":…,"steps":[{"grayscale":{…}},…],"output":{…}}, all defaults filled in; or, of a
     * pipeline with named outputs, {"name":…,"steps":[…],"outputs":{name:{"steps":[…],"output":{…}},…}}.
     * Failure: class permanent, reason transform or config; the detail names step and parameter. */
    enum gri_status (*compile)(struct gri_codec *codec, struct gri_slice definition, struct gri_plan **plan,
                               struct gri_error *error);
    void (*plan_free)(struct gri_codec *codec, struct gri_plan *plan);
    /* Decode → steps → encode → read back where re-encoded, for every output: all of them or none. *out need not be initialised;
     * clear it after success. */
    enum gri_status (*run)(struct gri_codec *codec, const struct gri_plan *plan, struct gri_slice source, struct gri_picture *out,
                           struct gri_error *error);
    const char *(*version)(struct gri_codec *codec); /* "libvips 8.14.1; libjpeg-turbo 2.1.2"; static for the codec's life */
    /* How many outputs a run of the plan gives, at least 1, and their names, in that order: borrowed for the plan's life. NULL:
     * this codec knows only pipelines with one output, without a name. */
    size_t (*outputs)(struct gri_codec *codec, const struct gri_plan *plan, const char *names[GRI_OUTPUTS_MAX]);
};

#endif
