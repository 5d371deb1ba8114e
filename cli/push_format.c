/* SPDX-License-Identifier: Apache-2.0 */
/* CSV (RFC 4180: quotes, doubled quotes, newlines inside quotes) and JSON Lines to one URL a line. */
#include "push_format.h"

#include <stdlib.h>
#include <string.h>

#include <grisaille/json.h>

enum { ROW_MAX = 1024 * 1024, MARK_BYTES = 3 };

static const uint8_t mark_bytes[MARK_BYTES] = {0xEF, 0xBB, 0xBF};

/* Where in a CSV field we are. Quotes open only at a field's start: one inside a bare field (a"b) is text. */
enum quoting { FIELD_START, FIELD_BARE, FIELD_QUOTED, FIELD_QUOTE /* behind a quote inside quotes: it closes, or is doubled */ };

struct gri_converter {
    enum gri_push_format format;
    const char *column;
    gri_converter_sink *sink;
    void *arg;
    struct gri_bytes row; /* the row being gathered, without its newline */
    enum quoting quoting; /* CSV */
    bool header_done;
    size_t index;   /* CSV: the column's */
    size_t mark;    /* bytes of a byte-order mark seen at the very start; MARK_BYTES: past it */
    int64_t number; /* of the row being gathered, from 1 */
};

struct gri_converter *gri_converter_create(enum gri_push_format format, const char *column, gri_converter_sink *sink, void *arg) {
    struct gri_converter *converter = gri_calloc(1, sizeof *converter);
    *converter = (struct gri_converter){.format = format, .column = column, .sink = sink, .arg = arg, .number = 1};
    gri_bytes_init(&converter->row, ROW_MAX);
    return converter;
}

void gri_converter_destroy(struct gri_converter *converter) {
    if (!converter) return;
    gri_bytes_clear(&converter->row);
    free(converter);
}

/* One field of a CSV row from `at`, unquoted into `out`; returns where the next begins, or NULL at the row's end. */
static const char *csv_field(const char *at, const char *end, struct gri_bytes *out) {
    gri_bytes_reset(out);
    bool quoted = at < end && *at == '"';
    if (quoted) at++;
    while (at < end) {
        if (quoted && *at == '"' && at + 1 < end && at[1] == '"') {
            at++;
        } else if (quoted && *at == '"') {
            quoted = false;
            at++;
            continue;
        } else if (!quoted && *at == ',') {
            return at + 1;
        }
        gri_bytes_put_slice(out, (struct gri_slice){(const uint8_t *)at, 1});
        at++;
    }
    return NULL;
}

static bool read_field(const struct gri_bytes *row, size_t index, struct gri_bytes *out) {
    const char *at = gri_bytes_text(row), *end = at + row->len;
    for (size_t i = 0; at; i++) {
        at = csv_field(at, end, out);
        if (i == index) return true;
    }
    return false;
}

static enum gri_status csv_header(struct gri_converter *converter, struct gri_error *error) {
    struct gri_bytes field;
    gri_bytes_init(&field, ROW_MAX);
    bool found = false;
    for (size_t i = 0; !found && read_field(&converter->row, i, &field); i++) {
        found = strcmp(gri_bytes_text(&field), converter->column) == 0;
        converter->index = i;
    }
    gri_bytes_clear(&field);
    converter->header_done = true;
    if (found) return GRI_OK;
    return gri_fail(error, GRI_R_bad_request, "the CSV has no column '%s'; its header is: %.200s", converter->column,
                    gri_bytes_text(&converter->row));
}

static enum gri_status emit(struct gri_converter *converter, struct gri_slice text, struct gri_error *error) {
    enum gri_status status = converter->sink(converter->arg, text, error);
    return status == GRI_OK ? converter->sink(converter->arg, gri_slice_of("\n"), error) : status;
}

/* A value with a newline would become two lines: its newlines become blanks. */
static enum gri_status emit_value(struct gri_converter *converter, struct gri_bytes *value, struct gri_error *error) {
    for (size_t i = 0; i < value->len; i++)
        if (value->data[i] == '\n') value->data[i] = ' ';
    return emit(converter, gri_bytes_slice(value), error);
}

static enum gri_status jsonl_row(struct gri_converter *converter, struct gri_error *error) {
    struct gri_json *json = NULL;
    struct gri_error ignored;
    const char *url = NULL;
    if (gri_json_parse(gri_bytes_slice(&converter->row), &json, &ignored) == GRI_OK)
        url = gri_json_kind(json) == GRI_JSON_STRING ? gri_json_text(json, NULL) : gri_json_str(json, converter->column, NULL);
    struct gri_bytes value;
    gri_bytes_init(&value, ROW_MAX);
    gri_bytes_put_slice(&value, url ? gri_slice_of(url) : gri_bytes_slice(&converter->row));
    enum gri_status status = emit_value(converter, &value, error);
    gri_bytes_clear(&value);
    gri_json_free(json);
    return status;
}

static enum gri_status end_row(struct gri_converter *converter, struct gri_error *error) {
    enum gri_status status;
    if (converter->row.len > 0 && converter->row.data[converter->row.len - 1] == '\r')
        converter->row.data[--converter->row.len] = '\0';
    if (converter->format == GRI_FORMAT_JSONL) {
        status = converter->row.len ? jsonl_row(converter, error) : emit(converter, gri_slice_of(""), error);
    } else if (!converter->header_done) {
        status = csv_header(converter, error);
    } else {
        struct gri_bytes value;
        gri_bytes_init(&value, ROW_MAX);
        if (!read_field(&converter->row, converter->index, &value)) {
            gri_bytes_reset(&value);
            gri_bytes_put_slice(&value, gri_bytes_slice(&converter->row));
        }
        status = emit_value(converter, &value, error);
        gri_bytes_clear(&value);
    }
    gri_bytes_reset(&converter->row);
    converter->quoting = FIELD_START;
    converter->number++;
    return status;
}

static enum quoting next_quoting(enum quoting now, uint8_t byte) {
    switch (now) {
    case FIELD_START:
        return byte == '"' ? FIELD_QUOTED : byte == ',' ? FIELD_START : FIELD_BARE;
    case FIELD_BARE:
        return byte == ',' ? FIELD_START : FIELD_BARE;
    case FIELD_QUOTED:
        return byte == '"' ? FIELD_QUOTE : FIELD_QUOTED;
    case FIELD_QUOTE:
        return byte == '"' ? FIELD_QUOTED : byte == ',' ? FIELD_START : FIELD_BARE;
    }
    return FIELD_BARE;
}

static enum gri_status take_byte(struct gri_converter *converter, uint8_t byte, struct gri_error *error) {
    bool csv = converter->format == GRI_FORMAT_CSV;
    if (byte == '\n' && !(csv && converter->quoting == FIELD_QUOTED)) return end_row(converter, error);
    if (csv) converter->quoting = next_quoting(converter->quoting, byte);
    if (gri_bytes_append(&converter->row, &byte, 1, error) == GRI_OK) return GRI_OK;
    return gri_fail(error, GRI_R_bad_request, "row %lld is over 1 MiB%s", (long long)converter->number,
                    csv ? "; is a quote not closed, or is it no CSV?" : "; is it JSON Lines?");
}

/* A byte-order mark at the very start is dropped. */
static enum gri_status take_first_byte(struct gri_converter *converter, uint8_t byte, struct gri_error *error) {
    if (byte == mark_bytes[converter->mark]) {
        converter->mark++;
        return GRI_OK;
    }
    size_t held = converter->mark;
    enum gri_status status = GRI_OK;
    converter->mark = MARK_BYTES;
    for (size_t i = 0; i < held && status == GRI_OK; i++) /* no mark after all */
        status = take_byte(converter, mark_bytes[i], error);
    return status == GRI_OK ? take_byte(converter, byte, error) : status;
}

enum gri_status gri_converter_feed(struct gri_converter *converter, struct gri_slice data, struct gri_error *error) {
    if (converter->format == GRI_FORMAT_TEXT) return converter->sink(converter->arg, data, error);
    for (size_t i = 0; i < data.len; i++) {
        enum gri_status status = converter->mark < MARK_BYTES ? take_first_byte(converter, data.data[i], error)
                                                              : take_byte(converter, data.data[i], error);
        if (status != GRI_OK) return status;
    }
    return GRI_OK;
}

enum gri_status gri_converter_finish(struct gri_converter *converter, struct gri_error *error) {
    bool csv = converter->format == GRI_FORMAT_CSV;
    if (csv && converter->quoting == FIELD_QUOTED)
        return gri_fail(error, GRI_R_bad_request, "row %lld: a quote is never closed, so the rest of the file is one field",
                        (long long)converter->number);
    if (csv && !converter->header_done && converter->row.len == 0)
        return gri_fail(error, GRI_R_bad_request, "the CSV is empty: it wants a header with the column '%s'", converter->column);
    return converter->format != GRI_FORMAT_TEXT && converter->row.len > 0 ? end_row(converter, error) : GRI_OK;
}
