/* SPDX-License-Identifier: Apache-2.0 */
/* One Redis command being written (RESP arrays of bulk strings), and readers of replies that check before they take. */
#ifndef GRISAILLE_REDIS_COMMAND_H
#define GRISAILLE_REDIS_COMMAND_H

#include <grisaille/bytes.h>
#include <hiredis/hiredis.h>

struct gri_redis_command {
    struct gri_bytes body; /* owned: the arguments */
    size_t count;
};

void gri_redis_command_init(struct gri_redis_command *command);
void gri_redis_command_clear(struct gri_redis_command *command);
void gri_redis_command_add(struct gri_redis_command *command, const char *text);
void gri_redis_command_add_bytes(struct gri_redis_command *command, const void *data, size_t len);
void gri_redis_command_add_int(struct gri_redis_command *command, int64_t value);
/* The bytes to send, appended to `out`, which must be able to hold them (it fails with reason no_memory past its cap). */
enum gri_status gri_redis_command_write(const struct gri_redis_command *command, struct gri_bytes *out,
                                        struct gri_error *error) GRI_MUST_CHECK;

/* Element `index` as an integer; false where there is none or it is something else. */
bool gri_redis_reply_int(const redisReply *array, size_t index, int64_t *out);
/* Element `index` as text that fits into `out` and holds no NUL. */
bool gri_redis_reply_text(const redisReply *array, size_t index, char *out, size_t size);
/* True where `reply` is an array of at least `count` elements. */
bool gri_redis_reply_is_array(const redisReply *reply, size_t count);
/* Decimal digits with an optional minus; false for anything else or out of range. */
bool gri_redis_parse_int(const char *text, size_t len, int64_t *out);

#endif
