/* SPDX-License-Identifier: Apache-2.0 */
/* grisaille: finds the command, parses its arguments, runs it. */
#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "cli_help.h"
#include "uv_loop.h"

/* The option that `word` ("--name", "--name=value", "-o") means, or -1; *value points behind '='. */
static int find_option(const struct gri_command *command, const char *word, const char **value) {
    *value = NULL;
    for (int i = 0; command->options && command->options[i].name; i++) {
        const struct gri_cli_option *option = &command->options[i];
        size_t len = strlen(option->name);
        if (word[0] == '-' && word[1] == option->letter && option->letter && !word[2]) return i;
        if (strncmp(word, "--", 2) != 0 || strncmp(word + 2, option->name, len) != 0) continue;
        if (word[2 + len] == '=') *value = word + 3 + len;
        if (word[2 + len] == '=' || word[2 + len] == '\0') return i;
    }
    return -1;
}

static bool wrong(const struct gri_command *command, const char *what, const char *word) {
    fprintf(stderr, "grisaille %s: %s '%s'; see grisaille %s --help\n", command->name, what, word, command->name);
    return false;
}

/* Takes "--config X", "--set k=v", "--json" anywhere. 1: taken (with *used words), 0: not one of them, -1: wrong. */
static int global_option(struct gri_cli *cli, char **words, int count, int *used) {
    const char *word = words[0], *value = NULL;
    bool config = strcmp(word, "--config") == 0 || strncmp(word, "--config=", 9) == 0;
    bool set = strcmp(word, "--set") == 0 || strncmp(word, "--set=", 6) == 0;
    *used = 1;
    if (strcmp(word, "--json") == 0) {
        cli->json = true;
        return 1;
    }
    if (!config && !set) return 0;
    value = strchr(word, '=');
    if (value && strncmp(word, "--set=", 6) == 0)
        value = word + 6;
    else if (value && config)
        value = word + 9;
    else if (count > 1)
        value = words[(*used)++];
    else
        return wrong(cli->command, "no value for", word), -1;
    if (!*value) return wrong(cli->command, "no value for", word), -1;
    if (config) cli->config_path = value;
    if (set && cli->set_count == GRI_CLI_SETS_MAX) return wrong(cli->command, "too many", "--set"), -1;
    if (set) cli->sets[cli->set_count++] = value;
    return 1;
}

/* Takes an option of the command at words[0]; *used words. */
static bool command_option(struct gri_cli *cli, char **words, int count, int *used) {
    const char *value;
    int i = find_option(cli->command, words[0], &value);
    *used = 1;
    if (i < 0) return wrong(cli->command, "unknown option", words[0]);
    if (!cli->command->options[i].arg) {
        if (value) return wrong(cli->command, "takes no value:", words[0]);
        cli->values[i] = "";
        return true;
    }
    if (!value && count < 2) return wrong(cli->command, "no value for", words[0]);
    if (!value) {
        value = words[1];
        *used = 2;
    }
    cli->values[i] = value;
    return true;
}

static bool parse(struct gri_cli *cli, char **words, int count, bool *help) {
    bool options = true;
    for (int i = 0, used; i < count; i += used) {
        used = 1;
        const char *word = words[i];
        if (!options || word[0] != '-' || !word[1]) {
            cli->operands[cli->operand_count++] = words[i];
        } else if (strcmp(word, "--") == 0) {
            options = false;
        } else if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
            *help = true;
            return true;
        } else {
            int taken = global_option(cli, words + i, count - i, &used);
            if (taken < 0 || (taken == 0 && !command_option(cli, words + i, count - i, &used))) return false;
        }
    }
    const struct gri_command *command = cli->command;
    if (cli->operand_count < command->min_operands) {
        fprintf(stderr, "grisaille %s: it wants %s; see grisaille %s --help\n", command->name, command->operands, command->name);
        return false;
    }
    if (command->max_operands >= 0 && cli->operand_count > command->max_operands)
        return wrong(command, "one operand too many:", cli->operands[command->max_operands]);
    return true;
}

static enum gri_exit run(struct gri_cli *cli, int argc, char **argv) {
    bool help = false;
    enum gri_exit status = GRI_EXIT_USAGE;
    cli->operands = gri_calloc((size_t)argc + 1, sizeof *cli->operands);
    if (parse(cli, argv + 2, argc > 2 ? argc - 2 : 0, &help)) {
        status = GRI_EXIT_DONE;
        if (help)
            gri_help_command(stdout, cli->command);
        else
            status = cli->command->run(cli);
    }
    gri_cli_clear(cli);
    free(cli->operands);
    if (fflush(stdout) == 0 && !ferror(stdout)) return status;
    if (errno == EPIPE) return status; /* the reader has seen enough: `grisaille errors … | head` */
    fprintf(stderr, "grisaille: can't write to standard output: %s\n", strerror(errno));
    return status == GRI_EXIT_DONE ? GRI_EXIT_FAILED : status;
}

int main(int argc, char **argv) {
    setlocale(LC_CTYPE, "C.UTF-8");
    const char *word = argc > 1 ? argv[1] : "help";
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) word = "help";
    if (strcmp(word, "--version") == 0) word = "version";
    struct gri_cli cli = {.program = argv[0], .command = gri_command_find(word)};
    if (!cli.command) {
        fprintf(stderr, "grisaille: there is no command '%s'; %s\n", word,
                word[0] == '-' ? "the command comes first, its options behind it" : "grisaille help lists them");
        return GRI_EXIT_USAGE;
    }
    if (cli.command->daemon) gri_uv_signals_hold();
    signal(SIGPIPE, SIG_IGN);
    return (int)run(&cli, argc, argv);
}
