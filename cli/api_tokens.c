/* SPDX-License-Identifier: Apache-2.0 */
/* The tokens of the configuration. */
#include "api_tokens.h"

#include <stdlib.h>
#include <string.h>

static unsigned scope_named(const char *name) {
    return strcmp(name, "read") == 0    ? GRI_SCOPE_READ
           : strcmp(name, "push") == 0  ? GRI_SCOPE_PUSH
           : strcmp(name, "admin") == 0 ? GRI_SCOPE_ADMIN
                                        : GRI_SCOPE_NONE;
}

/* 0 for an empty list, and for one with anything else in it. */
static unsigned scopes_of(const struct gri_json *list) {
    unsigned scopes = 0;
    for (size_t i = 0; gri_json_kind(list) == GRI_JSON_ARRAY && i < gri_json_count(list); i++) {
        unsigned scope = scope_named(gri_json_text(gri_json_at(list, i), ""));
        if (!scope) return 0;
        scopes |= scope;
    }
    return scopes;
}

static void find_stranger(const char *key, const struct gri_json *value, void *arg) {
    const char **stranger = arg;
    (void)value;
    if (strcmp(key, "name") != 0 && strcmp(key, "digest") != 0 && strcmp(key, "scopes") != 0) *stranger = key;
}

static bool good_name(const char *name) {
    for (const char *p = name; *p; p++)
        if ((unsigned char)*p < 0x20 || (unsigned char)*p >= 0x7f) return false;
    return *name && strlen(name) < GRI_NAME_MAX;
}

static enum gri_status read_token(const struct gri_config *config, size_t index, const struct gri_json *row,
                                  struct gri_api_token *token, struct gri_error *error) {
    char path[64], place[300];
    const char *stranger = NULL, *digest = gri_json_str(row, "digest", ""), *name = gri_json_str(row, "name", "");
    (void)gri_format(path, sizeof path, "api.tokens[%zu]", index);
    gri_config_tree_place(config, path, place, sizeof place);
    if (gri_json_kind(row) != GRI_JSON_OBJECT)
        return gri_fail(error, GRI_R_config, "%s: %s must be a map of name, digest and scopes", place, path);
    gri_json_each(row, find_stranger, &stranger);
    if (stranger)
        return gri_fail(error, GRI_R_config, "%s: %s.%.40s is unknown; a token has name, digest and scopes", place, path,
                        stranger);
    if (!good_name(name))
        return gri_fail(error, GRI_R_config, "%s: %s.name must be 1 to %d printable ASCII characters", place, path,
                        GRI_NAME_MAX - 1);
    if (strlen(digest) != 64 || strspn(digest, "0123456789abcdef") != 64)
        return gri_fail(error, GRI_R_config, "%s: %s.digest must be the 64 hexadecimal digits that `grisaille token new` prints",
                        place, path);
    token->scopes = scopes_of(gri_json_get(row, "scopes"));
    if (!token->scopes) return gri_fail(error, GRI_R_config, "%s: %s.scopes must be a list of read, push, admin", place, path);
    (void)gri_copy(token->digest, sizeof token->digest, digest);
    (void)gri_copy(token->name, sizeof token->name, name);
    return GRI_OK;
}

enum gri_status gri_api_tokens_read(const struct gri_config *config, struct gri_api_token **tokens, size_t *count,
                                    struct gri_error *error) {
    const struct gri_json *list = gri_config_tree(config, "api.tokens");
    enum gri_status status = GRI_OK;
    *count = gri_json_count(list);
    *tokens = gri_calloc(*count + 1, sizeof **tokens);
    for (size_t i = 0; status == GRI_OK && i < *count; i++)
        status = read_token(config, i, gri_json_at(list, i), &(*tokens)[i], error);
    if (status == GRI_OK) return GRI_OK;
    free(*tokens);
    *tokens = NULL;
    *count = 0;
    return status;
}
