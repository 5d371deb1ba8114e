/* SPDX-License-Identifier: Apache-2.0 */
/* grisaille pipelines: what is configured, and what becomes of a picture. */
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "pipelines_diff.h"
#include "plan_explain.h"
#include "trial.h"

static void list_output(const char *name, const struct gri_json *output, void *arg) {
    (void)arg;
    printf("\n  %-7s ", name);
    gri_cli_put_value(gri_json_get(output, "steps"));
    printf(" → ");
    gri_cli_put_value(gri_json_get(output, "output"));
}

static enum gri_exit list(struct gri_cli *cli) {
    const struct gri_json *rows = cli->definitions->pipeline_rows;
    for (size_t i = 0; !cli->json && i < gri_json_count(rows); i++) {
        const struct gri_json *row = gri_json_at(rows, i), *definition = gri_json_get(row, "definition");
        printf("%s\n  steps   ", gri_json_str(row, "id", ""));
        gri_cli_put_value(gri_json_get(definition, "steps"));
        if (gri_json_get(definition, "outputs")) {
            printf("\n  outputs");
            gri_json_each(gri_json_get(definition, "outputs"), list_output, NULL);
        } else {
            printf("\n  output  ");
            gri_cli_put_value(gri_json_get(definition, "output"));
        }
        putchar('\n');
    }
    if (cli->json) gri_cli_print_json(rows);
    return GRI_EXIT_DONE;
}

/* The configured one of that name, parsed; NULL: printed. */
static struct gri_json *find(struct gri_cli *cli, const char *name, const struct gri_pipeline **pipeline) {
    struct gri_json *body = NULL;
    struct gri_error error;
    *pipeline = gri_pipelines_find(&cli->definitions->pipelines, name);
    if (!*pipeline)
        gri_cli_say(cli, "there is no pipeline %s; grisaille pipelines lists them", name);
    else if (gri_json_parse(gri_slice_of((*pipeline)->definition), &body, &error) != GRI_OK)
        (void)gri_cli_fail(cli, &error);
    return body;
}

static bool source_of(const struct gri_cli *cli, enum gri_picture_type *type, int *width, int *height) {
    const char *word = gri_cli_option(cli, "for"), *size = gri_cli_option(cli, "size");
    char end;
    *width = *height = 0;
    if (!gri_plan_source_type(word ? word : "jpeg", type)) {
        gri_cli_say(cli, "--for is jpeg, png, webp or gif, not %s", word);
        return false;
    }
    if (!size || (sscanf(size, "%6dx%6d%c", width, height, &end) == 2 && *width > 0 && *height > 0)) return true;
    gri_cli_say(cli, "--size is WIDTHxHEIGHT, not %s", size);
    return false;
}

static enum gri_exit explain(struct gri_cli *cli) {
    const struct gri_pipeline *pipeline;
    enum gri_picture_type type;
    int width, height;
    if (!source_of(cli, &type, &width, &height)) return GRI_EXIT_USAGE;
    struct gri_json *body = find(cli, cli->operands[1], &pipeline);
    if (!body) return GRI_EXIT_USAGE;
    struct gri_plan *plan = NULL;
    struct gri_error error;
    enum gri_status status = gri_plan_create(cli->definitions->transforms, pipeline->name, body, &plan, &error);
    gri_json_free(body);
    if (status != GRI_OK) return gri_cli_fail(cli, &error);
    struct gri_json *stages = gri_plan_explain(plan, type, width, height);
    if (!cli->json) printf("%s, for %s\n", pipeline->version, gri_picture_mime(type));
    for (size_t i = 0; !cli->json && i < gri_json_count(stages); i++) {
        const struct gri_json *stage = gri_json_at(stages, i);
        const char *output = gri_json_str(stage, "output", "");
        printf("  %2zu  %s%s%-12s %s\n", i + 1, output, *output ? ": " : "", gri_json_str(stage, "stage", ""),
               gri_json_str(stage, "what", ""));
    }
    if (cli->json) gri_cli_print_json(stages);
    gri_json_free(stages);
    gri_plan_destroy(plan);
    return GRI_EXIT_DONE;
}

static enum gri_exit try_files(struct gri_cli *cli) {
    const struct gri_pipeline *pipeline;
    struct gri_json *body = find(cli, cli->operands[1], &pipeline);
    if (!body) return GRI_EXIT_USAGE;
    enum gri_exit status = gri_trial_files(cli, body, cli->operands + 2, cli->operand_count - 2);
    gri_json_free(body);
    return status;
}

static enum gri_exit run(struct gri_cli *cli) {
    const char *word = cli->operand_count > 0 ? cli->operands[0] : "";
    struct gri_error error;
    if (gri_cli_definitions(cli, &error) != GRI_OK) return gri_cli_fail(cli, &error);
    if (!*word) return list(cli);
    if (strcmp(word, "explain") == 0 && cli->operand_count == 2) return explain(cli);
    if (strcmp(word, "try") == 0 && cli->operand_count >= 4 && cli->operand_count % 2 == 0) return try_files(cli);
    if (strcmp(word, "diff") == 0 && cli->operand_count == 2) return gri_pipelines_diff(cli, NULL, cli->operands[1]);
    if (strcmp(word, "diff") == 0 && cli->operand_count == 3) return gri_pipelines_diff(cli, cli->operands[1], cli->operands[2]);
    gri_cli_say(cli, "usage: grisaille pipelines [explain NAME [--for jpeg] | try NAME IN OUT [IN OUT]… | diff [OLD] NEW]");
    return GRI_EXIT_USAGE;
}

static const struct gri_cli_option options[] = {
    {.name = "for", .arg = "TYPE", .help = "explain: a source that is jpeg, png, webp or gif; jpeg"},
    {.name = "size", .arg = "WxH", .help = "explain: a source of that size, upright"},
    {.name = NULL},
};

const struct gri_command gri_command_pipelines = {
    .name = "pipelines",
    .summary = "the configured pipelines and their versions; what one does with a picture; one tried on files; what another "
               "configuration file would change",
    .operands = "[explain NAME | try NAME IN OUT | diff [OLD] NEW]",
    .max_operands = -1,
    .options = options,
    .run = run};
