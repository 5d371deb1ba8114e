/* SPDX-License-Identifier: Apache-2.0 */
/* The Lua scripts of adapters/lua, compiled in, and how they are called. */
#ifndef GRISAILLE_REDIS_SCRIPT_H
#define GRISAILLE_REDIS_SCRIPT_H

#include "redis_command.h"

enum gri_redis_script {
#define GRI_REDIS_SCRIPT(name, sha, body) GRI_REDIS_SCRIPT_##name,
#include "redis_scripts.lua.h"
#undef GRI_REDIS_SCRIPT
    GRI_REDIS_SCRIPT_COUNT
};

/* Begins EVALSHA (or EVAL with the body, which also makes Redis keep it) with its keys; the arguments are added after. */
void gri_redis_script_begin(struct gri_redis_command *command, enum gri_redis_script script, bool with_body,
                            const char *const *keys, size_t key_count);

/* "dispatch", …; static storage. */
const char *gri_redis_script_name(enum gri_redis_script script);

#endif
