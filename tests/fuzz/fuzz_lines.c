/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer: any bytes as a pushed catalog. Cut into chunks whatever pieces it came in; its lines are the text's lines.
 *
 * Parser: catalog/lines.c catalog/intake.c adapters/gzip.c */
#include "fuzz_kit.h"

#include "crypto.h"
#include "intake.h"
#include "lines.h"

struct cut {
    struct gri_bytes text;
    int64_t chunks, lines;
};

static enum gri_status take(void *arg, const struct gri_push_chunk *chunk, struct gri_error *error) {
    struct cut *cut = arg;
    struct gri_lines lines;
    struct gri_slice line;
    int64_t number, count = 0;
    FUZZ_CHECK(chunk->number == cut->chunks++ && chunk->first_line == cut->lines + 1);
    gri_lines_init(&lines, chunk->text, chunk->first_line, chunk->continued);
    while (gri_lines_next(&lines, &number, &line))
        FUZZ_CHECK(number == chunk->first_line + count++);
    FUZZ_CHECK(count == chunk->lines);
    cut->lines += count;
    return gri_bytes_append(&cut->text, chunk->text.data, chunk->text.len, error);
}

/* All of it through one intake, in pieces of at most `piece` bytes. */
static void push(struct gri_slice text, size_t piece, const struct gri_crypto *crypto, struct gri_push_totals *totals) {
    struct cut cut = {0};
    struct gri_error error;
    gri_bytes_init(&cut.text, 0);
    struct gri_intake *intake = gri_intake_create(crypto, 0, take, &cut);
    for (size_t at = 0; at < text.len; at += piece) {
        size_t len = text.len - at < piece ? text.len - at : piece;
        FUZZ_CHECK(gri_intake_feed(intake, (struct gri_slice){text.data + at, len}, &error) == GRI_OK);
    }
    FUZZ_CHECK(gri_intake_finish(intake, totals, &error) == GRI_OK);
    FUZZ_CHECK(gri_slice_equal(gri_bytes_slice(&cut.text), text));
    FUZZ_CHECK(totals->bytes == (int64_t)text.len && totals->lines == cut.lines && totals->chunks == cut.chunks);
    gri_intake_destroy(intake);
    gri_bytes_clear(&cut.text);
}

static void check_lines(struct gri_slice text) {
    struct gri_lines lines;
    struct gri_slice line;
    int64_t number;
    const uint8_t *expected = text.data;
    gri_lines_init(&lines, text, 1, false);
    while (gri_lines_next(&lines, &number, &line)) {
        FUZZ_CHECK(line.data == expected && (line.len == 0 || !memchr(line.data, '\n', line.len)));
        expected += line.len + 1;
        struct gri_slice inside = gri_line_trim(line);
        FUZZ_CHECK(inside.len == 0 || (inside.data >= line.data && inside.data + inside.len <= line.data + line.len));
        (void)gri_line_is_blank(line);
    }
    FUZZ_CHECK(text.len == 0 || expected == text.data + text.len || expected == text.data + text.len + 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct gri_push_totals whole, pieces;
    struct gri_error error;
    const struct gri_crypto *crypto = gri_crypto_create(&error);
    FUZZ_CHECK(crypto != NULL);
    if (size == 0) return 0;
    struct gri_slice text = {data + 1, size - 1};
    check_lines(text);
    if (data[0] % 8 != 0) return 0; /* an intake allocates whole chunks: that is slow */
    push(text, text.len + 1, crypto, &whole);
    push(text, data[0] % 61 + 1, crypto, &pieces);
    FUZZ_CHECK(strcmp(whole.sha256, pieces.sha256) == 0 && whole.blank == pieces.blank && whole.chunks == pieces.chunks);
    return 0;
}
