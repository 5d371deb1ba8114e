/* SPDX-License-Identifier: Apache-2.0 */
/* Rules: what becomes of a line, and how hard a host may be asked.
 *
 * A rule: {"name": text, "when": {"host": "exact.example" | "*.example" | [several], "path": regex, "tag": {key: value or list}},
 *          "require": {"path": regex, "max_size": N}, "query": {"keep": [names]}, "reject": bool, "volatile": bool,
 *          "limit": {"concurrency": N, "per_second": N}}; only the name must be there; null is the same as absent.
 * "*.example" is every name below example, not example itself; no host at all: every host. A regex is PCRE2, is not
 * anchored, and sees the canonical path (no query). Rules are tried in order; later matches override single settings
 * (require.path, require.max_size, query.keep, volatile, limit.concurrency, limit.per_second); a match of one with reject ends.
 * require.path not matched: bad_path. require.max_size: of the path's last two segments those that are numbers (an extension
 * stripped, nothing that follows /id/ or /seed/) may be neither negative nor over it: bad_size. query.keep: other parameters are
 * dropped from the URL. A regex that runs into its match limit rejects the line (rejected_by_rule).
 * when.tag: rules of catalogs that were pushed with these tags; gri_ruleset_for makes of a ruleset the one that holds for given
 * tags, in which the condition is gone, and that is what such a catalog is pinned to. Judged directly, as bare URLs are, a
 * ruleset's tagged rules don't match. limit holds for hosts, so a rule with one has no when.path and no when.tag. A rule's name
 * is 1…63 bytes without control characters. */
#ifndef GRISAILLE_CATALOG_RULES_H
#define GRISAILLE_CATALOG_RULES_H

#include <grisaille/crypto.h>
#include <grisaille/job.h>
#include <grisaille/json.h>

enum { GRI_TAGS_MAX = 16, GRI_TAG_KEY_MAX = 64, GRI_TAG_VALUE_MAX = 201, GRI_RULE_TAG_VALUES_MAX = 100 };
enum { GRI_RULES_MAX = 500, GRI_RULE_HOSTS_MAX = 1000, GRI_RULE_KEEP_MAX = 100, GRI_RULE_REGEX_MAX = 2048 };

struct gri_ruleset; /* compiled; immutable, may be used by any thread */

/* Compiles canonical JSON {"allow_ports":[…],"rules":[…]}. *out: owned, gri_ruleset_free. Failures: reason config (or
 * bad_request for text that is no JSON), the detail names the rule's index and name and the field. */
enum gri_status gri_ruleset_compile(struct gri_slice body_json, struct gri_ruleset **out, struct gri_error *error) GRI_MUST_CHECK;
/* NULL is fine. */
void gri_ruleset_free(struct gri_ruleset *rules);

/* The shipped rules as the text of a JSON array; static storage. */
const char *gri_rules_default(void);

/* The rules (a list) with every when.host_tag, one name or several, replaced by when.host: all that `host_tags`, {name: host or
 * list of hosts}, has under these names. *out: owned. Reason config, as above. */
enum gri_status gri_rules_name_hosts(const struct gri_json *rules, const struct gri_json *host_tags, struct gri_json **out,
                                     struct gri_error *error) GRI_MUST_CHECK;

/* Validates rules (NULL: the shipped ones) and ports (NULL: none) and appends their canonical JSON to *body: keys sorted, every
 * setting written out (null: not set), hosts canonical, ports sorted. `id`: "rules@<12 hex of the body's SHA-256>". */
enum gri_status gri_ruleset_body(const struct gri_json *rules, const struct gri_json *allow_ports,
                                 const struct gri_crypto *crypto, struct gri_bytes *body, char id[GRI_PIPELINE_MAX],
                                 struct gri_error *error) GRI_MUST_CHECK;

/* A key is [a-z0-9_-]+ of at most 63 bytes; a value is text of 1 to 200 bytes without commas and control
 * characters. */
bool gri_tag_is_valid(const char *key, const char *value);
/* The ruleset for a catalog with these tags (an object of texts, NULL: none): rules whose when.tag matches, without it, and those
 * that have none. Appends its canonical JSON and fills id, as gri_ruleset_body does; the same as the whole where no rule asks for
 * tags. */
enum gri_status gri_ruleset_for(const struct gri_ruleset *rules, const struct gri_json *tags, const struct gri_crypto *crypto,
                                struct gri_bytes *body, char id[GRI_PIPELINE_MAX], struct gri_error *error) GRI_MUST_CHECK;

enum gri_verdict_kind { GRI_LINE_BLANK, GRI_LINE_URL, GRI_LINE_BAD };

struct gri_verdict {
    enum gri_verdict_kind kind;
    char url[GRI_URL_MAX + 1]; /* URL: canonical, after query.keep; "" else */
    char host[GRI_HOST_MAX];   /* URL, and BAD by a rule; "" else */
    enum gri_reason reason;    /* BAD; GRI_R_none else */
    char
        rule[GRI_NAME_MAX]; /* BAD: the name of the rule that refused it, "" where no rule did; URL: the last rule that matched */
    bool is_volatile;       /* URL: every line of it is its own fetch */
};

/* What becomes of one line (as it stands in the catalog, without '\n'). */
void gri_ruleset_judge(const struct gri_ruleset *rules, struct gri_slice line, struct gri_verdict *out);

struct gri_host_limit {
    char name[GRI_NAME_MAX]; /* the last rule that set one of them; "" none */
    int concurrency;         /* requests at once, per worker; 0: not set */
    double per_second;       /* of the whole fleet; 0: not set */
};
void gri_ruleset_limit(const struct gri_ruleset *rules, const char *host, struct gri_host_limit *out);

#endif
