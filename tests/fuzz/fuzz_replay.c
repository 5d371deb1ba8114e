/* SPDX-License-Identifier: Apache-2.0 */
/* main for a harness without libFuzzer: runs it once over each file of the folders that are named (those that are not there have
 * none), so that seeds and every input that ever broke something are unit tests. */
#include "fuzz_kit.h"

#include <dirent.h>

static void run_file(const char *path) {
    FILE *file = fopen(path, "rb");
    struct gri_bytes bytes;
    struct gri_error error;
    char block[4096];
    size_t n;
    FUZZ_CHECK(file != NULL);
    gri_bytes_init(&bytes, 0);
    while ((n = fread(block, 1, sizeof block, file)) > 0)
        FUZZ_CHECK(gri_bytes_append(&bytes, block, n, &error) == GRI_OK);
    (void)fclose(file);
    /* Of exactly its size, without the NUL behind it: a byte too far is seen. */
    uint8_t *exact = malloc(bytes.len ? bytes.len : 1);
    FUZZ_CHECK(exact != NULL);
    if (bytes.len) memcpy(exact, bytes.data, bytes.len);
    (void)LLVMFuzzerTestOneInput(exact, bytes.len);
    free(exact);
    gri_bytes_clear(&bytes);
}

int main(int argc, char **argv) {
    size_t count = 0;
    for (int i = 1; i < argc; i++) {
        DIR *folder = opendir(argv[i]);
        for (const struct dirent *entry; folder && (entry = readdir(folder));) {
            char path[4096];
            if (entry->d_name[0] == '.') continue;
            FUZZ_CHECK(gri_format(path, sizeof path, "%s/%s", argv[i], entry->d_name));
            run_file(path);
            count++;
        }
        if (folder) (void)closedir(folder);
    }
    printf("%zu inputs\n", count);
    return count > 0 ? 0 : 1;
}
