/* SPDX-License-Identifier: Apache-2.0 */
/* Commands written, replies read. */
#include "redis_command.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { COMMAND_BYTES_MAX = 32 * 1024 * 1024 };

void gri_redis_command_init(struct gri_redis_command *command) {
    *command = (struct gri_redis_command){0};
    gri_bytes_init(&command->body, COMMAND_BYTES_MAX);
}

void gri_redis_command_clear(struct gri_redis_command *command) {
    gri_bytes_clear(&command->body);
}

void gri_redis_command_add_bytes(struct gri_redis_command *command, const void *data, size_t len) {
    gri_bytes_printf(&command->body, "$%zu\r\n", len);
    gri_bytes_put_slice(&command->body, (struct gri_slice){.data = data, .len = len});
    gri_bytes_put(&command->body, "\r\n");
    command->count++;
}

void gri_redis_command_add(struct gri_redis_command *command, const char *text) {
    gri_redis_command_add_bytes(command, text, strlen(text));
}

void gri_redis_command_add_int(struct gri_redis_command *command, int64_t value) {
    char text[24];
    gri_format(text, sizeof text, "%" PRId64, value);
    gri_redis_command_add(command, text);
}

enum gri_status gri_redis_command_write(const struct gri_redis_command *command, struct gri_bytes *out, struct gri_error *error) {
    char head[32];
    if (gri_bytes_failed(&command->body)) {
        return gri_fail(error, GRI_R_no_memory, "a Redis command of more than %d bytes", COMMAND_BYTES_MAX);
    }
    gri_format(head, sizeof head, "*%zu\r\n", command->count);
    enum gri_status status = gri_bytes_append(out, head, strlen(head), error);
    if (status == GRI_OK) status = gri_bytes_append(out, command->body.data, command->body.len, error);
    return status;
}

bool gri_redis_parse_int(const char *text, size_t len, int64_t *out) {
    char copy[24];
    char *end = NULL;
    if (len == 0 || len >= sizeof copy) return false;
    memcpy(copy, text, len);
    copy[len] = '\0';
    if (strspn(copy, "-0123456789") < len) return false;
    errno = 0;
    long long value = strtoll(copy, &end, 10);
    if (errno || *end != '\0') return false;
    *out = value;
    return true;
}

bool gri_redis_reply_is_array(const redisReply *reply, size_t count) {
    return reply && reply->type == REDIS_REPLY_ARRAY && reply->elements >= count;
}

bool gri_redis_reply_int(const redisReply *array, size_t index, int64_t *out) {
    if (!gri_redis_reply_is_array(array, index + 1)) return false;
    const redisReply *reply = array->element[index];
    if (reply->type != REDIS_REPLY_INTEGER) return false;
    *out = reply->integer;
    return true;
}

bool gri_redis_reply_text(const redisReply *array, size_t index, char *out, size_t size) {
    if (!gri_redis_reply_is_array(array, index + 1)) return false;
    const redisReply *reply = array->element[index];
    if (reply->type != REDIS_REPLY_STRING && reply->type != REDIS_REPLY_STATUS) return false;
    if (reply->len >= size || memchr(reply->str, '\0', reply->len)) return false;
    memcpy(out, reply->str, reply->len);
    out[reply->len] = '\0';
    return true;
}
