/* SPDX-License-Identifier: Apache-2.0 */
/* Arguments as a command sees them, and what it prints. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

const char *gri_cli_option(const struct gri_cli *cli, const char *name) {
    for (int i = 0; cli->command->options && cli->command->options[i].name; i++)
        if (strcmp(cli->command->options[i].name, name) == 0) return cli->values[i];
    GRI_ASSERT(!"the command has an option of that name");
    return NULL;
}

bool gri_cli_flag(const struct gri_cli *cli, const char *name) {
    return gri_cli_option(cli, name) != NULL;
}

bool gri_cli_number(const struct gri_cli *cli, const char *name, int64_t min, int64_t max, int64_t otherwise, int64_t *out) {
    const char *text = gri_cli_option(cli, name);
    *out = otherwise;
    if (!text) return true;
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno || end == text || *end || value < min || value > max) {
        gri_cli_say(cli, "--%s must be a whole number from %" PRId64 " to %" PRId64 ", not '%s'", name, min, max, text);
        return false;
    }
    *out = value;
    return true;
}

bool gri_cli_catalog_id(const struct gri_cli *cli, const char *text) {
    if (strlen(text) == 24 && strspn(text, "0123456789abcdefABCDEF") == 24) return true;
    gri_cli_say(cli, "'%s' is no catalog's id (24 hexadecimal digits); grisaille catalogs lists them", text);
    return false;
}

void gri_cli_say(const struct gri_cli *cli, const char *format, ...) {
    va_list args;
    fprintf(stderr, "grisaille %s: ", cli->command->name);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

static enum gri_exit exit_of(enum gri_reason reason) {
    switch (reason) {
    case GRI_R_usage:
    case GRI_R_config:
    case GRI_R_bad_request:
    case GRI_R_no_pipeline:
        return GRI_EXIT_USAGE;
    case GRI_R_unavailable:
    case GRI_R_store:
    case GRI_R_stream:
    case GRI_R_dns:
    case GRI_R_connect:
        return GRI_EXIT_UNREACHABLE;
    default:
        return GRI_EXIT_FAILED;
    }
}

enum gri_exit gri_cli_fail(const struct gri_cli *cli, const struct gri_error *error) {
    gri_cli_say(cli, "%s", error->detail);
    if (cli->json) {
        struct gri_json *json = gri_json_object();
        gri_json_set_str(json, "reason", gri_reason_name(error->reason));
        gri_json_set_str(json, "detail", error->detail);
        gri_cli_print_json(json);
        gri_json_free(json);
    }
    return exit_of(error->reason);
}

/* Control characters (C1 too: U+0080 to U+009F, C2 80 to C2 9F in UTF-8) as \xNN, so that a hostile line can't steer the
 * terminal. */
void gri_cli_put_safe(const char *text) {
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text, next = (unsigned char)text[1];
        if (c == 0xc2 && next >= 0x80 && next < 0xa0)
            printf("\\x%02x", (unsigned char)*++text);
        else if (c < 0x20 || c == 0x7f)
            printf("\\x%02x", c);
        else
            putchar(c);
    }
}

bool gri_cli_sure(const struct gri_cli *cli, const char *what) {
    if (gri_cli_flag(cli, "yes")) return true;
    gri_cli_say(cli, "%s; say --yes to do it", what);
    return false;
}

void gri_cli_print_json(const struct gri_json *json) {
    struct gri_bytes text;
    struct gri_error error;
    gri_bytes_init(&text, 0);
    if (gri_json_pretty(json, &text, &error) == GRI_OK)
        printf("%s\n", gri_bytes_text(&text));
    else
        fprintf(stderr, "grisaille: %s\n", error.detail);
    gri_bytes_clear(&text);
}

const char *gri_cli_count(int64_t value, char out[32]) {
    char digits[24];
    (void)gri_format(digits, sizeof digits, "%" PRId64, value);
    size_t len = strlen(digits), used = 0;
    for (size_t i = 0; i < len && used < 30; i++) {
        if (i > 0 && (len - i) % 3 == 0 && digits[i - 1] != '-') out[used++] = ' ';
        out[used++] = digits[i];
    }
    out[used] = '\0';
    return out;
}

const char *gri_cli_duration(int64_t ms, char out[32]) {
    int64_t s = ms / 1000;
    if (ms < 1000)
        (void)gri_format(out, 32, "%" PRId64 " ms", ms);
    else if (s < 60)
        (void)gri_format(out, 32, "%" PRId64 " s", s);
    else if (s < 3600)
        (void)gri_format(out, 32, "%" PRId64 " min %" PRId64 " s", s / 60, s % 60);
    else
        (void)gri_format(out, 32, "%" PRId64 " h %" PRId64 " min", s / 3600, s / 60 % 60);
    return out;
}

void gri_cli_put_value(const struct gri_json *value) {
    struct gri_bytes text;
    struct gri_error error;
    gri_bytes_init(&text, 0);
    if (gri_json_kind(value) == GRI_JSON_STRING)
        fputs(gri_json_text(value, ""), stdout);
    else if (value && gri_json_write(value, false, &text, &error) == GRI_OK)
        fputs(gri_bytes_text(&text), stdout);
    gri_bytes_clear(&text);
}
