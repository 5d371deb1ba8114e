/* SPDX-License-Identifier: Apache-2.0 */
/* grisaille isolated (hidden): one URL fetched, decoded and transformed in this process of its own; the worker starts it
 * (grisaille/isolator.h). A request frame comes on standard input, the result goes to descriptor 3. It reads no
 * configuration and talks neither to Redis nor to MongoDB. */
#include <errno.h>
#include <grisaille/sandbox.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "cli.h"
#include "pipeline_plan.h"
#include "transform_plugins.h"
#include "uv_loop.h"
#include "vips_runtime.h"
#include "work_settings.h"

enum { FRAME_FD = 3 };

struct isolated {
    struct gri_json *settings;
    struct gri_bytes definition;
    char *url;
    struct gri_transforms *transforms;
    struct gri_codec *codec;
    struct gri_plan *plan;
    struct gri_loop *loop;
    struct gri_fetcher *fetcher;
    struct gri_isolated result;
};

static enum gri_status read_request(struct gri_bytes *frame, struct gri_error *error) {
    enum gri_frame_kind kind;
    uint64_t len;
    bool broken;
    char buffer[65536];
    for (;;) {
        bool headed = gri_frame_header(gri_bytes_slice(frame), &kind, &len, &broken);
        if (broken || (headed && (kind != GRI_FRAME_REQUEST || len > GRI_FRAME_REQUEST_MAX)))
            return gri_fail(error, GRI_R_bad_request, "no request frame on standard input; this command is the worker's own");
        if (headed && frame->len - GRI_FRAME_HEADER >= len) return GRI_OK;
        ssize_t got = read(STDIN_FILENO, buffer, sizeof buffer);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return gri_fail(error, GRI_R_io, "the request frame is incomplete; this command is the worker's own");
        enum gri_status status = gri_bytes_append(frame, buffer, (size_t)got, error);
        if (status != GRI_OK) return status;
    }
}

static enum gri_status parse_request(struct isolated *isolated, struct gri_error *error) {
    struct gri_bytes frame, settings;
    gri_bytes_init(&frame, GRI_FRAME_REQUEST_MAX + GRI_FRAME_HEADER);
    gri_bytes_init(&settings, GRI_FRAME_REQUEST_MAX);
    gri_bytes_init(&isolated->definition, GRI_FRAME_REQUEST_MAX);
    enum gri_status status = read_request(&frame, error);
    if (status == GRI_OK) {
        struct gri_slice payload = {frame.data + GRI_FRAME_HEADER, frame.len - GRI_FRAME_HEADER};
        status = gri_frame_read_request(payload, &isolated->url, &isolated->definition, &settings, error);
    }
    if (status == GRI_OK) status = gri_json_parse(gri_bytes_slice(&settings), &isolated->settings, error);
    gri_bytes_clear(&settings);
    gri_bytes_clear(&frame);
    return status;
}

static enum gri_status set_up(struct isolated *isolated, struct gri_error *error) {
    isolated->transforms = gri_transforms_create();
    enum gri_status status =
        gri_transforms_load_folder(isolated->transforms, gri_json_str(isolated->settings, "plugins_dir", ""), error);
    if (status == GRI_OK) status = gri_vips_start("grisaille", error);
    if (status != GRI_OK) return status;
    isolated->codec = gri_work_codec(isolated->settings, isolated->transforms);
    status = isolated->codec->ops->compile(isolated->codec, gri_bytes_slice(&isolated->definition), &isolated->plan, error);
    if (status == GRI_OK) status = gri_uv_loop_create(&isolated->loop, error);
    if (status == GRI_OK) status = gri_work_fetcher(isolated->settings, isolated->loop, NULL, NULL, &isolated->fetcher, error);
    return status;
}

/* False: the worker is gone, or never was. */
static bool write_frame(struct gri_bytes *frame) {
    for (size_t at = 0; at < frame->len;) {
        ssize_t sent = write(FRAME_FD, frame->data + at, frame->len - at);
        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0) return false;
        at += (size_t)sent;
    }
    gri_bytes_reset(frame);
    return true;
}

static void fetched(struct gri_op *op) {
    struct gri_fetch *fetch = gri_container_of(op, struct gri_fetch, op);
    struct gri_isolated *result = gri_container_of(fetch, struct gri_isolated, fetch);
    gri_uv_loop_stop(gri_container_of(result, struct isolated, result)->loop);
}

/* The body is here, nothing more is needed of the world than to answer; but programs of an exec step run beside: then only this
 * thread gives up its rights, as a worker's CPU threads do. */
static bool give_up_rights(struct isolated *isolated) {
    const char *wanted = gri_json_str(isolated->settings, "sandbox", "auto");
    enum gri_sandbox_kind kind = gri_plan_works_outside(isolated->plan) ? GRI_SANDBOX_DECODE : GRI_SANDBOX_CHILD;
    struct gri_isolated *result = &isolated->result;
    struct gri_error error;
    if (strcmp(wanted, "off") == 0) return true;
    bool entered = (kind == GRI_SANDBOX_CHILD || gri_sandbox_try(&error) == GRI_OK) && gri_sandbox_enter(kind, &error) == GRI_OK;
    if (entered || strcmp(wanted, "on") != 0) return true;
    result->end = GRI_ISOLATED_KILLED; /* nothing is known of the URL */
    result->op.error = error;
    result->op.status = result->op.error.status = GRI_RETRY;
    return false;
}

static void work(struct isolated *isolated) {
    struct gri_isolated *result = &isolated->result;
    gri_isolated_init(result, isolated->url, gri_bytes_slice(&isolated->definition));
    result->end = GRI_ISOLATED_ANSWERED;
    result->fetch.op.done = fetched;
    isolated->fetcher->ops->fetch(isolated->fetcher, &result->fetch);
    gri_uv_loop_run(isolated->loop);
    result->op.status = result->fetch.op.status;
    result->op.error = result->fetch.op.error;
    if (result->fetch.final_url && strlen(result->fetch.final_url) > GRI_FINAL_URL_MAX) {
        free(result->fetch.final_url);
        result->fetch.final_url = NULL;
    }
    if (result->op.status != GRI_OK || !give_up_rights(isolated)) return;
    result->op.status = isolated->codec->ops->run(isolated->codec, isolated->plan, gri_bytes_slice(&result->fetch.body),
                                                  &result->picture, &result->op.error);
    if (result->op.status != GRI_OK) result->picture = (struct gri_picture){.width = 0};
}

/* The end is sudden on purpose: nothing that the URL has left behind in this process is to be touched again. */
static _Noreturn void answer(struct gri_isolated *result) {
    struct gri_bytes frame;
    struct gri_error error;
    gri_bytes_init(&frame, SIZE_MAX / 4);
    if (gri_frame_write_result(result, &frame, &error) != GRI_OK || !write_frame(&frame)) _exit(GRI_EXIT_FAILED);
    _exit(GRI_EXIT_DONE);
}

static enum gri_exit run(struct gri_cli *cli) {
    struct isolated isolated = {.url = NULL};
    struct gri_bytes started;
    struct gri_error error;
    gri_sandbox_harden(false);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_IGN);
    if (parse_request(&isolated, &error) != GRI_OK) {
        gri_json_free(isolated.settings);
        gri_bytes_clear(&isolated.definition);
        free(isolated.url);
        return gri_cli_fail(cli, &error);
    }
    enum gri_status status = set_up(&isolated, &error);
    if (status != GRI_OK) { /* of the installation, not of the URL */
        gri_isolated_init(&isolated.result, isolated.url, gri_bytes_slice(&isolated.definition));
        isolated.result.end = GRI_ISOLATED_KILLED;
        isolated.result.op.status = GRI_RETRY;
        isolated.result.op.error = error;
        answer(&isolated.result);
    }
    gri_bytes_init(&started, 64);
    gri_frame_write_started(&started);
    if (!write_frame(&started)) _exit(GRI_EXIT_FAILED);
    work(&isolated);
    answer(&isolated.result);
}

const struct gri_command gri_command_isolated = {
    .name = "isolated", .summary = "one URL in a process of its own (the worker's)", .operands = "", .hidden = true, .run = run};
