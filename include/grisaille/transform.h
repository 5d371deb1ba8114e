/* SPDX-License-Identifier: Apache-2.0 */
/* The transform ABI: what a step of a pipeline is, whether built in or loaded from a shared object.
 *
 * A transform is one `const struct gri_transform`. Built-ins stand in transforms/transform_table.def. A plugin is a shared
 * object that exports one such object under the name `gri_transform_plugin`:
 *
 *     GRI_TRANSFORM_EXPORT const struct gri_transform gri_transform_plugin = {
 *         .abi_version = GRI_TRANSFORM_ABI, .struct_size = sizeof(struct gri_transform),
 *         .param_struct_size = sizeof(struct gri_transform_param),
 *         .name = "negate", .summary = "light becomes dark", .apply = apply};
 *
 * This header includes nothing of Grisaille: a plugin needs it, libvips and nothing else (docs/transforms.md).
 * Threads: every callback may run on many threads at once; it keeps no state of its own. Callbacks never exit, never print. */
#ifndef GRISAILLE_TRANSFORM_H
#define GRISAILLE_TRANSFORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Rises with every change of this file that an old object could not survive. */
#define GRI_TRANSFORM_ABI UINT32_C(1)
#define GRI_TRANSFORM_SYMBOL "gri_transform_plugin"
#define GRI_TRANSFORM_EXPORT __attribute__((visibility("default")))

struct _VipsImage; /* libvips' VipsImage */

enum {
    GRI_TRANSFORM_NAME_MAX = 32,          /* bytes of a transform's or parameter's name, with NUL: [a-z][a-z0-9_]* */
    GRI_TRANSFORM_PARAMS_MAX = 32,        /* rows of a parameter table */
    GRI_TRANSFORM_CHOICES_MAX = 32,       /* choices of an enum */
    GRI_TRANSFORM_PARAMS_SIZE_MAX = 4096, /* bytes of a parameter struct */
    GRI_TRANSFORM_ERROR_MAX = 240
};

/* Where a callback says why it failed: one sentence, UTF-8, NUL-terminated. */
struct gri_transform_error {
    char text[GRI_TRANSFORM_ERROR_MAX];
};

/* How a parameter's member is declared in the parameter struct. */
enum gri_param_type {
    GRI_PARAM_INT = 1,    /* int */
    GRI_PARAM_DOUBLE = 2, /* double */
    GRI_PARAM_BOOL = 3,   /* bool */
    GRI_PARAM_ENUM = 4    /* int: index into choices */
};

/* One row of a parameter table. */
struct gri_transform_param {
    const char *name; /* the key in YAML */
    const char *help; /* one line: what it does, with its unit */
    enum gri_param_type type;
    size_t offset;              /* offsetof(struct …, member) */
    double standard;            /* the default; for a bool 0 or 1, for an enum an index */
    double minimum, maximum;    /* inclusive; int and double only */
    const char *const *choices; /* enum only: NULL-terminated texts */
};

/* What the codec port can do without decoding pixels. */
enum gri_compressed_form {
    GRI_COMPRESSED_NONE = 0,
    GRI_COMPRESSED_JPEG_LUMA = 1, /* keeps a JPEG's luma component, drops the others; all of luma's data is validated */
    GRI_COMPRESSED_JPEG_LUMA_UNREAD =
        2 /* the same; of luma's data only the structure is checked where reading it is not needed */
};

struct gri_transform {
    uint32_t abi_version;                     /* GRI_TRANSFORM_ABI; first in every version of the ABI */
    uint32_t struct_size;                     /* sizeof(struct gri_transform) */
    size_t param_struct_size;                 /* sizeof(struct gri_transform_param) */
    const char *name;                         /* the key of a step in YAML; unique */
    const char *summary;                      /* one line */
    const struct gri_transform_param *params; /* NULL when there are none */
    size_t param_count;
    size_t params_size; /* sizeof the parameter struct; 0 when there are none */

    /* What the ranges can't say (two parameters that exclude each other …). False with *error filled refuses the pipeline.
     * Parameters are complete and in range. NULL: nothing further to check. */
    bool (*check)(const void *params, struct gri_transform_error *error);

    /* *out becomes a new reference to an image made from `in` (lazily, as libvips does). `in` is borrowed: uchar, one band
     * (b-w) or three (sRGB), upright, without alpha. The result must be uchar, one or three bands as well.
     * False with *error filled (libvips' own message is added by the caller): the image is dead with reason `transform`. */
    bool (*apply)(const void *params, struct _VipsImage *in, struct _VipsImage **out, struct gri_transform_error *error);

    /* Whether this transform with these parameters is what the named form gives, exactly and for every JPEG that the codec
     * performs it on. NULL: it has none. */
    enum gri_compressed_form (*compressed_form)(const void *params);
};

#ifdef __cplusplus
}
#endif

#endif
