/* SPDX-License-Identifier: Apache-2.0 */
/* Deriving and caching a catalog's counts. */
#include "mongo_counts.h"

#include "mongo_ledger.h"
#include "mongo_schema.h"

#include <string.h>

enum {
    FRESH_MS = 1000,        /* counts this young are used again, changed or not */
    COST_FACTOR = 20,       /* so are counts younger than that many times what they cost */
    CLOCK_MARGIN_MS = 60000 /* a write may become visible that long after the time it bears (retries, a failover) */
};

enum gri_status gri_mongo_chunks_pending(const struct gri_mongo_session *session, const char *catalog, bool *pending,
                                         struct gri_error *error) {
    int64_t count = 0;
    bson_t *filter = BCON_NEW("catalog", BCON_UTF8(catalog), "admitted", BCON_BOOL(false));
    enum gri_status status = gri_mongo_count(session, GRI_MONGO_CHUNKS, filter, GRI_INDEX_CHUNKS_PENDING, 1, &count, error);
    *pending = count > 0;
    return status;
}

enum gri_status gri_mongo_urls_open(const struct gri_mongo_session *session, const char *catalog, int64_t limit, int64_t *open,
                                    struct gri_error *error) {
    bson_t *filter = BCON_NEW("first.catalog", BCON_UTF8(catalog), "state", "{", "$in", "[", "queued", "waiting", "]", "}");
    return gri_mongo_count(session, GRI_MONGO_URLS, filter, GRI_INDEX_URLS_STATE, limit, open, error);
}

enum gri_status gri_mongo_urls_queued(const struct gri_mongo_session *session, const char *catalog, int64_t limit,
                                      int64_t *queued, struct gri_error *error) {
    bson_t *filter = BCON_NEW("first.catalog", BCON_UTF8(catalog), "state", "queued");
    return gri_mongo_count(session, GRI_MONGO_URLS, filter, GRI_INDEX_URLS_STATE, limit, queued, error);
}

/* URLs of the catalog in that state (NULL: in any), of done ones perhaps only the `made`. One interval of one index is
 * counted at some three million a second, three times what grouping by state does. */
static enum gri_status count_urls(const struct gri_mongo_session *session, const char *catalog, const char *state, bool made,
                                  int64_t *count, struct gri_error *error) {
    bson_t *filter = BCON_NEW("first.catalog", BCON_UTF8(catalog));
    if (state) BSON_APPEND_UTF8(filter, "state", state);
    if (made) BSON_APPEND_BOOL(filter, "made", true);
    return gri_mongo_count(session, GRI_MONGO_URLS, filter, GRI_INDEX_URLS_STATE, 0, count, error);
}

/* The part is counted before the whole, and pending is what is left: so a URL that changes its state meanwhile is never
 * counted twice, and accepted = stored + duplicate_content + dead + pending always holds. */
static enum gri_status count_states(const struct gri_mongo_session *session, const char *catalog, struct gri_mongo_counts *counts,
                                    struct gri_error *error) {
    int64_t done = 0;
    enum gri_status status = count_urls(session, catalog, "done", true, &counts->stored, error);
    if (status == GRI_OK) status = count_urls(session, catalog, "done", false, &done, error);
    if (status == GRI_OK) status = count_urls(session, catalog, "dead", false, &counts->dead, error);
    if (status == GRI_OK) status = count_urls(session, catalog, NULL, false, &counts->accepted, error);
    counts->duplicate_content = done > counts->stored ? done - counts->stored : 0;
    int64_t settled = counts->stored + counts->duplicate_content + counts->dead;
    counts->pending = counts->accepted > settled ? counts->accepted - settled : 0;
    return status;
}

/* What of a finished catalog is under way is being fetched anew: it has its picture, and counts as what it was. */
static enum gri_status count_kept(const struct gri_mongo_session *session, const char *catalog, struct gri_mongo_counts *counts,
                                  struct gri_error *error) {
    int64_t made = 0;
    if (counts->pending == 0) return GRI_OK;
    bson_t *filter = BCON_NEW("first.catalog", BCON_UTF8(catalog), "state", "{", "$in", "[", "queued", "waiting", "]", "}",
                              "made", BCON_BOOL(true));
    enum gri_status status = gri_mongo_count(session, GRI_MONGO_URLS, filter, GRI_INDEX_URLS_STATE, 0, &made, error);
    if (made > counts->pending) made = counts->pending;
    counts->stored += made;
    counts->duplicate_content += counts->pending - made;
    counts->pending = 0;
    return status;
}

/* Of a finished catalog it is a matter of record: another may have asked for the same URLs since. */
static enum gri_status count_refreshed(const struct gri_mongo_session *session, const bson_t *catalog,
                                       struct gri_mongo_counts *counts, struct gri_error *error) {
    counts->refreshes = gri_mongo_number(catalog, "refresh", 0) > 0;
    if (!counts->refreshes) return GRI_OK;
    if (gri_mongo_truth(catalog, "unfinished"))
        return gri_mongo_renewals_count(session, gri_mongo_text(catalog, "_id"), gri_mongo_number(catalog, "refresh", 0),
                                        &counts->refreshed, error);
    gri_mongo_renewed_read(catalog, "counts.refreshed", &counts->refreshed);
    return GRI_OK;
}

enum gri_status gri_mongo_counts_make(const struct gri_mongo_session *session, const bson_t *catalog,
                                      struct gri_mongo_counts *counts, struct gri_error *error) {
    const char *id = gri_mongo_text(catalog, "_id");
    bool chunks_pending = true;
    int64_t started = bson_get_monotonic_time();
    *counts =
        (struct gri_mongo_counts){.lines = gri_mongo_number(catalog, "lines", 0), .blank = gri_mongo_number(catalog, "blank", 0)};
    enum gri_status status = gri_mongo_now(session, &counts->at_ms, error);
    /* Chunks before lines: what is admitted when the chunks are read is there when its lines are counted. */
    if (status == GRI_OK) status = gri_mongo_chunks_pending(session, id, &chunks_pending, error);
    if (status == GRI_OK) {
        status = gri_mongo_count(session, GRI_MONGO_LINE_ERRORS, gri_mongo_line_range(id, 0, 999999999999), "_id_", 0,
                                 &counts->invalid, error);
    }
    if (status == GRI_OK) status = count_states(session, id, counts, error);
    if (status == GRI_OK && !gri_mongo_truth(catalog, "unfinished")) status = count_kept(session, id, counts, error);
    if (status == GRI_OK) status = count_refreshed(session, catalog, counts, error);
    int64_t rest = counts->lines - counts->blank - counts->invalid - counts->accepted;
    counts->duplicate = chunks_pending ? -1 : rest > 0 ? rest : 0;
    counts->took_ms = (bson_get_monotonic_time() - started) / 1000;
    return status;
}

void gri_mongo_counts_append(bson_t *set, const struct gri_mongo_counts *counts) {
    bson_t inner;
    BSON_APPEND_DOCUMENT_BEGIN(set, "counts", &inner);
    BSON_APPEND_INT64(&inner, "lines", counts->lines);
    BSON_APPEND_INT64(&inner, "blank", counts->blank);
    BSON_APPEND_INT64(&inner, "accepted", counts->accepted);
    if (counts->duplicate < 0) {
        BSON_APPEND_NULL(&inner, "duplicate");
    } else {
        BSON_APPEND_INT64(&inner, "duplicate", counts->duplicate);
    }
    BSON_APPEND_INT64(&inner, "invalid", counts->invalid);
    BSON_APPEND_INT64(&inner, "stored", counts->stored);
    BSON_APPEND_INT64(&inner, "duplicate_content", counts->duplicate_content);
    BSON_APPEND_INT64(&inner, "dead", counts->dead);
    BSON_APPEND_INT64(&inner, "pending", counts->pending);
    if (counts->refreshes) gri_mongo_renewed_append(&inner, "refreshed", &counts->refreshed);
    bson_append_document_end(set, &inner);
    BSON_APPEND_DOCUMENT_BEGIN(set, "counted", &inner);
    BSON_APPEND_DATE_TIME(&inner, "at", counts->at_ms);
    BSON_APPEND_INT64(&inner, "ms", counts->took_ms);
    bson_append_document_end(set, &inner);
}

static void read_cached(const bson_t *catalog, struct gri_mongo_counts *counts) {
    *counts = (struct gri_mongo_counts){
        .lines = gri_mongo_number(catalog, "counts.lines", 0),
        .blank = gri_mongo_number(catalog, "counts.blank", 0),
        .accepted = gri_mongo_number(catalog, "counts.accepted", 0),
        .duplicate = gri_mongo_number(catalog, "counts.duplicate", -1),
        .invalid = gri_mongo_number(catalog, "counts.invalid", 0),
        .stored = gri_mongo_number(catalog, "counts.stored", 0),
        .duplicate_content = gri_mongo_number(catalog, "counts.duplicate_content", 0),
        .dead = gri_mongo_number(catalog, "counts.dead", 0),
        .pending = gri_mongo_number(catalog, "counts.pending", 0),
        .at_ms = gri_mongo_number(catalog, "counted.at", 0),
        .took_ms = gri_mongo_number(catalog, "counted.ms", 0),
        .refreshes = gri_mongo_number(catalog, "refresh", 0) > 0,
    };
    gri_mongo_renewed_read(catalog, "counts.refreshed", &counts->refreshed);
}

/* Do the cached counts still hold? */
static enum gri_status is_fresh(const struct gri_mongo_session *session, const bson_t *catalog,
                                const struct gri_mongo_counts *cached, bool *fresh, struct gri_error *error) {
    int64_t now_ms = 0, changed = 0;
    *fresh = false;
    if (cached->at_ms == 0) return GRI_OK;
    enum gri_status status = gri_mongo_now(session, &now_ms, error);
    if (status != GRI_OK) return status;
    int64_t age = now_ms - cached->at_ms;
    *fresh = age >= 0 && (age < FRESH_MS || age < COST_FACTOR * cached->took_ms);
    if (*fresh || gri_mongo_truth(catalog, "unfinished")) return GRI_OK;
    bson_t *filter = BCON_NEW("first.catalog", BCON_UTF8(gri_mongo_text(catalog, "_id")), "changed_at", "{", "$gte",
                              BCON_DATE_TIME(cached->at_ms - CLOCK_MARGIN_MS), "}");
    status = gri_mongo_count(session, GRI_MONGO_URLS, filter, GRI_INDEX_URLS_CHANGED, 1, &changed, error);
    *fresh = changed == 0;
    return status;
}

enum gri_status gri_mongo_counts_get(const struct gri_mongo_session *session, const bson_t *catalog,
                                     struct gri_mongo_counts *counts, struct gri_error *error) {
    bool fresh = false;
    read_cached(catalog, counts);
    enum gri_status status = is_fresh(session, catalog, counts, &fresh, error);
    if (status != GRI_OK || fresh) return status;
    status = gri_mongo_counts_make(session, catalog, counts, error);
    if (status != GRI_OK) return status;
    bson_t *set = bson_new();
    gri_mongo_counts_append(set, counts);
    bson_t *change = BCON_NEW("$set", BCON_DOCUMENT(set));
    bson_destroy(set);
    /* Never over younger ones: a slow reader may come after the final count. */
    bson_t *filter =
        BCON_NEW("_id", BCON_UTF8(gri_mongo_text(catalog, "_id")), "$or", "[", "{", "counted", "{", "$exists", BCON_BOOL(false),
                 "}", "}", "{", "counted.at", "{", "$lt", BCON_DATE_TIME(counts->at_ms), "}", "}", "]");
    return gri_mongo_update_one(session, GRI_MONGO_CATALOGS, filter, change, false, NULL, NULL, error);
}
