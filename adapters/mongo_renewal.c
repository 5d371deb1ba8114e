/* SPDX-License-Identifier: Apache-2.0 */
/* Renewals: how a URL that is done gets another life, how that is counted, and how it is called off. */
#include "mongo_renewal.h"

#include "mongo_schema.h"

#include <grisaille/crash_point.h>

static void append_literal(bson_t *to, const char *key, const char *text) {
    bson_t literal;
    bson_append_document_begin(to, key, -1, &literal);
    gri_mongo_append_text(&literal, "$literal", text);
    bson_append_document_end(to, &literal);
}

static void append_next(bson_t *set, const char *key, bson_t *value) {
    bson_t *sum = BCON_NEW("$add", "[", BCON_DOCUMENT(value), BCON_INT64(1), "]");
    BSON_APPEND_DOCUMENT(set, key, sum);
    bson_destroy(sum);
    bson_destroy(value);
}

static void append_renew(bson_t *set, const struct gri_mongo_renewal *renewal) {
    bson_t renew;
    bson_t *last = BCON_NEW("$last", "$images");
    BSON_APPEND_DOCUMENT_BEGIN(set, "renew", &renew);
    append_literal(&renew, "for", renewal->asker);
    BSON_APPEND_INT64(&renew, "round", renewal->round);
    BSON_APPEND_UTF8(&renew, "at", "$$NOW");
    BSON_APPEND_DOCUMENT(&renew, "from", last);
    BSON_APPEND_UTF8(&renew, "pipeline", "$pipeline"); /* as it was before this very change */
    BSON_APPEND_UTF8(&renew, "outcome", "pending");
    bson_append_document_end(set, &renew);
    bson_destroy(last);
}

bson_t *gri_mongo_renewal_change(const struct gri_mongo_renewal *renewal) {
    bson_t set = BSON_INITIALIZER;
    BSON_APPEND_UTF8(&set, "state", gri_url_state_name(renewal->queued ? GRI_URL_QUEUED : GRI_URL_WAITING));
    BSON_APPEND_INT32(&set, "attempts", 0);
    BSON_APPEND_UTF8(&set, "changed_at", "$$NOW");
    BSON_APPEND_UTF8(&set, renewal->queued ? "queued_at" : "next_at", "$$NOW");
    append_next(&set, "renewal", BCON_NEW("$ifNull", "[", "$renewal", BCON_INT64(0), "]"));
    if (renewal->queued) append_next(&set, "run", BCON_NEW("$ifNull", "[", "$run", BCON_INT64(0), "]"));
    if (renewal->pipeline) append_literal(&set, "pipeline", renewal->pipeline);
    append_renew(&set, renewal);
    bson_t *change = BCON_NEW("0", "{", "$set", BCON_DOCUMENT(&set), "}", "1", "{", "$unset", "[", "error", "limited_at",
                              "done_at", "renew.done_at", "renew.reason", "renew.detail", "renew.made", "]", "}");
    bson_destroy(&set);
    return change;
}

void gri_mongo_renewal_end(bson_t *set, enum gri_renewed renewed, const char *reason, const char *detail) {
    BSON_APPEND_UTF8(set, "renew.outcome", gri_renewed_name(renewed));
    BSON_APPEND_UTF8(set, "renew.done_at", "$$NOW");
    if (reason) append_literal(set, "renew.reason", reason);
    if (detail) append_literal(set, "renew.detail", detail);
    if (renewed != GRI_RENEWED_FAILED) return;
    bson_t *before = BCON_NEW("$ifNull", "[", "$renew.pipeline", "$pipeline", "]");
    BSON_APPEND_DOCUMENT(set, "pipeline", before);
    bson_destroy(before);
}

/* --- counting --------------------------------------------------------------------------------------------------------- */

enum gri_status gri_mongo_renewals_open(const struct gri_mongo_session *session, const char *asker, int64_t limit, int64_t *open,
                                        struct gri_error *error) {
    bson_t *filter = BCON_NEW("renew.for", BCON_UTF8(asker), "state", "{", "$in", "[", "queued", "waiting", "]", "}");
    return gri_mongo_count(session, GRI_MONGO_URLS, filter, GRI_INDEX_URLS_RENEW, limit, open, error);
}

static enum gri_status count_ended(const struct gri_mongo_session *session, const char *asker, int64_t round,
                                   enum gri_renewed renewed, int64_t *count, struct gri_error *error) {
    bson_t *filter = BCON_NEW("renew.for", BCON_UTF8(asker), "state", "done", "renew.round", BCON_INT64(round), "renew.outcome",
                              BCON_UTF8(gri_renewed_name(renewed)));
    return gri_mongo_count(session, GRI_MONGO_URLS, filter, GRI_INDEX_URLS_RENEW, 0, count, error);
}

/* Those under way first: one that ends meanwhile is counted twice, never not at all. */
enum gri_status gri_mongo_renewals_count(const struct gri_mongo_session *session, const char *asker, int64_t round,
                                         struct gri_mongo_renewed *counts, struct gri_error *error) {
    *counts = (struct gri_mongo_renewed){0};
    enum gri_status status = gri_mongo_renewals_open(session, asker, 0, &counts->pending, error);
    if (status == GRI_OK) status = count_ended(session, asker, round, GRI_RENEWED_UNCHANGED, &counts->unchanged, error);
    if (status == GRI_OK) status = count_ended(session, asker, round, GRI_RENEWED_CHANGED, &counts->changed, error);
    if (status == GRI_OK) status = count_ended(session, asker, round, GRI_RENEWED_FAILED, &counts->failed, error);
    return status;
}

void gri_mongo_renewed_append(bson_t *to, const char *key, const struct gri_mongo_renewed *counts) {
    bson_t inner;
    bson_append_document_begin(to, key, -1, &inner);
    BSON_APPEND_INT64(&inner, "unchanged", counts->unchanged);
    BSON_APPEND_INT64(&inner, "changed", counts->changed);
    BSON_APPEND_INT64(&inner, "failed", counts->failed);
    BSON_APPEND_INT64(&inner, "pending", counts->pending);
    bson_append_document_end(to, &inner);
}

static int64_t number_below(const bson_t *document, const char *key, const char *name) {
    char path[64];
    (void)gri_format(path, sizeof path, "%s.%s", key, name);
    return gri_mongo_number(document, path, 0);
}

void gri_mongo_renewed_read(const bson_t *document, const char *key, struct gri_mongo_renewed *counts) {
    *counts = (struct gri_mongo_renewed){.unchanged = number_below(document, key, "unchanged"),
                                         .changed = number_below(document, key, "changed"),
                                         .failed = number_below(document, key, "failed"),
                                         .pending = number_below(document, key, "pending")};
}

/* --- called off ------------------------------------------------------------------------------------------------------- */

enum gri_status gri_mongo_renewals_cancel(const struct gri_mongo_session *session, const char *asker, struct gri_error *error) {
    bson_t set = BSON_INITIALIZER;
    BSON_APPEND_UTF8(&set, "state", gri_url_state_name(GRI_URL_DONE));
    BSON_APPEND_UTF8(&set, "changed_at", "$$NOW");
    BSON_APPEND_UTF8(&set, "done_at", "$$NOW");
    gri_mongo_renewal_end(&set, GRI_RENEWED_FAILED, gri_reason_name(GRI_R_cancelled), "called off before it was fetched");
    bson_t *change =
        BCON_NEW("0", "{", "$set", BCON_DOCUMENT(&set), "}", "1", "{", "$unset", "[", "error", "next_at", "limited_at", "]", "}");
    bson_destroy(&set);
    bson_t *filter = BCON_NEW("renew.for", BCON_UTF8(asker), "state", "{", "$in", "[", "queued", "waiting", "]", "}",
                              "renew.outcome", "pending");
    GRI_CRASH_POINT(renew_cancel_before);
    enum gri_status status = gri_mongo_update_many(session, GRI_MONGO_URLS, filter, change, error);
    GRI_CRASH_POINT(renew_cancel_after);
    return status;
}
