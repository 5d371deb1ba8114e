/* SPDX-License-Identifier: Apache-2.0 */
/* grisaille catalogs: lists what was pushed. */
#include <stdio.h>

#include "cli.h"

static enum gri_exit run(struct gri_cli *cli) {
    int64_t limit;
    struct gri_json *json;
    struct gri_error error;
    char number[24];
    if (!gri_cli_number(cli, "limit", 1, 1000, 20, &limit)) return GRI_EXIT_USAGE;
    (void)gri_format(number, sizeof number, "%lld", (long long)limit);
    if (gri_cli_get(cli, "/v1/catalogs", (const char *[]){"limit", number, NULL}, &json, &error) != GRI_OK)
        return gri_cli_fail(cli, &error);
    const struct gri_json *list = gri_json_get(json, "catalogs");
    if (cli->json) {
        gri_cli_print_json(json);
    } else {
        printf("%-24s  %-9s  %12s  %12s  %12s  %9s  %s\n", "id", "state", "lines", "accepted", "stored", "dead", "name");
        for (size_t i = 0; i < gri_json_count(list); i++) {
            const struct gri_json *catalog = gri_json_at(list, i), *counts = gri_json_get(catalog, "counts");
            char lines[32], accepted[32], stored[32], dead[32];
            printf("%-24s  %-9s  %12s  %12s  %12s  %9s  %s\n", gri_json_str(catalog, "id", ""),
                   gri_json_str(catalog, "state", ""), gri_cli_count(gri_json_get_int(counts, "lines", 0), lines),
                   gri_cli_count(gri_json_get_int(counts, "accepted", 0), accepted),
                   gri_cli_count(gri_json_get_int(counts, "stored", 0), stored),
                   gri_cli_count(gri_json_get_int(counts, "dead", 0), dead), gri_json_str(catalog, "name", ""));
        }
    }
    gri_json_free(json);
    return GRI_EXIT_DONE;
}

static const struct gri_cli_option options[] = {
    {.name = "limit", .arg = "N", .help = "at most N, newest first (20)"},
    {.name = NULL},
};

const struct gri_command gri_command_catalogs = {.name = "catalogs",
                                                 .summary = "lists the catalogs that were pushed, newest first",
                                                 .operands = "",
                                                 .options = options,
                                                 .run = run};
