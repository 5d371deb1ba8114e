/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer: any bytes as pipelines in JSON, and as the values of a parameter table such as a plugin's. An accepted pipeline's
 * definition compiles, and to the same version.
 *
 * Parser: transforms/pipeline_*.c transforms/transform_params.c */
#include "fuzz_kit.h"

#include "codec_kit.h"
#include "transform_params.h"

#include <grisaille/transform.h>

struct plugin {
    int number, choice;
    double real;
    bool flag;
};

static const char *const choices[] = {"one", "two", "three", NULL};
static const struct gri_transform_param rows[] = {
    {.name = "number",
     .help = "a number",
     .type = GRI_PARAM_INT,
     .offset = offsetof(struct plugin, number),
     .standard = 3,
     .minimum = -5,
     .maximum = 1000},
    {.name = "real",
     .help = "a real",
     .type = GRI_PARAM_DOUBLE,
     .offset = offsetof(struct plugin, real),
     .standard = 0.5,
     .maximum = 1},
    {.name = "flag", .help = "a flag", .type = GRI_PARAM_BOOL, .offset = offsetof(struct plugin, flag), .standard = 1},
    {.name = "choice",
     .help = "a choice",
     .type = GRI_PARAM_ENUM,
     .offset = offsetof(struct plugin, choice),
     .standard = 1,
     .choices = choices},
};

static void parse_params(const struct gri_json *json) {
    struct gri_param_table table = {.rows = rows, .count = sizeof rows / sizeof *rows, .size = sizeof(struct plugin)};
    struct plugin params = {0}, again = {0};
    struct gri_error error;
    enum gri_status status = gri_params_parse(table, "step 1 (plugin)", json, &params, &error);
    fuzz_check_error(status, &error);
    if (status != GRI_OK) return;
    FUZZ_CHECK(params.number >= -5 && params.number <= 1000 && params.real >= 0 && params.real <= 1);
    FUZZ_CHECK(params.choice >= 0 && params.choice < 3);
    struct gri_json *all = gri_params_to_json(table, &params);
    FUZZ_CHECK(gri_params_parse(table, "again", all, &again, &error) == GRI_OK);
    FUZZ_CHECK(again.number == params.number && again.choice == params.choice && again.flag == params.flag);
    gri_json_free(all);
}

static void load(const struct codec_kit *kit, const struct gri_json *json) {
    struct gri_pipelines pipelines;
    struct gri_error error;
    enum gri_status status = gri_pipelines_load(kit->transforms, &codec_kit_crypto, json, &pipelines, &error);
    fuzz_check_error(status, &error);
    if (status != GRI_OK) return;
    for (size_t i = 0; i < pipelines.count; i++) {
        struct gri_plan *plan = NULL;
        FUZZ_CHECK(kit->codec->ops->compile(kit->codec, gri_slice_of(pipelines.items[i].definition), &plan, &error) == GRI_OK);
        kit->codec->ops->plan_free(kit->codec, plan);
    }
    gri_pipelines_clear(&pipelines);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct codec_kit kit;
    struct gri_json *json = NULL;
    struct gri_plan *plan = NULL;
    struct gri_error error;
    struct gri_slice text = {data, size};
    if (!kit.codec) codec_kit_open(&kit, 1000000, 2000);
    /* As a stored definition would be read: it need not be one of ours. */
    enum gri_status status = kit.codec->ops->compile(kit.codec, text, &plan, &error);
    fuzz_check_error(status, &error);
    if (status == GRI_OK) kit.codec->ops->plan_free(kit.codec, plan);
    if (gri_json_parse(text, &json, &error) != GRI_OK) return 0;
    load(&kit, json);
    parse_params(json);
    gri_json_free(json);
    return 0;
}
