/* SPDX-License-Identifier: Apache-2.0 */
/* Reading images: by any of their hashes, one with its text, and lists. */
#include "mongo_archive.h"

#include <stdlib.h>
#include <string.h>

enum { IMAGE_URLS_MAX = 1000, IMAGES_BY_HASH_MAX = 1000, IMAGES_BY_PREFIX_MAX = 20 };

struct gri_json *gri_mongo_image_json(const bson_t *document) {
    static const char *const FIELDS[] = {"_id>id",     "content_type", "width",    "height",  "bytes",   "source",  "sums",
                                         "fetched_at", "inserted_at",  "pipeline", "output",  "job",     "made_by", "note",
                                         "facts",      "phash",        "removed",  "removal", "corrupt", NULL};
    struct gri_json *image = gri_mongo_json_pick(document, FIELDS);
    static const char *const RARE[] = {"facts", "phash", "removal"};
    for (size_t i = 0; i < sizeof RARE / sizeof *RARE; i++)
        if (!gri_mongo_has(document, RARE[i])) gri_json_remove(image, RARE[i]);
    if (!gri_mongo_has(document, "removed")) gri_json_remove(image, "removed");
    if (!gri_mongo_has(document, "corrupt")) gri_json_remove(image, "corrupt");
    return image;
}

static bson_t *without_data(int64_t limit) {
    return BCON_NEW("projection", "{", "data", BCON_INT32(0), "}", "limit", BCON_INT64(limit));
}

/* --- by hash --------------------------------------------------------------------------------------------------------- */

static bool add_image(const bson_t *document, void *arg) {
    gri_json_append(arg, gri_mongo_image_json(document));
    return true;
}

struct url_list {
    struct gri_json *items;
    int64_t count;
    bool more;
};

static bool add_url(const bson_t *document, void *arg) {
    static const char *const FIELDS[] = {"_id>key", "url", "first", "made", "created_at", "done_at", NULL};
    struct url_list *list = arg;
    if (list->count == IMAGE_URLS_MAX) {
        list->more = true;
        return false;
    }
    list->count++;
    gri_json_append(list->items, gri_mongo_json_pick(document, FIELDS));
    return true;
}

/* The image again, with its "urls". */
static enum gri_status with_urls(const struct gri_mongo_session *session, const struct gri_json *image, struct gri_json **out,
                                 struct gri_error *error) {
    struct url_list list = {.items = gri_json_array()};
    bson_t *filter = BCON_NEW("images", BCON_UTF8(gri_json_str(image, "id", "")));
    enum gri_status status =
        gri_mongo_find(session, GRI_MONGO_URLS, filter, BCON_NEW("limit", BCON_INT32(IMAGE_URLS_MAX + 1)), add_url, &list, error);
    if (status != GRI_OK) {
        gri_json_free(list.items);
        return status;
    }
    *out = gri_json_copy(image);
    gri_json_set(*out, "urls", list.items);
    if (list.more) gri_json_set_bool(*out, "urls_more", true);
    return GRI_OK;
}

/* One of the three sums is it, or begins with it. */
static bson_t *hash_filter(const char *sha256) {
    char end[GRI_SHA256_HEX + 1];
    if (strlen(sha256) == 64)
        return BCON_NEW("$or", "[", "{", "sums.source", BCON_UTF8(sha256), "}", "{", "sums.output", BCON_UTF8(sha256), "}", "{",
                        "sums.base64", BCON_UTF8(sha256), "}", "]");
    (void)gri_format(end, sizeof end, "%sg", sha256); /* behind every hex digit */
    bson_t *range = BCON_NEW("$gte", BCON_UTF8(sha256), "$lt", BCON_UTF8(end));
    bson_t *filter = BCON_NEW("$or", "[", "{", "sums.source", BCON_DOCUMENT(range), "}", "{", "sums.output", BCON_DOCUMENT(range),
                              "}", "{", "sums.base64", BCON_DOCUMENT(range), "}", "]");
    bson_destroy(range);
    return filter;
}

enum gri_status gri_mongo_get_images_by_hash(struct gri_archive *archive, const char *sha256, struct gri_json **out,
                                             struct gri_error *error) {
    struct gri_mongo_session session;
    enum gri_status status = gri_mongo_archive_open(archive, &session, error);
    if (status != GRI_OK) return status;
    struct gri_json *images = gri_json_array(), *array = gri_json_array();
    status =
        gri_mongo_find(&session, GRI_MONGO_IMAGES, hash_filter(sha256),
                       without_data(strlen(sha256) == 64 ? IMAGES_BY_HASH_MAX : IMAGES_BY_PREFIX_MAX), add_image, images, error);
    for (size_t i = 0; status == GRI_OK && i < gri_json_count(images); i++) {
        struct gri_json *image = NULL;
        status = with_urls(&session, gri_json_at(images, i), &image, error);
        if (status == GRI_OK) gri_json_append(array, image);
    }
    gri_json_free(images);
    if (status == GRI_OK) {
        *out = array;
    } else {
        gri_json_free(array);
    }
    return gri_mongo_archive_close(&session, status, error);
}

/* --- one ------------------------------------------------------------------------------------------------------------- */

enum gri_status gri_mongo_get_image(struct gri_archive *archive, const char *id, struct gri_json **meta, struct gri_bytes *base64,
                                    struct gri_error *error) {
    struct gri_mongo_session session;
    bson_t *found = NULL;
    enum gri_status status = gri_mongo_archive_open(archive, &session, error);
    if (status != GRI_OK) return status;
    status = gri_mongo_find_one(&session, GRI_MONGO_IMAGES, BCON_NEW("_id", BCON_UTF8(id)), NULL, &found, error);
    if (status == GRI_OK && !found) status = gri_fail(error, GRI_R_not_found, "no image %s", id);
    if (status == GRI_OK) {
        struct gri_slice data = gri_mongo_bytes(found, "data");
        status = gri_bytes_append(base64, data.data, data.len, error);
    }
    if (status == GRI_OK) *meta = gri_mongo_image_json(found);
    bson_destroy(found);
    return gri_mongo_archive_close(&session, status, error);
}

/* --- lists ----------------------------------------------------------------------------------------------------------- */

/* A page that is being filled: the images, and where the next page begins. */
struct page {
    struct gri_json *items;
    int64_t limit, count;
    struct gri_mongo_place last;
    bool more;
};

static bool add_listed(const bson_t *document, void *arg) {
    struct page *page = arg;
    if (page->count == page->limit) {
        page->more = true;
        return false;
    }
    page->count++;
    page->last.ms = gri_mongo_number(document, "inserted_at", 0);
    (void)gri_copy(page->last.id, sizeof page->last.id, gri_mongo_text(document, "_id"));
    gri_json_append(page->items, gri_mongo_image_json(document));
    return true;
}

static void append_choice(bson_t *query, const struct gri_filter *filter) {
    if (filter->host) BSON_APPEND_UTF8(query, "source.host", filter->host);
    if (filter->output) BSON_APPEND_UTF8(query, "output", filter->output);
}

static enum gri_status list_all(const struct gri_mongo_session *session, const struct gri_filter *filter,
                                const struct gri_mongo_place *place, struct page *page, struct gri_error *error) {
    bson_t *query = bson_new();
    append_choice(query, filter);
    struct gri_filter range = *filter;
    if (!range.since_ms) range.since_ms = 1; /* what has no date is no image any more */
    gri_mongo_append_place(query, "inserted_at", place, &range, false);
    bson_t *opts = without_data(page->limit + 1);
    BCON_APPEND(opts, "sort", "{", "inserted_at", BCON_INT32(-1), "_id", BCON_INT32(-1), "}");
    return gri_mongo_find(session, GRI_MONGO_IMAGES, query, opts, add_listed, page, error);
}

/* What a catalog's URLs link, by when the URL was finished. */
struct linked {
    struct page *page;
    char (*ids)[GRI_IMAGE_ID_MAX]; /* distinct; grows with the page, whose URLs may link several each */
    size_t count, cap;
    struct gri_json **images; /* one an id, NULL where the filter leaves it out */
};

static void add_linked(struct linked *linked, const char *id) {
    for (size_t i = 0; i < linked->count; i++) {
        if (strcmp(linked->ids[i], id) == 0) return;
    }
    if (linked->count == linked->cap) {
        size_t cap = linked->cap * 2;
        char(*larger)[GRI_IMAGE_ID_MAX] = gri_calloc(cap, sizeof *larger);
        memcpy(larger, linked->ids, linked->count * sizeof *larger);
        free(linked->ids);
        linked->ids = larger;
        linked->cap = cap;
    }
    if (gri_copy(linked->ids[linked->count], sizeof *linked->ids, id)) linked->count++;
}

static bool take_links(const bson_t *document, void *arg) {
    struct linked *linked = arg;
    struct page *page = linked->page;
    bson_iter_t at, items;
    /* What one URL links stands on one page. */
    if (page->count == page->limit || linked->count >= (size_t)page->limit) {
        page->more = true;
        return false;
    }
    page->count++;
    page->last.ms = gri_mongo_number(document, "changed_at", 0);
    (void)gri_copy(page->last.id, sizeof page->last.id, gri_mongo_text(document, "_id"));
    if (!bson_iter_init_find(&at, document, "images") || !BSON_ITER_HOLDS_ARRAY(&at) || !bson_iter_recurse(&at, &items))
        return true;
    while (bson_iter_next(&items)) {
        if (BSON_ITER_HOLDS_UTF8(&items)) add_linked(linked, bson_iter_utf8(&items, NULL));
    }
    return true;
}

static bool keep_image(const bson_t *document, void *arg) {
    struct linked *linked = arg;
    const char *id = gri_mongo_text(document, "_id");
    for (size_t i = 0; i < linked->count; i++) {
        if (!linked->images[i] && strcmp(linked->ids[i], id) == 0) linked->images[i] = gri_mongo_image_json(document);
    }
    return true;
}

static enum gri_status read_linked(const struct gri_mongo_session *session, const struct gri_filter *filter,
                                   struct linked *linked, struct gri_error *error) {
    if (linked->count == 0) return GRI_OK;
    bson_t *query = bson_new();
    gri_mongo_append_texts(query, "_id", linked->ids[0], sizeof linked->ids[0], linked->count);
    append_choice(query, filter);
    struct gri_filter range = *filter;
    if (!range.since_ms) range.since_ms = 1;
    gri_mongo_append_place(query, "inserted_at", NULL, &range, false);
    return gri_mongo_find(session, GRI_MONGO_IMAGES, query, without_data((int64_t)linked->count), keep_image, linked, error);
}

/* A page holds the images of `limit` URLs at most, and ends behind the URL that brings it to `limit` images: fewer where several
 * URLs link one image or the filter leaves some out. An image that URLs on different pages link stands on each of these pages. */
static enum gri_status list_catalog(const struct gri_mongo_session *session, const struct gri_filter *filter,
                                    const struct gri_mongo_place *place, struct page *page, struct gri_error *error) {
    struct gri_filter open = {0};
    struct linked linked = {.page = page, .cap = (size_t)page->limit * 2};
    linked.ids = gri_calloc(linked.cap, sizeof *linked.ids);
    bson_t *query = BCON_NEW("first.catalog", BCON_UTF8(filter->catalog), "state", "done");
    gri_mongo_append_place(query, "changed_at", place, &open, false);
    bson_t *opts = BCON_NEW("projection", "{", "images", BCON_INT32(1), "changed_at", BCON_INT32(1), "}", "sort", "{",
                            "changed_at", BCON_INT32(-1), "_id", BCON_INT32(-1), "}", "limit", BCON_INT64(page->limit + 1));
    enum gri_status status = gri_mongo_find(session, GRI_MONGO_URLS, query, opts, take_links, &linked, error);
    linked.images = gri_calloc(linked.count + 1, sizeof *linked.images);
    if (status == GRI_OK) status = read_linked(session, filter, &linked, error);
    for (size_t i = 0; i < linked.count; i++) {
        if (status == GRI_OK && linked.images[i]) {
            gri_json_append(page->items, linked.images[i]);
        } else {
            gri_json_free(linked.images[i]);
        }
    }
    free(linked.images);
    free(linked.ids);
    return status;
}

enum gri_status gri_mongo_list_images(struct gri_archive *archive, const struct gri_filter *filter, struct gri_json **out,
                                      struct gri_error *error) {
    struct gri_mongo_session session;
    struct gri_mongo_place place;
    bool given = false;
    char cursor[GRI_IMAGE_ID_MAX + 32] = "";
    enum gri_status status = gri_mongo_place_parse(filter->cursor, &place, &given, error);
    if (status == GRI_OK) status = gri_mongo_archive_open(archive, &session, error);
    if (status != GRI_OK) return status;
    struct page page = {.items = gri_json_array(), .limit = gri_mongo_limit(filter)};
    status = filter->catalog ? list_catalog(&session, filter, given ? &place : NULL, &page, error)
                             : list_all(&session, filter, given ? &place : NULL, &page, error);
    if (page.more) gri_mongo_place_print(&page.last, cursor, sizeof cursor);
    if (status == GRI_OK) {
        *out = gri_mongo_json_page("images", page.items, cursor);
    } else {
        gri_json_free(page.items);
    }
    return gri_mongo_archive_close(&session, status, error);
}
