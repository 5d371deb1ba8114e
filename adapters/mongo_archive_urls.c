/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the ledger's records, and the totals of everything. */
#include "mongo_archive.h"
#include "mongo_schema.h"

#include <stdlib.h>
#include <string.h>

enum { URL_RECORDS_MAX = 1000, COUNT_LIMIT = 100000 };

static struct gri_json *record_json(const bson_t *document) {
    static const char *const FIELDS[] = {"_id>key",    "url",       "host",    "pipeline",   "state",   "run",
                                         "attempts",   "images",    "made",    "first",      "shared",  "error",
                                         "created_at", "queued_at", "next_at", "changed_at", "done_at", "history",
                                         "dropped",    "expired",   "renew",   NULL};
    struct gri_json *record = gri_mongo_json_pick(document, FIELDS);
    if (!gri_mongo_has(document, "images")) gri_json_set(record, "images", gri_json_array());
    if (!gri_mongo_has(document, "made")) gri_json_set_bool(record, "made", false);
    static const char *const RARE[] = {"history", "dropped", "expired", "renew"};
    for (size_t i = 0; i < sizeof RARE / sizeof *RARE; i++)
        if (!gri_mongo_has(document, RARE[i])) gri_json_remove(record, RARE[i]);
    if (!gri_mongo_has(document, "shared")) gri_json_set_bool(record, "shared", false);
    return record;
}

/* --- records by key -------------------------------------------------------------------------------------------------- */

struct record_set {
    const char (*keys)[GRI_KEY_MAX];
    struct gri_json **records; /* one a key */
    size_t *order;             /* indexes of keys, sorted by key */
    size_t count;
};

static int compare_order(const void *a, const void *b, void *arg) {
    const struct record_set *set = arg;
    return strcmp(set->keys[*(const size_t *)a], set->keys[*(const size_t *)b]);
}

static bool keep_record(const bson_t *document, void *arg) {
    struct record_set *set = arg;
    const char *key = gri_mongo_text(document, "_id");
    size_t low = 0, high = set->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (strcmp(set->keys[set->order[middle]], key) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    for (; low < set->count && strcmp(set->keys[set->order[low]], key) == 0; low++) {
        gri_json_free(set->records[set->order[low]]);
        set->records[set->order[low]] = record_json(document);
    }
    return true;
}

enum gri_status gri_mongo_get_urls(struct gri_archive *archive, const char (*keys)[GRI_KEY_MAX], size_t count,
                                   struct gri_json **out, struct gri_error *error) {
    struct gri_mongo_session session;
    struct record_set set = {.keys = keys, .count = count};
    enum gri_status status = gri_mongo_archive_open(archive, &session, error);
    if (status != GRI_OK) return status;
    set.records = gri_calloc(count + 1, sizeof(struct gri_json *));
    set.order = gri_calloc(count + 1, sizeof(size_t));
    for (size_t i = 0; i < count; i++)
        set.order[i] = i;
    if (count > 0) {
        qsort_r(set.order, count, sizeof(size_t), compare_order, &set);
        bson_t *filter = bson_new();
        gri_mongo_append_texts(filter, "_id", keys[0], sizeof keys[0], count);
        status = gri_mongo_find(&session, GRI_MONGO_URLS, filter, NULL, keep_record, &set, error);
    }
    struct gri_json *array = status == GRI_OK ? gri_json_array() : NULL;
    for (size_t i = 0; i < count; i++) {
        if (status == GRI_OK) {
            gri_json_append(array, set.records[i] ? set.records[i] : gri_json_null());
        } else {
            gri_json_free(set.records[i]);
        }
    }
    *out = array;
    free(set.records);
    free(set.order);
    return gri_mongo_archive_close(&session, status, error);
}

static bool add_record(const bson_t *document, void *arg) {
    gri_json_append(arg, record_json(document));
    return true;
}

enum gri_status gri_mongo_get_url_records(struct gri_archive *archive, const char *url, struct gri_json **out,
                                          struct gri_error *error) {
    struct gri_mongo_session session;
    enum gri_status status = gri_mongo_archive_open(archive, &session, error);
    if (status != GRI_OK) return status;
    struct gri_json *array = gri_json_array();
    bson_t *opts = BCON_NEW("sort", "{", "_id", BCON_INT32(1), "}", "limit", BCON_INT32(URL_RECORDS_MAX));
    status = gri_mongo_find(&session, GRI_MONGO_URLS, BCON_NEW("url", BCON_UTF8(url)), opts, add_record, array, error);
    if (status == GRI_OK) {
        *out = array;
    } else {
        gri_json_free(array);
    }
    return gri_mongo_archive_close(&session, status, error);
}

/* --- totals ---------------------------------------------------------------------------------------------------------- */

static enum gri_status estimate(const struct gri_mongo_session *session, enum gri_mongo_collection which, int64_t *count,
                                struct gri_error *error) {
    mongoc_collection_t *collection = gri_mongo_open(session, which);
    bson_error_t cause = {0};
    *count = mongoc_collection_estimated_document_count(collection, NULL, NULL, NULL, &cause);
    mongoc_collection_destroy(collection);
    return *count < 0 ? gri_mongo_fail(error, &cause, "totals") : GRI_OK;
}

/* Done is what is left of all: by far the most, and never counted one by one. */
static enum gri_status url_totals(const struct gri_mongo_session *session, struct gri_json *out, struct gri_error *error) {
    static const struct {
        enum gri_url_state state;
        const char *index;
    } STATES[] = {
        {GRI_URL_QUEUED, GRI_INDEX_URLS_QUEUED}, {GRI_URL_WAITING, GRI_INDEX_URLS_WAITING}, {GRI_URL_DEAD, GRI_INDEX_URLS_DEAD}};
    int64_t all = 0, rest = 0;
    struct gri_json *urls = gri_json_object();
    gri_json_set(out, "urls", urls);
    enum gri_status status = GRI_OK;
    for (size_t i = 0; status == GRI_OK && i < sizeof STATES / sizeof *STATES; i++) {
        int64_t count = 0;
        status = gri_mongo_count(session, GRI_MONGO_URLS, gri_mongo_state_filter(STATES[i].state), STATES[i].index, COUNT_LIMIT,
                                 &count, error);
        gri_json_set_int(urls, gri_url_state_name(STATES[i].state), count);
        rest += count;
    }
    if (status == GRI_OK) status = estimate(session, GRI_MONGO_URLS, &all, error);
    gri_json_set_int(urls, "done", all > rest ? all - rest : 0);
    return status;
}

static bool add_state(const bson_t *document, void *arg) {
    gri_json_set_int(arg, gri_mongo_text(document, "_id"), gri_mongo_number(document, "n", 0));
    return true;
}

static enum gri_status catalog_totals(const struct gri_mongo_session *session, struct gri_json *out, struct gri_error *error) {
    struct gri_json *states = gri_json_object();
    gri_json_set(out, "catalogs", states);
    for (int state = GRI_CATALOG_RUNNING; state <= GRI_CATALOG_DELETING; state++) {
        gri_json_set_int(states, gri_catalog_state_name((enum gri_catalog_state)state), 0);
    }
    /* From the index alone. */
    bson_t *pipeline = BCON_NEW("0", "{", "$match", "{", "state", "{", "$gte", "", "}", "}", "}", "1", "{", "$group", "{", "_id",
                                "$state", "n", "{", "$sum", BCON_INT32(1), "}", "}", "}");
    return gri_mongo_aggregate(session, GRI_MONGO_CATALOGS, pipeline, BCON_NEW("hint", GRI_INDEX_CATALOGS_STATE), add_state,
                               states, error);
}

static bool keep_age(const bson_t *document, void *arg) {
    int64_t *age_ms = arg;
    *age_ms = gri_mongo_number(document, "age_ms", 0);
    return false;
}

/* How long the one that has waited longest past its time is overdue. */
static enum gri_status oldest_waiting(const struct gri_mongo_session *session, struct gri_json *out, struct gri_error *error) {
    int64_t age_ms = 0;
    bson_t *filter = gri_mongo_state_filter(GRI_URL_WAITING);
    bson_t *pipeline = BCON_NEW("0", "{", "$match", BCON_DOCUMENT(filter), "}", "1", "{", "$sort", "{", "next_at", BCON_INT32(1),
                                "}", "}", "2", "{", "$limit", BCON_INT32(1), "}", "3", "{", "$project", "{", "age_ms", "{",
                                "$subtract", "[", "$$NOW", "$next_at", "]", "}", "}", "}");
    bson_destroy(filter);
    enum gri_status status = gri_mongo_aggregate(session, GRI_MONGO_URLS, pipeline, BCON_NEW("hint", GRI_INDEX_URLS_WAITING),
                                                 keep_age, &age_ms, error);
    gri_json_set_int(out, "oldest_waiting_ms", age_ms > 0 ? age_ms : 0);
    return status;
}

enum gri_status gri_mongo_get_totals(struct gri_archive *archive, struct gri_json **out, struct gri_error *error) {
    struct gri_mongo_session session;
    int64_t images = 0;
    enum gri_status status = gri_mongo_archive_open(archive, &session, error);
    if (status != GRI_OK) return status;
    struct gri_json *totals = gri_json_object();
    status = url_totals(&session, totals, error);
    if (status == GRI_OK) status = estimate(&session, GRI_MONGO_IMAGES, &images, error);
    gri_json_set_int(totals, "images", images);
    if (status == GRI_OK) status = catalog_totals(&session, totals, error);
    if (status == GRI_OK) status = oldest_waiting(&session, totals, error);
    if (status == GRI_OK) {
        *out = totals;
    } else {
        gri_json_free(totals);
    }
    return gri_mongo_archive_close(&session, status, error);
}
