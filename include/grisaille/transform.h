/* SPDX-License-Identifier: Apache-2.0 */
/* The transform ABI: what a step of a pipeline is, whether built in or loaded from a shared object.
 *
 * A transform is one `const struct gri_transform`. Built-ins stand in transforms/transform_table.def. A plugin is a shared
 * object that exports one such object under the name `gri_transform_plugin`:
 *
 *     GRI_TRANSFORM_EXPORT const struct gri_transform gri_transform_plugin = {
 *         GRI_TRANSFORM_LAYOUT, .name = "negate", .summary = "light becomes dark", .apply = apply};
 *
 * This header includes nothing of Grisaille: a plugin needs it, libvips and nothing else (docs/transforms.md).
 * Threads: every callback may run on many threads at once; it keeps no state of its own. Callbacks never exit, never print. */
#ifndef GRISAILLE_TRANSFORM_H
#define GRISAILLE_TRANSFORM_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Rises with every change of this file that an old object could not survive. Members that are added at the end of
 * struct gri_transform are none: struct_size tells which of them an object has; those it lacks count as NULL. */
#define GRI_TRANSFORM_ABI UINT32_C(1)
#define GRI_TRANSFORM_SYMBOL "gri_transform_plugin"
#define GRI_TRANSFORM_EXPORT __attribute__((visibility("default")))

struct _VipsImage; /* libvips' VipsImage */

enum {
    GRI_TRANSFORM_NAME_MAX = 32,          /* bytes of a transform's or parameter's name, with NUL: [a-z][a-z0-9_]* */
    GRI_TRANSFORM_PARAMS_MAX = 32,        /* rows of a parameter table */
    GRI_TRANSFORM_CHOICES_MAX = 32,       /* choices of an enum */
    GRI_TRANSFORM_PARAMS_SIZE_MAX = 4096, /* bytes of a parameter struct */
    GRI_TRANSFORM_ERROR_MAX = 240,
    GRI_TRANSFORM_FACT_MAX = 200 /* bytes of a fact's text */
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
    GRI_PARAM_ENUM = 4,   /* int: index into choices */
    GRI_PARAM_TEXT = 5    /* char[maximum], NUL-terminated UTF-8 without control characters; the default is choices[0], or "" */
};

/* One row of a parameter table. */
struct gri_transform_param {
    const char *name; /* the key in YAML */
    const char *help; /* one line: what it does, with its unit */
    enum gri_param_type type;
    /* True: joined this table after programs without it were in use. Its default means what was done before, for ever, and at
     * its default it is left out of stored definitions: versions stay, and older workers still know them. */
    bool added;
    size_t offset;              /* offsetof(struct …, member) */
    double standard;            /* the default; for a bool 0 or 1, for an enum an index */
    double minimum, maximum;    /* inclusive; int and double only. text: maximum is the size of the member */
    const char *const *choices; /* enum: NULL-terminated texts */
};

/* What can be done without decoding pixels. */
enum gri_compressed_form {
    GRI_COMPRESSED_NONE = 0,
    GRI_COMPRESSED_JPEG_LUMA = 1, /* keeps a JPEG's luma component, drops the others; all of luma's data is validated */
    GRI_COMPRESSED_JPEG_LUMA_UNREAD =
        2,                       /* the same; of luma's data only the structure is checked where reading it is not needed */
    GRI_COMPRESSED_SIZE_ONLY = 3 /* with these parameters `run` needs the picture's size alone: it may get no image */
};

/* What a `run` is given. The host's, for the length of the call; functions that begin with `host` get that member first. */
struct gri_transform_call {
    uint32_t struct_size; /* of this struct, as the host has it: members may be added at its end */
    const void *params;
    void *state;       /* what `prepare` made, or NULL */
    int width, height; /* the picture's size here. `in` has it too, unless `shrink` let it be smaller */
    struct gri_transform_error *error;
    void *host;
    /* Milliseconds until image.timeout_ms is over; work that could take longer must look. */
    int64_t (*left_ms)(void *host);
    /* Makes the pixels of `in` real, within the time left: *out is a new reference to an image in memory. What reads the whole
     * picture (a histogram, say) reads this, and hands it on, or the steps before it run twice. */
    bool (*compute)(void *host, struct _VipsImage *in, struct _VipsImage **out);
    /* Stores a fact beside the image, as facts.<transform>.<name>: [a-z][a-z0-9_]*, finite numbers, texts of at most
     * GRI_TRANSFORM_FACT_MAX bytes. False: it is not of that form, or all facts together are too many. */
    bool (*fact_number)(void *host, const char *name, double value);
    bool (*fact_text)(void *host, const char *name, const char *text);
    /* The picture is fine but not wanted: call this, then return false with *error filled. `reason`: too_small, bad_aspect,
     * low_entropy or blank_image; anything else, and NULL, counts as unwanted. */
    void (*reject)(void *host, const char *reason);
    /* run_bytes only: what is to be read in place of the picture; once. False: too large. */
    bool (*put)(void *host, const void *data, size_t len);
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
     * Parameters are complete and in range. Opens no files. NULL: nothing further to check. */
    bool (*check)(const void *params, struct gri_transform_error *error);

    /* The work is done by exactly one of apply, run and run_bytes.
     *
     * *out becomes a new reference to an image made from `in` (lazily, as libvips does). `in` is borrowed: uchar, one band
     * (b-w) or three (sRGB), upright, without alpha. The result must be uchar, one or three bands as well.
     * False with *error filled (libvips' own message is added by the caller): the image is dead with reason `transform`. */
    bool (*apply)(const void *params, struct _VipsImage *in, struct _VipsImage **out, struct gri_transform_error *error);

    /* Whether this transform with these parameters is what the named form gives, exactly and for every JPEG that the codec
     * performs it on. NULL: it has none. */
    enum gri_compressed_form (*compressed_form)(const void *params);

    /* --- from here on: members that older objects lack -------------------------------------------------------------------- */

    /* As apply, with all that a call offers. `in` is NULL only where compressed_form said GRI_COMPRESSED_SIZE_ONLY; *out is then
     * left alone. */
    bool (*run)(const struct gri_transform_call *call, struct _VipsImage *in, struct _VipsImage **out);

    /* Whole bytes instead of pixels: as the first step those of the source file as it was fetched (its structure was checked),
     * later the picture as a PNG. What call->put is given (JPEG, PNG, WebP or GIF) takes the picture's place and is checked and
     * decoded as a source is; without it, the picture stays. */
    bool (*run_bytes)(const struct gri_transform_call *call, const void *data, size_t len);

    /* Once for each compiled pipeline, before the first run: the only place that may open files, start programs or take long.
     * *state is handed to every run and, at the end, to release. False with *error filled: the pipeline can't run here.
     * NULL: nothing to prepare. */
    bool (*prepare)(const void *params, void **state, struct gri_transform_error *error);
    void (*release)(void *state);

    /* How many times smaller, in each direction, a picture of this size may come without harm to the result; at least 1. The
     * decoder then makes fewer pixels, if it can: a JPEG's by 2, 4 or 8. Asked of the first step that is not `linear`.
     * NULL: 1. */
    double (*shrink)(const void *params, int width, int height);

    /* Whether each pixel of the result depends on that one pixel alone, and linearly: then it does not matter whether the picture
     * is made smaller before or after it. NULL: no. */
    bool (*linear)(const void *params);

    /* True: `prepare` starts threads or programs that go on working for the runs. Threads that run pictures may not do that, nor
     * open files or make sockets: docs/security.md. */
    bool works_outside;
};

/* The members of struct gri_transform that tell its layout, and those that name a parameter table with its struct. */
#define GRI_TRANSFORM_LAYOUT                                                       \
    .abi_version = GRI_TRANSFORM_ABI, .struct_size = sizeof(struct gri_transform), \
    .param_struct_size = sizeof(struct gri_transform_param)
#define GRI_TRANSFORM_PARAMS(table, type) \
    .params = (table), .param_count = sizeof(table) / sizeof((table)[0]), .params_size = sizeof(type)

/* Writes why, and gives false: `return gri_transform_fail(error, "…", …);`. */
__attribute__((format(printf, 2, 3))) static inline bool gri_transform_fail(struct gri_transform_error *error, const char *format,
                                                                            ...) {
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
    return false;
}

#ifdef __cplusplus
}
#endif

#endif
