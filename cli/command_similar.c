/* SPDX-License-Identifier: Apache-2.0 */
/* grisaille similar: stored images that look like one, or like a file. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "picture_hash.h"
#include "vips_runtime.h"

enum { FILE_MAX = 256 * 1024 * 1024 };

static enum gri_status read_file(const char *name, struct gri_bytes *bytes, struct gri_error *error) {
    uint8_t part[65536];
    size_t got;
    FILE *file = fopen(name, "rb");
    if (!file)
        return gri_fail(error, GRI_R_io, "%s is neither a hash (8 to 64 hexadecimal digits) nor a file that can be read: %s",
                        name, strerror(errno));
    enum gri_status status = GRI_OK;
    while (status == GRI_OK && (got = fread(part, 1, sizeof part, file)) > 0)
        status = gri_bytes_append(bytes, part, got, error);
    if (status == GRI_OK && ferror(file)) status = gri_fail(error, GRI_R_io, "can't read %s: %s", name, strerror(errno));
    fclose(file);
    return status;
}

static enum gri_status hash_file(const char *name, char phash[GRI_PHASH_HEX], struct gri_error *error) {
    struct gri_bytes bytes;
    gri_bytes_init(&bytes, FILE_MAX);
    enum gri_status status = read_file(name, &bytes, error);
    if (status == GRI_OK) status = gri_vips_start("grisaille", error);
    if (status == GRI_OK) {
        gri_picture_hash(gri_bytes_slice(&bytes), phash);
        gri_vips_stop();
        if (!phash[0])
            status = gri_fail(error, GRI_R_not_image, "%s is no JPEG, PNG, WebP or GIF, or is of one level all over", name);
    }
    gri_bytes_clear(&bytes);
    return status;
}

static void print_image(const struct gri_json *image) {
    printf("%2lld  %.16s  %5lld x %-5lld  %s\n", (long long)gri_json_get_int(image, "distance", 0),
           gri_json_str(gri_json_get(image, "sums"), "output", ""), (long long)gri_json_get_int(image, "width", 0),
           (long long)gri_json_get_int(image, "height", 0), gri_json_str(gri_json_get(image, "source"), "url", ""));
}

static enum gri_exit run(struct gri_cli *cli) {
    const char *what = cli->operands[0];
    char path[128], phash[GRI_PHASH_HEX] = "";
    struct gri_json *json;
    struct gri_error error;
    size_t digits = strspn(what, "0123456789abcdefABCDEF");
    bool hash = what[digits] == '\0' && digits >= 8 && digits <= 64;
    if (!hash && hash_file(what, phash, &error) != GRI_OK) return gri_cli_fail(cli, &error);
    if (hash)
        (void)gri_format(path, sizeof path, "/v1/images/%s/similar", what);
    else
        (void)gri_copy(path, sizeof path, "/v1/similar");
    const char *query[] = {"phash", hash ? NULL : phash,          "within", gri_cli_option(cli, "within"),
                           "limit", gri_cli_option(cli, "limit"), NULL};
    if (gri_cli_get(cli, path, query, &json, &error) != GRI_OK) return gri_cli_fail(cli, &error);
    const struct gri_json *images = gri_json_get(json, "images");
    for (size_t i = 0; !cli->json && i < gri_json_count(images); i++)
        print_image(gri_json_at(images, i));
    if (cli->json) gri_cli_print_json(json);
    gri_json_free(json);
    return GRI_EXIT_DONE;
}

static const struct gri_cli_option options[] = {
    {.name = "within", .arg = "BITS", .help = "how many of 64 bits may differ, 0 to 11 (6)"},
    {.name = "limit", .arg = "N", .help = "at most N, nearest first (100)"},
    {.name = NULL},
};

const struct gri_command gri_command_similar = {.name = "similar",
                                                .summary =
                                                    "stored images that look like one (by any of its hashes) or like a file",
                                                .operands = "HASH|FILE",
                                                .min_operands = 1,
                                                .max_operands = 1,
                                                .options = options,
                                                .run = run};
