/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a pipeline over files, for compare_pillow.py: argument: the definition; standard input: lines "source<TAB>output";
 * standard output: a line for each, "ok lossless|encoded width height type" or "error reason detail". */
#include "codec_kit.h"
#include "vips_runtime.h"

#include <glib.h>
#include <stdio.h>
#include <string.h>

static void run_file(struct codec_kit *kit, const struct gri_plan *plan, char *line) {
    char *to = strchr(line, '\t'), *data = NULL;
    gsize len = 0;
    struct gri_picture picture;
    struct gri_error error = {0};
    GRI_ASSERT(to);
    *to++ = 0;
    GRI_ASSERT(g_file_get_contents(line, &data, &len, NULL));
    if (kit->codec->ops->run(kit->codec, plan, (struct gri_slice){(const uint8_t *)data, len}, &picture, &error) != GRI_OK) {
        printf("error %s %s\n", gri_reason_name(error.reason), error.detail);
    } else {
        GRI_ASSERT(g_file_set_contents(to, (const char *)picture.output.data, (gssize)picture.output.len, NULL));
        printf("ok %s %d %d %s\n", picture.lossless ? "lossless" : "encoded", picture.width, picture.height, picture.source_type);
        gri_picture_clear(&picture);
    }
    fflush(stdout);
    g_free(data);
}

int main(int argc, char **argv) {
    struct codec_kit kit;
    struct gri_plan *plan = NULL;
    struct gri_error error = {0};
    char line[8192];
    if (argc != 2) return 2;
    codec_kit_open(&kit, 50000000, 60000);
    if (kit.codec->ops->compile(kit.codec, gri_slice_of(argv[1]), &plan, &error) != GRI_OK) {
        fprintf(stderr, "%s\n", error.detail);
        return 2;
    }
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = 0;
        run_file(&kit, plan, line);
    }
    kit.codec->ops->plan_free(kit.codec, plan);
    codec_kit_close(&kit);
    gri_vips_stop();
    return 0;
}
