/* SPDX-License-Identifier: Apache-2.0 */
/* Compiles rulesets and judges lines by them. */
#include "rules.h"

#include <stdlib.h>
#include <string.h>

#include "lines.h"
#include "rules_parts.h"

/* What one match of a regex may cost: some milliseconds and a megabyte, whatever its author wrote. */
enum { MATCH_LIMIT = 100000, DEPTH_LIMIT = 20000, HEAP_LIMIT_KIB = 4096 };

enum match { NO_MATCH, MATCHES, GAVE_UP };

/* The rule that each setting comes from; NULL: none set it. */
struct settings {
    const struct gri_rule *path, *size, *keep, *is_volatile;
    const struct gri_rule *last;   /* that matched */
    const struct gri_rule *reject; /* that ends it */
};

static void free_regex(struct gri_regex *regex) {
    pcre2_code_free(regex->code);
    free(regex->text);
}

void gri_ruleset_free(struct gri_ruleset *set) {
    if (!set) return;
    pcre2_match_context_free(set->limits);
    for (size_t i = 0; i < set->count; i++) {
        struct gri_rule *rule = &set->rules[i];
        gri_texts_clear(&rule->keep);
        free_regex(&rule->require_path);
        free_regex(&rule->when_path);
        gri_texts_clear(&rule->hosts);
        gri_rule_tags_clear(rule);
    }
    free(set->rules);
    free(set);
}

static void check_body_key(const char *key, const struct gri_json *value, void *arg) {
    (void)value;
    if (strcmp(key, "rules") != 0 && strcmp(key, "allow_ports") != 0) *(bool *)arg = true;
}

enum gri_status gri_ruleset_compile(struct gri_slice body_json, struct gri_ruleset **out, struct gri_error *error) {
    struct gri_json *body = NULL;
    bool unknown = false;
    enum gri_status status = gri_json_parse(body_json, &body, error);
    if (status != GRI_OK) return gri_error_wrap(error, "a ruleset's body");
    struct gri_ruleset *set = gri_calloc(1, sizeof(*set));
    set->limits = pcre2_match_context_create(NULL);
    GRI_ASSERT(set->limits);
    pcre2_set_match_limit(set->limits, MATCH_LIMIT);
    pcre2_set_depth_limit(set->limits, DEPTH_LIMIT);
    pcre2_set_heap_limit(set->limits, HEAP_LIMIT_KIB);
    gri_json_each(body, check_body_key, &unknown);
    if (unknown || gri_json_kind(body) != GRI_JSON_OBJECT) {
        status = gri_fail(error, GRI_R_config, "a ruleset's body must be {\"allow_ports\":[…],\"rules\":[…]}");
    } else {
        status = gri_ruleset_parse(set, gri_json_get(body, "rules"), gri_json_get(body, "allow_ports"), error);
    }
    gri_json_free(body);
    if (status == GRI_OK) {
        *out = set;
    } else {
        gri_ruleset_free(set);
    }
    return status;
}

static enum match match_regex(const struct gri_ruleset *set, const struct gri_regex *regex, struct gri_slice path) {
    pcre2_match_data *data = pcre2_match_data_create(1, NULL);
    GRI_ASSERT(data);
    int code = pcre2_match(regex->code, path.data, path.len, 0, 0, data, set->limits);
    pcre2_match_data_free(data);
    return code >= 0 ? MATCHES : code == PCRE2_ERROR_NOMATCH ? NO_MATCH : GAVE_UP;
}

static bool match_host(const struct gri_rule *rule, const char *host) {
    size_t len = strlen(host);
    for (size_t i = 0; i < rule->hosts.count; i++) {
        const char *pattern = rule->hosts.list[i];
        if (pattern[0] != '*') {
            if (strcmp(pattern, host) == 0) return true;
            continue;
        }
        size_t suffix = strlen(pattern + 1); /* with its dot */
        if (len > suffix && strcmp(host + len - suffix, pattern + 1) == 0) return true;
    }
    return rule->hosts.count == 0;
}

static struct gri_slice path_of(const struct gri_canonical *url) {
    return (struct gri_slice){(const uint8_t *)url->url + url->path, url->path_len};
}

static struct settings collect(const struct gri_ruleset *set, const struct gri_canonical *url) {
    struct settings found = {0};
    for (size_t i = 0; i < set->count && !found.reject; i++) {
        const struct gri_rule *rule = &set->rules[i];
        if (rule->tag_count > 0 || !match_host(rule, url->host)) continue; /* tags: gri_ruleset_for has taken out what holds */
        enum match match = rule->when_path.code ? match_regex(set, &rule->when_path, path_of(url)) : MATCHES;
        if (match == NO_MATCH) continue;
        found.last = rule;
        if (rule->reject || match == GAVE_UP) found.reject = rule;
        if (match == GAVE_UP) continue;
        if (rule->require_path.code) found.path = rule;
        if (rule->max_size >= 0) found.size = rule;
        if (rule->has_keep) found.keep = rule;
        if (rule->is_volatile >= 0) found.is_volatile = rule;
    }
    return found;
}

static bool is_word(const char *text, size_t len, const char *word) {
    return len == strlen(word) && memcmp(text, word, len) == 0;
}

/* 1: a size within the maximum, 0: no number at all, -1: a size out of range. */
static int size_kind(const char *text, size_t len, int64_t max) {
    bool negative = len > 1 && text[0] == '-';
    int64_t value = 0;
    for (size_t i = negative; i < len; i++) {
        if (text[i] < '0' || text[i] > '9') return 0;
        if (value <= max) value = value * 10 + (text[i] - '0');
    }
    if (len == 0) return 0;
    return negative || value > max ? -1 : 1;
}

/* Looks at the last two segments, from the end, as long as they are numbers. */
static bool sizes_ok(struct gri_slice path, int64_t max) {
    const char *text = (const char *)path.data;
    size_t end = path.len;
    for (int sizes = 0; sizes < 2 && end > 0; sizes++) {
        const char *slash = memrchr(text, '/', end);
        size_t from = slash ? (size_t)(slash - text) + 1 : 0, len = end - from;
        const char *dot = sizes == 0 ? memrchr(text + from, '.', len) : NULL;
        if (dot) len = (size_t)(dot - text) - from;
        if (from < 2) return size_kind(text + from, len, max) >= 0;
        const char *above = memrchr(text, '/', from - 1);
        size_t name = above ? (size_t)(above - text) + 1 : 0;
        if (is_word(text + name, from - 1 - name, "id") || is_word(text + name, from - 1 - name, "seed")) return true;
        int kind = size_kind(text + from, len, max);
        if (kind <= 0) return kind == 0;
        end = from - 1;
    }
    return true;
}

static bool keeps(struct gri_slice name, const void *arg) {
    const struct gri_rule *rule = arg;
    for (size_t i = 0; i < rule->keep.count; i++)
        if (gri_slice_equal(name, gri_slice_of(rule->keep.list[i]))) return true;
    return false;
}

/* The reason, and the rule it comes from; the first of bad_path, bad_size, rejected_by_rule. */
static enum gri_reason decide(const struct gri_ruleset *set, const struct settings *found, const struct gri_canonical *url,
                              const struct gri_rule **by) {
    enum match path = found->path ? match_regex(set, &found->path->require_path, path_of(url)) : MATCHES;
    *by = found->path;
    if (path == NO_MATCH) return GRI_R_bad_path;
    if (path == GAVE_UP) return GRI_R_rejected_by_rule;
    *by = found->size;
    if (found->size && !sizes_ok(path_of(url), found->size->max_size)) return GRI_R_bad_size;
    *by = found->reject ? found->reject : found->last;
    return found->reject ? GRI_R_rejected_by_rule : GRI_R_none;
}

/* What the first bytes of a line that is longer than any URL can be tell. */
static enum gri_reason judge_long(const struct gri_ruleset *set, struct gri_slice line, struct gri_canonical *url) {
    line.len = GRI_LINE_LOOK;
    struct gri_slice text = gri_line_trim(line);
    if (text.len && (text.data[0] == '"' || text.data[0] == '\'')) text = (struct gri_slice){text.data + 1, text.len - 1};
    enum gri_reason reason = text.len ? gri_canonical_url(text, &set->ports, url) : GRI_R_too_long;
    return reason == GRI_R_none || reason == GRI_R_not_text ? GRI_R_too_long : reason;
}

static void judge_by_rules(const struct gri_ruleset *set, struct gri_canonical *url, struct gri_verdict *out) {
    const struct gri_rule *by = NULL;
    struct settings found = collect(set, url);
    out->reason = decide(set, &found, url, &by);
    out->kind = out->reason == GRI_R_none ? GRI_LINE_URL : GRI_LINE_BAD;
    if (by) (void)gri_copy(out->rule, sizeof(out->rule), by->name);
    (void)gri_copy(out->host, sizeof(out->host), url->host);
    if (out->kind == GRI_LINE_BAD) return;
    if (found.keep && url->query_len) gri_canonical_filter_query(url, keeps, found.keep);
    out->is_volatile = found.is_volatile && found.is_volatile->is_volatile > 0;
    GRI_ASSERT(gri_copy(out->url, sizeof(out->url), url->url));
}

void gri_ruleset_judge(const struct gri_ruleset *rules, struct gri_slice line, struct gri_verdict *out) {
    struct gri_canonical url;
    out->kind = GRI_LINE_BAD;
    out->url[0] = out->host[0] = out->rule[0] = '\0';
    out->reason = GRI_R_none;
    out->is_volatile = false;
    if (gri_line_is_blank(line)) {
        out->kind = GRI_LINE_BLANK;
    } else if (line.len > GRI_LINE_LOOK) {
        out->reason = judge_long(rules, line, &url);
    } else {
        out->reason = gri_canonical_url(gri_line_trim(line), &rules->ports, &url);
        if (out->reason == GRI_R_none) judge_by_rules(rules, &url, out);
    }
}

void gri_ruleset_limit(const struct gri_ruleset *rules, const char *host, struct gri_host_limit *out) {
    *out = (struct gri_host_limit){0};
    for (size_t i = 0; i < rules->count; i++) {
        const struct gri_rule *rule = &rules->rules[i];
        if (rule->when_path.code || !match_host(rule, host)) continue;
        if (rule->reject) return;
        if (rule->concurrency == 0 && rule->per_second <= 0) continue;
        if (rule->concurrency) out->concurrency = rule->concurrency;
        if (rule->per_second > 0) out->per_second = rule->per_second;
        (void)gri_copy(out->name, sizeof(out->name), rule->name);
    }
}
