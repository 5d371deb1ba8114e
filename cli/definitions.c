/* SPDX-License-Identifier: Apache-2.0 */
/* Transforms, pipelines and rules from the configuration. */
#include "definitions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules.h"
#include "transform_plugins.h"

enum { PATH_SIZE = 3 * GRI_NAME_MAX };

static struct gri_json *pipeline_rows(const struct gri_pipelines *pipelines) {
    struct gri_json *rows = gri_json_array();
    for (size_t i = 0; i < pipelines->count; i++) {
        const struct gri_pipeline *pipeline = &pipelines->items[i];
        struct gri_json *row = gri_json_object(), *definition = NULL;
        struct gri_error error;
        gri_json_set_str(row, "name", pipeline->name);
        gri_json_set_str(row, "id", pipeline->version);
        if (gri_json_parse(gri_slice_of(pipeline->definition), &definition, &error) == GRI_OK)
            gri_json_set(row, "definition", definition);
        gri_json_append(rows, row);
    }
    return rows;
}

/* "pipeline shop, output thumb, step 2 (resize): …" → "pipelines.shop.outputs.thumb.steps[1]"; false for another beginning. */
static bool pipeline_path(const char *detail, char path[PATH_SIZE]) {
    char name[GRI_NAME_MAX], output[GRI_NAME_MAX];
    size_t number = 0;
    int used = 0;
    if (sscanf(detail, "pipeline %63[a-z0-9_-]%n", name, &used) != 1) return false;
    int end = snprintf(path, PATH_SIZE, "pipelines.%s", name);
    detail += used;
    if (sscanf(detail, ", output %63[^,:( ]%n", output, &used) == 1) {
        end += snprintf(path + end, (size_t)(PATH_SIZE - end), ".outputs.%s", output);
        detail += used;
    }
    if (sscanf(detail, ", step %zu", &number) == 1) {
        (void)snprintf(path + end, (size_t)(PATH_SIZE - end), ".steps[%zu]", number - 1);
    } else if (strncmp(detail, ", output", strlen(", output")) == 0) {
        (void)snprintf(path + end, (size_t)(PATH_SIZE - end), ".output");
    }
    return true;
}

/* Messages about rules and pipelines begin with what they are about; this adds its file and line. */
static enum gri_status place(const struct gri_config *config, const char *key, struct gri_error *error) {
    char where[512], path[PATH_SIZE];
    size_t index = 0;
    if (sscanf(error->detail, "rules[%zu]", &index) == 1)
        (void)gri_format(path, sizeof path, "rules[%zu]", index);
    else if (!pipeline_path(error->detail, path))
        (void)gri_copy(path, sizeof path, key);
    gri_config_tree_place(config, path, where, sizeof where);
    return gri_error_wrap(error, "%s", where);
}

enum gri_status gri_definitions_transforms(const struct gri_config *config, struct gri_transforms **out,
                                           struct gri_error *error) {
    struct gri_transforms *made = gri_transforms_create();
    enum gri_status status = gri_transforms_load_folder(made, gri_config_text(config, "plugins.dir"), error);
    *out = status == GRI_OK ? made : NULL;
    if (status == GRI_OK) return GRI_OK;
    gri_transforms_destroy(made);
    return gri_error_wrap(error, "plugins.dir");
}

static enum gri_status load_rules(struct gri_definitions *made, const struct gri_config *config, const struct gri_crypto *crypto,
                                  struct gri_error *error) {
    const struct gri_json *written = gri_config_tree(config, "rules");
    struct gri_json *rules = NULL;
    enum gri_status status = GRI_OK;
    if (gri_json_kind(written) == GRI_JSON_ARRAY)
        status = gri_rules_name_hosts(written, gri_config_tree(config, "host_tags"), &rules, error);
    if (status == GRI_OK)
        status = gri_ruleset_body(rules ? rules : written, gri_config_list(config, "fetch.allow_ports"), crypto,
                                  &made->rules_body, made->rules_id, error);
    gri_json_free(rules);
    return status;
}

static enum gri_status load(struct gri_definitions *made, const struct gri_config *config, const struct gri_crypto *crypto,
                            struct gri_error *error) {
    enum gri_status status =
        gri_pipelines_load(made->transforms, crypto, gri_config_tree(config, "pipelines"), &made->pipelines, error);
    if (status != GRI_OK) return place(config, "pipelines", error);
    status = load_rules(made, config, crypto, error);
    if (status != GRI_OK) return place(config, "rules", error);
    made->transform_rows = gri_transforms_describe(made->transforms);
    made->pipeline_rows = pipeline_rows(&made->pipelines);
    return GRI_OK;
}

enum gri_status gri_definitions_load(const struct gri_config *config, const struct gri_transforms *transforms,
                                     const struct gri_crypto *crypto, struct gri_definitions **out, struct gri_error *error) {
    struct gri_definitions *made = gri_calloc(1, sizeof *made);
    made->transforms = transforms;
    gri_bytes_init(&made->rules_body, 0);
    enum gri_status status = load(made, config, crypto, error);
    *out = status == GRI_OK ? made : NULL;
    if (status != GRI_OK) gri_definitions_free(made);
    return status;
}

void gri_definitions_free(struct gri_definitions *definitions) {
    if (!definitions) return;
    gri_json_free(definitions->transform_rows);
    gri_json_free(definitions->pipeline_rows);
    gri_pipelines_clear(&definitions->pipelines);
    gri_bytes_clear(&definitions->rules_body);
    free(definitions);
}

enum gri_status gri_definitions_store(const struct gri_definitions *definitions, struct gri_archive *archive,
                                      struct gri_error *error) {
    enum gri_status status = archive->ops->put_definition(archive, GRI_DEF_RULES, definitions->rules_id,
                                                          gri_bytes_slice(&definitions->rules_body), error);
    for (size_t i = 0; status == GRI_OK && i < definitions->pipelines.count; i++) {
        const struct gri_pipeline *pipeline = &definitions->pipelines.items[i];
        status =
            archive->ops->put_definition(archive, GRI_DEF_PIPELINE, pipeline->version, gri_slice_of(pipeline->definition), error);
    }
    return status;
}
