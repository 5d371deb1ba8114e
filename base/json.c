/* SPDX-License-Identifier: Apache-2.0 */
/* JSON values on jansson (grisaille/json.h). A struct gri_json is a json_t that nothing else refers to. */
#include <grisaille/json.h>

#include <jansson.h>
#include <math.h>

#include "utf8.h"

enum { MAX_DEPTH = 64 };

static json_t *raw(struct gri_json *value) {
    return (json_t *)(void *)value;
}

/* jansson's readers take non-const pointers for some types only; none of those used on this result changes it. */
static json_t *peek(const struct gri_json *value) {
    union {
        const struct gri_json *in;
        json_t *out;
    } same = {.in = value};
    return same.out;
}

static struct gri_json *wrap(json_t *value) {
    GRI_ASSERT(value); /* only memory can be missing here */
    return (struct gri_json *)(void *)value;
}

static const struct gri_json *lend(const json_t *value) {
    return (const struct gri_json *)(const void *)value;
}

struct gri_json *gri_json_object(void) {
    return wrap(json_object());
}
struct gri_json *gri_json_array(void) {
    return wrap(json_array());
}
struct gri_json *gri_json_null(void) {
    return wrap(json_null());
}
struct gri_json *gri_json_bool(bool value) {
    return wrap(json_boolean(value));
}
struct gri_json *gri_json_int(int64_t value) {
    return wrap(json_integer(value));
}
struct gri_json *gri_json_real(double value) {
    return isfinite(value) ? wrap(json_real(value)) : gri_json_null();
}
struct gri_json *gri_json_string(const char *text) {
    return gri_json_string_n(text, text ? gri_slice_of(text).len : 0);
}

struct gri_json *gri_json_string_n(const char *text, size_t len) {
    struct gri_slice slice = {(const uint8_t *)(text ? text : ""), len};
    if (gri_utf8_valid(slice)) return wrap(json_stringn_nocheck((const char *)slice.data, len));
    struct gri_bytes clean;
    gri_bytes_init(&clean, len * 3);
    gri_utf8_put_clean(&clean, slice);
    GRI_ASSERT(!gri_bytes_failed(&clean));
    struct gri_json *value = wrap(json_stringn_nocheck(gri_bytes_text(&clean), clean.len));
    gri_bytes_clear(&clean);
    return value;
}

struct gri_json *gri_json_copy(const struct gri_json *value) {
    return value ? wrap(json_deep_copy(peek(value))) : gri_json_null();
}

bool gri_json_equal(const struct gri_json *a, const struct gri_json *b) {
    if (gri_json_kind(a) == GRI_JSON_NULL || gri_json_kind(b) == GRI_JSON_NULL) return gri_json_kind(a) == gri_json_kind(b);
    return json_equal(peek(a), peek(b)) == 1;
}

void gri_json_free(struct gri_json *value) {
    if (value) json_decref(raw(value));
}

void gri_json_set(struct gri_json *object, const char *key, struct gri_json *child) {
    GRI_ASSERT(object && json_is_object(raw(object)));
    GRI_ASSERT(gri_utf8_valid(gri_slice_of(key)));
    GRI_ASSERT(json_object_set_new_nocheck(raw(object), key, raw(child)) == 0);
}

void gri_json_set_str(struct gri_json *object, const char *key, const char *text) {
    gri_json_set(object, key, text ? gri_json_string(text) : gri_json_null());
}

void gri_json_set_int(struct gri_json *object, const char *key, int64_t value) {
    gri_json_set(object, key, gri_json_int(value));
}
void gri_json_set_bool(struct gri_json *object, const char *key, bool value) {
    gri_json_set(object, key, gri_json_bool(value));
}
void gri_json_set_null(struct gri_json *object, const char *key) {
    gri_json_set(object, key, gri_json_null());
}

void gri_json_remove(struct gri_json *object, const char *key) {
    if (json_object_get(raw(object), key)) json_object_del(raw(object), key);
}

void gri_json_append(struct gri_json *array, struct gri_json *child) {
    GRI_ASSERT(array && json_is_array(raw(array)));
    GRI_ASSERT(json_array_append_new(raw(array), raw(child)) == 0);
}

enum gri_json_kind gri_json_kind(const struct gri_json *value) {
    if (!value) return GRI_JSON_NULL;
    switch (json_typeof(peek(value))) {
    case JSON_OBJECT:
        return GRI_JSON_OBJECT;
    case JSON_ARRAY:
        return GRI_JSON_ARRAY;
    case JSON_STRING:
        return GRI_JSON_STRING;
    case JSON_INTEGER:
        return GRI_JSON_INT;
    case JSON_REAL:
        return GRI_JSON_REAL;
    case JSON_TRUE:
    case JSON_FALSE:
        return GRI_JSON_BOOL;
    case JSON_NULL:
        break;
    }
    return GRI_JSON_NULL;
}

const struct gri_json *gri_json_get(const struct gri_json *object, const char *key) {
    return lend(json_object_get(peek(object), key));
}
const struct gri_json *gri_json_at(const struct gri_json *array, size_t index) {
    return lend(json_array_get(peek(array), index));
}

size_t gri_json_count(const struct gri_json *array_or_object) {
    return gri_json_kind(array_or_object) == GRI_JSON_ARRAY ? json_array_size(peek(array_or_object))
                                                            : json_object_size(peek(array_or_object));
}

const char *gri_json_str(const struct gri_json *object, const char *key, const char *otherwise) {
    return gri_json_text(gri_json_get(object, key), otherwise);
}

int64_t gri_json_get_int(const struct gri_json *object, const char *key, int64_t otherwise) {
    return gri_json_number(gri_json_get(object, key), otherwise);
}

bool gri_json_get_bool(const struct gri_json *object, const char *key, bool otherwise) {
    return gri_json_flag(gri_json_get(object, key), otherwise);
}

bool gri_json_flag(const struct gri_json *value, bool otherwise) {
    return gri_json_kind(value) == GRI_JSON_BOOL ? json_is_true(peek(value)) : otherwise;
}

const char *gri_json_text(const struct gri_json *value, const char *otherwise) {
    return gri_json_kind(value) == GRI_JSON_STRING ? json_string_value(peek(value)) : otherwise;
}

int64_t gri_json_number(const struct gri_json *value, int64_t otherwise) {
    return gri_json_kind(value) == GRI_JSON_INT ? json_integer_value(peek(value)) : otherwise;
}

double gri_json_double(const struct gri_json *value, double otherwise) {
    enum gri_json_kind kind = gri_json_kind(value);
    return kind == GRI_JSON_INT || kind == GRI_JSON_REAL ? json_number_value(peek(value)) : otherwise;
}

void gri_json_each(const struct gri_json *object, void (*visit)(const char *key, const struct gri_json *value, void *arg),
                   void *arg) {
    json_t *members = peek(object);
    for (void *i = json_object_iter(members); i; i = json_object_iter_next(members, i)) {
        visit(json_object_iter_key(i), lend(json_object_iter_value(i)), arg);
    }
}

static int append_dump(const char *text, size_t len, void *arg) {
    struct gri_error ignored;
    return gri_bytes_append(arg, text, len, &ignored) == GRI_OK ? 0 : -1;
}

static enum gri_status dump(const struct gri_json *value, size_t flags, struct gri_bytes *out, struct gri_error *error) {
    size_t before = out->len;
    if (json_dump_callback(peek(value), append_dump, out, flags | JSON_ENCODE_ANY) == 0) return GRI_OK;
    if (out->data) {
        out->len = before;
        out->data[before] = '\0';
    }
    return gri_fail(error, GRI_R_no_memory, "the JSON text does not fit its cap of %zu bytes", out->max);
}

enum gri_status gri_json_write(const struct gri_json *value, bool sorted, struct gri_bytes *out, struct gri_error *error) {
    /* The canonical form keeps every bit of a number; what people and programs read has 0.1, not 0.10000000000000001. */
    size_t flags = sorted ? JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(17) : JSON_COMPACT | JSON_REAL_PRECISION(15);
    return dump(value, flags, out, error);
}

enum gri_status gri_json_pretty(const struct gri_json *value, struct gri_bytes *out, struct gri_error *error) {
    return dump(value, JSON_INDENT(2) | JSON_REAL_PRECISION(15), out, error);
}

/* jansson's own limit is 2048 deep; so a cheap look at the brackets comes first. */
static bool too_deep(struct gri_slice text) {
    size_t depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        if (in_string) {
            if (c == '\\') i++;
            if (c == '"') in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > MAX_DEPTH) return true;
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        }
    }
    return false;
}

enum gri_status gri_json_parse(struct gri_slice text, struct gri_json **out, struct gri_error *error) {
    *out = NULL;
    if (too_deep(text)) return gri_fail(error, GRI_R_bad_request, "JSON nested deeper than %d", MAX_DEPTH);
    json_error_t problem;
    json_t *value =
        json_loadb(text.len ? (const char *)text.data : "", text.len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &problem);
    if (!value) {
        return gri_fail(error, GRI_R_bad_request, "JSON line %d, column %d: %s", problem.line, problem.column, problem.text);
    }
    *out = wrap(value);
    return GRI_OK;
}
