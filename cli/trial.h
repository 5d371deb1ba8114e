/* SPDX-License-Identifier: Apache-2.0 */
/* Trying pipelines on files, without a fleet: in a child process, so that a transform that crashes or hangs is told of. */
#ifndef GRI_TRIAL_H
#define GRI_TRIAL_H

#include "cli.h"

/* Takes the --set words whose key has no dot (a configuration's always has one) out of cli->sets: an object of parameters of
 * the transform `name`, NULL for none. Numbers, true and false are what they look like, unless the parameter is a text. On
 * failure (no such transform) prints and returns false. Configuration and definitions are made. */
bool gri_trial_step(struct gri_cli *cli, const char *name, struct gri_json **step);

/* {"name":"trial","steps":[step],"output":{…}}: takes `step`. The format is that of `out`'s ending, its parameters those of
 * --output ("quality=50,progressive=true"). False: printed. */
bool gri_trial_pipeline(struct gri_cli *cli, struct gri_json *step, const char *out, struct gri_json **body);

/* Runs it over pairs of files, source and output, and prints a line for each. */
enum gri_exit gri_trial_files(struct gri_cli *cli, const struct gri_json *body, char **files, int count);
/* Runs it again and again over one file (NULL: a sample) for `seconds`, and prints megapixels a second. */
enum gri_exit gri_trial_bench(struct gri_cli *cli, const struct gri_json *body, const char *file, int64_t seconds);

#endif
