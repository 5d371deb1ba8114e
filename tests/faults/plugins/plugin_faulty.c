/* SPDX-License-Identifier: Apache-2.0 */
/* Transforms that fail the process they run in, for pictures of one width, and hand every other picture on. Built once a
 * fault: FAULT_CRASH, FAULT_HANG, FAULT_LEAK or FAULT_EXIT. The tests put them into pipelines by plugins.dir. */
#include <grisaille/transform.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <vips/vips.h>

struct faulty {
    int width;
};

static const struct gri_transform_param params[] = {
    {.name = "width",
     .help = "pictures of this many pixels across are the bad ones; 0: all of them",
     .type = GRI_PARAM_INT,
     .offset = offsetof(struct faulty, width),
     .standard = 0,
     .minimum = 0,
     .maximum = 100000},
};

#if defined(FAULT_CRASH)
#define FAULT_NAME "crash"
static void fail(void) {
    abort();
}
#elif defined(FAULT_HANG)
#define FAULT_NAME "hang"
static void fail(void) {
    for (;;)
        usleep(1000); /* the CPU is shared with other tests */
}
#elif defined(FAULT_LEAK)
#define FAULT_NAME "leak"
/* Takes and touches memory for ever, at a pace that a limit can overtake. */
static void fail(void) {
    enum { STEP = 8 * 1024 * 1024 };
    for (;;) {
        char *more = malloc(STEP);
        if (more == NULL) abort();
        memset(more, 1, STEP);
        usleep(50000);
    }
}
#else
#define FAULT_NAME "leave"
static void fail(void) {
    _exit(0);
}
#endif

static bool apply(const void *values, VipsImage *in, VipsImage **out, struct gri_transform_error *error) {
    const struct faulty *faulty = values;
    (void)error;
    if (faulty->width == 0 || vips_image_get_width(in) == faulty->width) fail();
    return vips_copy(in, out, NULL) == 0;
}

GRI_TRANSFORM_EXPORT extern const struct gri_transform gri_transform_plugin;
const struct gri_transform gri_transform_plugin = {
    .abi_version = GRI_TRANSFORM_ABI,
    .struct_size = sizeof(struct gri_transform),
    .param_struct_size = sizeof(struct gri_transform_param),
    .name = FAULT_NAME,
    .summary = "fails its process",
    .params = params,
    .param_count = 1,
    .params_size = sizeof(struct faulty),
    .apply = apply,
};
