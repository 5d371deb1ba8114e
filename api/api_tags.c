/* SPDX-License-Identifier: Apache-2.0 */
/* A catalog's tags: as they are asked for, and the rules that hold for them. */
#include <stdlib.h>
#include <string.h>

#include "api_internal.h"

static bool refuse(struct gri_api_call *call) {
    gri_api_problem_of(
        call->reply, GRI_R_bad_request,
        "tags are key=value,key=value…, at most %d: a key is of [a-z0-9_-] and there once, a value has 1 to 200 bytes",
        GRI_TAGS_MAX);
    return false;
}

static bool add_pair(struct gri_json *tags, char *pair) {
    char *equals = strchr(pair, '=');
    if (!equals) return false;
    *equals = '\0';
    if (!gri_tag_is_valid(pair, equals + 1) || gri_json_get(tags, pair)) return false;
    gri_json_set_str(tags, pair, equals + 1);
    return gri_json_count(tags) <= GRI_TAGS_MAX;
}

bool gri_api_query_tags(struct gri_api_call *call, struct gri_json **out) {
    const char *text = gri_api_query(call, "tags");
    *out = NULL;
    if (!text || !*text) return true;
    struct gri_json *tags = gri_json_object();
    char *copy = gri_strdup(text), *rest = NULL;
    bool ok = true;
    for (char *pair = strtok_r(copy, ",", &rest); ok && pair; pair = strtok_r(NULL, ",", &rest))
        ok = add_pair(tags, pair);
    free(copy);
    if (ok) {
        *out = tags;
        return true;
    }
    gri_json_free(tags);
    return refuse(call);
}

enum gri_status gri_api_rules_for(const struct gri_api_call *call, const struct gri_json *tags, char id[GRI_PIPELINE_MAX],
                                  struct gri_error *error) {
    const struct gri_api_options *options = &call->api->options;
    struct gri_bytes body;
    (void)gri_copy(id, GRI_PIPELINE_MAX, call->settings->rules_id);
    if (!tags) return GRI_OK; /* judged directly, tagged rules don't match */
    gri_bytes_init(&body, 0);
    enum gri_status status = gri_ruleset_for(call->settings->rules, tags, options->crypto, &body, id, error);
    if (status == GRI_OK && strcmp(id, call->settings->rules_id) != 0)
        status = options->archive->ops->put_definition(options->archive, GRI_DEF_RULES, id, gri_bytes_slice(&body), error);
    gri_bytes_clear(&body);
    return status;
}
