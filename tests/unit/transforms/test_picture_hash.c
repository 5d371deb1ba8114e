/* SPDX-License-Identifier: Apache-2.0 */
/* The perceptual hash: copies that were resized, recompressed or brightened stay near, other pictures stay far; precision and
 * recall are printed. */
#include "picture_hash.h"
#include "picture_kit.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SCENES = 100, SIDE_X = 240, SIDE_Y = 160, VARIANTS = 3, WITHIN = 6, SHAPES = 10 };

static uint32_t next_random(uint32_t *seed) {
    *seed = *seed * 1664525 + 1013904223;
    return *seed >> 8;
}

/* A scene: a slanted ground and some soft discs, all by the seed. */
static VipsImage *scene(uint32_t seed) {
    static uint8_t pixels[SIDE_X * SIDE_Y];
    static double level[SIDE_X * SIDE_Y];
    double ground[2];
    uint32_t random = seed * 2654435761u + 1;
    ground[0] = next_random(&random) % 200 / 100.0 - 1;
    ground[1] = next_random(&random) % 200 / 100.0 - 1;
    for (int i = 0; i < SIDE_X * SIDE_Y; i++)
        level[i] = 110 + ground[0] * (i % SIDE_X - SIDE_X / 2) * .3 + ground[1] * (i / SIDE_X - SIDE_Y / 2) * .3;
    for (int s = 0; s < SHAPES; s++) {
        double x = next_random(&random) % SIDE_X, y = next_random(&random) % SIDE_Y, r = 12 + next_random(&random) % 50,
               add = (double)(next_random(&random) % 160) - 80;
        for (int i = 0; i < SIDE_X * SIDE_Y; i++) {
            double away = hypot(i % SIDE_X - x, i / SIDE_X - y);
            level[i] += away < r ? add : away < r + 6 ? add * (r + 6 - away) / 6 : 0;
        }
    }
    for (int i = 0; i < SIDE_X * SIDE_Y; i++)
        pixels[i] = (uint8_t)(level[i] < 0 ? 0 : level[i] > 230 ? 230 : level[i]);
    return vips_image_new_from_memory_copy(pixels, sizeof pixels, SIDE_X, SIDE_Y, 1, VIPS_FORMAT_UCHAR);
}

/* Takes the image. */
static uint64_t hash_of(VipsImage *image, int quality) {
    void *data = NULL;
    size_t len = 0;
    char text[GRI_PHASH_HEX];
    assert_int_equal(vips_jpegsave_buffer(image, &data, &len, "Q", quality, NULL), 0);
    gri_picture_hash((struct gri_slice){data, len}, text);
    assert_int_equal(strlen(text), 16);
    g_free(data);
    g_object_unref(image);
    return strtoull(text, NULL, 16);
}

static uint64_t hash_of_variant(uint32_t seed, int variant) {
    VipsImage *image = scene(seed), *changed = NULL;
    if (variant == 0) assert_int_equal(vips_resize(image, &changed, .5, NULL), 0);
    if (variant == 1) return hash_of(image, 25);
    if (variant == 2) {
        VipsImage *bright = NULL;
        assert_int_equal(vips_linear1(image, &bright, 1.1, 12, NULL), 0);
        assert_int_equal(vips_cast(bright, &changed, VIPS_FORMAT_UCHAR, NULL), 0);
        g_object_unref(bright);
    }
    g_object_unref(image);
    return hash_of(changed, 85);
}

static void copies_are_near_and_others_far(void **state) {
    static const char *const names[VARIANTS] = {"resized to half", "recompressed at quality 25", "brightened by a tenth"};
    uint64_t original[SCENES];
    int found_in_all = 0, wrong = 0;
    (void)state;
    for (uint32_t i = 0; i < SCENES; i++)
        original[i] = hash_of(scene(i), 90);
    for (int variant = 0; variant < VARIANTS; variant++) {
        int found = 0;
        for (uint32_t i = 0; i < SCENES; i++) {
            uint64_t copy = hash_of_variant(i, variant);
            for (int k = 0; k < SCENES; k++) {
                bool near = __builtin_popcountll(copy ^ original[k]) <= WITHIN;
                found += near && k == (int)i;
                wrong += near && k != (int)i;
            }
        }
        printf("%-28s recall %5.1f %%\n", names[variant], 100.0 * found / SCENES);
        assert_true(found >= SCENES * 9 / 10);
        found_in_all += found;
    }
    double precision = (double)found_in_all / (found_in_all + wrong);
    printf("within %d bits: precision %5.1f %%, recall %5.1f %%\n", WITHIN, 100 * precision,
           100.0 * found_in_all / (SCENES * VARIANTS));
    assert_true(precision > .99);
}

static void one_level_all_over_has_no_hash(void **state) {
    char hash[GRI_PHASH_HEX];
    (void)state;
    VipsImage *flat = picture_kit_flat(64, 48, (const double[]){128}, 1, VIPS_FORMAT_UCHAR, VIPS_INTERPRETATION_B_W);
    struct gri_slice bytes = picture_kit_encode(flat, AS_JPEG);
    gri_picture_hash(bytes, hash);
    assert_string_equal(hash, "");
    picture_kit_drop(bytes);
    gri_picture_hash(gri_slice_of("no picture"), hash);
    assert_string_equal(hash, "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies_are_near_and_others_far),
        cmocka_unit_test(one_level_all_over_has_no_hash),
    };
    return cmocka_run_group_tests(tests, picture_kit_open, picture_kit_close);
}
