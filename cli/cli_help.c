/* SPDX-License-Identifier: Apache-2.0 */
/* The command table, and everything that is printed from it. */
#include "cli_help.h"

#include <string.h>

#define GRI_COMMAND(name) extern const struct gri_command gri_command_##name;
#include "command_table.def"
#undef GRI_COMMAND

enum {
#define GRI_COMMAND(name) COMMAND_##name,
#include "command_table.def"
#undef GRI_COMMAND
    COMMAND_COUNT
};

static const struct gri_command *command_at(size_t i) {
    switch (i) {
#define GRI_COMMAND(name) \
    case COMMAND_##name:  \
        return &gri_command_##name;
#include "command_table.def"
#undef GRI_COMMAND
    default:
        return NULL;
    }
}

const struct gri_command *gri_command_find(const char *name) {
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(command_at(i)->name, name) == 0) return command_at(i);
    return NULL;
}

static const struct gri_cli_option global_options[] = {
    {.name = "config",
     .arg = "FILE",
     .help = "configuration; else $GRISAILLE_CONFIG, else /etc/grisaille/grisaille.yaml if it is there"},
    {.name = "set", .arg = "KEY=VALUE", .help = "one setting, over file and environment; may be repeated"},
    {.name = "json", .help = "the result as JSON on standard output"},
    {.name = "help", .help = "this text"},
    {.name = NULL},
};

void gri_help_all(FILE *out) {
    fprintf(
        out,
        "grisaille: catalogs of image URLs in, verified gray images out.\n\nusage: grisaille COMMAND [OPTION]… [OPERAND]…\n\n");
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        fprintf(out, "  %-12s%s\n", command_at(i)->name, command_at(i)->summary);
    fprintf(out,
            "\ngrisaille COMMAND --help tells everything of one. Exit status: 0 done, 1 the work failed, 2 wrong usage or\n"
            "configuration, 3 a service can't be reached. `grisaille config` prints the configuration and where it came from.\n");
}

static void put_options(FILE *out, const struct gri_cli_option *options) {
    for (; options && options->name; options++) {
        char left[48];
        (void)gri_format(left, sizeof left, "%s%c%s--%s%s%s", options->letter ? "-" : "", options->letter ? options->letter : ' ',
                         options->letter ? ", " : "  ", options->name, options->arg ? " " : "", options->arg ? options->arg : "");
        fprintf(out, "  %-26s %s\n", left, options->help);
    }
}

void gri_help_command(FILE *out, const struct gri_command *command) {
    fprintf(out, "usage: grisaille %s [OPTION]…%s%s\n\n%s\n\n", command->name, *command->operands ? " " : "", command->operands,
            command->summary);
    put_options(out, command->options);
    put_options(out, global_options);
}

static enum gri_exit run_help(struct gri_cli *cli) {
    if (gri_cli_flag(cli, "man")) {
        gri_help_man(stdout);
    } else if (gri_cli_option(cli, "completion")) {
        if (!gri_help_completion(stdout, gri_cli_option(cli, "completion"))) {
            gri_cli_say(cli, "--completion is bash or zsh");
            return GRI_EXIT_USAGE;
        }
    } else if (cli->operand_count > 0) {
        const struct gri_command *command = gri_command_find(cli->operands[0]);
        if (!command) {
            gri_cli_say(cli, "there is no command '%s'", cli->operands[0]);
            return GRI_EXIT_USAGE;
        }
        gri_help_command(stdout, command);
    } else {
        gri_help_all(stdout);
    }
    return GRI_EXIT_DONE;
}

static const struct gri_cli_option help_options[] = {
    {.name = "man", .help = "the man page, as roff"},
    {.name = "completion", .arg = "SHELL", .help = "a completion script for bash or zsh"},
    {.name = NULL},
};

const struct gri_command gri_command_help = {.name = "help",
                                             .summary = "lists the commands, or tells of one",
                                             .operands = "[COMMAND]",
                                             .max_operands = 1,
                                             .options = help_options,
                                             .run = run_help};

/* roff takes '-' and '\' and a leading '.' or "'" as its own. */
static void put_roff(FILE *out, const char *text) {
    for (const char *p = text; *p; p++) {
        if (*p == '-')
            fputs("\\-", out);
        else if (*p == '\\')
            fputs("\\e", out);
        else if (*p == '.' && p == text)
            fputs("\\&.", out);
        else
            fputc(*p, out);
    }
}

static void put_roff_options(FILE *out, const struct gri_cli_option *options) {
    for (; options && options->name; options++) {
        fputs(".TP\n.B ", out);
        if (options->letter) fprintf(out, "\\-%c, ", options->letter);
        fputs("\\-\\-", out);
        put_roff(out, options->name);
        if (options->arg) fprintf(out, " %s", options->arg);
        fputc('\n', out);
        put_roff(out, options->help);
        fputc('\n', out);
    }
}

void gri_help_man(FILE *out) {
    fprintf(out,
            ".TH GRISAILLE 1 \"\" \"grisaille %s\"\n.SH NAME\ngrisaille \\- catalogs of image URLs in, verified gray images out\n"
            ".SH SYNOPSIS\n.B grisaille\n.I COMMAND\n[OPTION]... [OPERAND]...\n.SH COMMANDS\n",
            GRI_VERSION);
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        const struct gri_command *command = command_at(i);
        fprintf(out, ".SS \"grisaille %s %s\"\n", command->name, command->operands);
        put_roff(out, command->summary);
        fputc('\n', out);
        put_roff_options(out, command->options);
    }
    fputs(".SH OPTIONS OF EVERY COMMAND\n", out);
    put_roff_options(out, global_options);
    fputs(".SH CONFIGURATION\nEach key may stand in the YAML file, in the environment (redis.url as GRISAILLE_REDIS_URL) and in "
          "\\-\\-set.\n",
          out);
    struct gri_json *rows = gri_config_options();
    for (size_t i = 0; i < gri_json_count(rows); i++) {
        const struct gri_json *row = gri_json_at(rows, i);
        fputs(".TP\n.B ", out);
        put_roff(out, gri_json_str(row, "key", ""));
        fputs("\n", out);
        put_roff(out, gri_json_str(row, "help", ""));
        fputc('\n', out);
    }
    gri_json_free(rows);
    fputs(".SH EXIT STATUS\n0 done; 1 the work failed; 2 wrong usage or configuration; 3 a service can't be reached.\n", out);
}

bool gri_help_completion(FILE *out, const char *shell) {
    bool zsh = strcmp(shell, "zsh") == 0;
    if (!zsh && strcmp(shell, "bash") != 0) return false;
    if (zsh) fputs("#compdef grisaille\nautoload -U +X bashcompinit && bashcompinit\n", out);
    fputs("_grisaille() {\n  local word=${COMP_WORDS[COMP_CWORD]} options=\n  case ${COMP_WORDS[1]} in\n", out);
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        fprintf(out, "    %s) options='", command_at(i)->name);
        for (const struct gri_cli_option *o = command_at(i)->options; o && o->name; o++)
            fprintf(out, "--%s ", o->name);
        fputs("' ;;\n", out);
    }
    fputs("  esac\n  if [ \"$COMP_CWORD\" = 1 ]; then COMPREPLY=($(compgen -W '", out);
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        fprintf(out, "%s ", command_at(i)->name);
    fputs("' -- \"$word\"))\n  elif [[ $word == -* ]]; then COMPREPLY=($(compgen -W \"$options ", out);
    for (const struct gri_cli_option *o = global_options; o->name; o++)
        fprintf(out, "--%s ", o->name);
    fputs("\" -- \"$word\"))\n  else COMPREPLY=($(compgen -f -- \"$word\")); fi\n}\ncomplete -F _grisaille grisaille\n", out);
    return true;
}
