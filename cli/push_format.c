/* SPDX-License-Identifier: Apache-2.0 */
/* CSV (RFC 4180: quotes, doubled quotes, newlines inside quotes) and JSON Lines to one URL a line. */
#include "push_format.h"

#include <stdlib.h>
#include <string.h>

#include <grisaille/json.h>

enum { ROW_MAX = 1024 * 1024 };

struct gri_converter {
    enum gri_push_format format;
    const char *column;
    gri_converter_sink *sink;
    void *arg;
    struct gri_bytes row; /* the row being gathered, without its newline */
    bool quoted;          /* CSV: inside quotes */
    bool header_done;
    size_t index; /* CSV: the column's */
};

struct gri_converter *gri_converter_create(enum gri_push_format format, const char *column, gri_converter_sink *sink, void *arg) {
    struct gri_converter *converter = gri_calloc(1, sizeof *converter);
    *converter = (struct gri_converter){.format = format, .column = column, .sink = sink, .arg = arg};
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
    static const uint8_t mark[] = {0xEF, 0xBB, 0xBF};
    struct gri_bytes field;
    gri_bytes_init(&field, ROW_MAX);
    if (converter->row.len >= 3 && memcmp(converter->row.data, mark, 3) == 0) {
        memmove(converter->row.data, converter->row.data + 3, converter->row.len - 2);
        converter->row.len -= 3;
    }
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
    gri_bytes_put(&value, url ? url : gri_bytes_text(&converter->row));
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
    converter->quoted = false;
    return status;
}

enum gri_status gri_converter_feed(struct gri_converter *converter, struct gri_slice data, struct gri_error *error) {
    if (converter->format == GRI_FORMAT_TEXT) return converter->sink(converter->arg, data, error);
    for (size_t i = 0; i < data.len; i++) {
        if (converter->format == GRI_FORMAT_CSV && data.data[i] == '"') converter->quoted = !converter->quoted;
        enum gri_status status;
        if (data.data[i] == '\n' && !converter->quoted) {
            status = end_row(converter, error);
        } else {
            status = gri_bytes_append(&converter->row, &data.data[i], 1, error);
            if (status != GRI_OK) status = gri_fail(error, GRI_R_bad_request, "a row is over 1 MiB; is the format right?");
        }
        if (status != GRI_OK) return status;
    }
    return GRI_OK;
}

enum gri_status gri_converter_finish(struct gri_converter *converter, struct gri_error *error) {
    return converter->format != GRI_FORMAT_TEXT && converter->row.len > 0 ? end_row(converter, error) : GRI_OK;
}
