/* SPDX-License-Identifier: Apache-2.0 */
/* Help of the whole and of one command, the man page and the completions, all from the command rows and the option table. */
#ifndef GRI_CLI_HELP_H
#define GRI_CLI_HELP_H

#include <stdio.h>

#include "cli.h"

void gri_help_all(FILE *out);
void gri_help_command(FILE *out, const struct gri_command *command);
/* roff, for man(1). */
void gri_help_man(FILE *out);
/* `shell`: "bash" or "zsh"; false for another. */
bool gri_help_completion(FILE *out, const char *shell);

#endif
