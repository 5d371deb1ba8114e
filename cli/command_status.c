/* SPDX-License-Identifier: Apache-2.0 */
/* grisaille status: what is there, what is in progress, how fast, how long still. */
#include <grisaille/clock.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "receipt.h"

static void print_row(const char *name, const struct gri_json *object, const char *key) {
    char number[32];
    printf("  %-22s %14s\n", name, gri_cli_count(gri_json_get_int(object, key, 0), number));
}

static void print_stats(const struct gri_json *stats, const struct gri_json *catalogs) {
    const struct gri_json *urls = gri_json_get(stats, "urls"), *streams = gri_json_get(stats, "streams");
    printf("URLs\n");
    print_row("queued", urls, "queued");
    print_row("waiting for a retry", urls, "waiting");
    print_row("done", urls, "done");
    print_row("dead", urls, "dead");
    print_row("images", stats, "images");
    if (gri_json_kind(streams) == GRI_JSON_OBJECT) {
        printf("queue\n");
        print_row("jobs in the window", streams, "inflight");
        print_row("jobs being worked on", gri_json_get(streams, "jobs"), "pending");
        print_row("entries to admit", gri_json_get(streams, "urls"), "length");
    }
    const struct gri_json *list = gri_json_get(catalogs, "catalogs");
    bool title = false;
    for (size_t i = 0; i < gri_json_count(list); i++) {
        const struct gri_json *catalog = gri_json_at(list, i), *counts = gri_json_get(catalog, "counts");
        char lines[32], pending[32];
        if (strcmp(gri_json_str(catalog, "state", ""), "finished") == 0) continue;
        if (!title) printf("in progress\n");
        title = true;
        printf("  %s  %-9s %14s lines, %s pending  %s\n", gri_json_str(catalog, "id", ""), gri_json_str(catalog, "state", ""),
               gri_cli_count(gri_json_get_int(counts, "lines", 0), lines),
               gri_cli_count(gri_json_get_int(counts, "pending", 0), pending), gri_json_str(catalog, "name", ""));
    }
}

/* The rate of the last readings, and what is left at that rate. */
static void print_pace(struct gri_progress *progress, const struct gri_json *stats) {
    const struct gri_json *urls = gri_json_get(stats, "urls");
    int64_t left = gri_json_get_int(urls, "queued", 0) + gri_json_get_int(urls, "waiting", 0);
    char time_left[32];
    gri_progress_note(progress, gri_clock_ms(), gri_json_get_int(urls, "done", 0) + gri_json_get_int(urls, "dead", 0));
    if (progress->count < 2) return;
    double rate = gri_progress_speed(progress);
    printf("pace\n  %-22s %14.1f\n", "URLs a second", rate);
    if (rate > 0 && left > 0)
        printf("  %-22s %14s\n", "what is queued takes", gri_cli_duration((int64_t)((double)left * 1000.0 / rate), time_left));
}

static enum gri_exit show_all(struct gri_cli *cli, struct gri_progress *progress) {
    struct gri_json *stats, *catalogs;
    struct gri_error error;
    if (gri_cli_get(cli, "/v1/stats", NULL, &stats, &error) != GRI_OK) return gri_cli_fail(cli, &error);
    if (gri_cli_get(cli, "/v1/catalogs", (const char *[]){"limit", "20", NULL}, &catalogs, &error) != GRI_OK) {
        gri_json_free(stats);
        return gri_cli_fail(cli, &error);
    }
    if (cli->json) {
        gri_json_set(stats, "catalogs_latest", gri_json_copy(gri_json_get(catalogs, "catalogs")));
        gri_cli_print_json(stats);
    } else {
        print_stats(stats, catalogs);
        print_pace(progress, stats);
    }
    gri_json_free(stats);
    gri_json_free(catalogs);
    return GRI_EXIT_DONE;
}

static enum gri_exit show_catalog(struct gri_cli *cli, const char *id, bool watch) {
    struct gri_json *catalog;
    struct gri_error error;
    char path[128];
    (void)gri_format(path, sizeof path, "/v1/catalogs/%s", id);
    enum gri_status status = watch ? gri_receipt_wait(cli, id, &catalog, &error) : gri_cli_get(cli, path, NULL, &catalog, &error);
    if (status != GRI_OK) return gri_cli_fail(cli, &error);
    if (cli->json)
        gri_cli_print_json(catalog);
    else
        gri_receipt_print(stdout, catalog);
    gri_json_free(catalog);
    return GRI_EXIT_DONE;
}

static enum gri_exit run(struct gri_cli *cli) {
    bool watch = gri_cli_flag(cli, "watch");
    if (cli->operand_count > 0 && !gri_cli_catalog_id(cli, cli->operands[0])) return GRI_EXIT_USAGE;
    if (cli->operand_count > 0) return show_catalog(cli, cli->operands[0], watch);
    struct gri_progress progress = {.count = 0};
    for (;;) {
        if (watch && !cli->json) fputs("\033[H\033[2J", stdout);
        enum gri_exit status = show_all(cli, &progress);
        fflush(stdout);
        if (!watch || status != GRI_EXIT_DONE) return status;
        sleep(2);
    }
}

static const struct gri_cli_option options[] = {
    {.name = "watch", .help = "again and again; with CATALOG: a progress bar until it is finished"},
    {.name = NULL},
};

const struct gri_command gri_command_status = {
    .name = "status",
    .summary = "counts by outcome, queue depth, what is in progress; of all or of one catalog",
    .operands = "[CATALOG]",
    .max_operands = 1,
    .options = options,
    .run = run};
