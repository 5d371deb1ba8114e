/* SPDX-License-Identifier: Apache-2.0 */
/* grisaille reprocess: what older versions of a pipeline made; with --yes, fetched anew and made by the present one. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

enum { POLL_MS = 500 };

static const char *const filter[] = {"pipeline", "host", "catalog", "since", "until", NULL};

static enum gri_status ask(struct gri_cli *cli, bool start, struct gri_json **answer, struct gri_error *error) {
    const char *query[GRI_CLI_QUERY_MAX];
    gri_cli_query(cli, filter, NULL, query);
    return start ? gri_cli_send(cli, "POST", "/v1/reprocess", query, answer, error)
                 : gri_cli_get(cli, "/v1/reprocess", query, answer, error);
}

static void print_run(const struct gri_json *run) {
    static const char *const rows[][2] = {
        {"unchanged", "made anew from the same source as before"},
        {"changed", "made anew, and the source is another: events of source_changed tell which"},
        {"failed", "the source can't be had any more: what an older version made stays"},
        {"pending", "not fetched yet"}};
    const struct gri_json *counts = gri_json_get(run, "counts");
    printf("%s  %s  begun %s by %s\n", gri_json_str(run, "pipeline", ""), gri_json_str(run, "state", ""),
           gri_json_str(run, "created_at", ""), gri_json_str(run, "by", ""));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char number[32];
        printf("  %-12s %12s  %s\n", rows[i][0], gri_cli_count(gri_json_get_int(counts, rows[i][0], 0), number), rows[i][1]);
    }
}

static void print_survey(const struct gri_json *answer) {
    const struct gri_json *versions = gri_json_get(answer, "versions"), *run = gri_json_get(answer, "run");
    char number[32];
    int64_t count = gri_json_get_int(answer, "count", 0);
    printf("%s URLs were made by other versions than %s\n", gri_cli_count(count, number), gri_json_str(answer, "pipeline", ""));
    for (size_t i = 0; i < gri_json_count(versions); i++) {
        const struct gri_json *row = gri_json_at(versions, i);
        int64_t of = gri_json_get_int(row, "count", 0);
        printf("  %-24s %12s%s\n", gri_json_str(row, "pipeline", ""), gri_cli_count(of, number), of >= 100000 ? " or more" : "");
    }
    if (gri_json_kind(run) == GRI_JSON_OBJECT) print_run(run);
}

/* Until all of the run has ended; failures of a moment are waited out by whoever asked. */
static enum gri_status wait_for(struct gri_cli *cli, struct gri_json **answer, struct gri_error *error) {
    for (;;) {
        const struct gri_json *run = gri_json_get(*answer, "run");
        if (strcmp(gri_json_str(run, "state", "finished"), "running") != 0) return GRI_OK;
        usleep(POLL_MS * 1000);
        gri_json_free(*answer);
        *answer = NULL;
        enum gri_status status = ask(cli, false, answer, error);
        if (status != GRI_OK) return status;
    }
}

static enum gri_exit begin(struct gri_cli *cli, struct gri_json *survey) {
    char what[160];
    int64_t count = gri_json_get_int(survey, "count", 0);
    struct gri_error error;
    struct gri_json *answer = NULL;
    (void)gri_format(what, sizeof what, "%lld%s URLs would be fetched anew", (long long)count, count >= 100000 ? " or more" : "");
    if (count > 0 && !gri_cli_flag(cli, "yes")) {
        if (cli->json)
            gri_cli_print_json(survey);
        else
            print_survey(survey);
        gri_json_free(survey);
        return gri_cli_sure(cli, what) ? GRI_EXIT_DONE : GRI_EXIT_FAILED;
    }
    gri_json_free(survey);
    enum gri_status status = ask(cli, true, &answer, &error);
    if (status == GRI_OK && gri_cli_flag(cli, "wait")) status = wait_for(cli, &answer, &error);
    if (status != GRI_OK) {
        gri_json_free(answer);
        return gri_cli_fail(cli, &error);
    }
    if (cli->json)
        gri_cli_print_json(answer);
    else
        print_survey(answer);
    int64_t failed = gri_json_get_int(gri_json_get(gri_json_get(answer, "run"), "counts"), "failed", 0);
    gri_json_free(answer);
    return gri_cli_flag(cli, "wait") && count > 0 && failed > 0 ? GRI_EXIT_FAILED : GRI_EXIT_DONE;
}

static enum gri_exit cancel(struct gri_cli *cli) {
    struct gri_json *answer;
    struct gri_error error;
    char path[128];
    const char *pipeline = gri_cli_option(cli, "pipeline");
    if (!pipeline) {
        gri_cli_say(cli, "say which with --pipeline");
        return GRI_EXIT_USAGE;
    }
    (void)gri_format(path, sizeof path, "/v1/reprocess/%.60s/cancel", pipeline);
    if (gri_cli_send(cli, "POST", path, (const char *[]){NULL}, &answer, &error) != GRI_OK) return gri_cli_fail(cli, &error);
    if (cli->json) gri_cli_print_json(answer);
    gri_json_free(answer);
    return GRI_EXIT_DONE;
}

static enum gri_exit run(struct gri_cli *cli) {
    struct gri_json *survey;
    struct gri_error error;
    if (gri_cli_flag(cli, "cancel")) return cancel(cli);
    if (ask(cli, false, &survey, &error) != GRI_OK) return gri_cli_fail(cli, &error);
    return begin(cli, survey);
}

static const struct gri_cli_option options[] = {
    {.name = "pipeline", .arg = "P", .help = "made by an older version of this one (the default: gray)"},
    {.name = "host", .arg = "HOST", .help = "only of this host"},
    {.name = "catalog", .arg = "ID", .help = "only what this catalog brought in"},
    {.name = "since", .arg = "T", .help = "done at or after: 2w, 36h, 15m ago; 2026-11-21, 2026-11-21T09:00:00Z, Unix seconds"},
    {.name = "until", .arg = "T", .help = "done before"},
    {.name = "yes", .help = "do it; else it only tells how many there are, and how the last run goes"},
    {.name = "wait", .help = "stays until all of it has ended, and tells what has changed at the source; exit 1 if any failed"},
    {.name = "cancel", .help = "calls the run of --pipeline off: what is not fetched yet stays as it was"},
    {.name = NULL},
};

const struct gri_command gri_command_reprocess = {
    .name = "reprocess",
    .summary = "has what older versions of a pipeline made fetched anew and made by the present one",
    .operands = "",
    .options = options,
    .run = run};
