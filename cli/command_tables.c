/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that print tables made from the code: reasons, config, version, token. */
#include <grisaille/sandbox.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api_tokens.h"
#include "cli.h"
#include "crypto.h"

static enum gri_exit load(struct gri_cli *cli) {
    struct gri_error error;
    return gri_cli_definitions(cli, &error) == GRI_OK ? GRI_EXIT_DONE : gri_cli_fail(cli, &error);
}

static enum gri_exit run_reasons(struct gri_cli *cli) {
    struct gri_json *all = gri_json_array();
    for (int reason = GRI_R_none + 1; reason < GRI_REASON_COUNT; reason++) {
        const struct gri_reason_info *info = gri_reason_info((enum gri_reason)reason);
        if (!cli->json) printf("%-20s %-10s %-8s %s\n", info->name, gri_status_name(info->status), info->group, info->help);
        struct gri_json *row = gri_json_object();
        gri_json_set_str(row, "reason", info->name);
        gri_json_set_str(row, "class", gri_status_name(info->status));
        gri_json_set_str(row, "group", info->group);
        gri_json_set_str(row, "help", info->help);
        gri_json_append(all, row);
    }
    if (cli->json) gri_cli_print_json(all);
    gri_json_free(all);
    return GRI_EXIT_DONE;
}

static enum gri_exit check_tokens(const struct gri_cli *cli) {
    struct gri_api_token *tokens;
    size_t count;
    struct gri_error error;
    if (gri_api_tokens_read(cli->config, &tokens, &count, &error) != GRI_OK) return gri_cli_fail(cli, &error);
    free(tokens);
    return GRI_EXIT_DONE;
}

static enum gri_exit run_config(struct gri_cli *cli) {
    struct gri_json *rows;
    if (gri_cli_flag(cli, "options")) {
        rows = gri_config_options();
    } else {
        enum gri_exit status = load(cli); /* rules and pipelines are checked too */
        if (status == GRI_EXIT_DONE) status = check_tokens(cli);
        if (status != GRI_EXIT_DONE) return status;
        rows = gri_config_describe(cli->config);
    }
    if (cli->json) {
        gri_cli_print_json(rows);
    } else {
        for (size_t i = 0; i < gri_json_count(rows); i++) {
            const struct gri_json *row = gri_json_at(rows, i);
            printf("%-26s ", gri_json_str(row, "key", ""));
            if (gri_cli_flag(cli, "options")) {
                printf("%-9s default ", gri_json_str(row, "type", ""));
                gri_cli_put_value(gri_json_get(row, "default"));
                printf("\n%-26s   %s\n", "", gri_json_str(row, "help", ""));
            } else {
                gri_cli_put_value(gri_json_get(row, "value"));
                printf("  (%s)\n", gri_json_str(row, "source", ""));
            }
        }
    }
    gri_json_free(rows);
    return GRI_EXIT_DONE;
}

static enum gri_exit run_version(struct gri_cli *cli) {
    if (cli->json)
        printf("{\"version\":\"%s\",\"sandbox\":\"%s\"}\n", GRI_VERSION, gri_sandbox_version());
    else
        printf("grisaille %s\n", GRI_VERSION);
    return GRI_EXIT_DONE;
}

static const char *const scopes[] = {"read", "push", "admin"};

static bool good_scopes(const char *text) {
    while (*text) {
        size_t len = strcspn(text, ",");
        bool known = false;
        for (size_t i = 0; i < sizeof scopes / sizeof scopes[0]; i++)
            known = known || (strlen(scopes[i]) == len && strncmp(text, scopes[i], len) == 0);
        if (!known) return false;
        text += len;
        if (*text == ',' && !*++text) return false;
    }
    return true;
}

static enum gri_exit run_token(struct gri_cli *cli) {
    const char *scope = gri_cli_option(cli, "scope"), *name = gri_cli_option(cli, "name");
    struct gri_error error;
    if (strcmp(cli->operands[0], "new") != 0 || !scope || !*scope || !good_scopes(scope)) {
        gri_cli_say(cli, "usage: grisaille token new --scope read,push,admin [--name NAME]");
        return GRI_EXIT_USAGE;
    }
    if (!name) name = "someone";
    if (!*name || strlen(name) >= GRI_NAME_MAX ||
        strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.@-") != strlen(name)) {
        gri_cli_say(cli, "--name is 1 to %d letters, digits, _ . @ or -", GRI_NAME_MAX - 1);
        return GRI_EXIT_USAGE;
    }
    const struct gri_crypto *crypto = gri_crypto_create(&error);
    if (!crypto) return gri_cli_fail(cli, &error);
    uint8_t random[32];
    char token[72] = "gri_", digest[GRI_TOKEN_DIGEST_HEX];
    crypto->random_bytes(random, sizeof random);
    for (size_t i = 0; i < sizeof random; i++)
        (void)gri_format(token + 4 + 2 * i, 3, "%02x", random[i]);
    crypto->token_digest(token, digest);
    if (cli->json) {
        printf("{\"token\":\"%s\",\"name\":\"%s\",\"digest\":\"%s\",\"scopes\":\"%s\"}\n", token, name, digest, scope);
        return GRI_EXIT_DONE;
    }
    printf("token (shown this once; give it to whoever is to use it):\n  %s\n\nconfigure its digest:\n  api:\n    tokens:\n"
           "      - { name: %s, digest: %s, scopes: [%s] }\n",
           token, name, digest, scope);
    return GRI_EXIT_DONE;
}

static const struct gri_cli_option config_options[] = {
    {.name = "options", .help = "every option there is: type, default, what it does"},
    {.name = NULL},
};

static const struct gri_cli_option token_options[] = {
    {.name = "scope", .arg = "LIST", .help = "read, push, admin, separated by commas (admin includes the others)"},
    {.name = "name", .arg = "NAME", .help = "whose it is: stands beside what is pushed with it"},
    {.name = NULL},
};

const struct gri_command gri_command_reasons = {.name = "reasons",
                                                .summary = "every reason a line, a fetch, an image or a request can fail for",
                                                .operands = "",
                                                .run = run_reasons};
const struct gri_command gri_command_config = {.name = "config",
                                               .summary =
                                                   "the effective configuration and where each value came from, secrets as ***",
                                               .operands = "",
                                               .options = config_options,
                                               .run = run_config};
const struct gri_command gri_command_version = {.name = "version", .summary = "the version", .operands = "", .run = run_version};
const struct gri_command gri_command_token = {.name = "token",
                                              .summary = "makes an API token: prints it once, and the digest to configure",
                                              .operands = "new",
                                              .min_operands = 1,
                                              .max_operands = 1,
                                              .options = token_options,
                                              .run = run_token};
