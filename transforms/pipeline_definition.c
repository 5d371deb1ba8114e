/* SPDX-License-Identifier: Apache-2.0 */
/* Loads pipelines from the configuration and names their versions. */
#include "pipeline_definition.h"

#include "pipeline_plan.h"

#include <stdlib.h>
#include <string.h>

static const char shipped[] = "{\"steps\":[{\"grayscale\":{\"method\":\"luma\"}}],\"output\":{\"format\":\"jpeg\"}}";

struct load {
    const struct gri_transforms *transforms;
    const struct gri_crypto *crypto;
    struct gri_pipelines *out;
    enum gri_status status;
    struct gri_error *error;
};

/* Appends sorted JSON. */
static enum gri_status canonical(const struct gri_json *value, struct gri_bytes *text, struct gri_error *error) {
    gri_bytes_init(text, 1024 * 1024);
    return gri_json_write(value, true, text, error);
}

/* Version: the body without the name, so that a copy under another name is seen to be one. */
static enum gri_status describe(struct gri_pipeline *pipeline, const struct gri_plan *plan, const struct gri_crypto *crypto,
                                struct gri_error *error) {
    struct gri_json *body = gri_plan_body(plan);
    struct gri_bytes text;
    char sum[GRI_SHA256_HEX];
    enum gri_status status = canonical(body, &text, error);
    if (status == GRI_OK) {
        crypto->sha256_hex(gri_bytes_slice(&text), sum);
        GRI_ASSERT(gri_format(pipeline->version, sizeof pipeline->version, "%s@%.*s", pipeline->name, GRI_VERSION_HEX, sum));
        gri_bytes_clear(&text);
        gri_json_set_str(body, "name", pipeline->name);
        status = canonical(body, &text, error);
    }
    if (status == GRI_OK) pipeline->definition = gri_strdup(gri_bytes_text(&text));
    gri_bytes_clear(&text);
    gri_json_free(body);
    return status;
}

static enum gri_status add_pipeline(struct load *load, const char *name, const struct gri_json *body) {
    if (!gri_pipeline_good_name(name))
        return gri_fail(load->error, GRI_R_config, "pipeline %.70s: a name is of the form [a-z0-9_-]+, at most %d bytes", name,
                        GRI_NAME_MAX - 1);
    if (load->out->count == GRI_PIPELINES_MAX)
        return gri_fail(load->error, GRI_R_config, "more than %d pipelines", GRI_PIPELINES_MAX);
    struct gri_plan *plan = NULL;
    if (gri_plan_create(load->transforms, name, body, &plan, load->error) != GRI_OK) return load->error->status;
    struct gri_pipeline *pipeline = &load->out->items[load->out->count++];
    gri_copy(pipeline->name, sizeof pipeline->name, name);
    enum gri_status status = describe(pipeline, plan, load->crypto, load->error);
    gri_plan_destroy(plan);
    return status;
}

static void add_member(const char *name, const struct gri_json *body, void *arg) {
    struct load *load = arg;
    if (load->status == GRI_OK) load->status = add_pipeline(load, name, body);
}

static enum gri_status add_shipped(struct load *load) {
    struct gri_json *body = NULL;
    enum gri_status status = gri_json_parse(gri_slice_of(shipped), &body, load->error);
    GRI_ASSERT(status == GRI_OK);
    status = add_pipeline(load, GRI_PIPELINE_STANDARD, body);
    gri_json_free(body);
    return status;
}

enum gri_status gri_pipelines_load(const struct gri_transforms *transforms, const struct gri_crypto *crypto,
                                   const struct gri_json *config, struct gri_pipelines *out, struct gri_error *error) {
    *out = (struct gri_pipelines){.items = gri_calloc(GRI_PIPELINES_MAX, sizeof *out->items)};
    struct load load = {transforms, crypto, out, GRI_OK, error};
    enum gri_json_kind kind = gri_json_kind(config);
    if (kind != GRI_JSON_NULL && kind != GRI_JSON_OBJECT)
        load.status = gri_fail(error, GRI_R_config, "pipelines is a map, { name: { steps: […], output: {…} } }");
    if (load.status == GRI_OK && !gri_json_get(config, GRI_PIPELINE_STANDARD)) load.status = add_shipped(&load);
    if (load.status == GRI_OK && kind == GRI_JSON_OBJECT) gri_json_each(config, add_member, &load);
    if (load.status != GRI_OK) gri_pipelines_clear(out);
    return load.status;
}

void gri_pipelines_clear(struct gri_pipelines *pipelines) {
    for (size_t i = 0; i < pipelines->count; i++)
        free(pipelines->items[i].definition);
    free(pipelines->items);
    *pipelines = (struct gri_pipelines){0};
}

const struct gri_pipeline *gri_pipelines_find(const struct gri_pipelines *pipelines, const char *name) {
    if (!*name) name = GRI_PIPELINE_STANDARD;
    for (size_t i = 0; i < pipelines->count; i++)
        if (strcmp(pipelines->items[i].name, name) == 0) return &pipelines->items[i];
    return NULL;
}
