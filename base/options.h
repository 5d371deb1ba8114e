/* SPDX-License-Identifier: Apache-2.0 */
/* The table of configuration options as data (rows in options.def). Static storage, any thread. */
#ifndef GRISAILLE_BASE_OPTIONS_H
#define GRISAILLE_BASE_OPTIONS_H

#include <grisaille/bytes.h>

enum gri_option_type {
    GRI_OPTION_text,     /* any text without NUL */
    GRI_OPTION_secret,   /* text that is never shown */
    GRI_OPTION_uri,      /* text; its credentials are never shown */
    GRI_OPTION_choice,   /* one of the words in `unit` */
    GRI_OPTION_integer,  /* decimal */
    GRI_OPTION_bytes,    /* decimal, optionally with KiB, MiB, GiB or TiB behind */
    GRI_OPTION_boolean,  /* true or false */
    GRI_OPTION_texts,    /* a YAML list, or text separated by commas */
    GRI_OPTION_integers, /* the same, of integers */
    GRI_OPTION_tree      /* a YAML list or map that its user reads */
};

struct gri_option {
    const char *key;
    enum gri_option_type type;
    const char *otherwise; /* the default, as text */
    int64_t min, max;
    const char *unit;
    const char *help;
    bool live; /* a running daemon takes a new value over */
};

/* All options, in the order of the file. */
const struct gri_option *gri_options(size_t *count);
/* The option of that key, or NULL. */
const struct gri_option *gri_option_find(const char *key);
/* The option whose key or environment name is most like `name`, or NULL when none is near. */
const struct gri_option *gri_option_nearest(const char *name);
/* "text", "integer", …. */
const char *gri_option_type_name(enum gri_option_type type);

enum { GRI_OPTION_ENVIRONMENT_MAX = 64 };
/* redis.url → GRISAILLE_REDIS_URL. */
void gri_option_environment(const struct gri_option *option, char out[GRI_OPTION_ENVIRONMENT_MAX]);

#endif
