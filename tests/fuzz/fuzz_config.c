/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer: any bytes as a configuration file; what is behind a NUL is one --set. What is accepted can be described, and what
 * is refused says where.
 *
 * Parser: base/config*.c base/options.c */
#include "fuzz_kit.h"

#include "config.h"

#include <sys/mman.h>
#include <unistd.h>

static void describe(const struct gri_config *config) {
    struct gri_json *all = gri_config_describe(config);
    struct gri_bytes text;
    struct gri_error error;
    gri_bytes_init(&text, 0);
    FUZZ_CHECK(gri_json_count(all) > 10 && gri_json_pretty(all, &text, &error) == GRI_OK);
    gri_bytes_clear(&text);
    gri_json_free(all);
    FUZZ_CHECK(gri_config_int(config, "worker.slots") > 0 && gri_config_text(config, "redis.url")[0] != '\0');
    (void)gri_config_tree(config, "rules");
    (void)gri_config_tree_line(config, "rules[0].name");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static int file = -1;
    static char path[40];
    struct gri_slice rest = {data, size};
    struct gri_slice text = fuzz_cut(&rest, '\0');
    struct gri_config *config = NULL;
    struct gri_error error = {0};
    if (file < 0) {
        file = memfd_create("configuration", MFD_CLOEXEC);
        FUZZ_CHECK(file >= 0 && gri_format(path, sizeof path, "/proc/self/fd/%d", file));
    }
    FUZZ_CHECK(ftruncate(file, 0) == 0 && pwrite(file, text.data, text.len, 0) == (ssize_t)text.len);
    char *set = fuzz_text(rest);
    const char *sets[] = {set};
    /* url_FILE=… reads any file: not from here. */
    bool reads = (set && strstr(set, "_FILE")) || memmem(text.data, text.len, "_FILE", 5);
    struct gri_config_sources sources = {.file = path, .sets = sets, .set_count = set ? 1 : 0};
    if (!reads) {
        enum gri_status status = gri_config_load(&sources, &config, &error);
        fuzz_check_error(status, &error);
        FUZZ_CHECK((status == GRI_OK) == (config != NULL));
        if (config) describe(config);
        gri_config_destroy(config);
    }
    free(set);
    return 0;
}
