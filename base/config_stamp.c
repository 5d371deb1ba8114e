/* SPDX-License-Identifier: Apache-2.0 */
/* Tells whether the files of a configuration are still those that were read (config.h). */
#include <sys/stat.h>

#include "config.h"

static void mix(uint64_t *stamp, const void *data, size_t len) {
    for (const uint8_t *byte = data; len > 0; byte++, len--)
        *stamp = (*stamp ^ *byte) * 1099511628211u; /* FNV-1a */
}

/* stat, not lstat: a link that was swapped leads to another file. */
uint64_t gri_config_stamp(const struct gri_config *config) {
    const struct gri_json *files = gri_config_files(config);
    uint64_t stamp = 14695981039346656037u;
    for (size_t i = 0; i < gri_json_count(files); i++) {
        struct stat info;
        if (stat(gri_json_text(gri_json_at(files, i), ""), &info) != 0) {
            mix(&stamp, "-", 1);
            continue;
        }
        int64_t facts[] = {(int64_t)info.st_dev,         (int64_t)info.st_ino,          (int64_t)info.st_size,
                           (int64_t)info.st_mtim.tv_sec, (int64_t)info.st_mtim.tv_nsec, (int64_t)info.st_ctim.tv_sec,
                           (int64_t)info.st_ctim.tv_nsec};
        mix(&stamp, facts, sizeof facts);
    }
    return stamp;
}
