/* SPDX-License-Identifier: Apache-2.0 */
/* POST /v1/catalogs: streamed from the socket through gunzip and the chunker into the archive; one chunk in memory. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api_internal.h"
#include "intake.h"

struct gri_api_push {
    struct gri_api *api;
    struct gri_api_settings *settings; /* held */
    struct gri_archive_push *archive;  /* NULL once it was committed or aborted */
    struct gri_intake *intake;
    struct gri_inflate *inflate; /* NULL for plain text */
    bool failed;
    struct gri_error error;
};

static enum gri_status store_chunk(void *arg, const struct gri_push_chunk *chunk, struct gri_error *error) {
    struct gri_api_push *push = arg;
    return push->api->options.archive->ops->push_chunk(push->archive, chunk, error);
}

static enum gri_status plain_bytes(void *arg, struct gri_slice plain, struct gri_error *error) {
    struct gri_api_push *push = arg;
    return gri_intake_feed(push->intake, plain, error);
}

const char *gri_api_pin_pipeline(const struct gri_api_settings *settings, const char *name) {
    const struct gri_json *pipelines = settings->pipelines;
    for (size_t i = 0; i < gri_json_count(pipelines); i++) {
        const struct gri_json *row = gri_json_at(pipelines, i);
        if (strcmp(gri_json_str(row, "name", ""), name) == 0) return gri_json_str(row, "id", NULL);
    }
    return NULL;
}

static bool check_name(const char *name, struct gri_api_reply *reply) {
    size_t len = strlen(name);
    bool control = false;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)name[i], next = (unsigned char)name[i + 1];
        control = control || c < 0x20 || c == 0x7f || (c == 0xc2 && next >= 0x80 && next < 0xa0); /* C0, DEL, C1 */
    }
    if (len <= 200 && !control) return true;
    gri_api_problem_of(reply, GRI_R_bad_request, "a catalog's name has at most 200 bytes and no control characters");
    return false;
}

/* NULL when a problem was answered. */
static struct gri_api_push *push_open(struct gri_api_call *call) {
    const struct gri_api *api = call->api;
    const struct gri_api_request *request = call->request;
    struct gri_api_reply *reply = call->reply;
    const char *name = gri_api_query(call, "name");
    const char *pipeline = gri_api_query(call, "pipeline");
    bool retry, refresh;
    const char *coding = request->content_encoding;
    bool gzip = coding && (strcasecmp(coding, "gzip") == 0 || strcasecmp(coding, "x-gzip") == 0);
    if (!name) name = "";
    if (!gri_api_query_is_text(call) || !check_name(name, reply)) return NULL;
    if (coding && !gzip && *coding && strcasecmp(coding, "identity") != 0) {
        gri_api_problem_of(reply, GRI_R_bad_request, "Content-Encoding may be gzip or absent");
        return NULL;
    }
    if (!gri_api_query_flag(call, "retry_dead", &retry) || !gri_api_query_flag(call, "refresh", &refresh)) return NULL;
    if (!pipeline || !*pipeline) pipeline = api->options.default_pipeline;
    const char *pinned = gri_api_pin_pipeline(call->settings, pipeline);
    if (!pinned) {
        gri_api_problem_of(reply, GRI_R_no_pipeline,
                           "no pipeline '%.100s' is configured; /v1/pipelines or `grisaille pipelines` lists them", pipeline);
        return NULL;
    }
    struct gri_json *tags;
    if (!gri_api_query_tags(call, &tags)) return NULL;
    struct gri_api_push *push = gri_calloc(1, sizeof *push);
    push->api = call->api;
    char rules[GRI_PIPELINE_MAX];
    struct gri_push_meta meta = {
        .name = name, .pipeline = pinned, .rules = rules, .by = call->by, .tags = tags, .retry_dead = retry, .refresh = refresh};
    enum gri_status status = gri_api_rules_for(call, tags, rules, &push->error);
    if (status == GRI_OK)
        status = api->options.archive->ops->push_begin(api->options.archive, &meta, &push->archive, &push->error);
    gri_json_free(tags);
    if (status != GRI_OK) {
        gri_api_problem(reply, &push->error, NULL);
        free(push);
        return NULL;
    }
    push->intake = gri_intake_create(api->options.crypto, call->settings->max_catalog_bytes, store_chunk, push);
    if (gzip) push->inflate = api->options.inflate->begin(call->settings->max_catalog_bytes);
    return push;
}

struct gri_api_push *gri_api_push_begin(struct gri_api *api, const struct gri_api_request *request, struct gri_api_reply *reply) {
    struct gri_api_settings *settings = gri_api_settings_hold(api);
    struct gri_api_call call = {.api = api, .settings = settings, .request = request, .reply = reply};
    reply->route = "/v1/catalogs";
    struct gri_api_push *push = gri_api_authorize(&call, GRI_SCOPE_PUSH) ? push_open(&call) : NULL;
    if (push)
        push->settings = settings;
    else
        gri_api_settings_let_go(settings);
    return push;
}

int64_t gri_api_push_max_bytes(const struct gri_api_push *push) {
    return push->settings->max_catalog_bytes;
}

bool gri_api_push_data(struct gri_api_push *push, struct gri_slice data) {
    if (push->failed) return false;
    enum gri_status status = push->inflate
                                 ? push->api->options.inflate->feed(push->inflate, data, plain_bytes, push, &push->error)
                                 : gri_intake_feed(push->intake, data, &push->error);
    push->failed = status != GRI_OK;
    return !push->failed;
}

static void push_free(struct gri_api_push *push) {
    if (push->inflate) push->api->options.inflate->abort(push->inflate);
    if (push->archive) push->api->options.archive->ops->push_abort(push->archive);
    gri_intake_destroy(push->intake);
    gri_api_settings_let_go(push->settings);
    free(push);
}

void gri_api_push_abort(struct gri_api_push *push) {
    if (push) push_free(push);
}

/* Ends the body and commits; `id` and `existed` are set on success. */
static enum gri_status commit(struct gri_api_push *push, char id[GRI_CATALOG_ID_MAX], bool *existed, struct gri_error *error) {
    if (push->failed) {
        *error = push->error;
        return error->status;
    }
    if (push->inflate) {
        struct gri_inflate *inflate = push->inflate;
        push->inflate = NULL;
        enum gri_status status = push->api->options.inflate->end(inflate, error);
        if (status != GRI_OK) return status;
    }
    struct gri_push_totals totals;
    enum gri_status status = gri_intake_finish(push->intake, &totals, error);
    if (status != GRI_OK) return status;
    struct gri_archive_push *archive = push->archive;
    push->archive = NULL; /* commit frees it, whatever comes of it */
    return push->api->options.archive->ops->push_commit(archive, &totals, id, existed, error);
}

void gri_api_push_end(struct gri_api_push *push, struct gri_api_reply *reply) {
    struct gri_archive *archive = push->api->options.archive;
    char id[GRI_CATALOG_ID_MAX];
    bool existed = false;
    struct gri_json *catalog = NULL;
    struct gri_error error;
    reply->route = "/v1/catalogs";
    if (commit(push, id, &existed, &error) != GRI_OK || archive->ops->catalog(archive, id, &catalog, &error) != GRI_OK) {
        gri_api_problem(reply, &error, NULL);
    } else {
        char location[96];
        (void)gri_format(location, sizeof location, "/v1/catalogs/%s", id);
        gri_json_set_bool(catalog, "existed", existed);
        gri_api_header(reply, "Location", location);
        gri_api_reply_json(reply, existed ? 200 : 202, catalog);
    }
    push_free(push);
}
