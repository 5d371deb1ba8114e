/* SPDX-License-Identifier: Apache-2.0 */
/* Growable bytes with a cap, slices, and allocation of small things (grisaille/bytes.h). */
#include <grisaille/bytes.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_MAX = 64 * 1024 * 1024, FIRST_CAP = 256 };

void gri_bytes_init(struct gri_bytes *bytes, size_t max) {
    *bytes = (struct gri_bytes){.max = max ? max : DEFAULT_MAX};
}

void gri_bytes_clear(struct gri_bytes *bytes) {
    if (!bytes) return;
    free(bytes->data);
    gri_bytes_init(bytes, bytes->max);
}

void gri_bytes_reset(struct gri_bytes *bytes) {
    bytes->len = 0;
    bytes->failed = false;
    if (bytes->data) bytes->data[0] = '\0';
}

/* Room for `more` and the NUL. False when over `max` or out of memory; the content is as it was. */
static bool grow(struct gri_bytes *bytes, size_t more) {
    size_t max = bytes->max ? bytes->max : DEFAULT_MAX;
    if (more > max || bytes->len > max - more) return false;
    size_t need = bytes->len + more + 1;
    if (need <= bytes->cap) return true;
    size_t cap = bytes->cap ? bytes->cap : FIRST_CAP;
    while (cap < need)
        cap = cap > SIZE_MAX / 2 ? need : cap * 2;
    if (cap > max + 1) cap = max + 1;
    uint8_t *data = realloc(bytes->data, cap);
    if (!data) return false;
    if (!bytes->data) data[0] = '\0';
    bytes->data = data;
    bytes->cap = cap;
    return true;
}

enum gri_status gri_bytes_reserve(struct gri_bytes *bytes, size_t more, struct gri_error *error) {
    if (grow(bytes, more)) return GRI_OK;
    return gri_fail(error, GRI_R_no_memory, "%zu bytes and %zu more do not fit the cap of %zu bytes, or memory is out",
                    bytes->len, more, bytes->max ? bytes->max : (size_t)DEFAULT_MAX);
}

static void add(struct gri_bytes *bytes, const void *data, size_t len) {
    if (len) memcpy(bytes->data + bytes->len, data, len);
    bytes->len += len;
    bytes->data[bytes->len] = '\0';
}

enum gri_status gri_bytes_append(struct gri_bytes *bytes, const void *data, size_t len, struct gri_error *error) {
    enum gri_status status = gri_bytes_reserve(bytes, len, error);
    if (status == GRI_OK) add(bytes, data, len);
    return status;
}

void gri_bytes_move(struct gri_bytes *to, struct gri_bytes *from) {
    if (to == from) return;
    free(to->data);
    *to = *from;
    gri_bytes_init(from, from->max);
}

void gri_bytes_put_slice(struct gri_bytes *bytes, struct gri_slice slice) {
    if (bytes->failed) return;
    if (grow(bytes, slice.len)) {
        add(bytes, slice.data, slice.len);
    } else {
        bytes->failed = true;
    }
}

void gri_bytes_put(struct gri_bytes *bytes, const char *text) {
    gri_bytes_put_slice(bytes, gri_slice_of(text));
}

void gri_bytes_printf(struct gri_bytes *bytes, const char *format, ...) {
    if (bytes->failed) return;
    va_list args;
    size_t room = bytes->data ? bytes->cap - bytes->len : 0;
    va_start(args, format);
    int n = vsnprintf(room ? (char *)bytes->data + bytes->len : NULL, room, format, args);
    va_end(args);
    if (n >= 0 && (size_t)n < room) {
        bytes->len += (size_t)n;
        return;
    }
    if (room) bytes->data[bytes->len] = '\0';
    if (n < 0 || !grow(bytes, (size_t)n)) {
        bytes->failed = true;
        return;
    }
    va_start(args, format);
    vsnprintf((char *)bytes->data + bytes->len, (size_t)n + 1, format, args);
    va_end(args);
    bytes->len += (size_t)n;
}

void gri_bytes_put_csv(struct gri_bytes *bytes, const char *text) {
    gri_bytes_put(bytes, "\"");
    for (const char *quote; (quote = strchr(text, '"')); text = quote + 1) {
        gri_bytes_put_slice(bytes, (struct gri_slice){(const uint8_t *)text, (size_t)(quote - text)});
        gri_bytes_put(bytes, "\"\"");
    }
    gri_bytes_put(bytes, text);
    gri_bytes_put(bytes, "\"");
}

bool gri_bytes_failed(const struct gri_bytes *bytes) {
    return bytes->failed;
}

const char *gri_bytes_text(const struct gri_bytes *bytes) {
    return bytes->data ? (const char *)bytes->data : "";
}

struct gri_slice gri_bytes_slice(const struct gri_bytes *bytes) {
    return (struct gri_slice){(const uint8_t *)gri_bytes_text(bytes), bytes->len};
}

struct gri_slice gri_slice_of(const char *text) {
    return (struct gri_slice){(const uint8_t *)(text ? text : ""), text ? strlen(text) : 0};
}

bool gri_slice_equal(struct gri_slice a, struct gri_slice b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

uint64_t gri_hash(uint64_t so_far, const void *data, size_t len) {
    for (const uint8_t *byte = data; len > 0; byte++, len--)
        so_far = (so_far ^ *byte) * UINT64_C(1099511628211);
    return so_far;
}

uint64_t gri_hash_text(const char *text) {
    return gri_hash(GRI_HASH_START, text, strlen(text));
}

static _Noreturn void out_of_memory(size_t size) {
    fprintf(stderr, "{\"level\":\"error\",\"event\":\"out_of_memory\",\"bytes\":%zu}\n", size);
    abort();
}

void *gri_alloc(size_t size) {
    void *memory = malloc(size ? size : 1);
    if (!memory) out_of_memory(size);
    return memory;
}

void *gri_calloc(size_t count, size_t size) {
    void *memory = calloc(count ? count : 1, size ? size : 1);
    if (!memory) out_of_memory(size && count > SIZE_MAX / size ? SIZE_MAX : count * size);
    return memory;
}

char *gri_strndup(const char *text, size_t len) {
    size_t n = strnlen(text, len);
    char *copy = gri_alloc(n + 1);
    memcpy(copy, text, n);
    copy[n] = '\0';
    return copy;
}

char *gri_strdup(const char *text) {
    size_t size = strlen(text) + 1;
    return memcpy(gri_alloc(size), text, size);
}

bool gri_copy(char *to, size_t size, const char *from) {
    GRI_ASSERT(size > 0);
    size_t n = 0;
    while (n < size - 1 && from[n] != '\0')
        n++;
    bool fits = from[n] == '\0';
    memmove(to, from, n);
    to[n] = '\0';
    return fits;
}

bool gri_format(char *to, size_t size, const char *format, ...) {
    GRI_ASSERT(size > 0);
    va_list args;
    va_start(args, format);
    int n = vsnprintf(to, size, format, args);
    va_end(args);
    if (n < 0) to[0] = '\0';
    return n >= 0 && (size_t)n < size;
}
