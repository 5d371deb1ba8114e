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
        if (!command_at(i)->hidden) fprintf(out, "  %-12s%s\n", command_at(i)->name, command_at(i)->summary);
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

static struct gri_json *options_json(const struct gri_cli_option *options) {
    struct gri_json *list = gri_json_array();
    for (; options && options->name; options++) {
        struct gri_json *row = gri_json_object();
        char letter[2] = {options->letter, '\0'};
        gri_json_set_str(row, "name", options->name);
        gri_json_set_str(row, "letter", options->letter ? letter : NULL);
        gri_json_set_str(row, "argument", options->arg);
        gri_json_set_str(row, "help", options->help);
        gri_json_append(list, row);
    }
    return list;
}

static struct gri_json *command_json(const struct gri_command *command) {
    struct gri_json *json = gri_json_object();
    gri_json_set_str(json, "name", command->name);
    gri_json_set_str(json, "summary", command->summary);
    gri_json_set_str(json, "operands", command->operands);
    gri_json_set(json, "options", options_json(command->options));
    return json;
}

static void print_json(void) {
    struct gri_json *json = gri_json_object(), *commands = gri_json_array();
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (!command_at(i)->hidden) gri_json_append(commands, command_json(command_at(i)));
    gri_json_set(json, "commands", commands);
    gri_json_set(json, "options", options_json(global_options));
    gri_cli_print_json(json);
    gri_json_free(json);
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
            gri_cli_say(cli, "there is no command '%s'; grisaille help lists them", cli->operands[0]);
            return GRI_EXIT_USAGE;
        }
        if (cli->json) {
            struct gri_json *json = command_json(command);
            gri_cli_print_json(json);
            gri_json_free(json);
        } else {
            gri_help_command(stdout, command);
        }
    } else if (cli->json) {
        print_json();
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
        else if ((*p == '.' || *p == '\'') && p == text)
            fprintf(out, "\\&%c", *p);
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
        if (command->hidden) continue;
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

static void put_names(FILE *out, const struct gri_cli_option *options) {
    for (; options && options->name; options++)
        fprintf(out, " --%s", options->name);
}

/* What both shells share: a case on the command that sets `options`. */
static void put_cases(FILE *out, const char *word) {
    fprintf(out, "  local options=\n  case \"%s\" in\n", word);
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (!command_at(i)->options || command_at(i)->hidden) continue;
        fprintf(out, "    %s) options='", command_at(i)->name);
        put_names(out, command_at(i)->options);
        fputs("' ;;\n", out);
    }
    fputs("  esac\n  options+='", out);
    put_names(out, global_options);
    fputs("'\n", out);
}

static void put_commands(FILE *out) {
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (!command_at(i)->hidden) fprintf(out, "%s%s", i ? " " : "", command_at(i)->name);
}

bool gri_help_completion(FILE *out, const char *shell) {
    if (strcmp(shell, "bash") == 0) {
        fputs("# bash completion of grisaille\n_grisaille() {\n  local word=${COMP_WORDS[COMP_CWORD]}\n", out);
        put_cases(out, "${COMP_WORDS[1]}");
        fputs("  if [ \"$COMP_CWORD\" = 1 ]; then COMPREPLY=($(compgen -W '", out);
        put_commands(out);
        fputs("' -- \"$word\"))\n  elif [[ $word == -* ]]; then COMPREPLY=($(compgen -W \"$options\" -- \"$word\"))\n"
              "  else COMPREPLY=($(compgen -f -- \"$word\")); fi\n}\ncomplete -o filenames -F _grisaille grisaille\n",
              out);
        return true;
    }
    if (strcmp(shell, "zsh") != 0) return false;
    fputs("#compdef grisaille\n_grisaille() {\n", out);
    put_cases(out, "${words[2]}");
    fputs("  if (( CURRENT == 2 )); then compadd -- ", out);
    put_commands(out);
    fputs("\n  elif [[ $PREFIX == -* ]]; then compadd -- ${=options}\n  else _files; fi\n}\n_grisaille \"$@\"\n", out);
    return true;
}
