/* SPDX-License-Identifier: Apache-2.0 */
/* The table of configuration options (options.h). */
#include "options.h"

#include <ctype.h>
#include <string.h>

enum { NAME_LOOK_AT = 63 };

static const struct gri_option OPTIONS[] = {
#define GRI_OPTION(key, type, otherwise, min, max, unit, help) {key, GRI_OPTION_##type, otherwise, min, max, unit, help, false},
#define GRI_LIVE_OPTION(key, type, otherwise, min, max, unit, help) \
    {key, GRI_OPTION_##type, otherwise, min, max, unit, help, true},
#include "options.def"
#undef GRI_LIVE_OPTION
#undef GRI_OPTION
};

const struct gri_option *gri_options(size_t *count) {
    *count = sizeof OPTIONS / sizeof *OPTIONS;
    return OPTIONS;
}

const struct gri_option *gri_option_find(const char *key) {
    for (size_t i = 0; i < sizeof OPTIONS / sizeof *OPTIONS; i++) {
        if (strcmp(OPTIONS[i].key, key) == 0) return &OPTIONS[i];
    }
    return NULL;
}

void gri_option_environment(const struct gri_option *option, char out[GRI_OPTION_ENVIRONMENT_MAX]) {
    GRI_ASSERT(gri_format(out, GRI_OPTION_ENVIRONMENT_MAX, "GRISAILLE_%s", option->key));
    for (char *c = out; *c; c++)
        *c = *c == '.' ? '_' : (char)toupper((unsigned char)*c);
}

const char *gri_option_type_name(enum gri_option_type type) {
    static const char *const NAMES[] = {"text",  "secret",  "uri",   "choice",   "integer",
                                        "bytes", "boolean", "texts", "integers", "tree"};
    GRI_ASSERT((unsigned)type < sizeof NAMES / sizeof *NAMES);
    return NAMES[type];
}

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

/* Levenshtein's distance of the first NAME_LOOK_AT bytes. */
static size_t distance(const char *a, const char *b) {
    size_t row[NAME_LOOK_AT + 1], columns = strnlen(b, NAME_LOOK_AT), rows = strnlen(a, NAME_LOOK_AT);
    for (size_t j = 0; j <= columns; j++)
        row[j] = j;
    for (size_t i = 1; i <= rows; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= columns; j++) {
            size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
            diagonal = row[j];
            row[j] = smaller(replaced, smaller(row[j], row[j - 1]) + 1);
        }
    }
    return row[columns];
}

const struct gri_option *gri_option_nearest(const char *name) {
    const struct gri_option *nearest = NULL;
    /* A third of the name may be wrong: more is no misspelling. */
    size_t best = strnlen(name, NAME_LOOK_AT) / 3 + 1;
    bool environment = strncmp(name, "GRISAILLE_", 10) == 0;
    for (size_t i = 0; i < sizeof OPTIONS / sizeof *OPTIONS; i++) {
        char variable[GRI_OPTION_ENVIRONMENT_MAX];
        gri_option_environment(&OPTIONS[i], variable);
        size_t far = environment ? distance(name + 10, variable + 10) : distance(name, OPTIONS[i].key);
        if (far < best) {
            best = far;
            nearest = &OPTIONS[i];
        }
    }
    return nearest;
}
