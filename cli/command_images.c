/* SPDX-License-Identifier: Apache-2.0 */
/* grisaille images: lists what is stored. */
#include <stdio.h>

#include "cli.h"

static void print_image(const struct gri_json *image) {
    const struct gri_json *source = gri_json_get(image, "source");
    const char *output = gri_json_str(image, "output", "");
    printf("%.16s  %5lld x %-5lld  %9lld  %-24s  %s%s%s\n", gri_json_str(gri_json_get(image, "sums"), "output", ""),
           (long long)gri_json_get_int(image, "width", 0), (long long)gri_json_get_int(image, "height", 0),
           (long long)gri_json_get_int(image, "bytes", 0), gri_json_str(image, "inserted_at", ""),
           gri_json_str(source, "url", ""), *output ? "  " : "", output);
}

static enum gri_exit run(struct gri_cli *cli) {
    int64_t limit;
    char number[24];
    struct gri_json *json;
    struct gri_error error;
    if (!gri_cli_number(cli, "limit", 1, 1000, 20, &limit)) return GRI_EXIT_USAGE;
    (void)gri_format(number, sizeof number, "%lld", (long long)limit);
    const char *query[] = {"catalog", gri_cli_option(cli, "catalog"),     "host",  gri_cli_option(cli, "host"),
                           "output",  gri_cli_option(cli, "output-name"), "since", gri_cli_option(cli, "since"),
                           "until",   gri_cli_option(cli, "until"),       "limit", number,
                           NULL};
    if (gri_cli_get(cli, "/v1/images", query, &json, &error) != GRI_OK) return gri_cli_fail(cli, &error);
    const struct gri_json *list = gri_json_get(json, "images");
    if (cli->json) {
        gri_cli_print_json(json);
    } else {
        printf("%-16s  %13s  %9s  %-24s  %s\n", "output sum", "size", "bytes", "inserted", "source");
        for (size_t i = 0; i < gri_json_count(list); i++)
            print_image(gri_json_at(list, i));
    }
    gri_json_free(json);
    return GRI_EXIT_DONE;
}

static const struct gri_cli_option options[] = {
    {.name = "catalog", .arg = "ID", .help = "only what this catalog brought in"},
    {.name = "host", .arg = "HOST", .help = "only from this host"},
    {.name = "output-name", .arg = "NAME", .help = "only this output of pipelines that have several"},
    {.name = "since", .arg = "T", .help = "stored at or after (2026-11-21, 2026-11-21T09:00:00Z, Unix seconds)"},
    {.name = "until", .arg = "T", .help = "stored before"},
    {.name = "limit", .arg = "N", .help = "at most N, newest first (20)"},
    {.name = NULL},
};

const struct gri_command gri_command_images = {
    .name = "images", .summary = "lists stored images, newest first", .operands = "", .options = options, .run = run};
