/* SPDX-License-Identifier: Apache-2.0 */
/* The table of transforms: built-ins expanded from transform_table.def, plugins added behind them. */
#include "transform_table.h"

#include "transform_params.h"

#include <stdlib.h>
#include <string.h>

#define GRI_TRANSFORM(name) extern const struct gri_transform gri_transform_##name;
#include "transform_table.def"
#undef GRI_TRANSFORM

static const struct gri_transform *const built_ins[] = {
#define GRI_TRANSFORM(name) &gri_transform_##name,
#include "transform_table.def"
#undef GRI_TRANSFORM
};

struct entry {
    struct gri_transform transform; /* as this program knows the struct; what an older object lacks is NULL */
    char *origin;                   /* owned */
};

/* Of the first header with this ABI number. */
#define FIRST_SIZE offsetof(struct gri_transform, run)

struct gri_transforms {
    struct entry entries[GRI_TRANSFORMS_MAX];
    size_t count;
    struct gri_json *refused;
};

struct gri_transforms *gri_transforms_create(void) {
    struct gri_transforms *transforms = gri_calloc(1, sizeof *transforms);
    transforms->refused = gri_json_array();
    for (size_t i = 0; i < sizeof built_ins / sizeof built_ins[0]; i++) {
        struct gri_error error;
        GRI_ASSERT(gri_transforms_add(transforms, built_ins[i], "built-in", &error) == GRI_OK);
    }
    return transforms;
}

void gri_transforms_destroy(struct gri_transforms *transforms) {
    if (!transforms) return;
    for (size_t i = 0; i < transforms->count; i++)
        free(transforms->entries[i].origin);
    gri_json_free(transforms->refused);
    free(transforms);
}

void gri_transforms_refuse(struct gri_transforms *transforms, const char *detail) {
    gri_json_append(transforms->refused, gri_json_string(detail));
}

const struct gri_json *gri_transforms_refused(const struct gri_transforms *transforms) {
    return transforms->refused;
}

/* The ABI number is read first: nothing else of the struct may be looked at before it is known to be ours. */
static enum gri_status check_layout(const struct gri_transform *transform, const char *origin, struct gri_error *error) {
    if (transform->abi_version != GRI_TRANSFORM_ABI)
        return gri_fail(error, GRI_R_config, "%s: made for transform ABI %u, this is ABI %u; rebuild it against this grisaille",
                        origin, transform->abi_version, GRI_TRANSFORM_ABI);
    if (transform->struct_size < FIRST_SIZE || transform->struct_size > sizeof *transform)
        return gri_fail(error, GRI_R_config,
                        "%s: its struct gri_transform has %u bytes, this program knows %zu to %zu; rebuild it", origin,
                        transform->struct_size, FIRST_SIZE, sizeof *transform);
    if (transform->param_count > 0 && transform->param_struct_size != sizeof(struct gri_transform_param))
        return gri_fail(error, GRI_R_config, "%s: its struct gri_transform_param has %zu bytes, not %zu; rebuild it", origin,
                        transform->param_struct_size, sizeof(struct gri_transform_param));
    return GRI_OK;
}

static bool good_name(const char *name) {
    size_t len = name ? strnlen(name, GRI_TRANSFORM_NAME_MAX) : 0;
    return len > 0 && len < GRI_TRANSFORM_NAME_MAX && name[0] >= 'a' && name[0] <= 'z' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == len;
}

/* What does the work, and what that asks for. */
static const char *work_fault(const struct gri_transform *transform) {
    int works = (transform->apply != NULL) + (transform->run != NULL) + (transform->run_bytes != NULL);
    if (!transform->summary) return "has no summary";
    if (works == 0) return "has no apply, run or run_bytes";
    if (works > 1) return "has more than one of apply, run and run_bytes";
    return transform->release && !transform->prepare ? "has release without prepare" : NULL;
}

enum gri_status gri_transforms_add(struct gri_transforms *transforms, const struct gri_transform *object, const char *origin,
                                   struct gri_error *error) {
    if (check_layout(object, origin, error) != GRI_OK) return error->status;
    struct gri_transform known = {0}, *transform = &known;
    memcpy(&known, object, object->struct_size);
    if (!good_name(transform->name))
        return gri_fail(error, GRI_R_config, "%s: a transform's name is of the form [a-z][a-z0-9_]*, at most %d bytes", origin,
                        GRI_TRANSFORM_NAME_MAX - 1);
    const char *fault = work_fault(transform);
    if (fault) return gri_fail(error, GRI_R_config, "%s: transform %s %s", origin, transform->name, fault);
    for (size_t i = 0; i < transforms->count; i++)
        if (strcmp(transforms->entries[i].transform.name, transform->name) == 0)
            return gri_fail(error, GRI_R_config, "%s: the name %s is taken (%s)", origin, transform->name,
                            transforms->entries[i].origin);
    if (gri_params_check_table(gri_params_of(transform), origin, error) != GRI_OK) return error->status;
    if (transforms->count == GRI_TRANSFORMS_MAX)
        return gri_fail(error, GRI_R_config, "%s: more than %d transforms", origin, GRI_TRANSFORMS_MAX);
    transforms->entries[transforms->count++] = (struct entry){known, gri_strdup(origin)};
    return GRI_OK;
}

const struct gri_transform *gri_transforms_find(const struct gri_transforms *transforms, const char *name) {
    for (size_t i = 0; i < transforms->count; i++)
        if (strcmp(transforms->entries[i].transform.name, name) == 0) return &transforms->entries[i].transform;
    return NULL;
}

size_t gri_transforms_count(const struct gri_transforms *transforms) {
    return transforms->count;
}

const struct gri_transform *gri_transforms_at(const struct gri_transforms *transforms, size_t index) {
    GRI_ASSERT(index < transforms->count);
    return &transforms->entries[index].transform;
}

const char *gri_transforms_origin(const struct gri_transforms *transforms, size_t index) {
    GRI_ASSERT(index < transforms->count);
    return transforms->entries[index].origin;
}

/* Whether the transform with its defaults has a form in the compressed domain. */
static bool compressed_by_default(const struct gri_transform *transform) {
    if (!transform->compressed_form) return false;
    void *params = gri_calloc(1, transform->params_size + 1);
    struct gri_error error;
    bool compressed = gri_params_parse(gri_params_of(transform), transform->name, NULL, params, &error) == GRI_OK &&
                      transform->compressed_form(params) != GRI_COMPRESSED_NONE;
    free(params);
    return compressed;
}

struct gri_json *gri_transforms_describe(const struct gri_transforms *transforms) {
    struct gri_json *list = gri_json_array();
    for (size_t i = 0; i < transforms->count; i++) {
        const struct gri_transform *transform = &transforms->entries[i].transform;
        struct gri_json *row = gri_json_object();
        gri_json_set_str(row, "name", transform->name);
        gri_json_set_str(row, "summary", transform->summary);
        gri_json_set_str(row, "origin", transforms->entries[i].origin);
        gri_json_set_bool(row, "compressed", compressed_by_default(transform));
        gri_json_set(row, "parameters", gri_params_describe(gri_params_of(transform)));
        gri_json_append(list, row);
    }
    return list;
}
