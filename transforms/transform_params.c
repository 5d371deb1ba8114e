/* SPDX-License-Identifier: Apache-2.0 */
/* Reads, checks, writes and describes the parameters of transforms and output formats by their tables. */
#include "transform_params.h"

#include <limits.h>
#include <math.h>
#include <stdalign.h>
#include <string.h>

struct gri_param_table gri_params_of(const struct gri_transform *transform) {
    return (struct gri_param_table){transform->params, transform->param_count, transform->params_size};
}

static size_t choice_count(const struct gri_transform_param *row) {
    size_t count = 0;
    while (count < GRI_TRANSFORM_CHOICES_MAX && row->choices && row->choices[count])
        count++;
    return count;
}

static const char *type_name(enum gri_param_type type) {
    switch (type) {
    case GRI_PARAM_INT:
        return "int";
    case GRI_PARAM_DOUBLE:
        return "double";
    case GRI_PARAM_BOOL:
        return "bool";
    case GRI_PARAM_ENUM:
        return "enum";
    case GRI_PARAM_TEXT:
        return "text";
    }
    return NULL;
}

static size_t row_size(const struct gri_transform_param *row) {
    if (row->type == GRI_PARAM_TEXT)
        return row->maximum >= 1 && row->maximum <= GRI_TRANSFORM_PARAMS_SIZE_MAX ? (size_t)row->maximum
                                                                                  : GRI_TRANSFORM_PARAMS_SIZE_MAX + 1;
    return row->type == GRI_PARAM_DOUBLE ? sizeof(double) : row->type == GRI_PARAM_BOOL ? sizeof(bool) : sizeof(int);
}

static size_t type_alignment(enum gri_param_type type) {
    if (type == GRI_PARAM_TEXT) return 1;
    return type == GRI_PARAM_DOUBLE ? alignof(double) : type == GRI_PARAM_BOOL ? alignof(bool) : alignof(int);
}

static const char *standard_text(const struct gri_transform_param *row) {
    return row->choices && row->choices[0] ? row->choices[0] : "";
}

static bool good_name(const char *name) {
    size_t len = name ? strnlen(name, GRI_TRANSFORM_NAME_MAX) : 0;
    return len > 0 && len < GRI_TRANSFORM_NAME_MAX && name[0] >= 'a' && name[0] <= 'z' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == len;
}

/* What is wrong with a row's values, or NULL. */
static const char *row_fault(const struct gri_transform_param *row) {
    double low = row->minimum, high = row->maximum;
    switch (row->type) {
    case GRI_PARAM_BOOL:
        return row->standard == 0 || row->standard == 1 ? NULL : "a bool's default must be 0 or 1";
    case GRI_PARAM_ENUM:
        low = 0;
        high = (double)choice_count(row) - 1;
        if (high < 0 || high >= GRI_TRANSFORM_CHOICES_MAX - 1) return "its list of choices is empty or too long";
        break;
    case GRI_PARAM_INT:
        if (!(low >= INT_MIN && high <= INT_MAX)) return "its range is more than an int holds";
        break;
    case GRI_PARAM_DOUBLE:
        if (!isfinite(low) || !isfinite(high)) return "its range is not finite";
        break;
    case GRI_PARAM_TEXT:
        return strnlen(standard_text(row), row_size(row)) < row_size(row) ? NULL : "its default does not fit";
    }
    if (!(row->standard >= low && row->standard <= high)) return "its default is outside its range";
    return row->type != GRI_PARAM_DOUBLE && row->standard != floor(row->standard) ? "its default is not a whole number" : NULL;
}

static enum gri_status check_row(struct gri_param_table table, size_t index, const char *owner, struct gri_error *error) {
    const struct gri_transform_param *row = &table.rows[index];
    if (!good_name(row->name)) return gri_fail(error, GRI_R_config, "%s: parameter %zu has no sound name", owner, index + 1);
    if (!row->help) return gri_fail(error, GRI_R_config, "%s: parameter %s has no help", owner, row->name);
    if (!type_name(row->type))
        return gri_fail(error, GRI_R_config, "%s: parameter %s has the unknown type %d", owner, row->name, (int)row->type);
    size_t size = row_size(row);
    if (row->offset > table.size || table.size - row->offset < size || row->offset % type_alignment(row->type) != 0)
        return gri_fail(error, GRI_R_config, "%s: parameter %s lies outside its struct of %zu bytes", owner, row->name,
                        table.size);
    const char *fault = row_fault(row);
    if (fault) return gri_fail(error, GRI_R_config, "%s: parameter %s: %s", owner, row->name, fault);
    for (size_t i = 0; i < index; i++)
        if (strcmp(table.rows[i].name, row->name) == 0)
            return gri_fail(error, GRI_R_config, "%s: two parameters are called %s", owner, row->name);
    return GRI_OK;
}

enum gri_status gri_params_check_table(struct gri_param_table table, const char *owner, struct gri_error *error) {
    if (table.count > GRI_TRANSFORM_PARAMS_MAX || table.size > GRI_TRANSFORM_PARAMS_SIZE_MAX || (table.count > 0 && !table.rows))
        return gri_fail(error, GRI_R_config, "%s: %zu parameters in %zu bytes; at most %d in %d", owner, table.count, table.size,
                        GRI_TRANSFORM_PARAMS_MAX, GRI_TRANSFORM_PARAMS_SIZE_MAX);
    for (size_t i = 0; i < table.count; i++)
        if (check_row(table, i, owner, error) != GRI_OK) return error->status;
    return GRI_OK;
}

static void store_value(const struct gri_transform_param *row, double value, void *params) {
    char *at = (char *)params + row->offset;
    if (row->type == GRI_PARAM_DOUBLE)
        memcpy(at, &value, sizeof value);
    else if (row->type == GRI_PARAM_BOOL)
        memcpy(at, &(bool){value != 0}, sizeof(bool));
    else
        memcpy(at, &(int){(int)value}, sizeof(int));
}

static double load_value(const struct gri_transform_param *row, const void *params) {
    const char *at = (const char *)params + row->offset;
    double real = 0;
    bool flag = false;
    int whole = 0;
    switch (row->type) {
    case GRI_PARAM_DOUBLE:
        memcpy(&real, at, sizeof real);
        return real;
    case GRI_PARAM_BOOL:
        memcpy(&flag, at, sizeof flag);
        return flag ? 1 : 0;
    case GRI_PARAM_INT:
    case GRI_PARAM_ENUM:
    case GRI_PARAM_TEXT:
        break;
    }
    memcpy(&whole, at, sizeof whole);
    return whole;
}

/* Appends "a, b, c". */
static void join_choices(const struct gri_transform_param *row, struct gri_bytes *text) {
    for (size_t i = 0; i < choice_count(row); i++)
        gri_bytes_printf(text, "%s%s", i ? ", " : "", row->choices[i]);
}

static enum gri_status parse_enum(const struct gri_transform_param *row, const char *owner, const struct gri_json *value,
                                  void *params, struct gri_error *error) {
    const char *text = gri_json_text(value, "");
    for (size_t i = 0; i < choice_count(row); i++)
        if (strcmp(text, row->choices[i]) == 0) {
            store_value(row, (double)i, params);
            return GRI_OK;
        }
    struct gri_bytes choices;
    gri_bytes_init(&choices, 1024);
    join_choices(row, &choices);
    gri_fail(error, GRI_R_config, "%s: %s must be one of: %s", owner, row->name, gri_bytes_text(&choices));
    gri_bytes_clear(&choices);
    return error->status;
}

static enum gri_status parse_text(const struct gri_transform_param *row, const char *owner, const struct gri_json *value,
                                  void *params, struct gri_error *error) {
    if (gri_json_kind(value) != GRI_JSON_STRING) return gri_fail(error, GRI_R_config, "%s: %s must be a text", owner, row->name);
    const char *text = gri_json_text(value, "");
    for (const char *c = text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7F)
            return gri_fail(error, GRI_R_config, "%s: %s has a control character", owner, row->name);
    if (!gri_copy((char *)params + row->offset, row_size(row), text))
        return gri_fail(error, GRI_R_config, "%s: %s has %zu bytes; at most %zu", owner, row->name, strlen(text),
                        row_size(row) - 1);
    return GRI_OK;
}

static enum gri_status parse_number(const struct gri_transform_param *row, const char *owner, const struct gri_json *value,
                                    void *params, struct gri_error *error) {
    enum gri_json_kind kind = gri_json_kind(value);
    bool whole = row->type == GRI_PARAM_INT;
    if (kind != GRI_JSON_INT && (whole || kind != GRI_JSON_REAL))
        return gri_fail(error, GRI_R_config, "%s: %s must be %s", owner, row->name, whole ? "a whole number" : "a number");
    double number = gri_json_double(value, 0);
    if (!(number >= row->minimum && number <= row->maximum))
        return gri_fail(error, GRI_R_config, "%s: %s is %g; it must be from %g to %g", owner, row->name, number, row->minimum,
                        row->maximum);
    store_value(row, number, params);
    return GRI_OK;
}

/* The row's value out of `object`, which has it. */
static enum gri_status parse_row(const struct gri_transform_param *row, const char *owner, const struct gri_json *object,
                                 void *params, struct gri_error *error) {
    const struct gri_json *value = gri_json_get(object, row->name);
    if (row->type == GRI_PARAM_ENUM) return parse_enum(row, owner, value, params, error);
    if (row->type == GRI_PARAM_TEXT) return parse_text(row, owner, value, params, error);
    if (row->type != GRI_PARAM_BOOL) return parse_number(row, owner, value, params, error);
    if (gri_json_kind(value) != GRI_JSON_BOOL)
        return gri_fail(error, GRI_R_config, "%s: %s must be true or false", owner, row->name);
    store_value(row, gri_json_get_bool(object, row->name, false) ? 1 : 0, params);
    return GRI_OK;
}

struct parse {
    struct gri_param_table table;
    const char *owner;
    const struct gri_json *values;
    void *params;
    enum gri_status status;
    struct gri_error *error;
};

static void parse_member(const char *key, const struct gri_json *value, void *arg) {
    struct parse *parse = arg;
    (void)value;
    if (parse->status != GRI_OK) return;
    for (size_t i = 0; i < parse->table.count; i++)
        if (strcmp(parse->table.rows[i].name, key) == 0) {
            parse->status = parse_row(&parse->table.rows[i], parse->owner, parse->values, parse->params, parse->error);
            return;
        }
    struct gri_bytes known;
    gri_bytes_init(&known, 2048);
    for (size_t i = 0; i < parse->table.count; i++)
        gri_bytes_printf(&known, "%s%s", i ? ", " : "", parse->table.rows[i].name);
    parse->status = gri_fail(parse->error, GRI_R_config, "%s: there is no parameter %.40s; it has: %s", parse->owner, key,
                             known.len ? gri_bytes_text(&known) : "none");
    gri_bytes_clear(&known);
}

enum gri_status gri_params_parse(struct gri_param_table table, const char *owner, const struct gri_json *values, void *params,
                                 struct gri_error *error) {
    if (table.size > 0) memset(params, 0, table.size);
    for (size_t i = 0; i < table.count; i++) {
        const struct gri_transform_param *row = &table.rows[i];
        if (row->type == GRI_PARAM_TEXT)
            (void)gri_copy((char *)params + row->offset, row_size(row), standard_text(row));
        else
            store_value(row, row->standard, params);
    }
    if (gri_json_kind(values) == GRI_JSON_NULL) return GRI_OK;
    if (gri_json_kind(values) != GRI_JSON_OBJECT)
        return gri_fail(error, GRI_R_config, "%s: parameters are written as a map, { name: value }", owner);
    struct parse parse = {table, owner, values, params, GRI_OK, error};
    gri_json_each(values, parse_member, &parse);
    return parse.status;
}

/* A value of the row as JSON, as the user writes it. */
static struct gri_json *value_json(const struct gri_transform_param *row, double value) {
    if (row->type == GRI_PARAM_BOOL) return gri_json_bool(value != 0);
    if (row->type == GRI_PARAM_ENUM) return gri_json_string(row->choices[(size_t)value]);
    /* 2 and 2.0 are one value: one canonical form, or one pipeline would have two versions */
    if (value == floor(value) && fabs(value) < 1e15) return gri_json_int((int64_t)value);
    return gri_json_real(value);
}

struct gri_json *gri_params_to_json(struct gri_param_table table, const void *params) {
    struct gri_json *object = gri_json_object();
    for (size_t i = 0; i < table.count; i++) {
        const struct gri_transform_param *row = &table.rows[i];
        if (row->type == GRI_PARAM_TEXT) {
            const char *text = (const char *)params + row->offset;
            if (!row->added || strcmp(text, standard_text(row)) != 0) gri_json_set_str(object, row->name, text);
            continue;
        }
        double value = load_value(row, params);
        if (!row->added || value < row->standard || value > row->standard)
            gri_json_set(object, row->name, value_json(row, value));
    }
    return object;
}

struct gri_json *gri_params_describe(struct gri_param_table table) {
    struct gri_json *list = gri_json_array();
    for (size_t i = 0; i < table.count; i++) {
        const struct gri_transform_param *row = &table.rows[i];
        struct gri_json *entry = gri_json_object();
        gri_json_set_str(entry, "name", row->name);
        gri_json_set_str(entry, "type", type_name(row->type));
        gri_json_set(entry, "default",
                     row->type == GRI_PARAM_TEXT ? gri_json_string(standard_text(row)) : value_json(row, row->standard));
        if (row->type == GRI_PARAM_INT || row->type == GRI_PARAM_DOUBLE) {
            gri_json_set(entry, "minimum", value_json(row, row->minimum));
            gri_json_set(entry, "maximum", value_json(row, row->maximum));
        }
        if (row->type == GRI_PARAM_ENUM) {
            struct gri_json *choices = gri_json_array();
            for (size_t c = 0; c < choice_count(row); c++)
                gri_json_append(choices, gri_json_string(row->choices[c]));
            gri_json_set(entry, "choices", choices);
        }
        gri_json_set_str(entry, "help", row->help);
        gri_json_append(list, entry);
    }
    return list;
}
