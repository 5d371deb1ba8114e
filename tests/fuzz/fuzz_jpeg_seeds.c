/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the seeds of fuzz_jpeg_gray: small JPEGs of every kind. fuzz_jpeg_seeds DIRECTORY */
#include "picture_maker.h"

#include <stdio.h>
#include <stdlib.h>

enum { KINDS = 3 + SCRIPT_COUNT, SAMPLINGS = 5 };

int main(int argc, char **argv) {
    static const int samplings[SAMPLINGS][2] = {{1, 1}, {2, 1}, {1, 2}, {2, 2}, {4, 1}};
    if (argc != 2) return 2;
    for (int kind = 0; kind < KINDS; kind++)
        for (int s = kind % 2; s < SAMPLINGS; s += 2) {
            struct jpeg_recipe recipe = {.width = 41, .height = 23, .components = 3, .quality = 60, .optimised = true};
            recipe.across = samplings[s][0];
            recipe.down = samplings[s][1];
            recipe.separate_scans = kind == 1;
            recipe.restart = kind == 2 ? 2 : 0;
            recipe.progressive = kind >= 3;
            recipe.script = kind >= 3 ? (enum jpeg_script)(kind - 3) : SCRIPT_STANDARD;
            struct gri_bytes file;
            char name[400];
            gri_bytes_init(&file, 0);
            make_jpeg(&recipe, &file);
            FILE *out = gri_format(name, sizeof name, "%s/kind%d_sampling%d.jpg", argv[1], kind, s) ? fopen(name, "wb") : NULL;
            bool written = out && fwrite(file.data, 1, file.len, out) == file.len;
            if (!out || fclose(out) != 0 || !written) return 1;
            gri_bytes_clear(&file);
        }
    return 0;
}
