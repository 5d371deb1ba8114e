/* SPDX-License-Identifier: Apache-2.0 */
/* grisaille get: one image by any of its hashes or by its URL, verified before it is written. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"

enum { GRI_API_PREFIX = 8 }; /* digits that are taken for the beginning of a hash */

static bool is_hash(const char *text) {
    size_t digits = strspn(text, "0123456789abcdefABCDEF");
    return text[digits] == '\0' && digits >= GRI_API_PREFIX && digits <= 64;
}

/* Which of several images. */
struct choice {
    char hash[GRI_SHA256_HEX];
    const char *pipeline, *output; /* NULL: not chosen */
    char found[GRI_PIPELINE_MAX], found_output[GRI_NAME_MAX];
};

static bool is_chosen(const struct choice *choice, const struct gri_json *image) {
    const char *own = gri_json_str(image, "pipeline", "");
    char name[GRI_NAME_MAX];
    gri_pipeline_name(own, name);
    if (choice->pipeline && strcmp(choice->pipeline, own) != 0 && strcmp(choice->pipeline, name) != 0) return false;
    return !choice->output || strcmp(choice->output, gri_json_str(image, "output", "")) == 0;
}

/* The URL's image, and its source sum; several and none chosen → ambiguous, with the choices. */
static enum gri_status choose_of_url(struct gri_cli *cli, const char *url, struct choice *choice, struct gri_error *error) {
    struct gri_json *json;
    char names[400] = "";
    size_t found = 0;
    enum gri_status status = gri_cli_get(cli, "/v1/urls", (const char *[]){"url", url, NULL}, &json, error);
    if (status != GRI_OK) return status;
    const struct gri_json *images = gri_json_get(json, "images"), *records = gri_json_get(json, "records");
    for (size_t i = 0; i < gri_json_count(images); i++) {
        const struct gri_json *image = gri_json_at(images, i);
        if (!is_chosen(choice, image)) continue;
        (void)gri_copy(choice->hash, sizeof choice->hash, gri_json_str(gri_json_get(image, "sums"), "source", ""));
        (void)gri_copy(choice->found, sizeof choice->found, gri_json_str(image, "pipeline", ""));
        (void)gri_copy(choice->found_output, sizeof choice->found_output, gri_json_str(image, "output", ""));
        gri_api_name_choice(image, names, sizeof names);
        found++;
    }
    choice->pipeline = choice->found;
    choice->output = choice->found_output;
    if (found > 1)
        status =
            gri_fail(error, GRI_R_ambiguous,
                     "%zu images came from %.200s; choose one by --pipeline, --output-name or its hash: %s", found, url, names);
    else if (found == 0 && gri_json_count(records) == 0)
        status = gri_fail(error, GRI_R_not_found, "%s was never asked for; grisaille explain tells what would become of it", url);
    else if (found == 0)
        status = gri_fail(error, GRI_R_not_found, "no image came from %s (it is %s); grisaille explain tells why", url,
                          gri_json_str(gri_json_at(records, 0), "state", "?"));
    gri_json_free(json);
    return status;
}

static enum gri_exit print_meta(struct gri_cli *cli, const char *hash) {
    struct gri_json *json;
    struct gri_error error;
    char path[128];
    (void)gri_format(path, sizeof path, "/v1/images/%s", hash);
    if (gri_cli_get(cli, path, NULL, &json, &error) != GRI_OK) return gri_cli_fail(cli, &error);
    gri_cli_print_json(json);
    gri_json_free(json);
    return GRI_EXIT_DONE;
}

/* "jpg" for image/jpeg and so on; "bin" for what is no picture. */
static const char *extension_of(const char *content_type) {
    static const struct {
        const char *type, *extension;
    } known[] = {
        {"image/jpeg", "jpg"}, {"image/png", "png"}, {"image/webp", "webp"}, {"image/gif", "gif"}, {"text/plain", "txt"}};
    for (size_t i = 0; content_type && i < sizeof known / sizeof known[0]; i++)
        if (strcmp(known[i].type, content_type) == 0) return known[i].extension;
    return "bin";
}

/* Writes to a .part first, so that a half-written file never bears the name. `file` NULL: the hash's first digits name it, and
 * the content's type its extension. */
static enum gri_exit write_file(struct gri_cli *cli, const char *path, const char *const *query, const char *file,
                                const char *hash) {
    char part[4200], name[96];
    const char *content_type;
    struct gri_error error;
    if (!gri_format(part, sizeof part, "%.*s.part", file ? 4096 : 16, file ? file : hash)) {
        gri_cli_say(cli, "the file's name is too long");
        return GRI_EXIT_USAGE;
    }
    FILE *out = fopen(part, "wb");
    if (!out) {
        gri_cli_say(cli, "can't write %s: %s", part, strerror(errno));
        return GRI_EXIT_FAILED;
    }
    enum gri_status status = gri_cli_stream(cli, path, query, out, &content_type, &error);
    if (!file) {
        (void)gri_format(name, sizeof name, "%.16s.%s", hash, extension_of(content_type));
        file = name;
    }
    if (fclose(out) != 0 && status == GRI_OK) status = gri_fail(&error, GRI_R_io, "can't write %s: %s", part, strerror(errno));
    if (status == GRI_OK && rename(part, file) != 0)
        status = gri_fail(&error, GRI_R_io, "can't rename %s to %s: %s", part, file, strerror(errno));
    if (status != GRI_OK) {
        remove(part);
        return gri_cli_fail(cli, &error);
    }
    gri_cli_say(cli, "wrote %s (verified)", file);
    return GRI_EXIT_DONE;
}

static enum gri_exit run(struct gri_cli *cli) {
    const char *what = cli->operands[0], *file = gri_cli_option(cli, "output");
    const char *content_type;
    struct choice choice = {.pipeline = gri_cli_option(cli, "pipeline"), .output = gri_cli_option(cli, "output-name")};
    char path[128];
    struct gri_error error;
    if (file && !*file) {
        gri_cli_say(cli, "--output wants a file's name, or - for standard output");
        return GRI_EXIT_USAGE;
    }
    if (is_hash(what))
        (void)gri_copy(choice.hash, sizeof choice.hash, what);
    else if (choose_of_url(cli, what, &choice, &error) != GRI_OK)
        return gri_cli_fail(cli, &error);
    if (gri_cli_flag(cli, "meta")) return print_meta(cli, choice.hash);
    (void)gri_format(path, sizeof path, "/v1/images/%s/%s", choice.hash, gri_cli_flag(cli, "base64") ? "base64" : "content");
    const char *query[] = {"pipeline", choice.pipeline, "output", choice.output, NULL};
    if (!file || strcmp(file, "-") != 0) return write_file(cli, path, query, file, choice.hash);
    if (gri_cli_stream(cli, path, query, stdout, &content_type, &error) == GRI_OK) return GRI_EXIT_DONE;
    return gri_cli_fail(cli, &error);
}

static const struct gri_cli_option options[] = {
    {.name = "output",
     .letter = 'o',
     .arg = "FILE",
     .help = "where to (- is standard output); else the hash's first 16 digits and the picture's type name it"},
    {.name = "base64", .help = "the base64 text as it is stored"},
    {.name = "meta", .help = "only the metadata, as JSON, of every image with that hash"},
    {.name = "pipeline", .arg = "P", .help = "which, where several pipelines made one: name or name@version"},
    {.name = "output-name", .arg = "NAME", .help = "which, where the pipeline has several outputs"},
    {.name = NULL},
};

const struct gri_command gri_command_get = {
    .name = "get",
    .summary = "an image by its source, output or base64 hash, or by its URL; verified before it is written",
    .operands = "HASH|URL",
    .min_operands = 1,
    .max_operands = 1,
    .options = options,
    .run = run};
