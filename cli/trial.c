/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a pipeline over files in a child, and tells how that ended. */
#include "trial.h"

#include <errno.h>
#include <grisaille/clock.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "picture_codec.h"
#include "picture_sample.h"
#include "vips_runtime.h"
#include "work_settings.h"

enum { SLACK_MS = 10000, SAMPLE_WIDTH = 2400, SAMPLE_HEIGHT = 1800, LEAK_RUNS = 8, SOURCE_MAX = 256 << 20, HEAP_GROWTH = 65536 };

/* What a child works on. */
struct trial {
    struct gri_cli *cli;
    const struct gri_json *body;
    struct gri_codec *codec;
    struct gri_plan *plan;
    char **files;
    int count;
    const char *file;
    int64_t seconds;
};

/* --- the pipeline ------------------------------------------------------------------------------------------------------ */

static bool is_text(const struct gri_json *rows, const char *transform, const char *name) {
    for (size_t i = 0; i < gri_json_count(rows); i++) {
        const struct gri_json *row = gri_json_at(rows, i), *parameters = gri_json_get(row, "parameters");
        for (size_t k = 0; strcmp(gri_json_str(row, "name", ""), transform) == 0 && k < gri_json_count(parameters); k++) {
            const struct gri_json *parameter = gri_json_at(parameters, k);
            const char *type = gri_json_str(parameter, "type", "");
            if (strcmp(gri_json_str(parameter, "name", ""), name) == 0)
                return strcmp(type, "text") == 0 || strcmp(type, "enum") == 0;
        }
    }
    return false;
}

static struct gri_json *scalar(const char *text, bool as_text) {
    struct gri_json *value = NULL;
    struct gri_error error;
    if (as_text || gri_json_parse(gri_slice_of(text), &value, &error) != GRI_OK) return gri_json_string(text);
    return value;
}

bool gri_trial_step(struct gri_cli *cli, const char *name, struct gri_json **step) {
    const char *own[GRI_CLI_SETS_MAX];
    int count = 0, kept = 0;
    struct gri_error error;
    for (int i = 0; i < cli->set_count; i++) {
        const char *equals = strchr(cli->sets[i], '=');
        const char *dot = strchr(cli->sets[i], '.');
        if (equals && (!dot || dot > equals))
            own[count++] = cli->sets[i];
        else
            cli->sets[kept++] = cli->sets[i];
    }
    cli->sets[kept] = NULL;
    cli->set_count = kept;
    if (gri_cli_definitions(cli, &error) != GRI_OK) {
        (void)gri_cli_fail(cli, &error);
        return false;
    }
    if (!gri_transforms_find(cli->definitions->transforms, name)) {
        gri_cli_say(cli, "there is no transform %s; grisaille transforms lists them (plugins.dir holds more)", name);
        return false;
    }
    struct gri_json *values = gri_json_object();
    for (int i = 0; i < count; i++) {
        size_t len = strcspn(own[i], "=");
        char *key = gri_strndup(own[i], len);
        gri_json_set(values, key, scalar(own[i] + len + 1, is_text(cli->definitions->transform_rows, name, key)));
        free(key);
    }
    *step = gri_json_object();
    gri_json_set(*step, name, values);
    return true;
}

static const char *format_of(const char *path) {
    static const struct {
        const char *ending, *format;
    } known[] = {{".jpg", "jpeg"}, {".jpeg", "jpeg"}, {".png", "png"}, {".webp", "webp"}};
    const char *dot = path ? strrchr(path, '.') : NULL;
    for (size_t i = 0; dot && i < sizeof known / sizeof known[0]; i++)
        if (strcmp(dot, known[i].ending) == 0) return known[i].format;
    return path ? NULL : "jpeg";
}

bool gri_trial_pipeline(struct gri_cli *cli, struct gri_json *step, const char *out, struct gri_json **body) {
    const char *format = format_of(out), *words = gri_cli_option(cli, "output");
    struct gri_json *output = gri_json_object(), *steps = gri_json_array();
    gri_json_append(steps, step);
    *body = gri_json_object();
    gri_json_set(*body, "steps", steps);
    gri_json_set(*body, "output", output);
    if (!format) {
        gri_cli_say(cli, "%s: the output's name ends in .jpg, .png or .webp", out);
        gri_json_free(*body);
        return false;
    }
    gri_json_set_str(output, "format", format);
    for (const char *word = words ? words : ""; *word;) {
        size_t len = strcspn(word, ","), key_len = strcspn(word, "=");
        char *key = gri_strndup(word, key_len < len ? key_len : len);
        char *value = gri_strndup(key_len < len ? word + key_len + 1 : "true", key_len < len ? len - key_len - 1 : 4);
        gri_json_set(output, key, scalar(value, false));
        free(value);
        free(key);
        word += len + (word[len] == ',');
    }
    return true;
}

/* --- in the child ------------------------------------------------------------------------------------------------------ */

static enum gri_status read_file(const char *path, struct gri_bytes *out, struct gri_error *error) {
    FILE *file = fopen(path, "rb");
    char buffer[65536];
    size_t got;
    enum gri_status status = GRI_OK;
    gri_bytes_init(out, SOURCE_MAX);
    if (!file) return gri_fail(error, GRI_R_usage, "%s: %s", path, strerror(errno));
    while (status == GRI_OK && (got = fread(buffer, 1, sizeof buffer, file)) > 0)
        status = gri_bytes_append(out, buffer, got, error);
    if (status == GRI_OK && ferror(file)) status = gri_fail(error, GRI_R_io, "%s: %s", path, strerror(errno));
    fclose(file);
    return status;
}

static enum gri_status write_file(const char *path, struct gri_slice bytes, struct gri_error *error) {
    FILE *file = fopen(path, "wb");
    bool written = file && fwrite(bytes.data, 1, bytes.len, file) == bytes.len;
    if (file && fclose(file) != 0) written = false;
    return written ? GRI_OK : gri_fail(error, GRI_R_io, "%s: %s", path, strerror(errno));
}

static enum gri_status compile(struct trial *trial, struct gri_error *error) {
    struct gri_bytes text;
    enum gri_status status = gri_vips_start("grisaille", error);
    if (status != GRI_OK) return status;
    struct gri_json *settings = gri_work_settings(trial->cli->config);
    trial->codec = gri_work_codec(settings, trial->cli->definitions->transforms);
    gri_json_free(settings);
    gri_bytes_init(&text, 1 << 20);
    status = gri_json_write(trial->body, true, &text, error);
    if (status == GRI_OK) status = trial->codec->ops->compile(trial->codec, gri_bytes_slice(&text), &trial->plan, error);
    gri_bytes_clear(&text);
    return status;
}

static void clear(struct trial *trial) {
    if (trial->plan) trial->codec->ops->plan_free(trial->codec, trial->plan);
    gri_picture_codec_destroy(trial->codec);
    gri_vips_thread_end();
}

static void tell(const struct trial *trial, const char *in, const char *out, const struct gri_picture *picture, double ms) {
    struct gri_json *row = gri_json_object(), *facts = NULL;
    struct gri_error error;
    gri_json_set_str(row, "source", in);
    gri_json_set_str(row, "output", out);
    if (picture->name[0]) gri_json_set_str(row, "name", picture->name);
    gri_json_set_int(row, "width", picture->width);
    gri_json_set_int(row, "height", picture->height);
    gri_json_set_int(row, "bytes", (int64_t)picture->output.len);
    gri_json_set_bool(row, "lossless", picture->lossless);
    if (picture->facts[0] && gri_json_parse(gri_slice_of(picture->facts), &facts, &error) == GRI_OK)
        gri_json_set(row, "facts", facts);
    if (trial->cli->json)
        gri_cli_print_json(row);
    else
        printf("%s (%d × %d) → %s (%d × %d, %zu bytes%s), %.1f ms%s%s\n", in, picture->source_width, picture->source_height, out,
               picture->width, picture->height, picture->output.len, picture->lossless ? ", not encoded again" : "", ms,
               picture->facts[0] ? ", facts " : "", picture->facts);
    gri_json_free(row);
}

/* Named outputs go to files of their own: out.jpg → out.thumb.jpg. */
static bool name_file(const struct gri_picture *picture, const char *out, char *name, size_t size) {
    const char *dot = strrchr(out, '.'), *slash = strrchr(out, '/');
    if (!picture->name[0]) return gri_copy(name, size, out);
    if (!dot || (slash && dot < slash)) dot = out + strlen(out);
    return gri_format(name, size, "%.*s.%s%s", (int)(dot - out), out, picture->name, dot);
}

static enum gri_status try_file(struct trial *trial, const char *in, const char *out, struct gri_error *error) {
    struct gri_bytes source;
    struct gri_picture picture = {.width = 0};
    enum gri_status status = read_file(in, &source, error);
    int64_t began = gri_clock_ns();
    if (status == GRI_OK) status = trial->codec->ops->run(trial->codec, trial->plan, gri_bytes_slice(&source), &picture, error);
    double ms = (double)(gri_clock_ns() - began) / 1e6;
    for (const struct gri_picture *one = &picture; status == GRI_OK && one; one = one->next) {
        char name[4096];
        if (!name_file(one, out, name, sizeof name)) status = gri_fail(error, GRI_R_usage, "%.200s: too long a name", out);
        if (status == GRI_OK) status = write_file(name, gri_bytes_slice(&one->output), error);
        if (status == GRI_OK) tell(trial, in, name, one, ms);
    }
    gri_picture_clear(&picture);
    gri_bytes_clear(&source);
    return status;
}

/* An image that is kept for each picture would fill a worker within a day. What libvips keeps for its threads comes and goes with
 * those, but does not grow from run to run. */
static enum gri_exit tell_leak(const struct trial *trial, size_t before, struct gri_slice source) {
    size_t least = SIZE_MAX;
    struct gri_picture picture;
    struct gri_error error;
    int grown = 0;
    for (int i = 0; gri_vips_memory() > before && i < LEAK_RUNS; i++) {
        size_t from = gri_vips_memory();
        if (trial->codec->ops->run(trial->codec, trial->plan, source, &picture, &error) == GRI_OK) gri_picture_clear(&picture);
        size_t now = gri_vips_memory();
        if (now <= from) continue;
        grown++;
        if (now - from < least) least = now - from;
    }
    if (grown <= LEAK_RUNS / 2) return GRI_EXIT_DONE;
    gri_cli_say(trial->cli,
                "it leaks: each run leaves %zu bytes of pixels behind (an image that is not given to g_object_unref?)", least);
    return GRI_EXIT_FAILED;
}

static enum gri_exit try_all(struct trial *trial) {
    enum gri_exit exit_status = GRI_EXIT_DONE;
    struct gri_error error;
    size_t before = gri_vips_memory();
    for (int i = 0; i + 1 < trial->count; i += 2) {
        if (try_file(trial, trial->files[i], trial->files[i + 1], &error) == GRI_OK) continue;
        gri_cli_say(trial->cli, "%s: %s: %s", trial->files[i], gri_reason_name(error.reason), error.detail);
        exit_status = GRI_EXIT_FAILED;
    }
    struct gri_bytes source;
    if (exit_status == GRI_EXIT_DONE && read_file(trial->files[0], &source, &error) == GRI_OK) {
        exit_status = tell_leak(trial, before, gri_bytes_slice(&source));
        gri_bytes_clear(&source);
    }
    return exit_status;
}

/* Growth of the heap by the pictures that came after the first: 0 where the allocator does not count. */
static int64_t heap_bytes(void) {
    struct mallinfo2 info = mallinfo2();
    return (int64_t)(info.uordblks + info.hblkhd);
}

static enum gri_exit bench_runs(struct trial *trial, struct gri_slice source) {
    struct gri_picture picture;
    struct gri_error error;
    int64_t began = 0, runs = 0, heap = 0, last = 0, grown = 0, elapsed = 0, pixels = 0;
    size_t before = gri_vips_memory();
    for (int64_t run = 0; runs < LEAK_RUNS || elapsed < trial->seconds * 1000000000; run++) {
        if (run == 1) { /* the first run loads and warms what all share */
            began = gri_clock_ns();
            heap = last = heap_bytes();
        }
        if (trial->codec->ops->run(trial->codec, trial->plan, source, &picture, &error) != GRI_OK)
            return gri_cli_fail(trial->cli, &error);
        pixels = (int64_t)picture.source_width * picture.source_height;
        gri_picture_clear(&picture);
        if (run == 0) continue;
        runs++;
        int64_t held = heap_bytes();
        grown += held > last;
        last = held;
        elapsed = gri_clock_ns() - began;
    }
    double rate = (double)(pixels * runs) / ((double)elapsed / 1e9) / 1e6;
    int64_t growth = (last - heap) / runs;
    if (trial->cli->json)
        printf("{\"runs\":%lld,\"megapixels\":%.3f,\"megapixels_per_second\":%.2f,\"milliseconds\":%.3f,\"heap_growth\":%lld}\n",
               (long long)runs, (double)pixels / 1e6, rate, (double)elapsed / 1e6 / (double)runs, (long long)growth);
    else
        printf("%.1f megapixels/s: %lld runs of %.1f megapixels, %.1f ms each; decoding and encoding included\n", rate,
               (long long)runs, (double)pixels / 1e6, (double)elapsed / 1e6 / (double)runs);
    if (growth > HEAP_GROWTH && grown > runs / 2) { /* a thread that starts takes some, but not at each run */
        gri_cli_say(trial->cli, "it leaks: the heap grows by %lld bytes a run", (long long)growth);
        return GRI_EXIT_FAILED;
    }
    return tell_leak(trial, before, source);
}

static enum gri_exit bench_all(struct trial *trial) {
    struct gri_bytes source;
    struct gri_error error;
    gri_bytes_init(&source, SOURCE_MAX);
    enum gri_status status =
        trial->file ? read_file(trial->file, &source, &error) : gri_picture_sample(SAMPLE_WIDTH, SAMPLE_HEIGHT, &source, &error);
    enum gri_exit exit_status = status == GRI_OK ? bench_runs(trial, gri_bytes_slice(&source)) : gri_cli_fail(trial->cli, &error);
    gri_bytes_clear(&source);
    return exit_status;
}

static enum gri_exit work(struct trial *trial) {
    struct gri_error error;
    enum gri_exit exit_status;
    if (compile(trial, &error) != GRI_OK)
        exit_status = gri_cli_fail(trial->cli, &error);
    else
        exit_status = trial->files ? try_all(trial) : bench_all(trial);
    clear(trial);
    return exit_status;
}

/* --- in the parent ----------------------------------------------------------------------------------------------------- */

static enum gri_exit told_end(const struct gri_cli *cli, int status) {
    if (WIFEXITED(status)) return (enum gri_exit)WEXITSTATUS(status);
    gri_cli_say(cli, "it crashed: signal %d (%s). A worker would start anew and set such a picture apart (reason poison)",
                WTERMSIG(status), strsignal(WTERMSIG(status)));
    return GRI_EXIT_FAILED;
}

/* What plugins do can't be trusted: the child does it, this process tells how it ended. */
static enum gri_exit run_apart(struct trial *trial, int64_t timeout_ms) {
    fflush(NULL);
    pid_t child = fork();
    if (child < 0) {
        gri_cli_say(trial->cli, "no process to try it in: %s", strerror(errno));
        return GRI_EXIT_FAILED;
    }
    if (child == 0) {
        enum gri_exit exit_status = work(trial);
        fflush(NULL);
        _exit((int)exit_status);
    }
    int status = 0, handle = pidfd_open(child, 0);
    struct pollfd ended = {.fd = handle, .events = POLLIN};
    bool in_time = handle >= 0 && poll(&ended, 1, (int)timeout_ms) == 1;
    if (!in_time) kill(child, SIGKILL);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    if (handle >= 0) close(handle);
    if (in_time) return told_end(trial->cli, status);
    gri_cli_say(trial->cli, "it did not come back within %lld ms and was killed: it hangs, or does not look at left_ms",
                (long long)timeout_ms);
    return GRI_EXIT_FAILED;
}

static int64_t allowed_ms(const struct gri_cli *cli, int64_t runs) {
    int64_t allowed = gri_config_int(cli->config, "image.timeout_ms") * runs + SLACK_MS;
    return allowed < INT32_MAX ? allowed : INT32_MAX;
}

enum gri_exit gri_trial_files(struct gri_cli *cli, const struct gri_json *body, char **files, int count) {
    struct trial trial = {.cli = cli, .body = body, .files = files, .count = count};
    return run_apart(&trial, allowed_ms(cli, count / 2));
}

enum gri_exit gri_trial_bench(struct gri_cli *cli, const struct gri_json *body, const char *file, int64_t seconds) {
    struct trial trial = {.cli = cli, .body = body, .file = file, .seconds = seconds};
    return run_apart(&trial, allowed_ms(cli, LEAK_RUNS + 1) + seconds * 1000);
}
