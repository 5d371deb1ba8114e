/* SPDX-License-Identifier: Apache-2.0 */
/* Damaged JPEGs, thousands of them, against libjpeg: whatever it calls corrupt in luma is refused, and what is taken has the
 * coefficients it reads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "jpeg_trial.h"
#include "picture_maker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 16000, SEGMENTS_MAX = 256 };

static uint32_t next(uint32_t *seed, uint32_t below) {
    *seed = *seed * 1664525U + 1013904223U;
    return (uint32_t)(((uint64_t)*seed * below) >> 32);
}

static struct gri_bytes sound_jpeg(uint32_t *seed) {
    static const int samplings[][2] = {{1, 1}, {2, 1}, {1, 2}, {2, 2}, {4, 1}};
    const int *sampling = samplings[next(seed, 5)];
    struct jpeg_recipe recipe = {.width = 1 + (int)next(seed, 130), .height = 1 + (int)next(seed, 90)};
    recipe.components = next(seed, 8) == 0 ? 1 : 3;
    recipe.across = sampling[0];
    recipe.down = sampling[1];
    recipe.progressive = next(seed, 3) > 0;
    recipe.script = (enum jpeg_script)next(seed, SCRIPT_COUNT);
    recipe.optimised = next(seed, 2);
    recipe.separate_scans = !recipe.progressive && next(seed, 5) == 0;
    recipe.restart = next(seed, 6) == 0 ? 1 + (int)next(seed, 9) : 0;
    recipe.quality = 40 + (int)next(seed, 61);
    struct gri_bytes source;
    gri_bytes_init(&source, 0);
    make_jpeg(&recipe, &source);
    return source;
}

/* Where the markers with a segment stand, EOI last. */
static size_t find_segments(const struct gri_bytes *file, size_t at[SEGMENTS_MAX]) {
    size_t count = 0;
    for (size_t i = 2; i + 3 < file->len && count < SEGMENTS_MAX; i++)
        if (file->data[i] == 0xFF && file->data[i + 1] > 0xBF && (file->data[i + 1] & 0xF8) != 0xD0) at[count++] = i;
    return count;
}

static void remove_bytes(struct gri_bytes *file, size_t at, size_t len) {
    memmove(file->data + at, file->data + at + len, file->len - at - len);
    file->len -= len;
}

static void insert_bytes(struct gri_bytes *file, size_t at, const uint8_t *data, size_t len) {
    struct gri_error error;
    uint8_t *copy = malloc(len + 1);
    memcpy(copy, data, len); /* it may be a part of the file */
    assert_int_equal(gri_bytes_reserve(file, len, &error), GRI_OK);
    memmove(file->data + at + len, file->data + at, file->len - at);
    memcpy(file->data + at, copy, len);
    file->len += len;
    free(copy);
}

enum damage {
    CUT,
    CUT_AT_SEGMENT,
    FLIP,
    SET,
    LENGTH,
    DROP_SEGMENT,
    REPEAT_SEGMENT,
    SWAP_MARKER,
    INSERT,
    REMOVE,
    HEADER,
    DAMAGES
};

static void damage(struct gri_bytes *file, uint32_t *seed) {
    size_t at[SEGMENTS_MAX], count = find_segments(file, at);
    if (count < 2 || file->len < at[0] + 8) return;
    size_t which = next(seed, (uint32_t)count - 1), from = at[which], size = at[which + 1] - from;
    size_t place = next(seed, (uint32_t)file->len);
    uint8_t byte = (uint8_t)next(seed, 256);
    switch ((enum damage)next(seed, DAMAGES)) {
    case CUT:
        file->len = place;
        break;
    case CUT_AT_SEGMENT:
        remove_bytes(file, from, file->len - from - 2);
        break; /* the end marker stays */
    case FLIP:
        file->data[place] ^= (uint8_t)(1U << (byte & 7));
        break;
    case SET:
        file->data[place] = byte & 1 ? 0xFF : byte;
        break;
    case LENGTH:
        file->data[from + 3] = (uint8_t)(file->data[from + 3] + 1 - (byte & 2));
        break;
    case DROP_SEGMENT:
        remove_bytes(file, from, size);
        break;
    case REPEAT_SEGMENT:
        insert_bytes(file, from, file->data + from, size);
        break;
    case SWAP_MARKER:
        file->data[from + 1] = byte;
        break;
    case INSERT:
        insert_bytes(file, place, &byte, 1);
        break;
    case REMOVE:
        remove_bytes(file, place, 1);
        break;
    default:
        file->data[from + 2 + next(seed, 16)] ^= (uint8_t)(1U << (byte & 7));
        break; /* in a segment's head */
    }
}

static void damage_is_refused_or_harmless(void **state) {
    (void)state;
    uint32_t seed = 20261121;
    int taken = 0, refused = 0, stricter = 0;
    for (int round = 0; round < ROUNDS; round++) {
        uint32_t began = seed;
        struct gri_bytes file = sound_jpeg(&seed);
        for (uint32_t times = 1 + next(&seed, 8) / 6; times > 0 && file.len > 200; times--)
            damage(&file, &seed);
        uint8_t *copy = malloc(file.len ? file.len : 1); /* a block of its own, so that the sanitizer sees a read past its end */
        memcpy(copy, file.data, file.len);
        struct trial trial;
        trial_run((struct gri_slice){copy, file.len}, true, &trial);
        if (trial.wrong[0]) fail_msg("round %d, seed %u: %s", round, began, trial.wrong);
        taken += trial.taken;
        refused += trial.refused;
        stricter += trial.stricter;
        free(copy);
        gri_bytes_clear(&file);
    }
    print_message("%d files: %d taken, %d refused, of these %d that libjpeg lets pass\n", ROUNDS, taken, refused, stricter);
    assert_true(taken > ROUNDS / 50);
    assert_true(refused > ROUNDS / 5);
}

/* Without damage, nothing is refused. */
static void sound_files_are_taken(void **state) {
    (void)state;
    uint32_t seed = 7;
    int taken = 0;
    for (int round = 0; round < 1000; round++) {
        struct gri_bytes file = sound_jpeg(&seed);
        struct trial trial;
        trial_run(gri_bytes_slice(&file), false, &trial);
        if (trial.wrong[0] || trial.refused) fail_msg("round %d: %s", round, trial.wrong);
        taken += trial.taken;
        gri_bytes_clear(&file);
    }
    assert_true(taken > 850);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sound_files_are_taken),
        cmocka_unit_test(damage_is_refused_or_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
