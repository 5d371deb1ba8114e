/* SPDX-License-Identifier: Apache-2.0 */
/* grisaille dead: dead letters listed, given another life, put out of sight. */
#include <stdio.h>
#include <string.h>

#include "cli.h"

static const char *const filter[] = {"reason", "host", "catalog", "since", "until", NULL};

static void print_dead(const struct gri_json *row) {
    const struct gri_json *error = gri_json_get(row, "error"), *first = gri_json_get(row, "first");
    printf("%s  %-16s  %2lld  ", gri_json_str(row, "changed_at", ""), gri_json_str(error, "reason", ""),
           (long long)gri_json_get_int(row, "attempts", 0));
    gri_cli_put_safe(gri_json_str(row, "url", ""));
    if (gri_json_str(first, "catalog", "")[0])
        printf("  (%s, line %lld)", gri_json_str(first, "catalog", ""), (long long)gri_json_get_int(first, "line", 0));
    fputs("  ", stdout);
    gri_cli_put_safe(gri_json_str(error, "detail", ""));
    putchar('\n');
}

struct listing {
    bool json;
    struct gri_json *all; /* the rows, where JSON is wanted */
};

static void list_one(const struct gri_json *row, void *arg) {
    struct listing *listing = arg;
    if (listing->json)
        gri_json_append(listing->all, gri_json_copy(row));
    else
        print_dead(row);
}

static enum gri_exit list(struct gri_cli *cli) {
    int64_t limit;
    struct gri_error error;
    if (!gri_cli_number(cli, "limit", 1, 1000000, 100, &limit)) return GRI_EXIT_USAGE;
    struct listing listing = {.json = cli->json, .all = gri_json_array()};
    enum gri_status status = gri_cli_pages(cli, "/v1/dead", filter, NULL, "dead", limit, list_one, &listing, &error);
    if (status == GRI_OK && cli->json) gri_cli_print_json(listing.all);
    gri_json_free(listing.all);
    return status == GRI_OK ? GRI_EXIT_DONE : gri_cli_fail(cli, &error);
}

/* How many there are that it would be done to. */
static enum gri_status count_them(struct gri_cli *cli, int64_t *count, struct gri_error *error) {
    const char *query[GRI_CLI_QUERY_MAX], *extra[] = {"limit", "1", NULL};
    struct gri_json *page;
    gri_cli_query(cli, filter, extra, query);
    enum gri_status status = gri_cli_get(cli, "/v1/dead", query, &page, error);
    if (status != GRI_OK) return status;
    *count = gri_json_get_int(page, "count", 0);
    gri_json_free(page);
    return GRI_OK;
}

static enum gri_exit act(struct gri_cli *cli, bool drop) {
    const char *query[GRI_CLI_QUERY_MAX], *extra[] = {"all", "true", "limit", gri_cli_option(cli, "limit"), NULL};
    int64_t count, limit;
    char what[160];
    struct gri_json *answer;
    struct gri_error error;
    if (!gri_cli_number(cli, "limit", 1, 1000, 0, &limit)) return GRI_EXIT_USAGE;
    if (count_them(cli, &count, &error) != GRI_OK) return gri_cli_fail(cli, &error);
    if (limit && limit < count) count = limit;
    (void)gri_format(what, sizeof what, "%lld%s dead letters would %s", (long long)count, count >= 100000 ? " or more" : "",
                     drop ? "be listed no more" : "be fetched again");
    if (!gri_cli_sure(cli, what)) return GRI_EXIT_FAILED;
    gri_cli_query(cli, filter, extra, query);
    if (gri_cli_send(cli, "POST", drop ? "/v1/dead/drop" : "/v1/dead/retry", query, &answer, &error) != GRI_OK)
        return gri_cli_fail(cli, &error);
    if (cli->json)
        gri_cli_print_json(answer);
    else
        printf("%lld\n", (long long)gri_json_get_int(answer, drop ? "dropped" : "retried", 0));
    gri_json_free(answer);
    return GRI_EXIT_DONE;
}

static enum gri_exit run(struct gri_cli *cli) {
    const char *verb = cli->operands[0];
    if (strcmp(verb, "list") == 0) return list(cli);
    if (strcmp(verb, "retry") == 0) return act(cli, false);
    if (strcmp(verb, "drop") == 0) return act(cli, true);
    gri_cli_say(cli, "list, retry or drop, not '%s'", verb);
    return GRI_EXIT_USAGE;
}

static const struct gri_cli_option options[] = {
    {.name = "reason", .arg = "R", .help = "only what died of this (grisaille reasons lists them)"},
    {.name = "host", .arg = "HOST", .help = "only of this host"},
    {.name = "catalog", .arg = "ID", .help = "only what this catalog brought in"},
    {.name = "since", .arg = "T", .help = "died at or after: 2w, 36h, 15m ago; 2026-11-21, 2026-11-21T09:00:00Z, Unix seconds"},
    {.name = "until", .arg = "T", .help = "died before"},
    {.name = "limit", .arg = "N", .help = "list: at most N, newest first (100); retry, drop: some N of them (all)"},
    {.name = "yes", .help = "retry, drop: do it; else they only tell what they would do"},
    {.name = NULL},
};

const struct gri_command gri_command_dead = {.name = "dead",
                                             .summary = "dead letters: list them, give them another life, put them out of sight",
                                             .operands = "list|retry|drop",
                                             .min_operands = 1,
                                             .max_operands = 1,
                                             .options = options,
                                             .run = run};
