/* SPDX-License-Identifier: Apache-2.0 */
/* Writes rules: the shipped ones, and the canonical body that a ruleset's version is the hash of. */
#include <stdlib.h>

#include "rules_parts.h"

const char *gri_rules_default(void) {
    return "[{\"name\":\"picsum sizes\",\"when\":{\"host\":\"picsum.photos\"},"
           "\"require\":{\"path\":\"^/((id/[0-9]+|seed/[^/]+)/)?-?[0-9]+(/-?[0-9]+)?(\\\\.jpg|\\\\.webp)?$\",\"max_size\":5000},"
           "\"query\":{\"keep\":[\"grayscale\",\"blur\"]},\"limit\":{\"concurrency\":32,\"per_second\":500}}]";
}

static struct gri_json *texts_json(const struct gri_texts *texts, bool set) {
    if (!set) return gri_json_null();
    struct gri_json *list = gri_json_array();
    for (size_t i = 0; i < texts->count; i++)
        gri_json_append(list, gri_json_string(texts->list[i]));
    return list;
}

static struct gri_json *rule_json(const struct gri_rule *rule) {
    struct gri_json *when = gri_json_object(), *require = gri_json_object(), *query = gri_json_object();
    struct gri_json *limit = gri_json_object(), *value = gri_json_object();
    gri_json_set(when, "host", texts_json(&rule->hosts, rule->hosts.count > 0));
    gri_json_set_str(when, "path", rule->when_path.text);
    if (rule->tag_count > 0) gri_json_set(when, "tag", gri_rule_tags_json(rule));
    gri_json_set_str(require, "path", rule->require_path.text);
    gri_json_set(require, "max_size", rule->max_size < 0 ? gri_json_null() : gri_json_int(rule->max_size));
    gri_json_set(query, "keep", texts_json(&rule->keep, rule->has_keep));
    gri_json_set(limit, "concurrency", rule->concurrency ? gri_json_int(rule->concurrency) : gri_json_null());
    gri_json_set(limit, "per_second", rule->per_second > 0 ? gri_json_real(rule->per_second) : gri_json_null());
    gri_json_set_str(value, "name", rule->name);
    gri_json_set(value, "when", when);
    gri_json_set(value, "require", require);
    gri_json_set(value, "query", query);
    gri_json_set_bool(value, "reject", rule->reject);
    gri_json_set(value, "volatile", rule->is_volatile < 0 ? gri_json_null() : gri_json_bool(rule->is_volatile > 0));
    gri_json_set(value, "limit", limit);
    return value;
}

struct gri_json *gri_ruleset_json(const struct gri_ruleset *set) {
    struct gri_json *ports = gri_json_array(), *rules = gri_json_array(), *body = gri_json_object();
    for (size_t i = 0; i < set->ports.count; i++)
        gri_json_append(ports, gri_json_int(set->ports.list[i]));
    for (size_t i = 0; i < set->count; i++)
        gri_json_append(rules, rule_json(&set->rules[i]));
    gri_json_set(body, "allow_ports", ports);
    gri_json_set(body, "rules", rules);
    return body;
}

enum gri_status gri_ruleset_write(const struct gri_ruleset *set, const struct gri_crypto *crypto, struct gri_bytes *body,
                                  char id[GRI_PIPELINE_MAX], struct gri_error *error) {
    struct gri_json *json = gri_ruleset_json(set);
    size_t start = body->len;
    char sum[GRI_SHA256_HEX];
    enum gri_status status = gri_json_write(json, true, body, error);
    gri_json_free(json);
    if (status != GRI_OK) return status;
    crypto->sha256_hex((struct gri_slice){body->data + start, body->len - start}, sum);
    GRI_ASSERT(gri_format(id, GRI_PIPELINE_MAX, "rules@%.*s", (int)GRI_VERSION_HEX, sum));
    return GRI_OK;
}

enum gri_status gri_ruleset_body(const struct gri_json *rules, const struct gri_json *allow_ports,
                                 const struct gri_crypto *crypto, struct gri_bytes *body, char id[GRI_PIPELINE_MAX],
                                 struct gri_error *error) {
    struct gri_json *shipped = NULL;
    struct gri_ruleset *set = gri_calloc(1, sizeof(*set));
    enum gri_status status = GRI_OK;
    if (gri_json_kind(rules) == GRI_JSON_NULL) {
        status = gri_json_parse(gri_slice_of(gri_rules_default()), &shipped, error);
        GRI_ASSERT(status == GRI_OK);
        rules = shipped;
    }
    status = gri_ruleset_parse(set, rules, allow_ports, error);
    if (status != GRI_OK) goto out;
    status = gri_ruleset_write(set, crypto, body, id, error);
out:
    gri_ruleset_free(set);
    gri_json_free(shipped);
    return status;
}
