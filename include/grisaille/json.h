/* SPDX-License-Identifier: Apache-2.0 */
/* JSON values: built, read, parsed and written. (The implementation is jansson's; no header of it shows here.)
 *
 * Ownership: a gri_json is reference-free to its users: `set`/`append` *take* the child; getters *borrow* from the parent;
 * gri_json_free frees a root with all below it and takes NULL. Setters end the process when memory is out (small things).
 * Threads: no sharing. */
#ifndef GRISAILLE_JSON_H
#define GRISAILLE_JSON_H

#include <grisaille/bytes.h>

struct gri_json;

enum gri_json_kind {
    GRI_JSON_NULL,
    GRI_JSON_BOOL,
    GRI_JSON_INT,
    GRI_JSON_REAL,
    GRI_JSON_STRING,
    GRI_JSON_ARRAY,
    GRI_JSON_OBJECT
};

struct gri_json *gri_json_object(void);
struct gri_json *gri_json_array(void);
struct gri_json *gri_json_null(void);
struct gri_json *gri_json_bool(bool value);
struct gri_json *gri_json_int(int64_t value);
struct gri_json *gri_json_real(double value); /* not finite → null */
/* Bytes that are not UTF-8, and NULs, become U+FFFD. */
struct gri_json *gri_json_string(const char *text);
struct gri_json *gri_json_string_n(const char *text, size_t len);
struct gri_json *gri_json_copy(const struct gri_json *value); /* deep */
/* The same value; the order of members means nothing, NULL equals NULL and null. */
bool gri_json_equal(const struct gri_json *a, const struct gri_json *b);
void gri_json_free(struct gri_json *value);

/* Each takes `child` (for set_str: copies the text; NULL text gives null). */
void gri_json_set(struct gri_json *object, const char *key, struct gri_json *child);
void gri_json_set_str(struct gri_json *object, const char *key, const char *text);
void gri_json_set_int(struct gri_json *object, const char *key, int64_t value);
void gri_json_set_bool(struct gri_json *object, const char *key, bool value);
void gri_json_set_null(struct gri_json *object, const char *key);
void gri_json_remove(struct gri_json *object, const char *key);
void gri_json_append(struct gri_json *array, struct gri_json *child);

enum gri_json_kind gri_json_kind(const struct gri_json *value); /* NULL → GRI_JSON_NULL */
/* Borrowed child, or NULL (also when `object` is NULL or no object), so that chains need no checks. */
const struct gri_json *gri_json_get(const struct gri_json *object, const char *key);
const struct gri_json *gri_json_at(const struct gri_json *array, size_t index);
size_t gri_json_count(const struct gri_json *array_or_object);
/* The value, or `otherwise` when missing or of another kind. */
const char *gri_json_str(const struct gri_json *object, const char *key, const char *otherwise);
int64_t gri_json_get_int(const struct gri_json *object, const char *key, int64_t otherwise);
bool gri_json_get_bool(const struct gri_json *object, const char *key, bool otherwise);
const char *gri_json_text(const struct gri_json *value, const char *otherwise);
int64_t gri_json_number(const struct gri_json *value, int64_t otherwise);
bool gri_json_flag(const struct gri_json *value, bool otherwise);
double gri_json_double(const struct gri_json *value, double otherwise); /* of int or real */
/* Calls visit for each member in the order of insertion. */
void gri_json_each(const struct gri_json *object, void (*visit)(const char *key, const struct gri_json *value, void *arg),
                   void *arg);

/* Compact text appended to `out`; `sorted`: keys in byte order and reals with 17 digits (a canonical form to hash); else
 * reals have 15. On failure `out` is as it was. */
enum gri_status gri_json_write(const struct gri_json *value, bool sorted, struct gri_bytes *out,
                               struct gri_error *error) GRI_MUST_CHECK;
/* With two spaces of indent, for people. */
enum gri_status gri_json_pretty(const struct gri_json *value, struct gri_bytes *out, struct gri_error *error) GRI_MUST_CHECK;
/* Parses text; duplicate keys, trailing bytes and depth over 64 are errors (reason bad_request, line and column told). */
enum gri_status gri_json_parse(struct gri_slice text, struct gri_json **out, struct gri_error *error) GRI_MUST_CHECK;

#endif
