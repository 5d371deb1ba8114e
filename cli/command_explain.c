/* SPDX-License-Identifier: Apache-2.0 */
/* grisaille explain: what happens to a URL and why. */
#include <stdio.h>
#include <string.h>

#include "cli.h"

static void line(const char *name, const char *value) {
    if (value && *value) printf("  %-14s %s\n", name, value);
}

static void print_verdict(const struct gri_json *verdict) {
    const char *kind = gri_json_str(verdict, "kind", "");
    if (strcmp(kind, "bad") == 0) {
        line("rejected", gri_json_str(verdict, "reason", ""));
        line("that is", gri_json_str(verdict, "help", ""));
    } else if (strcmp(kind, "blank") == 0) {
        line("blank", "no URL: empty or a comment");
    } else {
        const struct gri_json *limit = gri_json_get(verdict, "limit");
        line("canonical", gri_json_str(verdict, "url", ""));
        if (gri_json_get_bool(verdict, "volatile", false)) line("volatile", "every line is its own fetch");
        if (gri_json_str(limit, "rule", NULL))
            printf("  %-14s %lld at once a worker, %.0f a second in all (0: no limit of its own)\n", "limits",
                   (long long)gri_json_get_int(limit, "concurrency", 0), gri_json_double(gri_json_get(limit, "per_second"), 0));
    }
    line("rule", gri_json_str(verdict, "rule", NULL));
    line("rules", gri_json_str(verdict, "rules", NULL));
}

static void print_record(const struct gri_json *record) {
    const struct gri_json *first = gri_json_get(record, "first"), *error = gri_json_get(record, "error");
    printf("\n  %-14s %s, run %lld, %lld attempts charged, pipeline %s\n", "ledger", gri_json_str(record, "state", ""),
           (long long)gri_json_get_int(record, "run", 0), (long long)gri_json_get_int(record, "attempts", 0),
           gri_json_str(record, "pipeline", ""));
    if (gri_json_str(first, "catalog", NULL))
        printf("  %-14s catalog %s, line %lld\n", "first asked by", gri_json_str(first, "catalog", ""),
               (long long)gri_json_get_int(first, "line", 0));
    line("changed", gri_json_str(record, "changed_at", ""));
    line("next try", gri_json_str(record, "next_at", NULL));
    if (gri_json_kind(error) == GRI_JSON_OBJECT)
        printf("  %-14s %s: %s\n", "last error", gri_json_str(error, "reason", ""), gri_json_str(error, "detail", ""));
}

static enum gri_exit run(struct gri_cli *cli) {
    struct gri_json *json;
    struct gri_error error;
    const char *query[] = {"url", cli->operands[0], "pipeline", gri_cli_option(cli, "pipeline"), NULL};
    if (gri_cli_get(cli, "/v1/urls", query, &json, &error) != GRI_OK) return gri_cli_fail(cli, &error);
    if (cli->json) {
        gri_cli_print_json(json);
        gri_json_free(json);
        return GRI_EXIT_DONE;
    }
    printf("%s\n", cli->operands[0]);
    print_verdict(gri_json_get(json, "verdict"));
    line("key", gri_json_str(json, "key", NULL));
    const struct gri_json *records = gri_json_get(json, "records"), *images = gri_json_get(json, "images"),
                          *events = gri_json_get(json, "events");
    if (records && gri_json_count(records) == 0) printf("\n  %-14s never asked for\n", "ledger");
    for (size_t i = 0; i < gri_json_count(records); i++)
        print_record(gri_json_at(records, i));
    for (size_t i = 0; i < gri_json_count(images); i++) {
        const struct gri_json *image = gri_json_at(images, i);
        char made_by[200] = "";
        gri_api_name_choice(image, made_by, sizeof made_by);
        printf("  %-14s %s  %lld x %lld  %s  %s\n", "image", gri_json_str(gri_json_get(image, "sums"), "output", ""),
               (long long)gri_json_get_int(image, "width", 0), (long long)gri_json_get_int(image, "height", 0),
               gri_json_str(image, "inserted_at", ""), made_by);
    }
    for (size_t i = 0; i < gri_json_count(events); i++) {
        const struct gri_json *event = gri_json_at(events, i);
        printf("  %-14s %s  %s  %s  %s\n", "event", gri_json_str(event, "time", ""), gri_json_str(event, "event", ""),
               gri_json_str(event, "reason", ""), gri_json_str(event, "detail", ""));
    }
    gri_json_free(json);
    return GRI_EXIT_DONE;
}

static const struct gri_cli_option options[] = {
    {.name = "pipeline", .arg = "NAME", .help = "whose key is shown (the default pipeline's else)"},
    {.name = NULL},
};

const struct gri_command gri_command_explain = {
    .name = "explain",
    .summary = "what happens to a URL and why: canonical form, rule, key, ledger, images, events",
    .operands = "URL",
    .min_operands = 1,
    .max_operands = 1,
    .options = options,
    .run = run};
