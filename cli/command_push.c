/* SPDX-License-Identifier: Apache-2.0 */
/* grisaille push: sends catalogs, prints their ids; with --wait stays until the receipt is there. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "gzip.h"
#include "push_format.h"
#include "receipt.h"

enum { READ_BYTES = 256 * 1024 };

/* A file on its way: file → gunzip → converter → the API's push. */
struct source {
    struct gri_cli *cli;
    FILE *file;
    struct gri_inflate *inflate; /* NULL for plain */
    struct gri_converter *converter;
    struct gri_api_push *push;
};

static enum gri_status to_push(void *arg, struct gri_slice text, struct gri_error *error) {
    struct source *source = arg;
    if (gri_api_push_data(source->push, text)) return GRI_OK;
    return gri_fail(error, GRI_R_bad_request, "refused midway"); /* gri_api_push_end tells the real reason */
}

static enum gri_status to_converter(void *arg, struct gri_slice plain, struct gri_error *error) {
    struct source *source = arg;
    return gri_converter_feed(source->converter, plain, error);
}

static enum gri_status feed(struct source *source, struct gri_slice data, struct gri_error *error) {
    return source->inflate ? gri_gzip_inflate()->feed(source->inflate, data, to_converter, source, error)
                           : to_converter(source, data, error);
}

/* Reads all of the file through the chain. */
static enum gri_status pump(struct source *source, struct gri_error *error) {
    uint8_t *buffer = gri_alloc(READ_BYTES);
    bool first = true;
    size_t got;
    enum gri_status status = GRI_OK;
    while (status == GRI_OK && (got = fread(buffer, 1, READ_BYTES, source->file)) > 0) {
        if (first && got >= 2 && buffer[0] == 0x1f && buffer[1] == 0x8b)
            source->inflate = gri_gzip_inflate()->begin(gri_config_int(source->cli->config, "api.max_catalog_bytes"));
        first = false;
        status = feed(source, (struct gri_slice){buffer, got}, error);
    }
    if (status == GRI_OK && ferror(source->file)) status = gri_fail(error, GRI_R_io, "can't read on: %s", strerror(errno));
    if (status == GRI_OK && source->inflate) {
        status = gri_gzip_inflate()->end(source->inflate, error);
        source->inflate = NULL;
    }
    gri_gzip_inflate()->abort(source->inflate);
    if (status == GRI_OK) status = gri_converter_finish(source->converter, error);
    free(buffer);
    return status;
}

/* Pushes one file; *catalog is the API's answer (owned). */
static enum gri_status push_file(struct gri_cli *cli, struct source *source, const char *name, struct gri_json **catalog,
                                 struct gri_error *error) {
    char by[GRI_NAME_MAX];
    struct gri_api_param query[5] = {{"name", name}};
    size_t count = 1;
    const char *pipeline = gri_cli_option(cli, "pipeline"), *tags = gri_cli_option(cli, "tags");
    if (tags) query[count++] = (struct gri_api_param){"tags", tags};
    if (pipeline) query[count++] = (struct gri_api_param){"pipeline", pipeline};
    if (gri_cli_flag(cli, "retry-dead")) query[count++] = (struct gri_api_param){"retry_dead", "true"};
    if (gri_cli_flag(cli, "refresh")) query[count++] = (struct gri_api_param){"refresh", "true"};
    struct gri_api_request request = {
        .method = "POST", .path = "/v1/catalogs", .query = query, .query_count = count, .trusted = true, .by = gri_cli_user(by)};
    struct gri_api_reply reply = {0};
    enum gri_status status = GRI_OK;
    source->push = gri_api_push_begin(cli->api, &request, &reply);
    if (source->push) {
        struct gri_error broken;
        enum gri_status pumped = pump(source, &broken);
        /* A reader's error ends the push without a catalog; a refusal of the API is told by the reply of end. */
        if (pumped != GRI_OK && strcmp(broken.detail, "refused midway") != 0) {
            gri_api_push_abort(source->push);
            gri_api_reply_clear(&reply);
            *error = broken;
            return pumped;
        }
        gri_api_push_end(source->push, &reply);
    }
    if (reply.status >= 300)
        status = gri_cli_reply_error(&reply, error);
    else
        status = gri_json_parse(gri_bytes_slice(&reply.body), catalog, error);
    gri_api_reply_clear(&reply);
    return status;
}

static void count_dead(const struct gri_json *line, void *arg) {
    int64_t *dead = arg;
    *dead += strcmp(gri_json_str(line, "state", ""), "dead") == 0;
}

/* Duplicates of URLs that are dead: this catalog's wish for them failed too. */
static enum gri_status count_dead_duplicates(struct gri_cli *cli, const struct gri_json *catalog, int64_t *dead,
                                             struct gri_error *error) {
    static const char *const duplicates[] = {"outcome", "duplicate", NULL};
    char path[128];
    *dead = 0;
    if (gri_json_get_int(gri_json_get(catalog, "counts"), "duplicate", 0) == 0) return GRI_OK;
    (void)gri_format(path, sizeof path, "/v1/catalogs/%s/lines", gri_json_str(catalog, "id", ""));
    return gri_cli_pages(cli, path, NULL, duplicates, "lines", 0, count_dead, dead, error);
}

static enum gri_exit report(struct gri_cli *cli, struct gri_json *catalog, struct gri_json *all) {
    enum gri_exit status = GRI_EXIT_DONE;
    if (gri_cli_flag(cli, "wait")) {
        struct gri_json *settled = NULL;
        struct gri_error error;
        int64_t others;
        if (gri_receipt_wait(cli, gri_json_str(catalog, "id", ""), &settled, &error) != GRI_OK ||
            count_dead_duplicates(cli, settled, &others, &error) != GRI_OK) {
            gri_json_free(settled);
            gri_json_free(catalog);
            return gri_cli_fail(cli, &error);
        }
        int64_t dead = gri_json_get_int(gri_json_get(settled, "counts"), "dead", 0);
        gri_json_set_int(settled, "dead_duplicates", others);
        if (!cli->json) gri_receipt_print(stdout, settled);
        if (!cli->json && others) printf("  %lld of the duplicates are URLs that are dead\n", (long long)others);
        if (dead + others > 0) status = GRI_EXIT_FAILED;
        gri_json_free(catalog);
        catalog = settled;
    } else if (!cli->json) {
        printf("%s\n", gri_json_str(catalog, "id", ""));
        if (gri_json_get_bool(catalog, "existed", false))
            gri_cli_say(cli, "the same bytes were pushed before: this is that catalog");
    }
    gri_json_append(all, catalog);
    return status;
}

static enum gri_exit push_one(struct gri_cli *cli, const char *file, enum gri_push_format format, struct gri_json *all) {
    bool standard = strcmp(file, "-") == 0;
    struct gri_error error;
    struct gri_json *catalog = NULL;
    struct source source = {.cli = cli, .file = standard ? stdin : fopen(file, "rb")};
    if (!source.file) {
        gri_cli_say(cli, "can't read %s: %s; nothing of it was sent", file, strerror(errno));
        return GRI_EXIT_FAILED;
    }
    const char *name = gri_cli_option(cli, "name"), *column = gri_cli_option(cli, "column");
    const char *slash = strrchr(file, '/');
    if (!name) name = standard ? "" : slash ? slash + 1 : file;
    source.converter = gri_converter_create(format, column ? column : "url", to_push, &source);
    enum gri_status status = gri_cli_api(cli, &error);
    if (status == GRI_OK) status = push_file(cli, &source, name, &catalog, &error);
    gri_converter_destroy(source.converter);
    if (!standard) fclose(source.file);
    return status == GRI_OK ? report(cli, catalog, all) : gri_cli_fail(cli, &error);
}

static enum gri_exit run(struct gri_cli *cli) {
    const char *asked = gri_cli_option(cli, "format");
    enum gri_push_format format = GRI_FORMAT_TEXT;
    if (asked && strcmp(asked, "csv") == 0)
        format = GRI_FORMAT_CSV;
    else if (asked && strcmp(asked, "jsonl") == 0)
        format = GRI_FORMAT_JSONL;
    else if (asked && strcmp(asked, "text") != 0) {
        gri_cli_say(cli, "--format is text, csv or jsonl, not '%s'", asked);
        return GRI_EXIT_USAGE;
    }
    if (gri_cli_option(cli, "column") && format == GRI_FORMAT_TEXT) {
        gri_cli_say(cli, "--column goes with --format csv or jsonl");
        return GRI_EXIT_USAGE;
    }
    enum gri_exit worst = GRI_EXIT_DONE;
    struct gri_json *all = gri_json_array();
    for (int i = 0; i < cli->operand_count; i++) {
        enum gri_exit status = push_one(cli, cli->operands[i], format, all);
        if (status > worst) worst = status;
        if (status >= GRI_EXIT_USAGE) break;
    }
    if (cli->json && gri_json_count(all) > 0) gri_cli_print_json(cli->operand_count == 1 ? gri_json_at(all, 0) : all);
    gri_json_free(all);
    return worst;
}

static const struct gri_cli_option options[] = {
    {.name = "name", .arg = "N", .help = "the catalog's name (the file's else)"},
    {.name = "pipeline", .arg = "P", .help = "what is made of its pictures (gray)"},
    {.name = "tags", .arg = "K=V,…", .help = "what rules may go by (when.tag); shown with the catalog"},
    {.name = "format", .arg = "FORMAT", .help = "text (one URL a line), csv (with a header) or jsonl; each may be gzip"},
    {.name = "column", .arg = "C", .help = "csv and jsonl: where the URL stands (url)"},
    {.name = "refresh", .help = "fetches URLs that are done anew, unless their host says that nothing has changed"},
    {.name = "retry-dead", .help = "gives URLs that are dead another life"},
    {.name = "wait", .help = "until it is finished; prints the receipt; exit 1 if anything of it is dead"},
    {.name = NULL},
};

const struct gri_command gri_command_push = {
    .name = "push",
    .summary = "sends catalogs (- is standard input) and prints their ids once they are durable",
    .operands = "FILE…",
    .min_operands = 1,
    .max_operands = -1,
    .options = options,
    .run = run};
