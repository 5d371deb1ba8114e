/* SPDX-License-Identifier: Apache-2.0 */
/* grisaille remove: takes a picture down for good. */
#include <stdio.h>
#include <string.h>

#include "cli.h"

static enum gri_exit run(struct gri_cli *cli) {
    const char *hash = cli->operands[0], *reason = gri_cli_option(cli, "reason");
    char path[128];
    struct gri_json *answer;
    struct gri_error error;
    if (!reason || !*reason) {
        gri_cli_say(cli, "say why: --reason TEXT; it is kept for good");
        return GRI_EXIT_USAGE;
    }
    if (strlen(hash) > 64 || strspn(hash, "0123456789abcdefABCDEF") != strlen(hash)) {
        gri_cli_say(cli, "'%.70s' is no SHA-256 (64 hexadecimal digits, or the first 8 or more of them)", hash);
        return GRI_EXIT_USAGE;
    }
    (void)gri_format(path, sizeof path, "/v1/images/%s", hash);
    if (gri_cli_send(cli, "DELETE", path, (const char *[]){"reason", reason, NULL}, &answer, &error) != GRI_OK)
        return gri_cli_fail(cli, &error);
    if (cli->json)
        gri_cli_print_json(answer);
    else
        printf("%lld images of the source %s are taken down; it is not stored again\n",
               (long long)gri_json_get_int(answer, "removed", 0), gri_json_str(answer, "source", ""));
    gri_json_free(answer);
    return GRI_EXIT_DONE;
}

static const struct gri_cli_option options[] = {
    {.name = "reason", .arg = "TEXT", .help = "why; kept with the tombstone"},
    {.name = NULL},
};

const struct gri_command gri_command_remove = {.name = "remove",
                                               .summary =
                                                   "takes an image down and leaves a tombstone: its source is not stored again",
                                               .operands = "HASH",
                                               .min_operands = 1,
                                               .max_operands = 1,
                                               .options = options,
                                               .run = run};
