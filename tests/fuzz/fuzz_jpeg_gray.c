/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer: any bytes through gray without decoding, in both forms, held against libjpeg.
 *
 * CC=clang meson setup build-fuzz -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false && ninja -C build-fuzz
 * tests/fuzz/fuzz_jpeg_gray build-fuzz/tests/fuzz/fuzz_jpeg_gray -max_len=4096 CORPUS tests/fuzz/jpeg_gray_seeds
 *
 * Parser: adapters/jpeg_gray*.[ch] */
#include "jpeg_trial.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct trial trial;
    trial_run((struct gri_slice){data, size}, false, &trial);
    if (trial.wrong[0]) {
        (void)fprintf(stderr, "%s\n", trial.wrong);
        abort();
    }
    return 0;
}
