/* SPDX-License-Identifier: Apache-2.0 */
/* Parameter tables at work: from JSON to a parameter struct with defaults and ranges, and back. Any thread. */
#ifndef GRI_TRANSFORM_PARAMS_H
#define GRI_TRANSFORM_PARAMS_H

#include <grisaille/json.h>
#include <grisaille/transform.h>

/* A parameter table with the struct that it fills. */
struct gri_param_table {
    const struct gri_transform_param *rows;
    size_t count;
    size_t size; /* of the struct, bytes */
};

struct gri_param_table gri_params_of(const struct gri_transform *transform);

/* Whether every row can be relied on: names, types, offsets inside the struct and aligned, defaults in range, choices.
 * `owner` names the transform in messages. Reason config. */
enum gri_status gri_params_check_table(struct gri_param_table table, const char *owner, struct gri_error *error) GRI_MUST_CHECK;

/* Fills `params` (table.size bytes) with the defaults and then `values` (an object, or NULL/null for none). `owner` ("step 1
 * (resize)") begins each message. Reason config: an unknown key, another type, out of range, not a choice. */
enum gri_status gri_params_parse(struct gri_param_table table, const char *owner, const struct gri_json *values, void *params,
                                 struct gri_error *error) GRI_MUST_CHECK;

/* All parameters with their values as an object, but `added` ones at their default: the canonical form, of which versions are
 * made. Owned by the caller. */
struct gri_json *gri_params_to_json(struct gri_param_table table, const void *params);
/* The rows of the table for people: an array; owned by the caller. */
struct gri_json *gri_params_describe(struct gri_param_table table);

#endif
