/* SPDX-License-Identifier: Apache-2.0 */
/* The archive in memory. */
#include "api_fake_archive.h"

#include <stdlib.h>
#include <string.h>

struct gri_archive_push {
    struct fake_archive *archive;
    struct fake_catalog catalog;
};

static struct fake_archive *self_of(struct gri_archive *archive) {
    return gri_container_of(archive, struct fake_archive, port);
}

static enum gri_status fails(const struct fake_archive *self, struct gri_error *error) {
    return self->fail == GRI_R_none ? GRI_OK : gri_fail(error, self->fail, "the fake was told to fail");
}

static enum gri_status prepare(struct gri_archive *archive, struct gri_error *error) {
    return fails(self_of(archive), error);
}

static enum gri_status put_definition(struct gri_archive *archive, enum gri_definition_kind kind, const char *id,
                                      struct gri_slice body, struct gri_error *error) {
    (void)kind, (void)id, (void)body;
    return fails(self_of(archive), error);
}

static enum gri_status definition(struct gri_archive *archive, enum gri_definition_kind kind, const char *id,
                                  struct gri_bytes *body, struct gri_error *error) {
    struct fake_archive *self = self_of(archive);
    if (fails(self, error) != GRI_OK) return error->status;
    if (kind != GRI_DEF_RULES || strcmp(id, self->rules_id) != 0) return gri_fail(error, GRI_R_not_found, "no definition %s", id);
    return gri_bytes_append(body, self->rules_body.data, self->rules_body.len, error);
}

/* --- pushing --- */

static void clear_catalog(struct fake_catalog *catalog) {
    for (size_t i = 0; i < catalog->chunk_count; i++)
        gri_bytes_clear(&catalog->texts[i]);
}

static enum gri_status push_begin(struct gri_archive *archive, const struct gri_push_meta *meta, struct gri_archive_push **push,
                                  struct gri_error *error) {
    struct fake_archive *self = self_of(archive);
    if (fails(self, error) != GRI_OK) return error->status;
    *push = gri_calloc(1, sizeof **push);
    (*push)->archive = self;
    struct fake_catalog *catalog = &(*push)->catalog;
    gri_copy(catalog->name, sizeof catalog->name, meta->name);
    gri_copy(catalog->pipeline, sizeof catalog->pipeline, meta->pipeline);
    gri_copy(catalog->rules, sizeof catalog->rules, meta->rules);
    gri_copy(catalog->by, sizeof catalog->by, meta->by);
    catalog->retry_dead = meta->retry_dead;
    self->open_pushes++;
    return GRI_OK;
}

static enum gri_status push_chunk(struct gri_archive_push *push, const struct gri_push_chunk *chunk, struct gri_error *error) {
    struct fake_catalog *catalog = &push->catalog;
    if (push->archive->refuse_chunk >= 0 && chunk->number >= push->archive->refuse_chunk)
        return gri_fail(error, GRI_R_unavailable, "MongoDB went away");
    GRI_ASSERT(catalog->chunk_count < FAKE_CHUNKS_MAX && chunk->number == (int64_t)catalog->chunk_count);
    size_t i = catalog->chunk_count++;
    catalog->chunks[i] = *chunk;
    gri_bytes_init(&catalog->texts[i], 0);
    return gri_bytes_append(&catalog->texts[i], chunk->text.data, chunk->text.len, error);
}

static enum gri_status push_commit(struct gri_archive_push *push, const struct gri_push_totals *totals,
                                   char id[GRI_CATALOG_ID_MAX], bool *existed, struct gri_error *error) {
    struct fake_archive *self = push->archive;
    struct fake_catalog *catalog = &push->catalog;
    self->open_pushes--;
    *existed = false;
    if (fails(self, error) != GRI_OK) {
        clear_catalog(catalog);
        free(push);
        return error->status;
    }
    catalog->totals = *totals;
    for (size_t i = 0; i < self->catalog_count && !*existed; i++) {
        const struct fake_catalog *other = &self->catalogs[i];
        *existed = strcmp(other->totals.sha256, totals->sha256) == 0 && strcmp(other->name, catalog->name) == 0 &&
                   strcmp(other->pipeline, catalog->pipeline) == 0;
        if (*existed) gri_copy(id, GRI_CATALOG_ID_MAX, other->id);
    }
    if (*existed) {
        clear_catalog(catalog);
    } else {
        GRI_ASSERT(self->catalog_count < FAKE_CATALOGS_MAX);
        gri_format(catalog->id, sizeof catalog->id, "%024zx", self->catalog_count + 0xabc);
        gri_copy(id, GRI_CATALOG_ID_MAX, catalog->id);
        self->catalogs[self->catalog_count++] = *catalog;
    }
    free(push);
    return GRI_OK;
}

static void push_abort(struct gri_archive_push *push) {
    push->archive->open_pushes--;
    clear_catalog(&push->catalog);
    free(push);
}

/* --- catalogs --- */

static struct fake_catalog *find_catalog(struct fake_archive *self, const char *id) {
    for (size_t i = 0; i < self->catalog_count; i++)
        if (strcmp(self->catalogs[i].id, id) == 0) return &self->catalogs[i];
    return NULL;
}

static struct gri_json *catalog_json(const struct fake_catalog *catalog) {
    struct gri_json *json = gri_json_object(), *counts = gri_json_object();
    gri_json_set_str(json, "id", catalog->id);
    gri_json_set_str(json, "name", catalog->name);
    gri_json_set_str(json, "pipeline", catalog->pipeline);
    gri_json_set_str(json, "rules", catalog->rules);
    gri_json_set_str(json, "state", "running");
    gri_json_set_str(json, "sha256", catalog->totals.sha256);
    gri_json_set_int(json, "bytes", catalog->totals.bytes);
    gri_json_set_int(json, "lines", catalog->totals.lines);
    gri_json_set_int(json, "chunks", catalog->totals.chunks);
    gri_json_set_int(counts, "lines", catalog->totals.lines);
    gri_json_set(json, "counts", counts);
    return json;
}

static enum gri_status list_catalogs(struct gri_archive *archive, const struct gri_filter *filter, struct gri_json **out,
                                     struct gri_error *error) {
    struct fake_archive *self = self_of(archive);
    self->last_filter = *filter;
    if (fails(self, error) != GRI_OK) return error->status;
    struct gri_json *list = gri_json_array();
    for (size_t i = self->catalog_count; i-- > 0;)
        gri_json_append(list, catalog_json(&self->catalogs[i]));
    *out = gri_json_object();
    gri_json_set(*out, "catalogs", list);
    gri_json_set_null(*out, "next");
    return GRI_OK;
}

static enum gri_status one_catalog(struct gri_archive *archive, const char *id, struct gri_json **out, struct gri_error *error) {
    struct fake_archive *self = self_of(archive);
    if (fails(self, error) != GRI_OK) return error->status;
    const struct fake_catalog *catalog = find_catalog(self, id);
    if (!catalog) return gri_fail(error, GRI_R_not_found, "no catalog %s", id);
    *out = catalog_json(catalog);
    return GRI_OK;
}

static enum gri_status one_chunk(struct gri_archive *archive, const char *id, int64_t number, struct gri_push_chunk *chunk,
                                 struct gri_bytes *text, struct gri_error *error) {
    struct fake_archive *self = self_of(archive);
    if (fails(self, error) != GRI_OK) return error->status;
    const struct fake_catalog *catalog = find_catalog(self, id);
    if (!catalog || number >= (int64_t)catalog->chunk_count) return gri_fail(error, GRI_R_not_found, "no chunk");
    *chunk = catalog->chunks[number];
    return gri_bytes_append(text, catalog->texts[number].data, catalog->texts[number].len, error);
}

static enum gri_status chunk_of_line(struct gri_archive *archive, const char *id, int64_t line, int64_t *number,
                                     struct gri_error *error) {
    const struct fake_catalog *catalog = find_catalog(self_of(archive), id);
    for (size_t i = 0; catalog && i < catalog->chunk_count; i++) {
        const struct gri_push_chunk *chunk = &catalog->chunks[i];
        *number = (int64_t)i;
        if (line >= chunk->first_line && line < chunk->first_line + chunk->lines) return GRI_OK;
    }
    return gri_fail(error, GRI_R_not_found, "no line %lld", (long long)line);
}

static enum gri_status list_errors(struct gri_archive *archive, const char *id, const struct gri_filter *filter,
                                   struct gri_json **out, struct gri_error *error) {
    struct fake_archive *self = self_of(archive);
    if (fails(self, error) != GRI_OK) return error->status;
    struct gri_json *list = gri_json_array();
    int64_t after = filter->cursor ? strtoll(filter->cursor, NULL, 10) : 0;
    bool first = self->catalog_count > 0 && strcmp(self->catalogs[0].id, id) == 0;
    for (size_t i = 0; first && i < gri_json_count(self->errors) && (int64_t)gri_json_count(list) < filter->limit; i++) {
        const struct gri_json *row = gri_json_at(self->errors, i);
        if (gri_json_get_int(row, "line", 0) > after) gri_json_append(list, gri_json_copy(row));
    }
    *out = gri_json_object();
    gri_json_set(*out, "errors", list);
    gri_json_set_null(*out, "next");
    return GRI_OK;
}

/* --- URLs, images, events --- */

static enum gri_status urls(struct gri_archive *archive, const char (*keys)[GRI_KEY_MAX], size_t count, struct gri_json **out,
                            struct gri_error *error) {
    struct fake_archive *self = self_of(archive);
    if (fails(self, error) != GRI_OK) return error->status;
    *out = gri_json_array();
    for (size_t i = 0; i < count; i++) {
        const struct gri_json *record = gri_json_get(self->records, keys[i]);
        gri_json_append(*out, record ? gri_json_copy(record) : gri_json_null());
    }
    return GRI_OK;
}

struct by_url {
    const char *url;
    struct gri_json *found;
};

static void collect(const char *key, const struct gri_json *record, void *arg) {
    struct by_url *search = arg;
    (void)key;
    if (strcmp(gri_json_str(record, "url", ""), search->url) == 0) gri_json_append(search->found, gri_json_copy(record));
}

static enum gri_status url_records(struct gri_archive *archive, const char *url, struct gri_json **out, struct gri_error *error) {
    struct fake_archive *self = self_of(archive);
    if (fails(self, error) != GRI_OK) return error->status;
    struct by_url search = {url, gri_json_array()};
    gri_json_each(self->records, collect, &search);
    *out = search.found;
    return GRI_OK;
}

static enum gri_status images_by_hash(struct gri_archive *archive, const char *sha256, struct gri_json **out,
                                      struct gri_error *error) {
    static const char *const names[] = {"source", "output", "base64"};
    struct fake_archive *self = self_of(archive);
    if (fails(self, error) != GRI_OK) return error->status;
    *out = gri_json_array();
    for (size_t i = 0; i < self->image_count; i++) {
        const struct gri_json *sums = gri_json_get(self->images[i].meta, "sums");
        bool match = false;
        for (size_t k = 0; k < 3; k++)
            match = match || strcmp(gri_json_str(sums, names[k], ""), sha256) == 0;
        if (match) gri_json_append(*out, gri_json_copy(self->images[i].meta));
    }
    return GRI_OK;
}

static enum gri_status image(struct gri_archive *archive, const char *id, struct gri_json **meta, struct gri_bytes *base64,
                             struct gri_error *error) {
    struct fake_archive *self = self_of(archive);
    for (size_t i = 0; i < self->image_count; i++) {
        if (strcmp(gri_json_str(self->images[i].meta, "id", ""), id) != 0) continue;
        *meta = gri_json_copy(self->images[i].meta);
        return gri_bytes_append(base64, self->images[i].base64, strlen(self->images[i].base64), error);
    }
    return gri_fail(error, GRI_R_not_found, "no image %s", id);
}

static enum gri_status page_of(struct gri_archive *archive, const struct gri_filter *filter, const char *name,
                               struct gri_json **out, struct gri_error *error) {
    struct fake_archive *self = self_of(archive);
    self->last_filter = *filter;
    if (fails(self, error) != GRI_OK) return error->status;
    *out = gri_json_object();
    gri_json_set(*out, name, gri_json_array());
    gri_json_set_null(*out, "next");
    return GRI_OK;
}

static enum gri_status images(struct gri_archive *archive, const struct gri_filter *filter, struct gri_json **out,
                              struct gri_error *error) {
    return page_of(archive, filter, "images", out, error);
}

static enum gri_status events(struct gri_archive *archive, const char *key, const struct gri_filter *filter,
                              struct gri_json **out, struct gri_error *error) {
    enum gri_status status = page_of(archive, filter, "events", out, error);
    if (status != GRI_OK || !key) return status;
    struct gri_json *list = gri_json_array(), *event = gri_json_object();
    gri_json_set_str(event, "event", "attempt_failed");
    gri_json_append(list, event);
    gri_json_set(*out, "events", list);
    return GRI_OK;
}

static enum gri_status totals(struct gri_archive *archive, struct gri_json **out, struct gri_error *error) {
    struct fake_archive *self = self_of(archive);
    if (fails(self, error) != GRI_OK) return error->status;
    *out = gri_json_object();
    gri_json_set_int(*out, "images", (int64_t)self->image_count);
    return GRI_OK;
}

static enum gri_status services(struct gri_archive *archive, struct gri_json **out, struct gri_error *error) {
    struct fake_archive *self = self_of(archive);
    if (fails(self, error) != GRI_OK) return error->status;
    *out = gri_json_array();
    return GRI_OK;
}

const struct gri_archive_ops fake_archive_ops = {.prepare = prepare,
                                                 .ping = prepare,
                                                 .put_definition = put_definition,
                                                 .definition = definition,
                                                 .push_begin = push_begin,
                                                 .push_chunk = push_chunk,
                                                 .push_commit = push_commit,
                                                 .push_abort = push_abort,
                                                 .catalogs = list_catalogs,
                                                 .catalog = one_catalog,
                                                 .chunk = one_chunk,
                                                 .chunk_of_line = chunk_of_line,
                                                 .errors = list_errors,
                                                 .urls = urls,
                                                 .url_records = url_records,
                                                 .images_by_hash = images_by_hash,
                                                 .image = image,
                                                 .images = images,
                                                 .events = events,
                                                 .totals = totals,
                                                 .services = services,
                                                 .steering = &fake_steering_ops};
