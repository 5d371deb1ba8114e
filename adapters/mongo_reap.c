/* SPDX-License-Identifier: Apache-2.0 */
/* Chunks whose catalog never came: the pusher died before it wrote the catalog. Before they are removed their catalog's _id is
 * taken as `abandoned`, so that a push that is only slow fails at its end instead of losing its beginning. */
#include "mongo_ledger.h"
#include "mongo_schema.h"

#include <stdlib.h>
#include <string.h>

/* _id and state of a document, copied. */
struct row {
    bool found;
    char id[GRI_MONGO_CHUNK_ID_MAX], state[16];
};

static bool take_row(const bson_t *document, void *arg) {
    struct row *row = arg;
    row->found = gri_copy(row->id, sizeof row->id, gri_mongo_text(document, "_id"));
    (void)gri_copy(row->state, sizeof row->state, gri_mongo_text(document, "state"));
    return false;
}

/* The catalog of the first chunk behind the cursor; one seek in the index, however many chunks it has. */
static enum gri_status next_catalog(const struct gri_mongo_session *session, const char *cursor, struct row *row,
                                    struct gri_error *error) {
    bson_t *filter = BCON_NEW("_id", "{", "$gt", BCON_UTF8(cursor), "}");
    bson_t *opts =
        BCON_NEW("sort", "{", "_id", BCON_INT32(1), "}", "limit", BCON_INT64(1), "projection", "{", "_id", BCON_INT32(1), "}");
    enum gri_status status = gri_mongo_find(session, GRI_MONGO_CHUNKS, filter, opts, take_row, row, error);
    char *colon = strchr(row->id, ':');
    if (colon) *colon = '\0';
    return status;
}

/* When a catalog's id was made: an ObjectId begins with its second. */
static int64_t made_ms(const char *id) {
    char seconds[9];
    (void)gri_copy(seconds, sizeof seconds, id);
    return (int64_t)strtoul(seconds, NULL, 16) * 1000;
}

static enum gri_status read_state(const struct gri_mongo_session *session, const char *id, struct row *row,
                                  struct gri_error *error) {
    bson_t *opts = BCON_NEW("projection", "{", "state", BCON_INT32(1), "}", "limit", BCON_INT64(1));
    *row = (struct row){.found = false};
    return gri_mongo_find(session, GRI_MONGO_CATALOGS, BCON_NEW("_id", BCON_UTF8(id)), opts, take_row, row, error);
}

/* [{$replaceWith: {$cond: [new, {_id, state: abandoned, …}, as it was]}}]; its sha256 is no sum, so that it meets no catalog's.
 */
static enum gri_status take_id(const struct gri_mongo_session *session, const char *id, struct gri_error *error) {
    char no_sum[GRI_MONGO_CHUNK_ID_MAX + 16];
    (void)gri_format(no_sum, sizeof no_sum, "abandoned:%s", id);
    bson_t *change = BCON_NEW("0", "{", "$replaceWith", "{", "$cond", "[",                       //
                              "{", "$eq", "[", "{", "$type", "$state", "}", "missing", "]", "}", //
                              "{", "_id", BCON_UTF8(id), "state", "abandoned", "sha256", BCON_UTF8(no_sum), "abandoned_at",
                              "$$NOW", "}", "$$ROOT", "]", "}", "}");
    return gri_mongo_update_one(session, GRI_MONGO_CATALOGS, BCON_NEW("_id", BCON_UTF8(id)), change, true, NULL, NULL, error);
}

enum gri_status gri_mongo_remove_chunks(const struct gri_mongo_session *session, const char *id, struct gri_error *error) {
    mongoc_collection_t *chunks = gri_mongo_open(session, GRI_MONGO_CHUNKS);
    bson_t *filter = BCON_NEW("catalog", BCON_UTF8(id));
    bson_error_t cause = {0};
    bool ok = mongoc_collection_delete_many(chunks, filter, NULL, NULL, &cause);
    bson_destroy(filter);
    mongoc_collection_destroy(chunks);
    return ok ? GRI_OK : gri_mongo_fail(error, &cause, "reap");
}

static enum gri_status reap_one(const struct gri_mongo_session *session, const char *id, struct gri_ledger_reap *request,
                                struct gri_error *error) {
    struct row row;
    enum gri_status status = read_state(session, id, &row, error);
    if (status != GRI_OK || (row.found && strcmp(row.state, "abandoned") != 0)) return status;
    if (!row.found) status = take_id(session, id, error);
    if (status == GRI_OK) status = read_state(session, id, &row, error);
    /* The push may have won meanwhile: then it is a catalog like any other. */
    if (status != GRI_OK || strcmp(row.state, "abandoned") != 0) return status;
    status = gri_mongo_remove_chunks(session, id, error);
    if (status == GRI_OK) request->reaped++;
    return status;
}

enum gri_status gri_mongo_work_reap(struct gri_mongo_session *session, struct gri_op *op) {
    struct gri_ledger_reap *request = gri_container_of(op, struct gri_ledger_reap, op);
    int64_t now_ms = 0;
    request->reaped = 0;
    enum gri_status status = gri_mongo_now(session, &now_ms, &op->error);
    for (size_t looked = 0; status == GRI_OK && looked < request->limit; looked++) {
        struct row row = {.found = false};
        status = next_catalog(session, request->cursor, &row, &op->error);
        if (status != GRI_OK) break;
        if (!row.found) {
            request->cursor[0] = '\0';
            break;
        }
        if (now_ms - made_ms(row.id) >= request->min_age_ms) status = reap_one(session, row.id, request, &op->error);
        (void)gri_format(request->cursor, sizeof request->cursor, "%.24s;", row.id); /* ';' comes behind ':' */
    }
    return status;
}
