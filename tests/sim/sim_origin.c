/* SPDX-License-Identifier: Apache-2.0 */
/* A model of the origins, and a toy codec. What a URL gives is told by its path, so that the oracle can know it too:
 *   /ok/<content>      always that content
 *   /random/<n>        another content each time
 *   /flaky/<n>/<c>     two failures, then content c
 *   /gone/<n>          404
 *   /html/<n>          bytes that are no image
 *   /busy/<n>/<c>      429 with Retry-After now and then, else content c
 *   /shut/<n>/<c>      429 for ever
 *   /poison/<n>        a picture that ends the process which decodes it */
#include <stdlib.h>
#include <string.h>

#include "sim.h"

void sim_origin_url(int n, int flavour, char out[96]) {
    bool shut = flavour & SIM_SHUT;
    if ((flavour & SIM_POISONED) && n % 40 == 5) {
        (void)gri_format(out, 96, "https://good.example/poison/%d", n);
        return;
    }
    switch (n % 10) {
    case 6:
        (void)gri_format(out, 96, "https://rare.example/random/%d", n);
        break;
    case 7:
        (void)gri_format(out, 96, "https://weak.example/flaky/%d/%d", n, n % 37);
        break;
    case 8:
        (void)gri_format(out, 96, n % 3 ? "https://gone.example/gone/%d" : "https://gone.example/html/%d", n);
        break;
    case 9:
        (void)gri_format(out, 96, shut ? "https://busy.example/shut/%d/%d" : "https://busy.example/busy/%d/%d", n, n % 41);
        break;
    default:
        (void)gri_format(out, 96, "https://good.example/ok/%d?n=%d", n % 50, n);
        break;
    }
}

enum sim_fate sim_origin_fate(const struct sim_world *world, const char *url) {
    (void)world;
    if (strstr(url, "/gone/") || strstr(url, "/html/") || strstr(url, "/shut/") || strstr(url, "/poison/")) return SIM_DEAD;
    if (strstr(url, "/flaky/")) return SIM_EITHER; /* enough faults elsewhere may use up its attempts */
    return SIM_DONE;
}

static void put_content(struct gri_fetch *fetch, const char *kind, int64_t content) {
    gri_bytes_reset(&fetch->body);
    gri_bytes_printf(&fetch->body, "%s:%lld", kind, (long long)content);
    fetch->http_status = 200;
    fetch->final_url = gri_strdup(fetch->url);
    (void)gri_copy(fetch->content_type, sizeof fetch->content_type, "image/jpeg");
}

static void refuse(struct gri_fetch *fetch, enum gri_reason reason, int status) {
    fetch->http_status = status;
    fetch->op.status = gri_fail(&fetch->op.error, reason, "HTTP %d", status);
}

static int64_t last_number(const char *url) {
    const char *slash = strrchr(url, '/');
    return slash ? strtoll(slash + 1, NULL, 10) : 0;
}

void sim_origin_answer(struct sim_world *world, struct gri_fetch *fetch) {
    fetch->retry_after_ms = -1;
    if (strstr(fetch->url, "/gone/")) {
        refuse(fetch, GRI_R_http_4xx, 404);
    } else if (strstr(fetch->url, "/html/")) {
        put_content(fetch, "HTML", 0);
    } else if (strstr(fetch->url, "/random/")) {
        put_content(fetch, "IMAGE", 100000 + (int64_t)(sim_random(world) % 100000));
    } else if (strstr(fetch->url, "/flaky/") && sim_one_in(world, 2)) {
        refuse(fetch, GRI_R_http_5xx, 500);
    } else if (strstr(fetch->url, "/shut/") || (strstr(fetch->url, "/busy/") && sim_one_in(world, 4))) {
        refuse(fetch, GRI_R_rate_limited, 429);
        fetch->throttled = true;
        fetch->retry_after_ms = sim_between(world, 1, 9) * 1000;
    } else {
        put_content(fetch, strstr(fetch->url, "/poison/") ? "BOMB" : "IMAGE", last_number(fetch->url));
    }
}

static int64_t do_fetch(struct sim_process *process, struct gri_op *op, bool part) {
    struct gri_fetch *fetch = gri_container_of(op, struct gri_fetch, op);
    (void)part;
    if (sim_is_hurried(process, op)) {
        fetch->retry_after_ms = -1;
        refuse(fetch, GRI_R_timeout, 0);
    } else {
        sim_origin_answer(process->world, fetch);
    }
    return 0;
}

/* Never more fetches at once than slots, nor than a host may have. */
static void watch_fetches(struct sim_process *process, const struct gri_fetch *fetch) {
    size_t all = 0, same = 0, host = strcspn(fetch->url + strlen("https://"), "/") + strlen("https://");
    for (const struct sim_request *request = process->requests; request; request = request->next) {
        if (request->execute != do_fetch) continue;
        all++;
        same += strncmp(gri_container_of(request->op, struct gri_fetch, op)->url, fetch->url, host) == 0;
    }
    if (all > process->world->slots + process->world->steering.lingering)
        sim_violation(process->world, "%s has %zu fetches under way", process->name, all);
    if (same > SIM_HOST_CONCURRENCY)
        sim_violation(process->world, "%s asks one host for %zu things at once", process->name, same);
}

static void submit_fetch(struct gri_fetcher *fetcher, struct gri_fetch *request) {
    struct sim_process *process = gri_container_of(fetcher, struct sim_process, fetcher);
    sim_submit(process, SIM_ORIGIN, &request->op, do_fetch);
    watch_fetches(process, request);
}

static void cancel_fetch(struct gri_fetcher *fetcher, struct gri_fetch *request) {
    sim_hurry(gri_container_of(fetcher, struct sim_process, fetcher), &request->op);
}

/* --- the codec --- */

struct gri_plan {
    int unused;
};

static enum gri_status compile(struct gri_codec *codec, struct gri_slice definition, struct gri_plan **plan,
                               struct gri_error *error) {
    (void)codec, (void)definition, (void)error;
    *plan = gri_calloc(1, sizeof **plan);
    return GRI_OK;
}

static void plan_free(struct gri_codec *codec, struct gri_plan *plan) {
    (void)codec;
    free(plan);
}

enum gri_status sim_make_picture(struct gri_slice source, struct gri_picture *out, struct gri_error *error) {
    *out = (struct gri_picture){.width = 1, .height = 1, .source_width = 1, .source_height = 1};
    if (source.len < 6 || memcmp(source.data, "IMAGE:", 6) != 0) return gri_fail(error, GRI_R_not_image, "no picture");
    gri_bytes_init(&out->output, 1024);
    gri_bytes_put(&out->output, "GRAY:");
    gri_bytes_put_slice(&out->output, source);
    (void)gri_copy(out->content_type, sizeof out->content_type, "image/jpeg");
    (void)gri_copy(out->source_type, sizeof out->source_type, "image/jpeg");
    return GRI_OK;
}

static enum gri_status run(struct gri_codec *codec, const struct gri_plan *plan, struct gri_slice source, struct gri_picture *out,
                           struct gri_error *error) {
    struct sim_process *process = gri_container_of(codec, struct sim_process, codec);
    (void)plan;
    if (source.len >= 5 && memcmp(source.data, "BOMB:", 5) == 0) process->doomed = true;
    return sim_make_picture(source, out, error);
}

static const char *version(struct gri_codec *codec) {
    (void)codec;
    return "simulated";
}

void sim_origin_ops(struct sim_process *process) {
    static const struct gri_fetcher_ops fetcher = {.fetch = submit_fetch, .cancel = cancel_fetch};
    static const struct gri_codec_ops codec = {.compile = compile, .plan_free = plan_free, .run = run, .version = version};
    process->fetcher.ops = &fetcher;
    process->codec.ops = &codec;
}
