/* SPDX-License-Identifier: Apache-2.0 */
/* The table of Lua scripts. */
#include "redis_script.h"

static const struct {
    const char *name, *sha, *body;
} scripts[] = {
#define GRI_REDIS_SCRIPT(name, sha, body) {#name, sha, body},
#include "redis_scripts.lua.h"
#undef GRI_REDIS_SCRIPT
};

void gri_redis_script_begin(struct gri_redis_command *command, enum gri_redis_script script, bool with_body,
                            const char *const *keys, size_t key_count) {
    gri_redis_command_add(command, with_body ? "EVAL" : "EVALSHA");
    gri_redis_command_add(command, with_body ? scripts[script].body : scripts[script].sha);
    gri_redis_command_add_int(command, (int64_t)key_count);
    for (size_t i = 0; i < key_count; i++)
        gri_redis_command_add(command, keys[i]);
}

const char *gri_redis_script_name(enum gri_redis_script script) {
    return scripts[script].name;
}
