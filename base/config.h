/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration: one table of options (options.def) filled from, later wins: defaults, one YAML file, the environment,
 * --set flags.
 *
 * The file is `sources.file`, else the environment's GRISAILLE_CONFIG, else /etc/grisaille/grisaille.yaml if it is there.
 * A value may come from a file of its own, a trailing newline trimmed: `redis: {url_FILE: path}`,
 * GRISAILLE_REDIS_URL_FILE=path, `--set redis.url_FILE=path`. An unknown key, a wrong type or range, a key given twice, an
 * alias or a tag in the YAML is an error of reason config that names key, value, what is allowed, and where.
 * Limits: 1 MiB a file, 64 KiB a value's file, 20,000 nodes, depth 32.
 * Threads: immutable after load; any number may read. */
#ifndef GRISAILLE_BASE_CONFIG_H
#define GRISAILLE_BASE_CONFIG_H

#include <grisaille/json.h>

#include "options.h"

struct gri_config;

struct gri_config_sources {
    const char *file;         /* --config, or NULL */
    char *const *environment; /* NAME=value …, NULL at the end; or NULL for none */
    const char *const *sets;  /* "key=value" each */
    size_t set_count;
};

/* On success *config is owned by the caller; on failure it is NULL. */
enum gri_status gri_config_load(const struct gri_config_sources *sources, struct gri_config **config,
                                struct gri_error *error) GRI_MUST_CHECK;
void gri_config_destroy(struct gri_config *config);

/* The value of an option; an unknown key or another type is a broken invariant. Borrowed from the configuration. */
const char *gri_config_text(const struct gri_config *config, const char *key); /* text secret uri choice; never NULL */
int64_t gri_config_int(const struct gri_config *config, const char *key);      /* integer bytes */
bool gri_config_bool(const struct gri_config *config, const char *key);
const struct gri_json *gri_config_list(const struct gri_config *config, const char *key); /* texts integers: an array */
const struct gri_json *gri_config_tree(const struct gri_config *config, const char *key); /* NULL when nowhere given */

/* Where an option was set: "default", "file:/etc/grisaille/grisaille.yaml:12", "environment:GRISAILLE_…", "--set". */
const char *gri_config_source(const struct gri_config *config, const char *key);
/* Line of a place inside a tree, "pipelines.gray.steps[0]" say; of its nearest parent where that has none; 0 when the tree
 * did not come from a file. */
int gri_config_tree_line(const struct gri_config *config, const char *path);
/* "/etc/grisaille/grisaille.yaml:14", or how else the option that `path` begins with was set; for error messages. */
void gri_config_tree_place(const struct gri_config *config, const char *path, char *out, size_t size);
/* The file that was read, or NULL. */
const char *gri_config_file(const struct gri_config *config);
/* Every file that was read, values' own ones too: an array of texts. Borrowed. */
const struct gri_json *gri_config_files(const struct gri_config *config);

/* Of the files as they are now: another number when one was written, replaced, removed, or is reached by a link that leads
 * elsewhere now (as Kubernetes swaps a ConfigMap). Reads no file's text. Any thread; may block as stat does. */
uint64_t gri_config_stamp(const struct gri_config *config);

/* Calls visit(option, arg) for each option whose value differs, in the order of the table. */
void gri_config_compare(const struct gri_config *before, const struct gri_config *after,
                        void (*visit)(const struct gri_option *option, void *arg), void *arg);
/* Every option that is not live gets the value, and the source, that it has in `from`: what holds once a running daemon has taken
 * `config` over. Before anybody else reads `config`. */
void gri_config_keep_fixed(struct gri_config *config, const struct gri_config *from);

/* Owned array of {key, value, source}, in the order of the table; secrets and credentials as ***. */
struct gri_json *gri_config_describe(const struct gri_config *config);
/* Owned array of {key, type, default, min, max, unit, help, environment, live}: the table for docs, man page and --help. */
struct gri_json *gri_config_options(void);

#endif
