/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of hosts with names: when.host_tag of a rule becomes when.host, before anything else reads it. */
#include <string.h>

#include "rules.h"

static enum gri_status wrong(struct gri_error *error, size_t index, const struct gri_json *rule, const char *what,
                             const char *tag) {
    return gri_fail(error, GRI_R_config, "rules[%zu] \"%.63s\": when.host_tag: %s%.63s", index, gri_json_str(rule, "name", ""),
                    what, tag);
}

static void append_all(struct gri_json *list, const struct gri_json *hosts) {
    bool many = gri_json_kind(hosts) == GRI_JSON_ARRAY;
    for (size_t i = 0; i < (many ? gri_json_count(hosts) : 1); i++)
        gri_json_append(list, gri_json_copy(many ? gri_json_at(hosts, i) : hosts));
}

/* *when: the rule's, changed in place. */
static enum gri_status expand(struct gri_json *when, const struct gri_json *host_tags, size_t index, const struct gri_json *rule,
                              struct gri_error *error) {
    const struct gri_json *asked = gri_json_get(when, "host_tag");
    bool many = gri_json_kind(asked) == GRI_JSON_ARRAY;
    if (gri_json_kind(gri_json_get(when, "host")) != GRI_JSON_NULL)
        return wrong(error, index, rule, "can't stand beside when.host", "");
    struct gri_json *hosts = gri_json_array();
    for (size_t i = 0; i < (many ? gri_json_count(asked) : 1); i++) {
        const char *tag = gri_json_text(many ? gri_json_at(asked, i) : asked, NULL);
        const struct gri_json *list = tag ? gri_json_get(host_tags, tag) : NULL;
        if (list) {
            append_all(hosts, list);
            continue;
        }
        gri_json_free(hosts);
        return tag ? wrong(error, index, rule, "host_tags has no ", tag)
                   : wrong(error, index, rule, "must be the name of a tag, or a list", "");
    }
    gri_json_set(when, "host", hosts);
    gri_json_remove(when, "host_tag");
    return GRI_OK;
}

enum gri_status gri_rules_name_hosts(const struct gri_json *rules, const struct gri_json *host_tags, struct gri_json **out,
                                     struct gri_error *error) {
    enum gri_status status = GRI_OK;
    struct gri_json *list = gri_json_array();
    for (size_t i = 0; i < gri_json_count(rules) && status == GRI_OK; i++) {
        struct gri_json *rule = gri_json_copy(gri_json_at(rules, i));
        const struct gri_json *when = gri_json_get(rule, "when");
        if (gri_json_kind(when) == GRI_JSON_OBJECT && gri_json_get(when, "host_tag")) {
            struct gri_json *changed = gri_json_copy(when);
            status = expand(changed, host_tags, i, rule, error);
            gri_json_set(rule, "when", changed);
        }
        gri_json_append(list, rule);
    }
    *out = status == GRI_OK ? list : NULL;
    if (status != GRI_OK) gri_json_free(list);
    return status;
}
