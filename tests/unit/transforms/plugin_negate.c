/* SPDX-License-Identifier: Apache-2.0 */
/* A plugin as its author writes it: transform.h, libvips, nothing else. The macros make the broken ones of the tests. */
#include <grisaille/transform.h>
#include <vips/vips.h>

#ifndef PLUGIN_NAME
#define PLUGIN_NAME "negate"
#endif
#ifndef PLUGIN_ABI
#define PLUGIN_ABI GRI_TRANSFORM_ABI
#endif
#ifndef PLUGIN_SYMBOL
#define PLUGIN_SYMBOL gri_transform_plugin
#endif

struct negate {
    int strength;
};

static const struct gri_transform_param params[] = {
    {.name = "strength",
     .help = "percent",
     .type = GRI_PARAM_INT,
     .offset = offsetof(struct negate, strength),
     .standard = 100,
     .minimum = 0,
     .maximum = 100},
};

static bool apply(const void *values, VipsImage *in, VipsImage **out, struct gri_transform_error *error) {
    const struct negate *negate = values;
    if (negate->strength < 100) {
        g_strlcpy(error->text, "half a negative is gray", sizeof error->text);
        return false;
    }
    return vips_invert(in, out, NULL) == 0;
}

GRI_TRANSFORM_EXPORT extern const struct gri_transform PLUGIN_SYMBOL;
const struct gri_transform PLUGIN_SYMBOL = {
    .abi_version = PLUGIN_ABI,
    .struct_size = sizeof(struct gri_transform),
    .param_struct_size = sizeof(struct gri_transform_param),
    .name = PLUGIN_NAME,
    .summary = "light becomes dark",
    .params = params,
    .param_count = 1,
    .params_size = sizeof(struct negate),
    .apply = apply,
};
