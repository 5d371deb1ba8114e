/* SPDX-License-Identifier: Apache-2.0 */
/* grisaille dead: dead letters listed, given another life, put out of sight. */
#include <stdio.h>
#include <string.h>

#include "cli.h"

enum { QUERY_MAX = 24 };

static void make_query(struct gri_cli *cli, const char *query[QUERY_MAX], const char *const *extra) {
    static const char *const names[] = {"reason", "host", "catalog", "since", "until"};
    size_t count = 0;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        query[count++] = names[i];
        query[count++] = gri_cli_option(cli, names[i]);
    }
    for (; *extra; extra += 2) {
        query[count++] = extra[0];
        query[count++] = extra[1];
    }
    query[count] = NULL;
}

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

static enum gri_exit list(struct gri_cli *cli) {
    int64_t limit;
    char cursor[GRI_IMAGE_ID_MAX + 32] = "", number[24];
    if (!gri_cli_number(cli, "limit", 1, 1000000, 100, &limit)) return GRI_EXIT_USAGE;
    struct gri_json *all = gri_json_array();
    do {
        (void)gri_format(number, sizeof number, "%lld", (long long)(limit < 1000 ? limit : 1000));
        const char *query[QUERY_MAX], *extra[] = {"limit", number, "cursor", *cursor ? cursor : NULL, NULL};
        struct gri_json *page;
        struct gri_error error;
        make_query(cli, query, extra);
        if (gri_cli_get(cli, "/v1/dead", query, &page, &error) != GRI_OK) {
            gri_json_free(all);
            return gri_cli_fail(cli, &error);
        }
        const struct gri_json *rows = gri_json_get(page, "dead");
        for (size_t i = 0; i < gri_json_count(rows); i++) {
            if (cli->json)
                gri_json_append(all, gri_json_copy(gri_json_at(rows, i)));
            else
                print_dead(gri_json_at(rows, i));
        }
        limit -= (int64_t)gri_json_count(rows);
        (void)gri_copy(cursor, sizeof cursor, gri_json_str(page, "next", ""));
        gri_json_free(page);
    } while (*cursor && limit > 0);
    if (cli->json) gri_cli_print_json(all);
    gri_json_free(all);
    return GRI_EXIT_DONE;
}

/* How many there are that it would be done to. */
static enum gri_status count_them(struct gri_cli *cli, int64_t *count, struct gri_error *error) {
    const char *query[QUERY_MAX], *extra[] = {"limit", "1", NULL};
    struct gri_json *page;
    make_query(cli, query, extra);
    enum gri_status status = gri_cli_get(cli, "/v1/dead", query, &page, error);
    if (status != GRI_OK) return status;
    *count = gri_json_get_int(page, "count", 0);
    gri_json_free(page);
    return GRI_OK;
}

static enum gri_exit act(struct gri_cli *cli, bool drop) {
    const char *query[QUERY_MAX], *extra[] = {"all", "true", "limit", gri_cli_option(cli, "limit"), NULL};
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
    make_query(cli, query, extra);
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
