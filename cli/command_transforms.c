/* SPDX-License-Identifier: Apache-2.0 */
/* grisaille transforms: the table, and what those who write transforms need: try, bench, new. */
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "plugin_skeleton.h"
#include "trial.h"

static void put_parameter(const struct gri_json *parameter) {
    const struct gri_json *choices = gri_json_get(parameter, "choices"), *minimum = gri_json_get(parameter, "minimum");
    printf("  %-14s %-7s default ", gri_json_str(parameter, "name", ""), gri_json_str(parameter, "type", ""));
    gri_cli_put_value(gri_json_get(parameter, "default"));
    if (gri_json_count(choices) > 0) {
        fputs("  one of ", stdout);
        gri_cli_put_value(choices);
    }
    if (gri_json_kind(minimum) != GRI_JSON_NULL) {
        fputs("  from ", stdout);
        gri_cli_put_value(minimum);
        fputs(" to ", stdout);
        gri_cli_put_value(gri_json_get(parameter, "maximum"));
    }
    printf("\n  %-14s %s\n", "", gri_json_str(parameter, "help", ""));
}

static enum gri_exit list(struct gri_cli *cli) {
    struct gri_error error;
    if (gri_cli_definitions(cli, &error) != GRI_OK) return gri_cli_fail(cli, &error);
    const struct gri_json *rows = cli->definitions->transform_rows;
    for (size_t i = 0; !cli->json && i < gri_json_count(rows); i++) {
        const struct gri_json *row = gri_json_at(rows, i), *parameters = gri_json_get(row, "parameters");
        printf("%s: %s (%s)\n", gri_json_str(row, "name", ""), gri_json_str(row, "summary", ""), gri_json_str(row, "origin", ""));
        for (size_t k = 0; k < gri_json_count(parameters); k++)
            put_parameter(gri_json_at(parameters, k));
    }
    if (cli->json) gri_cli_print_json(rows);
    return GRI_EXIT_DONE;
}

static enum gri_exit usage(const struct gri_cli *cli, const char *words) {
    gri_cli_say(cli, "usage: grisaille transforms %s", words);
    return GRI_EXIT_USAGE;
}

static enum gri_exit run_try(struct gri_cli *cli) {
    struct gri_json *step = NULL, *body = NULL;
    if (cli->operand_count < 4 || cli->operand_count % 2 != 0)
        return usage(cli, "try NAME [--set PARAMETER=VALUE]… IN OUT [IN OUT]…");
    if (!gri_trial_step(cli, cli->operands[1], &step) || !gri_trial_pipeline(cli, step, cli->operands[3], &body))
        return GRI_EXIT_USAGE;
    enum gri_exit status = gri_trial_files(cli, body, cli->operands + 2, cli->operand_count - 2);
    gri_json_free(body);
    return status;
}

static enum gri_exit run_bench(struct gri_cli *cli) {
    struct gri_json *step = NULL, *body = NULL;
    int64_t seconds;
    if (cli->operand_count < 2 || cli->operand_count > 3)
        return usage(cli, "bench NAME [--set PARAMETER=VALUE]… [--seconds N] [IN]");
    if (!gri_cli_number(cli, "seconds", 0, 600, 3, &seconds)) return GRI_EXIT_USAGE;
    if (!gri_trial_step(cli, cli->operands[1], &step) || !gri_trial_pipeline(cli, step, NULL, &body)) return GRI_EXIT_USAGE;
    enum gri_exit status = gri_trial_bench(cli, body, cli->operand_count > 2 ? cli->operands[2] : NULL, seconds);
    gri_json_free(body);
    return status;
}

static enum gri_exit run_new(struct gri_cli *cli) {
    struct gri_error error;
    if (cli->operand_count != 2) return usage(cli, "new NAME");
    if (gri_plugin_skeleton(cli->operands[1], &error) != GRI_OK) return gri_cli_fail(cli, &error);
    printf("%s/ is there: cd %s && make test\n", cli->operands[1], cli->operands[1]);
    return GRI_EXIT_DONE;
}

static enum gri_exit run(struct gri_cli *cli) {
    static const struct {
        const char *word;
        enum gri_exit (*run)(struct gri_cli *cli);
    } words[] = {{"try", run_try}, {"bench", run_bench}, {"new", run_new}};
    if (cli->operand_count == 0) return list(cli);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(words[i].word, cli->operands[0]) == 0) return words[i].run(cli);
    return usage(cli, "[try NAME IN OUT | bench NAME [IN] | new NAME]");
}

static const struct gri_cli_option options[] = {
    {.name = "output",
     .arg = "LIST",
     .help = "try: parameters of the output format, which OUT's ending names: quality=50,progressive=true"},
    {.name = "seconds", .arg = "N", .help = "bench: how long to measure; 3"},
    {.name = NULL},
};

const struct gri_command gri_command_transforms = {
    .name = "transforms",
    .summary =
        "the table of transforms with their parameters; try one on a file (--set NAME=VALUE gives its parameters), measure it, "
        "begin a plugin",
    .operands = "[try NAME IN OUT | bench NAME [IN] | new NAME]",
    .max_operands = -1,
    .options = options,
    .run = run};
