/* SPDX-License-Identifier: Apache-2.0 */
/* exec: any program as a step. It is given the bytes of the picture, and gives a picture or facts. */
#include "exec_pool.h"
#include "transform_kit.h"

#include <grisaille/clock.h>
#include <grisaille/json.h>
#include <stdlib.h>
#include <string.h>

enum { COMMAND_SIZE = 1024, WORDS_MAX = 32 };
enum gives { GIVES_PICTURE, GIVES_FACTS };
enum mode { MODE_ONCE, MODE_SERVE };

struct exec {
    char command[COMMAND_SIZE];
    int gives, mode;
    int timeout_ms, memory_mb, output_mb, children;
    bool network;
};

/* What is prepared: its pool, and the words that the pool borrows. */
struct ready {
    char text[COMMAND_SIZE];
    char *words[WORDS_MAX + 1];
    struct gri_exec_options options;
    struct gri_exec_pool *pool;
};

static const char *const gives[] = {"picture", "facts", NULL}, *const modes[] = {"once", "serve", NULL};

static const struct gri_transform_param params[] = {
    {.name = "command",
     .help = "the program, an absolute path, and its arguments, separated by spaces; no shell reads it",
     .type = GRI_PARAM_TEXT,
     .offset = offsetof(struct exec, command),
     .maximum = COMMAND_SIZE},
    {.name = "gives",
     .help = "picture: a JPEG, PNG, WebP or GIF that takes the picture's place; facts: a JSON object of numbers and texts",
     .type = GRI_PARAM_ENUM,
     .offset = offsetof(struct exec, gives),
     .choices = gives},
    {.name = "mode",
     .help = "once: started for each picture, reads to the end of its input, exit status 0; serve: lives on, and reads and "
             "writes frames: "
             "the length in digits, a newline, the bytes",
     .type = GRI_PARAM_ENUM,
     .offset = offsetof(struct exec, mode),
     .choices = modes},
    {.name = "timeout_ms",
     .help = "of one answer; image.timeout_ms, of all steps together, may end it sooner",
     .type = GRI_PARAM_INT,
     .offset = offsetof(struct exec, timeout_ms),
     .standard = 10000,
     .minimum = 10,
     .maximum = 600000},
    {.name = "memory_mb",
     .help = "address space of each child, MiB",
     .type = GRI_PARAM_INT,
     .offset = offsetof(struct exec, memory_mb),
     .standard = 1024,
     .minimum = 16,
     .maximum = 1048576},
    {.name = "output_mb",
     .help = "of one answer, MiB",
     .type = GRI_PARAM_INT,
     .offset = offsetof(struct exec, output_mb),
     .standard = 16,
     .minimum = 1,
     .maximum = 64},
    {.name = "children",
     .help = "how many run at once, in each worker",
     .type = GRI_PARAM_INT,
     .offset = offsetof(struct exec, children),
     .standard = 2,
     .minimum = 1,
     .maximum = 16},
    {.name = "network",
     .help = "true: it may make sockets; false: the kernel refuses them",
     .type = GRI_PARAM_BOOL,
     .offset = offsetof(struct exec, network)},
};

static bool check(const void *values, struct gri_transform_error *error) {
    const struct exec *exec = values;
    return exec->command[0] == '/' || gri_transform_fail(error, "command begins with the absolute path of a program");
}

static void release(void *state) {
    struct ready *ready = state;
    if (ready) gri_exec_pool_destroy(ready->pool);
    g_free(ready);
}

static bool prepare(const void *values, void **state, struct gri_transform_error *error) {
    const struct exec *exec = values;
    struct ready *ready = g_new0(struct ready, 1);
    struct gri_error why = {0};
    char *rest = NULL;
    size_t count = 0;
    g_strlcpy(ready->text, exec->command, sizeof ready->text);
    for (char *word = strtok_r(ready->text, " ", &rest); word && count < WORDS_MAX; word = strtok_r(NULL, " ", &rest))
        ready->words[count++] = word;
    ready->options = (struct gri_exec_options){.words = ready->words,
                                               .memory_bytes = (int64_t)exec->memory_mb << 20,
                                               .network = exec->network,
                                               .serves = exec->mode == MODE_SERVE};
    if (gri_exec_pool_create(&ready->options, exec->children, &ready->pool, &why) == GRI_OK) {
        *state = ready;
        return true;
    }
    release(ready);
    return gri_transform_fail(error, "%s", why.detail);
}

struct telling {
    const struct gri_transform_call *call;
    bool ok;
};

static void tell(const char *name, const struct gri_json *value, void *arg) {
    struct telling *telling = arg;
    const struct gri_transform_call *call = telling->call;
    enum gri_json_kind kind = gri_json_kind(value);
    if (!telling->ok) return;
    if (kind == GRI_JSON_STRING)
        telling->ok = call->fact_text(call->host, name, gri_json_text(value, ""));
    else
        telling->ok =
            (kind == GRI_JSON_INT || kind == GRI_JSON_REAL) && call->fact_number(call->host, name, gri_json_double(value, 0));
    if (!telling->ok) gri_transform_fail(call->error, "its fact %.40s is no number or short text, or there are too many", name);
}

static bool take_facts(const struct gri_transform_call *call, struct gri_slice text) {
    struct gri_json *facts = NULL;
    struct gri_error error;
    struct telling telling = {call, true};
    if (gri_json_parse(text, &facts, &error) != GRI_OK || gri_json_kind(facts) != GRI_JSON_OBJECT)
        telling.ok = gri_transform_fail(call->error, "it gave no JSON object of facts");
    else
        gri_json_each(facts, tell, &telling);
    gri_json_free(facts);
    return telling.ok;
}

static bool run_bytes(const struct gri_transform_call *call, const void *data, size_t len) {
    const struct exec *exec = call->params;
    const struct ready *ready = call->state;
    int64_t left = call->left_ms(call->host);
    struct gri_bytes got;
    struct gri_error error = {0};
    gri_bytes_init(&got, (size_t)exec->output_mb << 20);
    bool ok = gri_exec_pool_ask(ready->pool, (struct gri_slice){data, len}, gri_clock_ms() + MIN(left, exec->timeout_ms), &got,
                                &error) == GRI_OK;
    if (!ok)
        gri_transform_fail(call->error, "%s", error.detail);
    else if (exec->gives == GIVES_FACTS)
        ok = take_facts(call, gri_bytes_slice(&got));
    else
        ok = call->put(call->host, got.data, got.len);
    gri_bytes_clear(&got);
    return ok;
}

extern const struct gri_transform gri_transform_exec;
const struct gri_transform gri_transform_exec = {
    GRI_TRANSFORM_LAYOUT,
    .name = "exec",
    .summary = "any program as a step: the picture's bytes in, a picture or facts out",
    GRI_TRANSFORM_PARAMS(params, struct exec),
    .check = check,
    .run_bytes = run_bytes,
    .prepare = prepare,
    .release = release,
    .works_outside = true,
};
