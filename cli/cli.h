/* SPDX-License-Identifier: Apache-2.0 */
/* What every command of `grisaille` shares: the table of commands and options, and the context a command runs in.
 *
 * A command is one file with one row in command_table.def: name, summary, operands, options, run(). Help, the man page and the
 * shell completions are made from the rows. Results go to standard output, progress and messages to standard error.
 * Threads: one. */
#ifndef GRI_CLI_H
#define GRI_CLI_H

#include <stdio.h>

#include <grisaille/crypto.h>
#include <grisaille/json.h>
#include <grisaille/log.h>

#include "api.h"
#include "config.h"
#include "definitions.h"

#define GRI_VERSION GRI_MESON_VERSION

enum gri_exit { GRI_EXIT_DONE = 0, GRI_EXIT_FAILED = 1, GRI_EXIT_USAGE = 2, GRI_EXIT_UNREACHABLE = 3 };

enum { GRI_CLI_OPTIONS_MAX = 16, GRI_CLI_SETS_MAX = 128 };

/* An option of a command: --name, or --name ARG where `arg` is set. */
struct gri_cli_option {
    const char *name, *arg, *help;
    char letter; /* -o, or 0 */
};

struct gri_cli;

struct gri_command {
    const char *name, *summary, *operands; /* operands: "FILE…", "" for none */
    int min_operands, max_operands;        /* max -1: any number */
    const struct gri_cli_option *options;  /* ends with a NULL name; NULL: none */
    bool hidden;                           /* the program's own: in no help */
    bool daemon;                           /* hears signals by its loop; until that runs they wait */
    enum gri_exit (*run)(struct gri_cli *cli);
};

struct gri_cli {
    const struct gri_command *command;
    const char *program; /* path of this executable, to start others of it */
    /* parsed arguments */
    const char *values[GRI_CLI_OPTIONS_MAX]; /* by the option's index; "" for a flag that is there; NULL: not given */
    char **operands;
    int operand_count;
    const char *config_path;
    const char *sets[GRI_CLI_SETS_MAX + 1]; /* key=value; ends with NULL */
    int set_count;
    bool json;
    /* made when first asked for */
    struct gri_config *config;
    const struct gri_crypto *crypto;
    struct gri_log *log;
    struct gri_transforms *transforms;
    struct gri_definitions *definitions;
    struct gri_mongo *mongo;
    struct gri_api *api;
};

const struct gri_command *gri_command_find(const char *name);

/* Value of the option `name` of the running command (asserts that it has one of that name); NULL when not given. */
const char *gri_cli_option(const struct gri_cli *cli, const char *name);
bool gri_cli_flag(const struct gri_cli *cli, const char *name);
/* Is it a catalog's id? If not: prints what one is and returns false. */
bool gri_cli_catalog_id(const struct gri_cli *cli, const char *text);
/* A whole number option; wrong: prints and returns false. */
bool gri_cli_number(const struct gri_cli *cli, const char *name, int64_t min, int64_t max, int64_t otherwise, int64_t *out);

/* Prints "grisaille COMMAND: message" to standard error. */
void gri_cli_say(const struct gri_cli *cli, const char *format, ...) GRI_PRINTF(2, 3);
/* Prints the error (with --json as a problem object on standard output) and gives the exit status of its reason. */
enum gri_exit gri_cli_fail(const struct gri_cli *cli, const struct gri_error *error);

/* Each makes its part once and keeps it in the context; a failure is ready for gri_cli_fail. */
enum gri_status gri_cli_config(struct gri_cli *cli, struct gri_error *error) GRI_MUST_CHECK;
/* The configuration as its sources say now, owned by the caller; any thread. */
enum gri_status gri_cli_config_again(const struct gri_cli *cli, struct gri_config **config,
                                     struct gri_error *error) GRI_MUST_CHECK;
/* config + crypto + transforms, pipelines and rules, checked and pinned (nothing is stored yet). */
enum gri_status gri_cli_definitions(struct gri_cli *cli, struct gri_error *error) GRI_MUST_CHECK;
/* definitions + MongoDB + the API in process; collections and indexes are made, definitions stored. */
enum gri_status gri_cli_api(struct gri_cli *cli, struct gri_error *error) GRI_MUST_CHECK;
void gri_cli_clear(struct gri_cli *cli);

/* GET of the API in process. `query`: pairs name, value, …, NULL (a pair with a NULL value is left out). On 2xx *json is the
 * parsed answer (owned); on a problem an error with its reason. */
enum gri_status gri_cli_get(struct gri_cli *cli, const char *path, const char *const *query, struct gri_json **json,
                            struct gri_error *error) GRI_MUST_CHECK;
/* The same with another method, in the user's name. *json is NULL where the answer has no body. */
enum gri_status gri_cli_send(struct gri_cli *cli, const char *method, const char *path, const char *const *query,
                             struct gri_json **json, struct gri_error *error) GRI_MUST_CHECK;
/* The same, any content type, streamed to `out`. *content_type: static. */
enum gri_status gri_cli_stream(struct gri_cli *cli, const char *path, const char *const *query, FILE *out,
                               const char **content_type, struct gri_error *error) GRI_MUST_CHECK;

enum { GRI_CLI_QUERY_MAX = 32 };
/* A query as gri_cli_get takes it: the options `names` (ended by NULL) under their own names, then the pairs `extra` (ended by a
 * NULL name). Either may be NULL. */
void gri_cli_query(struct gri_cli *cli, const char *const *names, const char *const *extra, const char *query[GRI_CLI_QUERY_MAX]);
/* Calls visit(row, arg) for each row of the list named `list` at `path`, asked for as gri_cli_query does, page by page: at most
 * `limit` rows, 0: all. */
enum gri_status gri_cli_pages(struct gri_cli *cli, const char *path, const char *const *names, const char *const *extra,
                              const char *list, int64_t limit, void (*visit)(const struct gri_json *row, void *arg), void *arg,
                              struct gri_error *error) GRI_MUST_CHECK;

/* The error of a problem reply. */
enum gri_status gri_cli_reply_error(const struct gri_api_reply *reply, struct gri_error *error);
/* Who does it, "cli:root"; into out. */
const char *gri_cli_user(char out[GRI_NAME_MAX]);

/* Did the user say --yes? If not: prints what would be done and how to say so. */
bool gri_cli_sure(const struct gri_cli *cli, const char *what);

/* Output. */
/* Text of strangers: control characters (C1 too) as \xNN, so that it can't steer the terminal. */
void gri_cli_put_safe(const char *text);
void gri_cli_print_json(const struct gri_json *json); /* pretty, with a newline */
void gri_cli_put_value(const struct gri_json *value); /* as one word: a text without quotes, anything else as compact JSON */
/* 12345678 → "12 345 678" (thin groups for people), into out. */
const char *gri_cli_count(int64_t value, char out[32]);
/* Milliseconds as "850 ms", "12 s", "3 min 20 s", "5 h 2 min". */
const char *gri_cli_duration(int64_t ms, char out[32]);

#endif
