/* SPDX-License-Identifier: Apache-2.0 */
/* Perceptual hashes: written beside the images, found by their bands. They stand in a collection of their own, for an image's
 * document holds its picture. */
#include "mongo_phash.h"

#include "mongo_archive.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { BANDS = 4, BAND_BITS = 16, CANDIDATES_MAX = 100000, SIMILAR_MAX = 1000 };

/* A band's value bears its number, so that one index holds all four. */
static int32_t band_of(uint64_t hash, int band) {
    return (int32_t)((hash >> (band * BAND_BITS)) & 0xffff) | (int32_t)(band << BAND_BITS);
}

void gri_mongo_write_phashes(const struct gri_mongo_session *session, const struct gri_store_insert *request) {
    struct gri_mongo_bulk bulk;
    struct gri_error ignored;
    gri_mongo_bulk_begin(&bulk, session, GRI_MONGO_PHASHES, true, "phashes");
    for (size_t i = 0; i < request->count; i++) {
        const struct gri_image *image = request->items[i].image;
        if (!image->phash[0]) continue;
        uint64_t hash = strtoull(image->phash, NULL, 16);
        bson_t *change =
            BCON_NEW("$set", "{", "hash", BCON_UTF8(image->phash), "bands", "[", BCON_INT32(band_of(hash, 0)),
                     BCON_INT32(band_of(hash, 1)), BCON_INT32(band_of(hash, 2)), BCON_INT32(band_of(hash, 3)), "]", "}");
        gri_mongo_bulk_update(&bulk, BCON_NEW("_id", BCON_UTF8(image->id)), change, true);
    }
    (void)!gri_mongo_bulk_execute(&bulk, &ignored); /* a picture that is not found by its likeness is still stored */
    gri_mongo_bulk_clear(&bulk);
}

/* --- search ----------------------------------------------------------------------------------------------------------------- */

static void append_value(bson_t *values, uint32_t *count, int32_t value) {
    char buffer[16];
    const char *position;
    bson_uint32_to_string((*count)++, &position, buffer, sizeof buffer);
    BSON_APPEND_INT32(values, position, value);
}

/* Every band with up to `radius` of its bits turned, `from` and above. */
static void append_neighbours(bson_t *values, uint32_t *count, int32_t value, int from, int radius) {
    append_value(values, count, value);
    for (int bit = from; radius > 0 && bit < BAND_BITS; bit++)
        append_neighbours(values, count, value ^ (1 << bit), bit + 1, radius - 1);
}

struct candidate {
    char id[GRI_IMAGE_ID_MAX];
    int distance;
};

struct search {
    uint64_t hash;
    int within;
    struct candidate *found;
    size_t count;
    int64_t looked;
};

static bool consider(const bson_t *document, void *arg) {
    struct search *search = arg;
    uint64_t other = strtoull(gri_mongo_text(document, "hash"), NULL, 16);
    int distance = __builtin_popcountll(search->hash ^ other);
    search->looked++;
    if (distance > search->within) return true;
    (void)gri_copy(search->found[search->count].id, GRI_IMAGE_ID_MAX, gri_mongo_text(document, "_id"));
    search->found[search->count++].distance = distance;
    return search->count < SIMILAR_MAX;
}

static int by_distance(const void *a, const void *b) {
    const struct candidate *x = a, *y = b;
    return x->distance != y->distance ? x->distance - y->distance : strcmp(x->id, y->id);
}

static enum gri_status find_candidates(const struct gri_mongo_session *session, struct search *search, struct gri_error *error) {
    bson_t values = BSON_INITIALIZER;
    uint32_t count = 0;
    for (int band = 0; band < BANDS; band++)
        append_neighbours(&values, &count, band_of(search->hash, band), 0, search->within / BANDS);
    bson_t *filter = BCON_NEW("bands", "{", "$in", BCON_ARRAY(&values), "}");
    bson_destroy(&values);
    bson_t *opts = BCON_NEW("projection", "{", "hash", BCON_INT32(1), "}", "hint", "bands", "limit", BCON_INT32(CANDIDATES_MAX));
    return gri_mongo_find(session, GRI_MONGO_PHASHES, filter, opts, consider, search, error);
}

struct shown {
    const struct search *search;
    struct gri_json **images;
};

static bool take_image(const bson_t *document, void *arg) {
    struct shown *shown = arg;
    const char *id = gri_mongo_text(document, "_id");
    for (size_t i = 0; i < shown->search->count; i++) {
        if (shown->images[i] || strcmp(shown->search->found[i].id, id) != 0) continue;
        shown->images[i] = gri_mongo_image_json(document);
        gri_json_set_int(shown->images[i], "distance", shown->search->found[i].distance);
    }
    return true;
}

/* The images as they are now: those deleted or taken down since are left out. */
static enum gri_status load_images(const struct gri_mongo_session *session, struct search *search, size_t limit,
                                   struct gri_json *out, struct gri_error *error) {
    if (search->count > limit) search->count = limit;
    if (search->count == 0) return GRI_OK;
    struct shown shown = {.search = search, .images = gri_calloc(search->count, sizeof(struct gri_json *))};
    bson_t *filter = BCON_NEW("removed", "{", "$ne", BCON_BOOL(true), "}", "inserted_at", "{", "$exists", BCON_BOOL(true), "}");
    gri_mongo_append_texts(filter, "_id", search->found[0].id, sizeof search->found[0], search->count);
    enum gri_status status =
        gri_mongo_find(session, GRI_MONGO_IMAGES, filter, BCON_NEW("projection", "{", "data", BCON_INT32(0), "}", "hint", "_id_"),
                       take_image, &shown, error);
    for (size_t i = 0; i < search->count; i++)
        if (shown.images[i]) gri_json_append(out, shown.images[i]);
    free(shown.images);
    return status;
}

enum gri_status gri_mongo_find_similar(struct gri_archive *archive, const char *phash, int within, int64_t limit,
                                       struct gri_json **out, struct gri_error *error) {
    struct gri_mongo_session session;
    struct search search = {.hash = strtoull(phash, NULL, 16), .within = within};
    enum gri_status status = gri_mongo_archive_open(archive, &session, error);
    if (status != GRI_OK) return status;
    search.found = gri_calloc(SIMILAR_MAX, sizeof *search.found);
    struct gri_json *images = gri_json_array();
    status = find_candidates(&session, &search, error);
    if (search.count) qsort(search.found, search.count, sizeof *search.found, by_distance);
    if (status == GRI_OK) status = load_images(&session, &search, (size_t)limit, images, error);
    free(search.found);
    if (status == GRI_OK) {
        *out = images;
    } else {
        gri_json_free(images);
    }
    return gri_mongo_archive_close(&session, status, error);
}
