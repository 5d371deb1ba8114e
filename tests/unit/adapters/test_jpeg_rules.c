/* SPDX-License-Identifier: Apache-2.0 */
/* What gray without decoding must refuse, rule by rule, and what it must not. The files are gray ones, so that every scan is
 * luma's: a progressive one with scans DC first, AC 1–5 and 6–63 first, AC refined, DC refined, AC refined again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "jpeg_gray.h"
#include "jpeg_trial.h"
#include "picture_maker.h"

#include <stdlib.h>
#include <string.h>

enum { DHT = 0xC4, SOS = 0xDA, EOI = 0xD9, SOF2 = 0xC2 };

static struct gri_bytes gray_jpeg(bool progressive) {
    struct jpeg_recipe recipe = {.width = 61, .height = 43, .components = 1, .progressive = progressive, .quality = 90};
    struct gri_bytes file;
    gri_bytes_init(&file, 0);
    make_jpeg(&recipe, &file);
    return file;
}

/* Where the `number`th marker `code` stands (0 the first). */
static size_t find(const struct gri_bytes *file, int code, int number) {
    for (size_t i = 2; i + 1 < file->len; i++)
        if (file->data[i] == 0xFF && file->data[i + 1] == code && number-- == 0) return i;
    fail_msg("no marker %x", (unsigned)code);
    return 0;
}

/* The end of the `number`th scan's data. */
static size_t scan_end(const struct gri_bytes *file, int number) {
    size_t i = find(file, SOS, number) + 2;
    while (file->data[i] != 0xFF || file->data[i + 1] == 0)
        i++;
    return i;
}

static void splice(struct gri_bytes *file, size_t at, size_t remove, const void *data, size_t len) {
    struct gri_error error;
    uint8_t *copy = malloc(len + 1);
    memcpy(copy, data, len);
    assert_int_equal(gri_bytes_reserve(file, len, &error), GRI_OK);
    memmove(file->data + at + len, file->data + at + remove, file->len - at - remove);
    memcpy(file->data + at, copy, len);
    file->len += len - remove;
    free(copy);
}

/* Runs `source` with full validation, and frees it. `part`: of the message, or NULL when it is to be taken. */
static void expect(struct gri_bytes *source, const char *part) {
    struct gri_jpeg_limits limits = {.max_pixels = 1 << 20, .max_output_bytes = 8 << 20, .timeout_ms = 60000, .max_scans = 100};
    struct gri_bytes out;
    struct gri_jpeg_info info;
    struct gri_error error = {0};
    bool handled = false;
    gri_bytes_init(&out, 0);
    enum gri_status status = gri_jpeg_gray_take(gri_bytes_slice(source), 0, &limits, &out, &info, &handled, &error);
    if (part && (status != GRI_PERMANENT || error.reason != GRI_R_corrupt_image || !strstr(error.detail, part)))
        fail_msg("expected \"%s\", got \"%s\"", part, error.detail);
    if (!part && (status != GRI_OK || !handled)) fail_msg("refused: %s", error.detail);
    struct trial trial;
    trial_run(gri_bytes_slice(source), false, &trial);
    assert_string_equal(trial.wrong, "");
    gri_bytes_clear(&out);
    gri_bytes_clear(source);
}

static void scans_must_follow_on_each_other(void **state) {
    (void)state;
    struct gri_bytes file = gray_jpeg(true);
    file.data[find(&file, SOS, 1) + 9] = 0x21; /* a refinement before its first scan */
    expect(&file, "do not follow");
    file = gray_jpeg(true);
    file.data[find(&file, SOS, 3) + 9] = 0x02; /* a first scan twice */
    expect(&file, "do not follow");
    file = gray_jpeg(true);
    file.data[find(&file, SOS, 3) + 9] = 0x32; /* Ah that is not what came before */
    expect(&file, "do not follow");
    file = gray_jpeg(true);
    file.data[find(&file, SOS, 3) + 9] = 0x20; /* two planes in a step */
    expect(&file, "malformed scan header");
    file = gray_jpeg(true);
    size_t from = find(&file, SOS, 0);
    splice(&file, from, scan_end(&file, 0) - from, "", 0);
    expect(&file, "AC before DC");
    file = gray_jpeg(true);
    from = find(&file, SOS, 5);
    splice(&file, from, scan_end(&file, 5) - from, "", 0);
    expect(&file, "scans are missing");
    file = gray_jpeg(false);
    file.data[find(&file, SOS, 0) + 8] = 62;
    expect(&file, "malformed scan header");
}

static void data_must_be_as_long_as_its_blocks(void **state) {
    (void)state;
    for (int scan = 0; scan < 6; scan++) {
        struct gri_bytes file = gray_jpeg(true);
        splice(&file, scan_end(&file, scan), 0, "\x55", 1);
        expect(&file, "longer or shorter");
        file = gray_jpeg(true);
        size_t end = scan_end(&file, scan);
        splice(&file, end - 6, 6, "", 0);
        expect(&file, "JPEG: ");
    }
    struct gri_bytes file = gray_jpeg(false);
    splice(&file, scan_end(&file, 0), 0, "\x55", 1);
    expect(&file, "longer or shorter");
}

static void restart_markers_come_in_order(void **state) {
    (void)state;
    for (int progressive = 0; progressive < 2; progressive++)
        for (int kind = 0; kind < 6; kind++) { /* 48 blocks: RST0 to RST7, RST0 */
            static const char *const said[] = {"out of order", "missing", "out of order", "longer or shorter", "JPEG: ", NULL};
            struct jpeg_recipe recipe = {.width = 61, .height = 43, .components = 1, .progressive = progressive, .restart = 5};
            struct gri_bytes file;
            gri_bytes_init(&file, 0);
            make_jpeg(&recipe, &file);
            size_t at = find(&file, kind == 1 ? 0xD0 : 0xD4, kind == 1);
            if (kind == 0) file.data[at + 1] = 0xD5;
            if (kind == 1) splice(&file, at, 2, "", 0);         /* the last of the scan */
            if (kind == 2) splice(&file, at, 0, "\xFF\xD4", 2); /* one too many */
            if (kind == 3) splice(&file, at, 0, "\x55\x55", 2); /* bytes before it */
            if (kind == 4) splice(&file, at - 1, 1, "", 0);     /* a byte short */
            if (kind == 5) splice(&file, at, 0, "\xFF\xFF", 2); /* fill bytes are legal */
            expect(&file, said[kind]);
        }
}

static void markers_out_of_place_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
        const char *part;
    } cases[] = {
        {"\xFF\xD0", 2, "restart marker without"}, {"\xFF\xDC\0\4\0\x2B", 6, "reserved or out of place"}, /* DNL */
        {"\xFF\x02\0\2", 4, "reserved"},           {"\xFF\xF0\0\2", 4, "reserved"},
        {"\xFF\xDE\0\2", 4, "reserved"},           {"\xFF\x01", 2, "out of place"},
        {"\xFF\xD8", 2, "out of place"},           {"\xFF\xFF\0", 3, "out of place"},
        {"\xFF\xFE\0\1", 4, "does not fit"},       {"\xFF\xFE\xFF\xFF", 4, "does not fit"},
        {"\xFF\xC4\0\3\x20", 5, "Huffman table"},  {"\xFF\xDB\0\3\0", 5, "quantisation table"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (int progressive = 0; progressive < 2; progressive++) {
            struct gri_bytes file = gray_jpeg(progressive);
            splice(&file, scan_end(&file, 0), 0, cases[i].bytes, cases[i].len);
            expect(&file, cases[i].part);
        }
}

static void fill_bytes_and_comments_between_scans_are_legal(void **state) {
    (void)state;
    for (int progressive = 0; progressive < 2; progressive++) {
        struct gri_bytes file = gray_jpeg(progressive);
        splice(&file, scan_end(&file, 0), 0, "\xFF\xFF\xFF", 3);
        splice(&file, find(&file, DHT, 0), 0, "\xFF\xFF\xFE\0\5abc", 8);
        expect(&file, NULL);
    }
}

/* Offsets in a DHT segment: 2 length, 4 class and number, 5 sixteen counts, 21 values. */
static void tables_must_be_codes_of_what_can_be(void **state) {
    (void)state;
    struct gri_bytes file = gray_jpeg(false);
    file.data[find(&file, DHT, 0) + 21 + 11] = 16; /* a DC size that no block of the file uses */
    expect(&file, "no code");
    file = gray_jpeg(false);
    size_t counts = find(&file, DHT, 0) + 5;
    file.data[counts + 1] = 3; /* was 1 code of 2 bits; one more of 2 and one less of 3: 5 codes of 3 bits no more fit */
    file.data[counts + 2] = 3;
    expect(&file, "no code");
    for (int size = 0; size < 2; size++) {
        file = gray_jpeg(false);
        uint8_t *values = file.data + find(&file, DHT, 1) + 21;
        values[0] = size ? 0x0B : 0x10; /* the commonest code: 11 bits a coefficient; a run of blocks in a sequential file */
        expect(&file, "undefined");
    }
    file = gray_jpeg(false);
    memset(file.data + find(&file, DHT, 1) + 21, 0xF1, 162); /* runs of 15 only */
    expect(&file, "past the block");
    file = gray_jpeg(true);
    size_t first = find(&file, SOS, 1) - 1; /* the band's table ends before its scan header: all its codes become one */
    size_t table = find(&file, DHT, 1);
    memset(file.data + table + 21, 0xE1, first + 1 - table - 21);
    expect(&file, "past the band");
    file = gray_jpeg(true);
    table = find(&file, DHT, 1);
    memset(file.data + table + 21, 0xE0, find(&file, SOS, 1) - table - 21);
    expect(&file, "past the scan");
    file = gray_jpeg(true);
    table = find(&file, DHT, 3); /* of the first refinement: coefficients of 2 bits */
    memset(file.data + table + 21, 0x02, find(&file, SOS, 3) - table - 21);
    expect(&file, "undefined");
}

static void a_dc_coefficient_out_of_range_is_refused(void **state) {
    (void)state;
    struct gri_bytes file = gray_jpeg(false);
    memset(file.data + find(&file, DHT, 0) + 21, 11, 12); /* every difference has 11 bits */
    expect(&file, "out of range");
}

static void frames_must_be_sound(void **state) {
    (void)state;
    struct gri_bytes file = gray_jpeg(true);
    size_t frame = find(&file, SOF2, 0);
    splice(&file, frame, 0, file.data + frame, 13);
    expect(&file, "second frame");
    file = gray_jpeg(true);
    memset(file.data + find(&file, SOF2, 0) + 5, 0, 2);
    expect(&file, "height of 0");
    file = gray_jpeg(true);
    file.data[find(&file, SOF2, 0) + 11] = 0x15;
    expect(&file, "sampling");
    file = gray_jpeg(true);
    file.data[find(&file, SOF2, 0) + 12] = 2;
    expect(&file, "quantisation table is missing");
    file = gray_jpeg(true);
    file.data[find(&file, 0xDB, 0) + 9] = 0;
    expect(&file, "a 0 in luma's");
    file = gray_jpeg(true);
    file.data[find(&file, SOS, 0) + 5] = 9;
    expect(&file, "no component");
    file = gray_jpeg(true);
    file.len -= 2;
    expect(&file, "end-of-image");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scans_must_follow_on_each_other),
        cmocka_unit_test(data_must_be_as_long_as_its_blocks),
        cmocka_unit_test(restart_markers_come_in_order),
        cmocka_unit_test(markers_out_of_place_are_refused),
        cmocka_unit_test(fill_bytes_and_comments_between_scans_are_legal),
        cmocka_unit_test(tables_must_be_codes_of_what_can_be),
        cmocka_unit_test(a_dc_coefficient_out_of_range_is_refused),
        cmocka_unit_test(frames_must_be_sound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
