/* SPDX-License-Identifier: Apache-2.0 */
/* Compares pipelines and rules of two configurations: by version, so that writing the same thing otherwise is no change. */
#include "pipelines_diff.h"

#include <string.h>

#include "json_diff.h"

/* The definitions of one file, and what they are made of. */
struct side {
    struct gri_config *config;
    struct gri_transforms *transforms;
    struct gri_definitions *own;
    const struct gri_definitions *definitions;
};

static enum gri_status side_open(struct side *side, const struct gri_cli *cli, const char *path, struct gri_error *error) {
    side->definitions = cli->definitions;
    if (!path) return GRI_OK;
    struct gri_config_sources sources = {.file = path};
    enum gri_status status = gri_config_load(&sources, &side->config, error);
    if (status == GRI_OK) status = gri_definitions_transforms(side->config, &side->transforms, error);
    if (status == GRI_OK) status = gri_definitions_load(side->config, side->transforms, cli->crypto, &side->own, error);
    side->definitions = side->own;
    return status;
}

static void side_close(struct side *side) {
    gri_definitions_free(side->own);
    gri_transforms_destroy(side->transforms);
    gri_config_destroy(side->config);
}

/* The row of a pipeline in pipeline_rows, or NULL. */
static const struct gri_json *row_of(const struct gri_definitions *definitions, const char *name) {
    for (size_t i = 0; i < gri_json_count(definitions->pipeline_rows); i++) {
        const struct gri_json *row = gri_json_at(definitions->pipeline_rows, i);
        if (strcmp(gri_json_str(row, "name", ""), name) == 0) return row;
    }
    return NULL;
}

/* A row {kind, name, what, before, after, changes}; `changes` is taken. */
static void tell(struct gri_json *rows, const char *kind, const char *name, const char *before, const char *after,
                 struct gri_json *changes) {
    struct gri_json *row = gri_json_object();
    const char *what = !before ? "new" : !after ? "gone" : strcmp(before, after) == 0 ? "same" : "changed";
    gri_json_set_str(row, "kind", kind);
    gri_json_set_str(row, "name", name);
    gri_json_set_str(row, "what", what);
    gri_json_set_str(row, "before", before);
    gri_json_set_str(row, "after", after);
    gri_json_set(row, "changes", changes);
    gri_json_append(rows, row);
}

static void tell_pipeline(struct gri_json *rows, const struct gri_json *before, const struct gri_json *after) {
    const char *name = gri_json_str(before ? before : after, "name", "");
    bool both = before && after;
    tell(rows, "pipeline", name, gri_json_str(before, "id", NULL), gri_json_str(after, "id", NULL),
         both ? gri_json_diff(gri_json_get(before, "definition"), gri_json_get(after, "definition")) : gri_json_array());
}

static enum gri_status tell_rules(struct gri_json *rows, const struct gri_definitions *before,
                                  const struct gri_definitions *after, struct gri_error *error) {
    struct gri_json *old = NULL, *new = NULL;
    enum gri_status status = gri_json_parse(gri_bytes_slice(&before->rules_body), &old, error);
    if (status == GRI_OK) status = gri_json_parse(gri_bytes_slice(&after->rules_body), &new, error);
    if (status == GRI_OK) tell(rows, "rules", "rules", before->rules_id, after->rules_id, gri_json_diff(old, new));
    gri_json_free(old);
    gri_json_free(new);
    return status;
}

static enum gri_status compare(struct gri_json *rows, const struct gri_definitions *before, const struct gri_definitions *after,
                               struct gri_error *error) {
    for (size_t i = 0; i < gri_json_count(before->pipeline_rows); i++) {
        const struct gri_json *row = gri_json_at(before->pipeline_rows, i);
        tell_pipeline(rows, row, row_of(after, gri_json_str(row, "name", "")));
    }
    for (size_t i = 0; i < gri_json_count(after->pipeline_rows); i++) {
        const struct gri_json *row = gri_json_at(after->pipeline_rows, i);
        if (!row_of(before, gri_json_str(row, "name", ""))) tell_pipeline(rows, NULL, row);
    }
    return tell_rules(rows, before, after, error);
}

static void print_row(const struct gri_json *row) {
    const char *before = gri_json_str(row, "before", NULL), *after = gri_json_str(row, "after", NULL);
    const struct gri_json *changes = gri_json_get(row, "changes");
    bool moved = before && after && strcmp(before, after) != 0;
    printf("%-8s %s%s%s\n", gri_json_str(row, "what", ""), before ? before : after, moved ? " → " : "", moved ? after : "");
    for (size_t i = 0; i < gri_json_count(changes); i++) {
        const struct gri_json *change = gri_json_at(changes, i);
        printf("           %s: ", gri_json_str(change, "path", ""));
        gri_cli_put_value(gri_json_get(change, "before"));
        printf(" → ");
        gri_cli_put_value(gri_json_get(change, "after"));
        putchar('\n');
    }
}

enum gri_exit gri_pipelines_diff(struct gri_cli *cli, const char *before, const char *after) {
    struct side old = {0}, new = {0};
    struct gri_json *rows = gri_json_array();
    struct gri_error error;
    enum gri_exit exit_status = GRI_EXIT_DONE;
    enum gri_status status = side_open(&old, cli, before, &error);
    if (status == GRI_OK) status = side_open(&new, cli, after, &error);
    if (status == GRI_OK) status = compare(rows, old.definitions, new.definitions, &error);
    if (status != GRI_OK) {
        exit_status = gri_cli_fail(cli, &error);
    } else if (cli->json) {
        gri_cli_print_json(rows);
    } else {
        for (size_t i = 0; i < gri_json_count(rows); i++)
            print_row(gri_json_at(rows, i));
    }
    gri_json_free(rows);
    side_close(&old);
    side_close(&new);
    return exit_status;
}
