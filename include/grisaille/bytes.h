/* SPDX-License-Identifier: Apache-2.0 */
/* Slices (borrowed bytes) and growable bytes with a cap.
 *
 * struct gri_bytes owns its memory; `max` bounds it: growth past it fails with reason no_memory and leaves the content as
 * it was. The content is always followed by a NUL that `len` does not count, so text can be handed to C functions.
 * Threads: no sharing; one owner at a time. */
#ifndef GRISAILLE_BYTES_H
#define GRISAILLE_BYTES_H

#include <grisaille/status.h>

struct gri_slice {
    const uint8_t *data;
    size_t len;
};

struct gri_bytes {
    uint8_t *data; /* NULL while nothing was ever added */
    size_t len;
    size_t cap;
    size_t max;
    bool failed; /* sticky: a put or printf did not fit */
};

/* An empty buffer that may grow to `max` bytes (0: 64 MiB). No allocation yet. */
void gri_bytes_init(struct gri_bytes *bytes, size_t max);
/* Frees the memory; the buffer is empty and usable again. NULL is fine. */
void gri_bytes_clear(struct gri_bytes *bytes);
/* Length to 0, memory kept. */
void gri_bytes_reset(struct gri_bytes *bytes);
/* Room for `more` further bytes. */
enum gri_status gri_bytes_reserve(struct gri_bytes *bytes, size_t more, struct gri_error *error) GRI_MUST_CHECK;
enum gri_status gri_bytes_append(struct gri_bytes *bytes, const void *data, size_t len, struct gri_error *error) GRI_MUST_CHECK;
/* *to (empty or not; its memory is freed first) takes what *from held; *from is empty afterwards. */
void gri_bytes_move(struct gri_bytes *to, struct gri_bytes *from);

/* For text that is built in many steps: failures stick (`max` reached or no memory) and are asked once at the end. */
void gri_bytes_put(struct gri_bytes *bytes, const char *text);
void gri_bytes_put_slice(struct gri_bytes *bytes, struct gri_slice slice);
void gri_bytes_printf(struct gri_bytes *bytes, const char *format, ...) GRI_PRINTF(2, 3);
/* One field of RFC 4180: in quotes, quotes within it doubled. */
void gri_bytes_put_csv(struct gri_bytes *bytes, const char *text);
/* True when a put or printf did not fit since init, clear or reset. */
bool gri_bytes_failed(const struct gri_bytes *bytes);

/* The content as text, never NULL; borrowed until the next change. */
const char *gri_bytes_text(const struct gri_bytes *bytes);
struct gri_slice gri_bytes_slice(const struct gri_bytes *bytes);

struct gri_slice gri_slice_of(const char *text);
bool gri_slice_equal(struct gri_slice a, struct gri_slice b);

/* FNV-1a (Fowler, Noll, Vo; 64 bits) of bytes that follow those hashed as `so_far`; GRI_HASH_START before the first. For
 * tables of our own: whoever chooses the bytes can make them collide. */
#define GRI_HASH_START UINT64_C(14695981039346656037)
uint64_t gri_hash(uint64_t so_far, const void *data, size_t len);
uint64_t gri_hash_text(const char *text);

/* malloc, calloc, strdup that end the process with a message when memory is out. For small, bounded things only;
 * whatever a stranger's size decides goes through gri_bytes. */
void *gri_alloc(size_t size) __attribute__((returns_nonnull, malloc));
void *gri_calloc(size_t count, size_t size) __attribute__((returns_nonnull, malloc));
char *gri_strdup(const char *text) __attribute__((returns_nonnull, malloc));
char *gri_strndup(const char *text, size_t len) __attribute__((returns_nonnull, malloc));

/* Copies text into a fixed array, cut to fit, always terminated. Returns false when it was cut. */
bool gri_copy(char *to, size_t size, const char *from);
/* snprintf that reports a cut: false when the text did not fit. */
bool gri_format(char *to, size_t size, const char *format, ...) GRI_PRINTF(3, 4);

#endif
