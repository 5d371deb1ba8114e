/* SPDX-License-Identifier: Apache-2.0 */
/* grisaille errors: each rejected line of a catalog. */
#include <stdio.h>
#include <string.h>

#include "cli.h"

enum format { FORMAT_TEXT, FORMAT_JSON, FORMAT_CSV };

static void print_row(const struct gri_json *row, void *arg) {
    enum format format = *(const enum format *)arg;
    long long line = (long long)gri_json_get_int(row, "line", 0);
    const char *reason = gri_json_str(row, "reason", ""), *text = gri_json_str(row, "text", ""),
               *detail = gri_json_str(row, "detail", "");
    struct gri_bytes out;
    struct gri_error error;
    if (format == FORMAT_TEXT) {
        printf("%8lld  %-16s  ", line, reason);
        gri_cli_put_safe(text);
        if (*detail) printf("  (%s)", detail);
        putchar('\n');
        return;
    }
    gri_bytes_init(&out, 0);
    if (format == FORMAT_CSV) {
        gri_bytes_printf(&out, "%lld,%s,", line, reason);
        gri_bytes_put_csv(&out, text);
        gri_bytes_put(&out, ",");
        gri_bytes_put_csv(&out, detail);
        gri_bytes_put(&out, "\r\n");
    } else if (gri_json_write(row, false, &out, &error) == GRI_OK) {
        gri_bytes_put(&out, "\n");
    }
    fputs(gri_bytes_text(&out), stdout);
    gri_bytes_clear(&out);
}

static enum gri_exit run(struct gri_cli *cli) {
    const char *asked = gri_cli_option(cli, "format");
    enum format format = cli->json ? FORMAT_JSON : FORMAT_TEXT;
    if (asked && strcmp(asked, "csv") == 0)
        format = FORMAT_CSV;
    else if (asked && strcmp(asked, "json") == 0)
        format = FORMAT_JSON;
    else if (asked && strcmp(asked, "text") != 0) {
        gri_cli_say(cli, "--format is text, json or csv, not '%s'", asked);
        return GRI_EXIT_USAGE;
    }
    char path[128];
    struct gri_error error;
    if (!gri_cli_catalog_id(cli, cli->operands[0])) return GRI_EXIT_USAGE;
    (void)gri_format(path, sizeof path, "/v1/catalogs/%s/errors", cli->operands[0]);
    if (format == FORMAT_CSV) fputs("line,reason,text,detail\r\n", stdout);
    if (gri_cli_pages(cli, path, NULL, NULL, "errors", 0, print_row, &format, &error) != GRI_OK) return gri_cli_fail(cli, &error);
    return GRI_EXIT_DONE;
}

static const struct gri_cli_option options[] = {
    {.name = "format", .arg = "FORMAT", .help = "text, json (one object a line) or csv"},
    {.name = NULL},
};

const struct gri_command gri_command_errors = {.name = "errors",
                                               .summary = "each rejected line of a catalog: number, reason, text",
                                               .operands = "CATALOG",
                                               .min_operands = 1,
                                               .max_operands = 1,
                                               .options = options,
                                               .run = run};
