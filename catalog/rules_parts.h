/* SPDX-License-Identifier: Apache-2.0 */
/* A ruleset's inside, shared by the files rules*.c: reading (rules_parse.c), writing (rules_body.c), judging (rules.c). */
#ifndef GRISAILLE_CATALOG_RULES_PARTS_H
#define GRISAILLE_CATALOG_RULES_PARTS_H

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "canonical.h"
#include "rules.h"

struct gri_regex {
    char *text; /* owned; NULL: not set */
    pcre2_code *code;
};

struct gri_texts {
    char **list; /* owned */
    size_t count;
};

/* when.tag: the catalog's value of this key is one of these. */
struct gri_rule_tag {
    char key[GRI_TAG_KEY_MAX];
    struct gri_texts values;
};

struct gri_rule {
    char name[GRI_NAME_MAX];
    struct gri_rule_tag *tags; /* owned, by key; all must match */
    size_t tag_count;
    struct gri_texts hosts; /* none: every host; "*.suffix" or exact, canonical */
    struct gri_regex when_path;
    struct gri_regex require_path;
    int64_t max_size; /* -1: not set */
    bool has_keep;
    struct gri_texts keep;
    bool reject;
    int is_volatile; /* -1: not set */
    int concurrency; /* 0: not set */
    double per_second;
};

struct gri_ruleset {
    struct gri_ports ports;
    struct gri_rule *rules;
    size_t count;
    pcre2_match_context *limits;
};

/* Fills an empty ruleset from the two arrays (either may be NULL or null: none). Failure leaves what gri_ruleset_free frees. */
enum gri_status gri_ruleset_parse(struct gri_ruleset *set, const struct gri_json *rules, const struct gri_json *allow_ports,
                                  struct gri_error *error) GRI_MUST_CHECK;
/* The canonical JSON value of a ruleset; owned. */
struct gri_json *gri_ruleset_json(const struct gri_ruleset *set);
/* Appends that JSON as text; the id is made of its hash. */
enum gri_status gri_ruleset_write(const struct gri_ruleset *set, const struct gri_crypto *crypto, struct gri_bytes *body,
                                  char id[GRI_PIPELINE_MAX], struct gri_error *error) GRI_MUST_CHECK;
/* rules_tags.c: when.tag of a rule, {key: text or list of texts}. Answers what is wrong with it, or NULL. */
const char *gri_rule_tags_read(const struct gri_json *tags, struct gri_rule *rule);
/* The canonical when.tag of a rule; owned. */
struct gri_json *gri_rule_tags_json(const struct gri_rule *rule);
void gri_rule_tags_clear(struct gri_rule *rule);
void gri_texts_clear(struct gri_texts *texts);

#endif
