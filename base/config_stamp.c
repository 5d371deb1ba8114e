/* SPDX-License-Identifier: Apache-2.0 */
/* Tells whether the files of a configuration are still those that were read (config.h). */
#include <sys/stat.h>

#include "config.h"

/* stat, not lstat: a link that was swapped leads to another file. */
uint64_t gri_config_stamp(const struct gri_config *config) {
    const struct gri_json *files = gri_config_files(config);
    uint64_t stamp = GRI_HASH_START;
    for (size_t i = 0; i < gri_json_count(files); i++) {
        struct stat info;
        if (stat(gri_json_text(gri_json_at(files, i), ""), &info) != 0) {
            stamp = gri_hash(stamp, "-", 1);
            continue;
        }
        int64_t facts[] = {(int64_t)info.st_dev,         (int64_t)info.st_ino,          (int64_t)info.st_size,
                           (int64_t)info.st_mtim.tv_sec, (int64_t)info.st_mtim.tv_nsec, (int64_t)info.st_ctim.tv_sec,
                           (int64_t)info.st_ctim.tv_nsec};
        stamp = gri_hash(stamp, facts, sizeof facts);
    }
    return stamp;
}
