/* SPDX-License-Identifier: Apache-2.0 */
/* grisaille export: images and metadata in bulk, each verified as it is read, in an order that lets a cut-off export go on. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "export_sink.h"

struct export {
    struct gri_cli *cli;
    struct gri_export_sink *sink;
    int64_t written, there, failed;
};

/* The verified bytes or text of one image. */
static enum gri_status read_content(struct export *export, const struct gri_json *image, char **data, size_t *len,
                                    struct gri_error *error) {
    char path[160];
    const char *type,
        *query[] = {"pipeline", gri_json_str(image, "pipeline", ""), "output", gri_json_str(image, "output", ""), NULL};
    (void)gri_format(path, sizeof path, "/v1/images/%s/%s", gri_json_str(gri_json_get(image, "sums"), "source", ""),
                     gri_export_wants_base64(export->sink) ? "base64" : "content");
    FILE *memory = open_memstream(data, len);
    if (!memory) return gri_fail(error, GRI_R_no_memory, "no memory for a picture");
    enum gri_status status = gri_cli_stream(export->cli, path, query, memory, &type, error);
    fclose(memory);
    return status;
}

static enum gri_status export_image(struct export *export, const struct gri_json *image, struct gri_error *error) {
    char *data = NULL;
    size_t len = 0;
    const char *id = gri_json_str(image, "id", "");
    if (!gri_export_is_new(export->sink, id) || gri_json_get_bool(image, "removed", false)) return GRI_OK;
    if (gri_export_has(export->sink, image)) {
        export->there++;
        return GRI_OK;
    }
    enum gri_status status = GRI_OK;
    if (gri_export_wants_bytes(export->sink) || gri_export_wants_base64(export->sink))
        status = read_content(export, image, &data, &len, error);
    if (status == GRI_OK) {
        status = gri_export_put(export->sink, image, (struct gri_slice){(const uint8_t *)data, len}, error);
        export->written += status == GRI_OK;
    } else if (status == GRI_PERMANENT) { /* damaged, or removed meanwhile: told, and left out */
        gri_cli_say(export->cli, "%s is left out: %s", id, error->detail);
        export->failed++;
        status = GRI_OK;
    }
    free(data);
    return status;
}

static enum gri_status read_page(struct export *export, const char *cursor, struct gri_json **page, struct gri_error *error) {
    struct gri_cli *cli = export->cli;
    const char *query[] = {"catalog", gri_cli_option(cli, "catalog"),     "host",  gri_cli_option(cli, "host"),
                           "output",  gri_cli_option(cli, "output-name"), "since", gri_cli_option(cli, "since"),
                           "until",   gri_cli_option(cli, "until"),       "limit", "200",
                           "cursor",  cursor && *cursor ? cursor : NULL,  NULL};
    return gri_cli_get(cli, "/v1/images", query, page, error);
}

static void show(const struct export *export) {
    char count[32];
    if (isatty(STDERR_FILENO)) fprintf(stderr, "\r%s images\033[K", gri_cli_count(export->written + export->there, count));
}

static enum gri_status walk(struct export *export, const char *from, struct gri_error *error) {
    char *cursor = gri_strdup(from ? from : "");
    enum gri_status status = GRI_OK;
    while (status == GRI_OK) {
        struct gri_json *page;
        status = read_page(export, cursor, &page, error);
        if (status != GRI_OK) break;
        const struct gri_json *images = gri_json_get(page, "images");
        for (size_t i = 0; status == GRI_OK && i < gri_json_count(images); i++)
            status = export_image(export, gri_json_at(images, i), error);
        free(cursor);
        cursor = gri_strdup(gri_json_str(page, "next", ""));
        gri_json_free(page);
        if (status != GRI_OK || !*cursor) break;
        status = gri_export_save(export->sink, cursor, error);
        show(export);
    }
    free(cursor);
    if (isatty(STDERR_FILENO)) fputs("\r\033[K", stderr);
    return status == GRI_OK ? gri_export_finish(export->sink, error) : status;
}

static bool read_format(struct gri_cli *cli, const char *to, enum gri_export_format *format) {
    static const char *const names[] = {"dir", "tar", "ndjson", "csv"};
    const char *asked = gri_cli_option(cli, "format"), *dot = strrchr(to, '.');
    *format = GRI_EXPORT_DIR;
    for (int i = 0; i < 4; i++) {
        if (asked ? strcmp(asked, names[i]) == 0 : (i > 0 && dot && strcmp(dot + 1, names[i]) == 0)) {
            *format = (enum gri_export_format)i;
            return true;
        }
    }
    if (asked) gri_cli_say(cli, "--format is dir, tar, ndjson or csv, not '%s'", asked);
    if (!asked && strcmp(to, "-") == 0) gri_cli_say(cli, "with --to - say --format tar, ndjson or csv");
    return !asked && strcmp(to, "-") != 0;
}

static void report(const struct export *export, const char *to) {
    struct gri_json *json = gri_json_object();
    gri_json_set_int(json, "written", export->written);
    gri_json_set_int(json, "there_already", export->there);
    gri_json_set_int(json, "left_out", export->failed);
    if (export->cli->json && strcmp(to, "-") != 0)
        gri_cli_print_json(json);
    else
        gri_cli_say(export->cli, "%lld images written, %lld were there, %lld left out", (long long)export->written,
                    (long long)export->there, (long long)export->failed);
    gri_json_free(json);
}

static enum gri_exit run(struct gri_cli *cli) {
    const char *to = gri_cli_option(cli, "to");
    struct export export = {.cli = cli};
    enum gri_export_format format;
    char *cursor = NULL, what[1200];
    struct gri_error error;
    if (!to || !*to) {
        gri_cli_say(cli, "say where to: --to FOLDER, FILE.tar, FILE.ndjson, FILE.csv, or - for standard output");
        return GRI_EXIT_USAGE;
    }
    if (!read_format(cli, to, &format)) return GRI_EXIT_USAGE;
    if (gri_cli_config(cli, &error) != GRI_OK) return gri_cli_fail(cli, &error);
    static const char *const filters[] = {"catalog", "host", "since", "until", "output-name"};
    what[0] = '\0';
    for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i++) {
        const char *value = gri_cli_option(cli, filters[i]);
        size_t used = strlen(what);
        if (i < 4 || value) /* an export that was cut off before there was the last one goes on */
            (void)gri_format(what + used, sizeof what - used, "%s=%.250s;", filters[i], value ? value : "");
    }
    enum gri_status status = gri_export_open(to, format, what, cli->crypto, &export.sink, &cursor, &error);
    if (status == GRI_OK) status = walk(&export, cursor, &error);
    gri_export_close(export.sink);
    free(cursor);
    if (status != GRI_OK) return gri_cli_fail(cli, &error);
    report(&export, to);
    return export.failed ? GRI_EXIT_FAILED : GRI_EXIT_DONE;
}

static const struct gri_cli_option options[] = {
    {.name = "to",
     .arg = "WHERE",
     .help = "a folder, FILE.tar (WebDataset), FILE.ndjson (with base64), FILE.csv (metadata), or -"},
    {.name = "format", .arg = "FORMAT", .help = "dir, tar, ndjson or csv, where the name does not tell"},
    {.name = "catalog", .arg = "ID", .help = "only what this catalog brought in"},
    {.name = "host", .arg = "HOST", .help = "only from this host"},
    {.name = "output-name", .arg = "NAME", .help = "only this output of pipelines that have several"},
    {.name = "since", .arg = "T", .help = "stored at or after: 2w, 36h ago; 2026-11-21, 2026-11-21T09:00:00Z, Unix seconds"},
    {.name = "until", .arg = "T", .help = "stored before"},
    {.name = NULL},
};

const struct gri_command gri_command_export = {.name = "export",
                                               .summary =
                                                   "images and metadata in bulk, verified; cut off, it goes on where it was",
                                               .operands = "",
                                               .options = options,
                                               .run = run};
