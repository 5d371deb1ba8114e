/* SPDX-License-Identifier: Apache-2.0 */
/* grisaille events: troubleshooting search, and what happens now. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli.h"

enum { FOLLOW_PAUSE_MS = 500 };

/* The filter, as the API has it. */
static const char *const filter[] = {"since", "until", "reason", "host", "catalog", "level", "event", "match", NULL};

static void print_event(const struct gri_json *event, void *arg) {
    const struct gri_cli *cli = arg;
    if (cli->json) {
        struct gri_bytes line;
        struct gri_error error;
        gri_bytes_init(&line, 0);
        if (gri_json_write(event, false, &line, &error) == GRI_OK) puts(gri_bytes_text(&line));
        gri_bytes_clear(&line);
        return;
    }
    printf("%s  %-5s  %-16s  %-16s  ", gri_json_str(event, "time", ""), gri_json_str(event, "level", ""),
           gri_json_str(event, "event", ""), gri_json_str(event, "reason", "-"));
    gri_cli_put_safe(gri_json_str(event, "detail", ""));
    const char *url = gri_json_str(event, "url", gri_json_str(event, "host", ""));
    if (*url) fputs("  ", stdout), gri_cli_put_safe(url);
    if (gri_json_get_int(event, "body_bytes", 0) > 0) printf("  body:%s", gri_json_str(event, "id", ""));
    putchar('\n');
}

static void print_page(struct gri_cli *cli, const struct gri_json *page) {
    const struct gri_json *events = gri_json_get(page, "events");
    for (size_t i = 0; i < gri_json_count(events); i++)
        print_event(gri_json_at(events, i), cli);
    fflush(stdout);
}

static enum gri_exit follow(struct gri_cli *cli) {
    char *cursor = NULL;
    for (;;) {
        const char *query[GRI_CLI_QUERY_MAX], *extra[] = {"rising", "true", "limit", "1000", "cursor", cursor, NULL};
        struct gri_json *page;
        struct gri_error error;
        gri_cli_query(cli, filter, extra, query);
        enum gri_status status = gri_cli_get(cli, "/v1/events", query, &page, &error);
        if (status == GRI_RETRY && cursor) { /* a change of the primary */
            gri_cli_say(cli, "%s", error.detail);
        } else if (status != GRI_OK) {
            free(cursor);
            return gri_cli_fail(cli, &error);
        } else {
            print_page(cli, page);
            free(cursor);
            cursor = gri_strdup(gri_json_str(page, "next", ""));
            gri_json_free(page);
            if (ferror(stdout)) break;
        }
        struct timespec pause = {.tv_nsec = FOLLOW_PAUSE_MS * 1000000L};
        nanosleep(&pause, NULL);
    }
    free(cursor);
    return GRI_EXIT_DONE;
}

static enum gri_exit show_body(struct gri_cli *cli, const char *id) {
    const char *content_type;
    struct gri_error error;
    char path[128];
    if (!gri_format(path, sizeof path, "/v1/events/%s/body", id) || strchr(id, '/')) {
        gri_cli_say(cli, "'%.40s' is no event's id (24 hexadecimal digits)", id);
        return GRI_EXIT_USAGE;
    }
    if (gri_cli_stream(cli, path, NULL, stdout, &content_type, &error) == GRI_OK) return GRI_EXIT_DONE;
    return gri_cli_fail(cli, &error);
}

static enum gri_exit run(struct gri_cli *cli) {
    int64_t limit;
    if (!gri_cli_number(cli, "limit", 1, 1000000, 100, &limit)) return GRI_EXIT_USAGE;
    if (gri_cli_option(cli, "body")) return show_body(cli, gri_cli_option(cli, "body"));
    if (gri_cli_flag(cli, "follow")) return follow(cli);
    struct gri_error error;
    if (gri_cli_pages(cli, "/v1/events", filter, NULL, "events", limit, print_event, cli, &error) != GRI_OK)
        return gri_cli_fail(cli, &error);
    return GRI_EXIT_DONE;
}

static const struct gri_cli_option options[] = {
    {.name = "since", .arg = "T", .help = "at or after: 2w, 36h, 15m ago; 2026-11-21, 2026-11-21T09:00:00Z, Unix seconds"},
    {.name = "until", .arg = "T", .help = "before"},
    {.name = "reason", .arg = "R", .help = "only with this reason (grisaille reasons lists them)"},
    {.name = "host", .arg = "HOST", .help = "only of this host"},
    {.name = "catalog", .arg = "ID", .help = "only of this catalog"},
    {.name = "level", .arg = "LEVEL", .help = "debug, info, warn or error"},
    {.name = "event", .arg = "NAME", .help = "only of this name: attempt_failed, dead_letter, …"},
    {.name = "match", .arg = "REGEX", .help = "only where the message matches (PCRE)"},
    {.name = "limit", .arg = "N", .help = "at most N, newest first (100)"},
    {.name = "follow", .help = "what happens from now on (or since T), as it comes"},
    {.name = "body", .arg = "EVENT", .help = "what the host sent: the body kept with that event, to standard output"},
    {.name = NULL},
};

const struct gri_command gri_command_events = {
    .name = "events",
    .summary = "what went wrong, and why: failed tries, dead letters, damage, the daemons' warnings",
    .operands = "",
    .options = options,
    .run = run};
