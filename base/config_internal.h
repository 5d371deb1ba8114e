/* SPDX-License-Identifier: Apache-2.0 */
/* What config.c (sources, getters), config_value.c (types, ranges) and config_yaml.c (the file) share. Not for others. */
#ifndef GRISAILLE_BASE_CONFIG_INTERNAL_H
#define GRISAILLE_BASE_CONFIG_INTERNAL_H

#include "config.h"

enum gri_config_layer { GRI_LAYER_DEFAULT, GRI_LAYER_FILE, GRI_LAYER_ENVIRONMENT, GRI_LAYER_SET };

/* A value on its way in: which option, from where. */
struct gri_config_place {
    const struct gri_option *option;
    enum gri_config_layer layer;
    const char *source; /* as gri_config_source tells it */
};

/* Line of a path inside a tree. */
struct gri_config_line {
    char *path;
    int line;
};

struct gri_config_lines {
    struct gri_config_line *items;
    size_t count, cap;
};

/* --- config_value.c --- */

/* Parses `text` as the place's option wants it; *value is owned. Not for trees. */
enum gri_status gri_config_value(const struct gri_config_place *place, const char *text, struct gri_json **value,
                                 struct gri_error *error) GRI_MUST_CHECK;
/* Parses the items of a list (array of strings). */
enum gri_status gri_config_value_list(const struct gri_config_place *place, const struct gri_json *items, struct gri_json **value,
                                      struct gri_error *error) GRI_MUST_CHECK;
/* Is the tree a list or map, as the option wants, and of allowed size? */
enum gri_status gri_config_check_tree(const struct gri_config_place *place, const struct gri_json *tree,
                                      struct gri_error *error) GRI_MUST_CHECK;
/* reason config; "where: …". */
enum gri_status gri_config_fail(struct gri_error *error, const char *source, const char *format, ...) GRI_PRINTF(3, 4);
/* The error of a key that no option has, with the nearest name. */
enum gri_status gri_config_unknown(struct gri_error *error, const char *source, const char *what, const char *name);

/* --- config.c --- */

/* Each gives the option of the place its value. tree and list are taken. A second value in one layer is an error, but for
 * --set, where the later one wins. */
enum gri_status gri_config_assign_text(struct gri_config *config, const struct gri_config_place *place, const char *text,
                                       struct gri_error *error) GRI_MUST_CHECK;
enum gri_status gri_config_assign_list(struct gri_config *config, const struct gri_config_place *place, struct gri_json *list,
                                       struct gri_error *error) GRI_MUST_CHECK;
enum gri_status gri_config_assign_tree(struct gri_config *config, const struct gri_config_place *place, struct gri_json *tree,
                                       struct gri_config_lines *lines, struct gri_error *error) GRI_MUST_CHECK;
/* The value is what the file at `path` holds. */
enum gri_status gri_config_assign_file(struct gri_config *config, const struct gri_config_place *place, const char *path,
                                       struct gri_error *error) GRI_MUST_CHECK;
/* The whole of a file of at most `max` bytes, appended to text. */
enum gri_status gri_config_read_file(const char *path, size_t max, struct gri_bytes *text,
                                     struct gri_error *error) GRI_MUST_CHECK;
/* The option of a key, or of a key with _FILE behind (then *from_file); NULL if there is none. */
const struct gri_option *gri_config_key(const char *key, bool *from_file);

/* --- config_yaml.c --- */

/* Reads the file and assigns each option in it. */
enum gri_status gri_config_read_yaml(struct gri_config *config, const char *path, struct gri_error *error) GRI_MUST_CHECK;
/* A tree given as text (YAML, so JSON too) by --set or the environment; *tree is owned. */
enum gri_status gri_config_parse_tree(const struct gri_config_place *place, struct gri_slice text, struct gri_json **tree,
                                      struct gri_error *error) GRI_MUST_CHECK;
void gri_config_lines_add(struct gri_config_lines *lines, const char *path, int line);
void gri_config_lines_clear(struct gri_config_lines *lines);

#endif
