/* SPDX-License-Identifier: Apache-2.0 */
/* Reads rules from JSON: every setting checked, every failure told by rule and field. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "canonical_parts.h"
#include "rules_parts.h"

enum { SIZE_LIMIT = 1000000000, CONCURRENCY_LIMIT = 10000, PER_SECOND_LIMIT = 1000000, PATTERN_NESTING = 50 };

/* Where we are, for messages. */
struct place {
    size_t index;
    const char *name;
    struct gri_error *error;
};

static enum gri_status wrong(const struct place *place, const char *field, const char *what) {
    return gri_fail(place->error, GRI_R_config, "rules[%zu] \"%s\": %s: %s", place->index, place->name, field, what);
}

static bool is_set(const struct gri_json *value) {
    return gri_json_kind(value) != GRI_JSON_NULL;
}

struct key_check {
    const char *allowed; /* names between spaces: " name when " */
    char unknown[64];
};

static void check_key(const char *key, const struct gri_json *value, void *arg) {
    struct key_check *check = arg;
    char wanted[80];
    (void)value;
    if (check->unknown[0]) return;
    bool plain = key[0] && !strchr(key, ' ') && gri_format(wanted, sizeof(wanted), " %s ", key);
    if (!plain || !strstr(check->allowed, wanted)) (void)gri_copy(check->unknown, sizeof(check->unknown), key[0] ? key : "\"\"");
}

/* An object (or nothing) with none but the allowed keys. */
static enum gri_status check_object(const struct place *place, const struct gri_json *value, const char *field,
                                    const char *allowed) {
    struct key_check check = {.allowed = allowed};
    if (!is_set(value)) return GRI_OK;
    if (gri_json_kind(value) != GRI_JSON_OBJECT) return wrong(place, field, "must be a mapping");
    gri_json_each(value, check_key, &check);
    if (!check.unknown[0]) return GRI_OK;
    return gri_fail(place->error, GRI_R_config, "rules[%zu] \"%s\": %s: unknown key \"%s\"; there are%s", place->index,
                    place->name, field, check.unknown, allowed);
}

static enum gri_status read_regex(const struct place *place, const struct gri_json *value, const char *field,
                                  struct gri_regex *out) {
    if (!is_set(value)) return GRI_OK;
    const char *text = gri_json_text(value, NULL);
    if (!text) return wrong(place, field, "must be a text (a regular expression)");
    if (strlen(text) > GRI_RULE_REGEX_MAX) return wrong(place, field, "the regular expression is over 2048 bytes");
    int code = 0;
    size_t at = 0;
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    GRI_ASSERT(context);
    pcre2_set_parens_nest_limit(context, PATTERN_NESTING);
    out->text = gri_strdup(text);
    out->code = pcre2_compile((PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED, PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C, &code, &at,
                              context);
    pcre2_compile_context_free(context);
    if (out->code) return GRI_OK;
    PCRE2_UCHAR message[160] = "";
    (void)pcre2_get_error_message(code, message, sizeof(message));
    return gri_fail(place->error, GRI_R_config, "rules[%zu] \"%s\": %s: at character %zu: %s", place->index, place->name, field,
                    at + 1, (const char *)message);
}

/* A whole number in min…max, or -1 where nothing is set. */
static enum gri_status read_number(const struct place *place, const struct gri_json *value, const char *field, int64_t min,
                                   int64_t max, int64_t *out) {
    *out = -1;
    if (!is_set(value)) return GRI_OK;
    if (gri_json_kind(value) != GRI_JSON_INT || gri_json_number(value, -1) < min || gri_json_number(value, -1) > max)
        return gri_fail(place->error, GRI_R_config, "rules[%zu] \"%s\": %s: must be a whole number from %lld to %lld",
                        place->index, place->name, field, (long long)min, (long long)max);
    *out = gri_json_number(value, -1);
    return GRI_OK;
}

/* The boolean member `key`, or -1 where it is not set. */
static enum gri_status read_bool(const struct place *place, const struct gri_json *rule, const char *key, int *out) {
    const struct gri_json *value = gri_json_get(rule, key);
    *out = -1;
    if (!is_set(value)) return GRI_OK;
    if (gri_json_kind(value) != GRI_JSON_BOOL) return wrong(place, key, "must be true or false");
    *out = gri_json_get_bool(rule, key, false);
    return GRI_OK;
}

static enum gri_status read_host(const struct place *place, const struct gri_json *value, char **out) {
    const char *text = gri_json_text(value, NULL);
    if (!text) return wrong(place, "when.host", "must be a host name or a list of them");
    bool below = strncmp(text, "*.", 2) == 0;
    char host[GRI_HOST_MAX], pattern[GRI_HOST_MAX + 2];
    if (!gri_canonical_host(gri_slice_of(below ? text + 2 : text), host))
        return wrong(place, "when.host", "must be an exact name or \"*.name\", without scheme, port or path");
    GRI_ASSERT(gri_format(pattern, sizeof(pattern), "%s%s", below ? "*." : "", host));
    *out = gri_strdup(pattern);
    return GRI_OK;
}

/* Kept as it is compared: in the canonical escape, without delimiters of a query. */
static enum gri_status read_keep(const struct place *place, const struct gri_json *value, char **out) {
    const char *text = gri_json_text(value, NULL);
    if (!text || !text[0]) return wrong(place, "query.keep", "must be a list of parameter names");
    char escaped[256];
    size_t len = gri_canonical_escape(gri_slice_of(text), GRI_URL_QUERY, escaped, sizeof(escaped));
    if (len == SIZE_MAX || strpbrk(text, "&=#")) return wrong(place, "query.keep", "a name is too long or contains &, = or #");
    *out = gri_strndup(escaped, len);
    return GRI_OK;
}

typedef enum gri_status read_text(const struct place *place, const struct gri_json *value, char **out);

/* One text or a list of texts. */
static enum gri_status read_texts(const struct place *place, const struct gri_json *value, const char *field, size_t max,
                                  read_text *read, struct gri_texts *out) {
    bool list = gri_json_kind(value) == GRI_JSON_ARRAY;
    size_t count = list ? gri_json_count(value) : 1;
    if (count > max) return wrong(place, field, "the list is too long");
    out->list = gri_calloc(count + 1, sizeof(*out->list));
    for (size_t i = 0; i < count; i++) {
        enum gri_status status = read(place, list ? gri_json_at(value, i) : value, &out->list[i]);
        if (status != GRI_OK) return status;
        out->count++;
    }
    return GRI_OK;
}

static enum gri_status read_when(const struct place *place, const struct gri_json *when, struct gri_rule *rule) {
    enum gri_status status = check_object(place, when, "when", " host path tag ");
    if (status != GRI_OK) return status;
    const struct gri_json *host = gri_json_get(when, "host");
    if (is_set(host)) {
        status = read_texts(place, host, "when.host", GRI_RULE_HOSTS_MAX, read_host, &rule->hosts);
        if (status != GRI_OK) return status;
        if (rule->hosts.count == 0)
            return wrong(place, "when.host", "an empty list would match nothing; leave it out for every host");
    }
    const struct gri_json *tag = gri_json_get(when, "tag");
    const char *bad = is_set(tag) ? gri_rule_tags_read(tag, rule) : NULL;
    if (bad) return wrong(place, "when.tag", bad);
    return read_regex(place, gri_json_get(when, "path"), "when.path", &rule->when_path);
}

static enum gri_status read_require(const struct place *place, const struct gri_json *require, struct gri_rule *rule) {
    enum gri_status status = check_object(place, require, "require", " path max_size ");
    if (status != GRI_OK) return status;
    status = read_regex(place, gri_json_get(require, "path"), "require.path", &rule->require_path);
    if (status != GRI_OK) return status;
    return read_number(place, gri_json_get(require, "max_size"), "require.max_size", 0, SIZE_LIMIT, &rule->max_size);
}

static enum gri_status read_query(const struct place *place, const struct gri_json *query, struct gri_rule *rule) {
    enum gri_status status = check_object(place, query, "query", " keep ");
    if (status != GRI_OK) return status;
    const struct gri_json *keep = gri_json_get(query, "keep");
    rule->has_keep = is_set(keep);
    return rule->has_keep ? read_texts(place, keep, "query.keep", GRI_RULE_KEEP_MAX, read_keep, &rule->keep) : GRI_OK;
}

static enum gri_status read_limit(const struct place *place, const struct gri_json *limit, struct gri_rule *rule) {
    enum gri_status status = check_object(place, limit, "limit", " concurrency per_second ");
    if (status != GRI_OK) return status;
    int64_t concurrency = -1;
    status = read_number(place, gri_json_get(limit, "concurrency"), "limit.concurrency", 1, CONCURRENCY_LIMIT, &concurrency);
    if (status != GRI_OK) return status;
    rule->concurrency = concurrency < 0 ? 0 : (int)concurrency;
    const struct gri_json *rate = gri_json_get(limit, "per_second");
    if (is_set(rate)) {
        rule->per_second = gri_json_double(rate, 0);
        if (!(rule->per_second > 0 && rule->per_second <= PER_SECOND_LIMIT))
            return wrong(place, "limit.per_second", "must be a number over 0, at most 1000000");
    }
    if ((rule->concurrency || rule->per_second > 0) && (rule->when_path.text || rule->tag_count > 0))
        return wrong(place, "limit", "a limit holds for hosts: it can't stand beside when.path or when.tag");
    return GRI_OK;
}

/* Settings that a reject would make meaningless are a mistake of the writer. */
static enum gri_status read_reject(const struct place *place, const struct gri_json *value, struct gri_rule *rule) {
    int reject = -1;
    enum gri_status status = read_bool(place, value, "reject", &reject);
    if (status != GRI_OK) return status;
    rule->reject = reject == 1;
    bool more = rule->require_path.text || rule->max_size >= 0 || rule->has_keep || rule->is_volatile >= 0 ||
                rule->concurrency > 0 || rule->per_second > 0;
    if (rule->reject && more) return wrong(place, "reject", "a rule that rejects can set nothing else");
    return GRI_OK;
}

static enum gri_status read_name(const struct gri_ruleset *set, struct place *place, const struct gri_json *value,
                                 struct gri_rule *rule) {
    const char *name = gri_json_str(value, "name", NULL);
    if (!name || !name[0]) return wrong(place, "name", "every rule needs a name");
    for (const char *c = name; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f) return wrong(place, "name", "contains a control character");
    if (!gri_copy(rule->name, sizeof(rule->name), name)) return wrong(place, "name", "is over 63 bytes");
    place->name = rule->name;
    for (size_t i = 0; i < place->index; i++)
        if (strcmp(set->rules[i].name, name) == 0) return wrong(place, "name", "another rule has this name");
    return GRI_OK;
}

static enum gri_status read_rule(const struct gri_ruleset *set, struct place *place, const struct gri_json *value,
                                 struct gri_rule *rule) {
    rule->max_size = -1;
    rule->is_volatile = -1;
    if (gri_json_kind(value) != GRI_JSON_OBJECT) return wrong(place, "rule", "must be a mapping with a name");
    enum gri_status status = read_name(set, place, value, rule);
    if (status == GRI_OK) status = check_object(place, value, "rule", " name when require query reject volatile limit ");
    if (status == GRI_OK) status = read_when(place, gri_json_get(value, "when"), rule);
    if (status == GRI_OK) status = read_require(place, gri_json_get(value, "require"), rule);
    if (status == GRI_OK) status = read_query(place, gri_json_get(value, "query"), rule);
    if (status == GRI_OK) status = read_bool(place, value, "volatile", &rule->is_volatile);
    if (status == GRI_OK) status = read_limit(place, gri_json_get(value, "limit"), rule);
    if (status == GRI_OK) status = read_reject(place, value, rule);
    return status;
}

/* Ascending, each once: one canonical form. */
static enum gri_status read_ports(struct gri_ports *ports, const struct gri_json *list, struct gri_error *error) {
    if (!is_set(list)) return GRI_OK;
    if (gri_json_kind(list) != GRI_JSON_ARRAY || gri_json_count(list) > GRI_ALLOW_PORTS_MAX)
        return gri_fail(error, GRI_R_config, "allow_ports: must be a list of at most %d ports", GRI_ALLOW_PORTS_MAX);
    for (size_t i = 0; i < gri_json_count(list); i++) {
        int64_t port = gri_json_number(gri_json_at(list, i), 0);
        if (port < 1 || port > 65535) return gri_fail(error, GRI_R_config, "allow_ports[%zu]: must be a port from 1 to 65535", i);
        size_t at = 0;
        while (at < ports->count && ports->list[at] < port)
            at++;
        if (at < ports->count && ports->list[at] == port) continue;
        memmove(&ports->list[at + 1], &ports->list[at], (ports->count - at) * sizeof(ports->list[0]));
        ports->list[at] = (int)port;
        ports->count++;
    }
    return GRI_OK;
}

enum gri_status gri_ruleset_parse(struct gri_ruleset *set, const struct gri_json *rules, const struct gri_json *allow_ports,
                                  struct gri_error *error) {
    enum gri_status status = read_ports(&set->ports, allow_ports, error);
    if (status != GRI_OK || !is_set(rules)) return status;
    if (gri_json_kind(rules) != GRI_JSON_ARRAY) return gri_fail(error, GRI_R_config, "rules: must be a list");
    size_t count = gri_json_count(rules);
    if (count > GRI_RULES_MAX)
        return gri_fail(error, GRI_R_config, "rules: %zu rules are over the limit of %d", count, GRI_RULES_MAX);
    set->rules = gri_calloc(count + 1, sizeof(*set->rules));
    for (; set->count < count && status == GRI_OK; set->count++) {
        struct place place = {set->count, "", error};
        status = read_rule(set, &place, gri_json_at(rules, set->count), &set->rules[set->count]);
    }
    return status;
}
