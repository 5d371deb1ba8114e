/* SPDX-License-Identifier: Apache-2.0 */
/* What happens to a URL and why (`explain`). */
#include <stdlib.h>
#include <string.h>

#include "api_internal.h"
#include "job_key.h"

/* What the configured rules say of the text. */
static struct gri_json *verdict_json(const struct gri_api_settings *settings, const struct gri_verdict *verdict) {
    static const char *const kinds[] = {"blank", "url", "bad"};
    struct gri_json *json = gri_json_object();
    gri_json_set_str(json, "kind", kinds[verdict->kind]);
    gri_json_set_str(json, "rules", settings->rules_id);
    gri_json_set_str(json, "rule", verdict->rule[0] ? verdict->rule : NULL);
    if (verdict->kind == GRI_LINE_BAD) {
        gri_json_set_str(json, "reason", gri_reason_name(verdict->reason));
        gri_json_set_str(json, "help", gri_reason_info(verdict->reason)->help);
    }
    if (verdict->kind == GRI_LINE_URL) {
        struct gri_host_limit limit;
        gri_ruleset_limit(settings->rules, verdict->host, &limit);
        gri_json_set_str(json, "url", verdict->url);
        gri_json_set_str(json, "host", verdict->host);
        gri_json_set_bool(json, "volatile", verdict->is_volatile);
        struct gri_json *limits = gri_json_object();
        gri_json_set_str(limits, "rule", limit.name[0] ? limit.name : NULL);
        gri_json_set_int(limits, "concurrency", limit.concurrency);
        gri_json_set(limits, "per_second", gri_json_real(limit.per_second));
        gri_json_set(json, "limit", limits);
    }
    return json;
}

/* The images of a record: ids replaced by metadata where they are still there. */
static enum gri_status add_images(struct gri_archive *archive, const struct gri_json *records, struct gri_json *out,
                                  struct gri_error *error) {
    for (size_t r = 0; r < gri_json_count(records); r++) {
        const struct gri_json *ids = gri_json_get(gri_json_at(records, r), "images");
        char hash[GRI_SHA256_HEX] = "";
        struct gri_json *found = NULL;
        for (size_t i = 0; i < gri_json_count(ids); i++) {
            const char *id = gri_json_text(gri_json_at(ids, i), "");
            if (!found || strncmp(hash, id, strlen(hash)) != 0) { /* outputs of one source follow each other */
                gri_json_free(found);
                found = NULL;
                (void)gri_copy(hash, sizeof hash, id); /* an id begins with the source's sum */
                enum gri_status status = archive->ops->images_by_hash(archive, hash, &found, error);
                if (status != GRI_OK) return status;
            }
            for (size_t k = 0; k < gri_json_count(found); k++) {
                const struct gri_json *image = gri_json_at(found, k);
                if (strcmp(gri_json_str(image, "id", ""), id) != 0) continue;
                struct gri_json *copy = gri_json_copy(image);
                gri_json_remove(copy, "urls");
                gri_json_append(out, copy);
            }
        }
        gri_json_free(found);
    }
    return GRI_OK;
}

/* Records, images and events of a canonical URL. */
static enum gri_status add_history(struct gri_api_call *call, const char *url, struct gri_json *answer, struct gri_error *error) {
    struct gri_archive *archive = call->api->options.archive;
    struct gri_json *records = NULL, *images = gri_json_array(), *all = gri_json_array();
    enum gri_status status = archive->ops->url_records(archive, url, &records, error);
    if (status == GRI_OK) status = add_images(archive, records, images, error);
    for (size_t r = 0; status == GRI_OK && r < gri_json_count(records); r++) {
        struct gri_filter filter = {.limit = 50};
        struct gri_json *events;
        status = archive->ops->events(archive, gri_json_str(gri_json_at(records, r), "key", ""), &filter, &events, error);
        if (status != GRI_OK) break;
        const struct gri_json *list = gri_json_get(events, "events");
        for (size_t i = 0; i < gri_json_count(list); i++)
            gri_json_append(all, gri_json_copy(gri_json_at(list, i)));
        gri_json_free(events);
    }
    gri_json_set(answer, "records", records ? records : gri_json_array());
    gri_json_set(answer, "images", images);
    gri_json_set(answer, "events", all);
    return status;
}

void gri_api_get_urls(struct gri_api_call *call) {
    const char *text = gri_api_query(call, "url"), *pipeline = gri_api_query(call, "pipeline");
    struct gri_error error;
    if (!text || !*text) {
        gri_api_problem_of(call->reply, GRI_R_bad_request, "say which: ?url=<percent-encoded URL>");
        return;
    }
    struct gri_verdict verdict;
    gri_ruleset_judge(call->settings->rules, gri_slice_of(text), &verdict);
    struct gri_json *answer = gri_json_object();
    gri_json_set(answer, "verdict", verdict_json(call->settings, &verdict));
    enum gri_status status = GRI_OK;
    if (verdict.kind == GRI_LINE_URL) {
        char key[GRI_KEY_MAX], name[GRI_NAME_MAX];
        gri_pipeline_name(pipeline && *pipeline ? pipeline : call->api->options.default_pipeline, name);
        gri_job_key(call->api->options.crypto, verdict.url, NULL, name, key);
        if (!verdict.is_volatile) gri_json_set_str(answer, "key", key);
        gri_json_set_str(answer, "pipeline", name);
        status = add_history(call, verdict.url, answer, &error);
    }
    if (status == GRI_OK) {
        gri_api_reply_json(call->reply, 200, answer);
        return;
    }
    gri_json_free(answer);
    gri_api_problem(call->reply, &error, NULL);
}
