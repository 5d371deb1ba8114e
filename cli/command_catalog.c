/* SPDX-License-Identifier: Apache-2.0 */
/* grisaille catalog and grisaille host: steering what is under way. */
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "receipt.h"

static enum gri_exit run_catalog(struct gri_cli *cli) {
    static const char *const verbs[] = {"pause", "resume", "cancel", "delete"};
    const char *verb = cli->operands[0], *id = cli->operands[1];
    char path[96];
    struct gri_json *catalog;
    struct gri_error error;
    bool known = false;
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
        known = known || strcmp(verb, verbs[i]) == 0;
    if (!known) {
        gri_cli_say(cli, "pause, resume, cancel or delete, not '%s'", verb);
        return GRI_EXIT_USAGE;
    }
    if (!gri_cli_catalog_id(cli, id)) return GRI_EXIT_USAGE;
    bool delete = strcmp(verb, "delete") == 0;
    if (delete &&!gri_cli_sure(cli, "the catalog, its lines, and every image that only it brought in would be gone for good"))
        return GRI_EXIT_FAILED;
    (void)gri_format(path, sizeof path, "/v1/catalogs/%s%s%s", id, delete ? "" : "/", delete ? "" : verb);
    if (gri_cli_send(cli, delete ? "DELETE" : "POST", path, NULL, &catalog, &error) != GRI_OK) return gri_cli_fail(cli, &error);
    if (cli->json)
        gri_cli_print_json(catalog);
    else
        gri_receipt_print(stdout, catalog);
    gri_json_free(catalog);
    return GRI_EXIT_DONE;
}

static enum gri_exit list_hosts(struct gri_cli *cli) {
    struct gri_json *json;
    struct gri_error error;
    if (gri_cli_get(cli, "/v1/hosts", NULL, &json, &error) != GRI_OK) return gri_cli_fail(cli, &error);
    const struct gri_json *paused = gri_json_get(json, "paused");
    for (size_t i = 0; !cli->json && i < gri_json_count(paused); i++) {
        const struct gri_json *row = gri_json_at(paused, i);
        printf("%s  paused since %s by %s\n", gri_json_str(row, "host", ""), gri_json_str(row, "at", ""),
               gri_json_str(row, "by", ""));
    }
    if (cli->json) gri_cli_print_json(json);
    gri_json_free(json);
    return GRI_EXIT_DONE;
}

static enum gri_exit run_host(struct gri_cli *cli) {
    const char *verb = cli->operands[0];
    char path[GRI_HOST_MAX + 64];
    struct gri_json *answer;
    struct gri_error error;
    if (strcmp(verb, "list") == 0) return list_hosts(cli);
    if (cli->operand_count != 2 || (strcmp(verb, "pause") != 0 && strcmp(verb, "resume") != 0)) {
        gri_cli_say(cli, "pause HOST, resume HOST, or list");
        return GRI_EXIT_USAGE;
    }
    if (strchr(cli->operands[1], '/') || !gri_format(path, sizeof path, "/v1/hosts/%s/%s", cli->operands[1], verb)) {
        gri_cli_say(cli, "'%.60s' is no host", cli->operands[1]);
        return GRI_EXIT_USAGE;
    }
    if (gri_cli_send(cli, "POST", path, NULL, &answer, &error) != GRI_OK) return gri_cli_fail(cli, &error);
    if (cli->json)
        gri_cli_print_json(answer);
    else
        printf("%s is %s\n", cli->operands[1], gri_json_get_bool(answer, "paused", false) ? "paused" : "fetched from again");
    gri_json_free(answer);
    return GRI_EXIT_DONE;
}

static const struct gri_cli_option catalog_options[] = {
    {.name = "yes", .help = "delete: do it; else it only tells what it would do"},
    {.name = NULL},
};

const struct gri_command gri_command_catalog = {.name = "catalog",
                                                .summary = "steers a catalog: pause, resume, cancel, delete",
                                                .operands = "pause|resume|cancel|delete ID",
                                                .min_operands = 2,
                                                .max_operands = 2,
                                                .options = catalog_options,
                                                .run = run_catalog};

const struct gri_command gri_command_host = {.name = "host",
                                             .summary = "leaves a host alone until it is resumed; its URLs wait meanwhile",
                                             .operands = "pause|resume|list [HOST]",
                                             .min_operands = 1,
                                             .max_operands = 2,
                                             .run = run_host};
