/* SPDX-License-Identifier: Apache-2.0 */
/* Reading catalogs: with their counts, their raw chunks, their rejected lines. */
#include "mongo_archive.h"
#include "mongo_counts.h"
#include "mongo_ledger.h"
#include "mongo_schema.h"

#include <stdlib.h>
#include <string.h>

/* --- catalogs -------------------------------------------------------------------------------------------------------- */

struct gri_json *gri_mongo_renewed_json(const struct gri_mongo_renewed *counts) {
    struct gri_json *json = gri_json_object();
    gri_json_set_int(json, "unchanged", counts->unchanged);
    gri_json_set_int(json, "changed", counts->changed);
    gri_json_set_int(json, "failed", counts->failed);
    gri_json_set_int(json, "pending", counts->pending);
    return json;
}

static struct gri_json *counts_json(const struct gri_mongo_counts *counts) {
    struct gri_json *json = gri_json_object();
    gri_json_set_int(json, "lines", counts->lines);
    gri_json_set_int(json, "blank", counts->blank);
    gri_json_set_int(json, "accepted", counts->accepted);
    if (counts->duplicate < 0) {
        gri_json_set_null(json, "duplicate");
    } else {
        gri_json_set_int(json, "duplicate", counts->duplicate);
    }
    gri_json_set_int(json, "invalid", counts->invalid);
    gri_json_set_int(json, "stored", counts->stored);
    gri_json_set_int(json, "duplicate_content", counts->duplicate_content);
    gri_json_set_int(json, "dead", counts->dead);
    gri_json_set_int(json, "pending", counts->pending);
    if (counts->refreshes) gri_json_set(json, "refreshed", gri_mongo_renewed_json(&counts->refreshed));
    return json;
}

enum gri_status gri_mongo_catalog_json(const struct gri_mongo_session *session, const bson_t *document, struct gri_json **out,
                                       struct gri_error *error) {
    static const char *const FIELDS[] = {"_id>id",     "name",   "sha256",     "bytes",       "lines",
                                         "blank",      "chunks", "pipeline",   "rules",       "by",
                                         "retry_dead", "state",  "created_at", "finished_at", NULL};
    struct gri_mongo_counts counts;
    enum gri_status status = gri_mongo_counts_get(session, document, &counts, error);
    if (status != GRI_OK) return status;
    *out = gri_mongo_json_pick(document, FIELDS);
    gri_json_set(*out, "counts", counts_json(&counts));
    bson_iter_t notice, tags;
    if (bson_iter_init_find(&tags, document, "tags")) gri_json_set(*out, "tags", gri_mongo_json_value(&tags));
    if (bson_iter_init_find(&notice, document, "notice")) gri_json_set(*out, "notice", gri_mongo_json_value(&notice));
    return GRI_OK;
}

struct catalog_list {
    bson_t **documents;
    size_t count, limit;
};

static bool keep_document(const bson_t *document, void *arg) {
    struct catalog_list *list = arg;
    if (list->count == list->limit) return false;
    list->documents[list->count++] = bson_copy(document);
    return true;
}

static enum gri_status read_catalogs(const struct gri_mongo_session *session, const struct gri_filter *filter,
                                     struct catalog_list *list, struct gri_error *error) {
    struct gri_mongo_place place;
    bool given = false;
    enum gri_status status = gri_mongo_place_parse(filter->cursor, &place, &given, error);
    if (status != GRI_OK) return status;
    bson_t *query = bson_new();
    gri_mongo_append_place(query, "created_at", given ? &place : NULL, filter, false);
    if (filter->state) {
        BSON_APPEND_UTF8(query, "state", filter->state);
    } else { /* what is left of a push that never came to its end is no catalog to anyone */
        bson_t *other = BCON_NEW("$ne", "abandoned");
        BSON_APPEND_DOCUMENT(query, "state", other);
        bson_destroy(other);
    }
    bson_t *opts = BCON_NEW("sort", "{", "created_at", BCON_INT32(-1), "_id", BCON_INT32(-1), "}", "limit",
                            BCON_INT64((int64_t)list->limit));
    return gri_mongo_find(session, GRI_MONGO_CATALOGS, query, opts, keep_document, list, error);
}

/* One more than the page shows: where it is there, a next page is. */
enum gri_status gri_mongo_list_catalogs(struct gri_archive *archive, const struct gri_filter *filter, struct gri_json **out,
                                        struct gri_error *error) {
    struct gri_mongo_session session;
    struct catalog_list list = {.limit = (size_t)gri_mongo_limit(filter) + 1};
    char cursor[GRI_IMAGE_ID_MAX + 32] = "";
    enum gri_status status = gri_mongo_archive_open(archive, &session, error);
    if (status != GRI_OK) return status;
    struct gri_json *items = gri_json_array();
    list.documents = gri_calloc(list.limit, sizeof(bson_t *));
    status = read_catalogs(&session, filter, &list, error);
    size_t shown = list.count < list.limit ? list.count : list.limit - 1;
    for (size_t i = 0; status == GRI_OK && i < shown; i++) {
        struct gri_json *item = NULL;
        status = gri_mongo_catalog_json(&session, list.documents[i], &item, error);
        if (status == GRI_OK) gri_json_append(items, item);
    }
    if (status == GRI_OK && shown < list.count) {
        struct gri_mongo_place last = {.ms = gri_mongo_number(list.documents[shown - 1], "created_at", 0)};
        (void)gri_copy(last.id, sizeof last.id, gri_mongo_text(list.documents[shown - 1], "_id"));
        gri_mongo_place_print(&last, cursor, sizeof cursor);
    }
    for (size_t i = 0; i < list.count; i++)
        bson_destroy(list.documents[i]);
    free(list.documents);
    if (status == GRI_OK) {
        *out = gri_mongo_json_page("catalogs", items, cursor);
    } else {
        gri_json_free(items);
    }
    return gri_mongo_archive_close(&session, status, error);
}

static enum gri_status read_catalog(const struct gri_mongo_session *session, const char *id, bson_t **found,
                                    struct gri_error *error) {
    enum gri_status status = gri_mongo_find_one(session, GRI_MONGO_CATALOGS, BCON_NEW("_id", BCON_UTF8(id)), NULL, found, error);
    if (status == GRI_OK && !*found) return gri_fail(error, GRI_R_not_found, "no catalog %s", id);
    return status;
}

enum gri_status gri_mongo_get_catalog(struct gri_archive *archive, const char *id, struct gri_json **out,
                                      struct gri_error *error) {
    struct gri_mongo_session session;
    bson_t *found = NULL;
    enum gri_status status = gri_mongo_archive_open(archive, &session, error);
    if (status != GRI_OK) return status;
    status = read_catalog(&session, id, &found, error);
    if (status == GRI_OK) status = gri_mongo_catalog_json(&session, found, out, error);
    bson_destroy(found);
    return gri_mongo_archive_close(&session, status, error);
}

/* --- chunks ---------------------------------------------------------------------------------------------------------- */

enum gri_status gri_mongo_get_chunk(struct gri_archive *archive, const char *catalog, int64_t number,
                                    struct gri_push_chunk *chunk, struct gri_bytes *text, struct gri_error *error) {
    struct gri_mongo_session session;
    char id[GRI_MONGO_CHUNK_ID_MAX];
    bson_t *found = NULL;
    gri_mongo_chunk_id(id, catalog, number);
    enum gri_status status = gri_mongo_archive_open(archive, &session, error);
    if (status != GRI_OK) return status;
    status = gri_mongo_find_one(&session, GRI_MONGO_CHUNKS, BCON_NEW("_id", BCON_UTF8(id)), NULL, &found, error);
    if (status == GRI_OK && !found)
        status = gri_fail(error, GRI_R_not_found, "catalog %s has no chunk %lld", catalog, (long long)number);
    if (status == GRI_OK) {
        struct gri_slice bytes = gri_mongo_bytes(found, "text");
        *chunk = (struct gri_push_chunk){.number = gri_mongo_number(found, "number", 0),
                                         .first_line = gri_mongo_number(found, "first_line", 0),
                                         .lines = gri_mongo_number(found, "lines", 0),
                                         .continued = gri_mongo_truth(found, "continued")};
        status = gri_bytes_append(text, bytes.data, bytes.len, error);
    }
    bson_destroy(found);
    return gri_mongo_archive_close(&session, status, error);
}

enum gri_status gri_mongo_find_line(struct gri_archive *archive, const char *catalog, int64_t line, int64_t *number,
                                    struct gri_error *error) {
    struct gri_mongo_session session;
    bson_t *found = NULL;
    enum gri_status status = gri_mongo_archive_open(archive, &session, error);
    if (status != GRI_OK) return status;
    bson_t *filter = BCON_NEW("catalog", BCON_UTF8(catalog), "first_line", "{", "$lte", BCON_INT64(line), "}", "lines", "{",
                              "$gt", BCON_INT32(0), "}");
    bson_t *opts =
        BCON_NEW("projection", "{", "_id", BCON_INT32(0), "number", BCON_INT32(1), "first_line", BCON_INT32(1), "lines",
                 BCON_INT32(1), "}", "sort", "{", "first_line", BCON_INT32(-1), "}", "hint", GRI_INDEX_CHUNKS_LINES);
    status = gri_mongo_find_one(&session, GRI_MONGO_CHUNKS, filter, opts, &found, error);
    if (status == GRI_OK) {
        bool inside = found && line < gri_mongo_number(found, "first_line", 0) + gri_mongo_number(found, "lines", 0);
        if (inside) {
            *number = gri_mongo_number(found, "number", 0);
        } else {
            status = gri_fail(error, GRI_R_not_found, "catalog %s has no line %lld", catalog, (long long)line);
        }
    }
    bson_destroy(found);
    return gri_mongo_archive_close(&session, status, error);
}

/* --- rejected lines -------------------------------------------------------------------------------------------------- */

struct error_list {
    struct gri_json *items;
    int64_t limit, count, last_line;
    bool more;
};

static bool add_error(const bson_t *document, void *arg) {
    static const char *const FIELDS[] = {"line", "text", "reason", "detail", NULL};
    struct error_list *list = arg;
    if (list->count == list->limit) {
        list->more = true;
        return false;
    }
    list->count++;
    list->last_line = gri_mongo_number(document, "line", 0);
    gri_json_append(list->items, gri_mongo_json_pick(document, FIELDS));
    return true;
}

/* The cursor is the number of the last line shown. */
static enum gri_status error_filter(const char *catalog, const struct gri_filter *filter, bson_t **query,
                                    struct gri_error *error) {
    int64_t after = 0;
    char *end = NULL;
    if (filter->cursor && filter->cursor[0]) {
        after = strtoll(filter->cursor, &end, 10);
        if (*end || after < 0 || after >= INT64_MAX)
            return gri_fail(error, GRI_R_bad_request, "cursor: not one that an earlier page gave");
    }
    *query = gri_mongo_line_range(catalog, after + 1, 999999999999);
    if (filter->reason) BSON_APPEND_UTF8(*query, "reason", filter->reason);
    return GRI_OK;
}

enum gri_status gri_mongo_list_errors(struct gri_archive *archive, const char *catalog, const struct gri_filter *filter,
                                      struct gri_json **out, struct gri_error *error) {
    struct gri_mongo_session session;
    struct error_list list = {.limit = gri_mongo_limit(filter)};
    bson_t *found = NULL, *query = NULL;
    char cursor[24] = "";
    enum gri_status status = error_filter(catalog, filter, &query, error);
    if (status != GRI_OK) return status;
    status = gri_mongo_archive_open(archive, &session, error);
    if (status != GRI_OK) {
        bson_destroy(query);
        return status;
    }
    list.items = gri_json_array();
    status = read_catalog(&session, catalog, &found, error);
    if (status == GRI_OK) {
        bson_t *opts = BCON_NEW("sort", "{", "_id", BCON_INT32(1), "}", "limit", BCON_INT64(list.limit + 1));
        status = gri_mongo_find(&session, GRI_MONGO_LINE_ERRORS, query, opts, add_error, &list, error);
    } else {
        bson_destroy(query);
    }
    if (list.more) (void)gri_format(cursor, sizeof cursor, "%lld", (long long)list.last_line);
    if (status == GRI_OK) {
        *out = gri_mongo_json_page("errors", list.items, cursor);
    } else {
        gri_json_free(list.items);
    }
    bson_destroy(found);
    return gri_mongo_archive_close(&session, status, error);
}
