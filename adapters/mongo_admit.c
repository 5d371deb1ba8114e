/* SPDX-License-Identifier: Apache-2.0 */
/* Admission of URLs to the ledger: the one place where a URL is new or known.
 *
 * The upserts are plain $setOnInsert, with the server's time asked for once a bulk: measured against update pipelines with
 * $$NOW they are a fifth faster for new keys and a quarter for known ones, and the time is the server's all the same (early
 * by one round trip, which only makes a job due for the sweeper that much sooner). */
#include "mongo_ledger.h"
#include "mongo_renewal.h"

#include <grisaille/crash_point.h>
#include <stdlib.h>
#include <string.h>

/* One known URL as the ledger has it. */
struct known {
    const char *key; /* the request's */
    size_t index;
    int64_t run; /* the dead run to revive, the done one to renew, or 0 */
    bool renew;
    bool seen; /* by the last reading */
};

struct admission {
    struct gri_ledger_admit *request;
    struct known *known; /* sorted by key */
    size_t known_count, seen;
    bool *refused; /* one a URL: its upsert met a duplicate key */
    bool share;    /* a known one's `first` is elsewhere */
    size_t dead;   /* to be revived */
};

static bson_t *insert_change(const struct gri_ledger_admit *request, const struct gri_admit *url, int64_t now_ms) {
    bson_t *change = bson_new();
    bson_t set, first;
    BSON_APPEND_DOCUMENT_BEGIN(change, "$setOnInsert", &set);
    gri_mongo_append_text(&set, "url", url->job.url);
    gri_mongo_append_text(&set, "host", url->host);
    BSON_APPEND_UTF8(&set, "pipeline", url->job.pipeline);
    BSON_APPEND_UTF8(&set, "state", gri_url_state_name(GRI_URL_QUEUED));
    BSON_APPEND_INT64(&set, "run", 1);
    BSON_APPEND_INT32(&set, "attempts", 0);
    BSON_APPEND_DATE_TIME(&set, "created_at", now_ms);
    BSON_APPEND_DATE_TIME(&set, "queued_at", now_ms);
    BSON_APPEND_DATE_TIME(&set, "changed_at", now_ms);
    if (request->catalog) {
        BSON_APPEND_DOCUMENT_BEGIN(&set, "first", &first);
        BSON_APPEND_UTF8(&first, "catalog", request->catalog);
        BSON_APPEND_INT64(&first, "line", url->line);
        bson_append_document_end(&set, &first);
    }
    bson_append_document_end(change, &set);
    return change;
}

static void mark_admitted(size_t index, void *arg) {
    struct gri_ledger_admit *request = arg;
    request->results[index] = GRI_ADMITTED;
    request->runs[index] = 1;
}

/* A duplicate key is either a race with another scheduler for the same URL, or a line that has its record under another
 * key already: known, both. */
static void mark_refused(size_t index, int64_t code, const char *message, void *arg) {
    bool *refused = arg;
    (void)code, (void)message;
    refused[index] = true;
}

static enum gri_status upsert_all(const struct gri_mongo_session *session, struct gri_ledger_admit *request, bool *refused) {
    struct gri_mongo_bulk bulk;
    int64_t now_ms = 0;
    enum gri_status status = gri_mongo_now(session, &now_ms, &request->op.error);
    if (status != GRI_OK) return status;
    gri_mongo_bulk_begin(&bulk, session, GRI_MONGO_URLS, false, "admit");
    for (size_t i = 0; i < request->count; i++) {
        request->results[i] = GRI_KNOWN;
        request->runs[i] = 0;
        gri_mongo_bulk_update(&bulk, BCON_NEW("_id", BCON_UTF8(request->urls[i].job.key)),
                              insert_change(request, &request->urls[i], now_ms), true);
    }
    GRI_CRASH_POINT(admit_before);
    status = gri_mongo_bulk_execute(&bulk, &request->op.error);
    GRI_CRASH_POINT(admit_after);
    if (status == GRI_OK) status = gri_mongo_bulk_refusal(&bulk, &request->op.error);
    if (status == GRI_OK) gri_mongo_bulk_upserted(&bulk, mark_admitted, request);
    if (status == GRI_OK) gri_mongo_bulk_refused(&bulk, mark_refused, refused);
    gri_mongo_bulk_clear(&bulk);
    return status;
}

static int compare_known(const void *a, const void *b) {
    const struct known *x = a, *y = b;
    int order = strcmp(x->key, y->key);
    return order ? order : (x->index > y->index) - (x->index < y->index);
}

static int compare_key(const void *key, const void *item) {
    return strcmp(key, ((const struct known *)item)->key);
}

/* Keys known to the ledger before this call, each once. */
static void collect_known(struct admission *admission) {
    const struct gri_ledger_admit *request = admission->request;
    admission->known = gri_calloc(request->count, sizeof *admission->known);
    size_t count = 0;
    for (size_t i = 0; i < request->count; i++) {
        if (request->results[i] == GRI_KNOWN)
            admission->known[count++] = (struct known){.key = request->urls[i].job.key, .index = i};
    }
    if (count) qsort(admission->known, count, sizeof *admission->known, compare_known);
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && strcmp(admission->known[i].key, admission->known[i - 1].key) == 0) continue;
        admission->known[admission->known_count++] = admission->known[i];
    }
}

static bson_t *known_filter(const struct admission *admission) {
    bson_t *filter = bson_new();
    bson_t condition, keys;
    BSON_APPEND_DOCUMENT_BEGIN(filter, "_id", &condition);
    BSON_APPEND_ARRAY_BEGIN(&condition, "$in", &keys);
    for (size_t i = 0; i < admission->known_count; i++) {
        char buffer[16];
        const char *position;
        bson_uint32_to_string((uint32_t)i, &position, buffer, sizeof buffer);
        BSON_APPEND_UTF8(&keys, position, admission->known[i].key);
    }
    bson_append_array_end(&condition, &keys);
    bson_append_document_end(filter, &condition);
    return filter;
}

static bool may_revive(const struct gri_ledger_admit *request, const char *reason) {
    if (strcmp(reason, gri_reason_name(GRI_R_removed)) == 0) return false;
    return request->revive_dead || strcmp(reason, gri_reason_name(GRI_R_cancelled)) == 0;
}

/* It is done, and this catalog wants it fetched anew: once for each time that it asks, also where its chunk comes again. */
static bool may_renew(const struct gri_ledger_admit *request, const bson_t *document, bool own) {
    if (request->refresh == 0 || strcmp(gri_mongo_text(document, "error.reason"), gri_reason_name(GRI_R_removed)) == 0)
        return false;
    if (own && request->refresh == 1) return false; /* it has just brought it in */
    bool asked = strcmp(gri_mongo_text(document, "renew.for"), request->catalog) == 0;
    return !asked || gri_mongo_number(document, "renew.round", 0) < request->refresh;
}

static bool look_at_known(const bson_t *document, void *arg) {
    struct admission *admission = arg;
    const struct gri_ledger_admit *request = admission->request;
    struct known *known =
        bsearch(gri_mongo_text(document, "_id"), admission->known, admission->known_count, sizeof *admission->known, compare_key);
    if (!known) return true;
    admission->seen++;
    known->seen = true;
    bool own = request->catalog && strcmp(gri_mongo_text(document, "first.catalog"), request->catalog) == 0;
    if (!own && !gri_mongo_truth(document, "shared")) admission->share = true;
    enum gri_url_state state = gri_mongo_url_state(gri_mongo_text(document, "state"));
    bool expired = state == GRI_URL_DONE && gri_mongo_truth(document, "expired");
    if (expired || (state == GRI_URL_DEAD && may_revive(request, gri_mongo_text(document, "error.reason")))) {
        known->run = gri_mongo_number(document, "run", 0);
        admission->dead++;
    } else if (state == GRI_URL_DONE && may_renew(request, document, own)) {
        known->run = gri_mongo_number(document, "run", 0);
        known->renew = true;
        admission->dead++;
    }
    return true;
}

static enum gri_status read_known(const struct gri_mongo_session *session, struct admission *admission) {
    bson_t *opts = BCON_NEW("projection", "{", "state", BCON_INT32(1), "run", BCON_INT32(1), "shared", BCON_INT32(1),
                            "first.catalog", BCON_INT32(1), "error.reason", BCON_INT32(1), "expired", BCON_INT32(1), "renew.for",
                            BCON_INT32(1), "renew.round", BCON_INT32(1), "}");
    admission->seen = admission->dead = 0;
    for (size_t i = 0; i < admission->known_count; i++) {
        admission->known[i].seen = admission->known[i].renew = false;
        admission->known[i].run = 0;
    }
    enum gri_status status = gri_mongo_find(session, GRI_MONGO_URLS, known_filter(admission), opts, look_at_known, admission,
                                            &admission->request->op.error);
    /* One that a majority read does not show yet was just made by another scheduler, perhaps for another catalog. */
    if (admission->seen < admission->known_count) admission->share = true;
    return status;
}

static enum gri_status mark_shared(const struct gri_mongo_session *session, const struct admission *admission) {
    bson_t *filter = known_filter(admission);
    bson_t condition;
    if (admission->request->catalog) {
        BSON_APPEND_DOCUMENT_BEGIN(filter, "first.catalog", &condition);
        BSON_APPEND_UTF8(&condition, "$ne", admission->request->catalog);
        bson_append_document_end(filter, &condition);
    }
    BSON_APPEND_DOCUMENT_BEGIN(filter, "shared", &condition);
    BSON_APPEND_BOOL(&condition, "$ne", true);
    bson_append_document_end(filter, &condition);
    GRI_CRASH_POINT(shared_before);
    enum gri_status status = gri_mongo_update_many(
        session, GRI_MONGO_URLS, filter, BCON_NEW("$set", "{", "shared", BCON_BOOL(true), "}"), &admission->request->op.error);
    GRI_CRASH_POINT(shared_after);
    return status;
}

static void add_renewal(struct gri_mongo_bulk *bulk, const struct gri_ledger_admit *request, const struct known *known) {
    struct gri_mongo_renewal renewal = {.asker = request->catalog, .round = request->refresh, .queued = true};
    bson_t *filter = BCON_NEW("_id", BCON_UTF8(known->key), "run", BCON_INT64(known->run), "state", "done");
    gri_mongo_bulk_update(bulk, filter, gri_mongo_renewal_change(&renewal), false);
}

/* The dead begin anew, under the pipeline's version that is asked for now (nothing was ever made under the old one).
 * Where another scheduler was first, its run is the same number, and a second dispatch of it does nothing. */
static enum gri_status revive(const struct gri_mongo_session *session, struct admission *admission) {
    struct gri_ledger_admit *request = admission->request;
    struct gri_mongo_bulk bulk;
    gri_mongo_bulk_begin(&bulk, session, GRI_MONGO_URLS, false, "revive");
    for (size_t i = 0; i < admission->known_count; i++) {
        const struct known *known = &admission->known[i];
        if (known->run == 0) continue;
        request->results[known->index] = GRI_REVIVED;
        request->runs[known->index] = known->run + 1;
        if (known->renew) {
            add_renewal(&bulk, request, known);
            continue;
        }
        bson_t *filter = BCON_NEW("_id", BCON_UTF8(known->key), "run", BCON_INT64(known->run), "$or", "[", "{", "state", "dead",
                                  "}", "{", "state", "done", "expired", BCON_BOOL(true), "}", "]");
        bson_t *change =
            BCON_NEW("$set", "{", "state", "queued", "attempts", BCON_INT32(0), "pipeline",
                     BCON_UTF8(request->urls[known->index].job.pipeline), "}", "$inc", "{", "run", BCON_INT64(1), "}",
                     "$currentDate", "{", "queued_at", BCON_BOOL(true), "changed_at", BCON_BOOL(true), "}", "$unset", "{",
                     "error", "", "next_at", "", "limited_at", "", "done_at", "", "dropped", "", "expired", "", "}");
        gri_mongo_bulk_update(&bulk, filter, change, false);
    }
    GRI_CRASH_POINT(revive_before);
    GRI_CRASH_POINT_IF(request->refresh > 0, renew_before);
    enum gri_status status = gri_mongo_bulk_execute(&bulk, &request->op.error);
    GRI_CRASH_POINT(revive_after);
    GRI_CRASH_POINT_IF(request->refresh > 0, renew_after);
    if (status == GRI_OK) status = gri_mongo_bulk_refusal(&bulk, &request->op.error);
    gri_mongo_bulk_clear(&bulk);
    return status;
}

/* One whose upsert found it and that no reading shows was removed since: the batch is tried again, and inserts it. (One that met
 * a duplicate key may be no record at all: its line has one under another key.) */
static enum gri_status check_gone(const struct admission *admission, struct gri_error *error) {
    size_t gone = 0;
    for (size_t i = 0; i < admission->known_count; i++)
        gone += !admission->known[i].seen && !admission->refused[admission->known[i].index];
    return gone == 0 ? GRI_OK : gri_fail(error, GRI_R_store, "admit: %zu known URLs were just removed", gone);
}

enum gri_status gri_mongo_work_admit(struct gri_mongo_session *session, struct gri_op *op) {
    struct gri_ledger_admit *request = gri_container_of(op, struct gri_ledger_admit, op);
    struct admission admission = {.request = request};
    if (request->count == 0) return GRI_OK;
    admission.refused = gri_calloc(request->count, sizeof *admission.refused);
    enum gri_status status = upsert_all(session, request, admission.refused);
    if (status == GRI_OK) collect_known(&admission);
    if (status == GRI_OK && admission.known_count > 0) status = read_known(session, &admission);
    if (status == GRI_OK && admission.share) {
        status = mark_shared(session, &admission);
        /* Its catalog may have been cancelled or deleted between the two: seen after the mark, it is revived, or made anew. */
        if (status == GRI_OK) status = read_known(session, &admission);
        if (status == GRI_OK) status = check_gone(&admission, &op->error);
    }
    if (status == GRI_OK && admission.dead > 0) status = revive(session, &admission);
    free(admission.known);
    free(admission.refused);
    return status;
}
