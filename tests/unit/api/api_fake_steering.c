/* SPDX-License-Identifier: Apache-2.0 */
/* The steering part of the fake archive: it remembers what it was asked, and has nothing to show. */
#include "api_fake_archive.h"

static struct fake_archive *self_of(struct gri_archive *archive) {
    return gri_container_of(archive, struct fake_archive, port);
}

static enum gri_status fails(const struct fake_archive *self, struct gri_error *error) {
    return self->fail == GRI_R_none ? GRI_OK : gri_fail(error, self->fail, "the fake was told to fail");
}

static enum gri_status page(struct gri_archive *archive, const struct gri_filter *filter, const char *name, struct gri_json **out,
                            struct gri_error *error) {
    struct fake_archive *self = self_of(archive);
    self->last_filter = *filter;
    if (fails(self, error) != GRI_OK) return error->status;
    *out = gri_json_object();
    gri_json_set(*out, name, gri_json_array());
    gri_json_set_str(*out, "next", "0~");
    return GRI_OK;
}

static enum gri_status follow(struct gri_archive *archive, const struct gri_filter *filter, struct gri_json **out,
                              struct gri_error *error) {
    return page(archive, filter, "events", out, error);
}

static enum gri_status event_body(struct gri_archive *archive, const char *id, struct gri_bytes *body, int64_t *bytes,
                                  struct gri_error *error) {
    (void)body, (void)bytes;
    enum gri_status status = fails(self_of(archive), error);
    return status == GRI_OK ? gri_fail(error, GRI_R_not_found, "no body of %s", id) : status;
}

static void tell(struct gri_archive *archive, const struct gri_event *event) {
    struct fake_archive *self = self_of(archive);
    gri_copy(self->told, sizeof self->told, event->event);
    gri_copy(self->told_by, sizeof self->told_by, event->worker);
}

static enum gri_status list(struct gri_archive *archive, struct gri_json **out, struct gri_error *error) {
    enum gri_status status = fails(self_of(archive), error);
    if (status == GRI_OK) *out = gri_json_array();
    return status;
}

static enum gri_status stats(struct gri_archive *archive, const struct gri_stats_query *query, struct gri_json **out,
                             struct gri_error *error) {
    (void)query;
    return list(archive, out, error);
}

static enum gri_status dead(struct gri_archive *archive, const struct gri_filter *filter, struct gri_json **out,
                            struct gri_error *error) {
    return page(archive, filter, "dead", out, error);
}

static enum gri_status dead_act(struct gri_archive *archive, const struct gri_filter *filter, bool drop, const char *by,
                                int64_t *count, struct gri_error *error) {
    struct fake_archive *self = self_of(archive);
    (void)drop, (void)by;
    self->last_filter = *filter;
    *count = 3;
    return fails(self, error);
}

static enum gri_status dead_count(struct gri_archive *archive, const struct gri_filter *filter, int64_t *count,
                                  struct gri_error *error) {
    (void)filter;
    *count = 0;
    return fails(self_of(archive), error);
}

static enum gri_status catalog(struct gri_archive *archive, const char *id, enum gri_steer steer, const char *by,
                               struct gri_error *error) {
    struct fake_archive *self = self_of(archive);
    (void)id, (void)by;
    self->steered = steer;
    return fails(self, error);
}

static enum gri_status host(struct gri_archive *archive, const char *name, bool pause, const char *by, struct gri_error *error) {
    (void)name, (void)pause, (void)by;
    return fails(self_of(archive), error);
}

static enum gri_status take_down(struct gri_archive *archive, const char *source, const char *why, const char *by, int64_t *count,
                                 struct gri_error *error) {
    (void)source, (void)why, (void)by;
    *count = 1;
    return fails(self_of(archive), error);
}

static enum gri_status similar(struct gri_archive *archive, const char *phash, int within, int64_t limit, struct gri_json **out,
                               struct gri_error *error) {
    (void)phash, (void)within, (void)limit;
    return list(archive, out, error);
}

static enum gri_status reprocess(struct gri_archive *archive, const char *pipeline, const struct gri_filter *filter,
                                 struct gri_json **out, struct gri_error *error) {
    struct fake_archive *self = self_of(archive);
    self->last_filter = *filter;
    if (fails(self, error) != GRI_OK) return error->status;
    *out = gri_json_object();
    gri_json_set_str(*out, "pipeline", pipeline);
    gri_json_set_int(*out, "count", filter->host ? 0 : 7);
    return GRI_OK;
}

static enum gri_status reprocess_start(struct gri_archive *archive, const char *pipeline, const struct gri_filter *filter,
                                       const char *by, struct gri_error *error) {
    (void)pipeline, (void)filter, (void)by;
    return fails(self_of(archive), error);
}

static enum gri_status reprocess_cancel(struct gri_archive *archive, const char *name, struct gri_error *error) {
    (void)name;
    return fails(self_of(archive), error);
}

const struct gri_steering_ops fake_steering_ops = {.follow = follow,
                                                   .event_body = event_body,
                                                   .tell = tell,
                                                   .stats = stats,
                                                   .dead = dead,
                                                   .dead_act = dead_act,
                                                   .dead_count = dead_count,
                                                   .catalog = catalog,
                                                   .host = host,
                                                   .hosts = list,
                                                   .take_down = take_down,
                                                   .similar = similar,
                                                   .reprocess = reprocess,
                                                   .reprocess_start = reprocess_start,
                                                   .reprocess_cancel = reprocess_cancel};
