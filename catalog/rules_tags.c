/* SPDX-License-Identifier: Apache-2.0 */
/* Rules for catalogs with tags: reading and writing when.tag, and the ruleset that is left for given tags. */
#include <stdlib.h>
#include <string.h>

#include "rules_parts.h"

void gri_texts_clear(struct gri_texts *texts) {
    for (size_t i = 0; i < texts->count; i++)
        free(texts->list[i]);
    free(texts->list);
    *texts = (struct gri_texts){0};
}

void gri_rule_tags_clear(struct gri_rule *rule) {
    for (size_t i = 0; i < rule->tag_count; i++)
        gri_texts_clear(&rule->tags[i].values);
    free(rule->tags);
    rule->tags = NULL;
    rule->tag_count = 0;
}

bool gri_tag_is_valid(const char *key, const char *value) {
    size_t key_len = strlen(key), value_len = strlen(value);
    if (key_len == 0 || key_len >= GRI_TAG_KEY_MAX || value_len == 0 || value_len >= GRI_TAG_VALUE_MAX) return false;
    if (strspn(key, "abcdefghijklmnopqrstuvwxyz0123456789_-") != key_len) return false;
    for (const char *c = value; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f || *c == ',') return false;
    return true;
}

struct reading {
    struct gri_rule *rule;
    const char *wrong;
};

static void read_tag(const char *key, const struct gri_json *value, void *arg) {
    struct reading *reading = arg;
    bool list = gri_json_kind(value) == GRI_JSON_ARRAY;
    size_t count = list ? gri_json_count(value) : 1, at = 0;
    struct gri_rule *rule = reading->rule;
    if (reading->wrong) return;
    if (count == 0 || count > GRI_RULE_TAG_VALUES_MAX) {
        reading->wrong = "a list of values has 1 to 100 of them";
        return;
    }
    while (at < rule->tag_count && strcmp(rule->tags[at].key, key) < 0)
        at++;
    memmove(&rule->tags[at + 1], &rule->tags[at], (rule->tag_count - at) * sizeof *rule->tags);
    struct gri_rule_tag *tag = &rule->tags[at];
    *tag = (struct gri_rule_tag){.values.list = gri_calloc(count, sizeof *tag->values.list)};
    rule->tag_count++;
    (void)gri_copy(tag->key, sizeof tag->key, key);
    for (size_t i = 0; i < count; i++) {
        const char *text = gri_json_text(list ? gri_json_at(value, i) : value, NULL);
        if (!text || !gri_tag_is_valid(key, text)) {
            reading->wrong =
                "a key is of [a-z0-9_-], at most 63; a value is a text of 1 to 200 bytes without commas, or a list of such";
            return;
        }
        tag->values.list[tag->values.count++] = gri_strdup(text);
    }
}

const char *gri_rule_tags_read(const struct gri_json *tags, struct gri_rule *rule) {
    struct reading reading = {.rule = rule};
    size_t count = gri_json_count(tags);
    if (gri_json_kind(tags) != GRI_JSON_OBJECT || count == 0 || count > GRI_TAGS_MAX)
        return "must be a map of 1 to 16 tags, { key: value }";
    rule->tags = gri_calloc(count + 1, sizeof *rule->tags);
    gri_json_each(tags, read_tag, &reading);
    return reading.wrong;
}

struct gri_json *gri_rule_tags_json(const struct gri_rule *rule) {
    struct gri_json *tags = gri_json_object();
    for (size_t i = 0; i < rule->tag_count; i++) {
        struct gri_json *values = gri_json_array();
        for (size_t k = 0; k < rule->tags[i].values.count; k++)
            gri_json_append(values, gri_json_string(rule->tags[i].values.list[k]));
        gri_json_set(tags, rule->tags[i].key, values);
    }
    return tags;
}

static bool tag_matches(const struct gri_rule_tag *tag, const struct gri_json *tags) {
    const char *has = gri_json_str(tags, tag->key, NULL);
    for (size_t i = 0; has && i < tag->values.count; i++)
        if (strcmp(tag->values.list[i], has) == 0) return true;
    return false;
}

static bool rule_holds(const struct gri_rule *rule, const struct gri_json *tags) {
    for (size_t i = 0; i < rule->tag_count; i++)
        if (!tag_matches(&rule->tags[i], tags)) return false;
    return true;
}

/* The copies borrow all that the rules own. */
enum gri_status gri_ruleset_for(const struct gri_ruleset *rules, const struct gri_json *tags, const struct gri_crypto *crypto,
                                struct gri_bytes *body, char id[GRI_PIPELINE_MAX], struct gri_error *error) {
    struct gri_ruleset left = {.ports = rules->ports, .rules = gri_calloc(rules->count + 1, sizeof *left.rules)};
    for (size_t i = 0; i < rules->count; i++) {
        if (!rule_holds(&rules->rules[i], tags)) continue;
        left.rules[left.count] = rules->rules[i];
        left.rules[left.count].tags = NULL;
        left.rules[left.count++].tag_count = 0;
    }
    enum gri_status status = gri_ruleset_write(&left, crypto, body, id, error);
    free(left.rules);
    return status;
}
