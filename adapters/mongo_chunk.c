/* SPDX-License-Identifier: Apache-2.0 */
/* What admission reads and writes beside the URLs: chunks, definitions, lines accounted for, rejected lines, quarantine. */
#include "mongo_ledger.h"
#include "mongo_schema.h"

#include <grisaille/crash_point.h>
#include <stdlib.h>
#include <string.h>

static enum gri_status fill_chunk(struct gri_ledger_chunk *request, const bson_t *chunk, const bson_t *catalog) {
    request->found = true;
    request->admitted = gri_mongo_truth(chunk, "admitted");
    request->state = gri_mongo_catalog_state(gri_mongo_text(catalog, "state"));
    (void)gri_copy(request->pipeline, sizeof request->pipeline, gri_mongo_text(catalog, "pipeline"));
    (void)gri_copy(request->rules, sizeof request->rules, gri_mongo_text(catalog, "rules"));
    request->retry_dead = gri_mongo_truth(catalog, "retry_dead");
    request->refresh = gri_mongo_number(catalog, "refresh", 0);
    request->first_line = gri_mongo_number(chunk, "first_line", 0);
    request->lines = gri_mongo_number(chunk, "lines", 0);
    request->continued = gri_mongo_truth(chunk, "continued");
    struct gri_slice text = gri_mongo_bytes(chunk, "text");
    gri_bytes_reset(&request->text);
    return gri_bytes_append(&request->text, text.data, text.len, &request->op.error);
}

enum gri_status gri_mongo_work_chunk(struct gri_mongo_session *session, struct gri_op *op) {
    struct gri_ledger_chunk *request = gri_container_of(op, struct gri_ledger_chunk, op);
    char id[GRI_MONGO_CHUNK_ID_MAX];
    bson_t *chunk = NULL, *catalog = NULL;
    request->found = false;
    gri_mongo_chunk_id(id, request->catalog, request->number);
    enum gri_status status =
        gri_mongo_find_one(session, GRI_MONGO_CHUNKS, BCON_NEW("_id", BCON_UTF8(id)), NULL, &chunk, &op->error);
    if (status != GRI_OK || !chunk) goto out;
    status =
        gri_mongo_find_one(session, GRI_MONGO_CATALOGS, BCON_NEW("_id", BCON_UTF8(request->catalog)), NULL, &catalog, &op->error);
    if (status != GRI_OK || !catalog) goto out;
    status = fill_chunk(request, chunk, catalog);
out:
    bson_destroy(chunk);
    bson_destroy(catalog);
    return status;
}

enum gri_status gri_mongo_work_definition(struct gri_mongo_session *session, struct gri_op *op) {
    struct gri_ledger_definition *request = gri_container_of(op, struct gri_ledger_definition, op);
    bson_t *found = NULL;
    enum gri_mongo_collection which = gri_mongo_definitions(request->kind);
    enum gri_status status =
        gri_mongo_find_one(session, which, BCON_NEW("_id", BCON_UTF8(request->id)), NULL, &found, &op->error);
    if (status != GRI_OK) return status;
    if (!found)
        return gri_fail(&op->error, GRI_R_no_pipeline, "no %s %s was ever used", gri_mongo_collection_name(which), request->id);
    struct gri_slice body = gri_mongo_bytes(found, "body");
    gri_bytes_reset(&request->body);
    status = gri_bytes_append(&request->body, body.data, body.len, &op->error);
    bson_destroy(found);
    return status;
}

/* --- lines accounted for --------------------------------------------------------------------------------------------- */

struct line_set {
    int64_t *lines;
    size_t count, cap;
};

static void add_line(struct line_set *set, int64_t line) {
    if (set->count == set->cap) {
        size_t cap = set->cap ? set->cap * 2 : 256;
        int64_t *lines = gri_calloc(cap, sizeof *lines);
        if (set->count) memcpy(lines, set->lines, set->count * sizeof *lines);
        free(set->lines);
        set->lines = lines;
        set->cap = cap;
    }
    set->lines[set->count++] = line;
}

static bool add_first(const bson_t *document, void *arg) {
    add_line(arg, gri_mongo_number(document, "first.line", 0));
    return true;
}

static bool add_error(const bson_t *document, void *arg) {
    const char *colon = strchr(gri_mongo_text(document, "_id"), ':');
    if (colon) add_line(arg, strtoll(colon + 1, NULL, 10));
    return true;
}

static int compare_lines(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

enum gri_status gri_mongo_work_accounted(struct gri_mongo_session *session, struct gri_op *op) {
    struct gri_ledger_accounted *request = gri_container_of(op, struct gri_ledger_accounted, op);
    struct line_set set = {0};
    request->lines = NULL;
    request->count = 0;
    bson_t *filter = BCON_NEW("first.catalog", BCON_UTF8(request->catalog), "first.line", "{", "$gte", BCON_INT64(request->first),
                              "$lte", BCON_INT64(request->last), "}");
    bson_t *opts =
        BCON_NEW("projection", "{", "_id", BCON_INT32(0), "first.line", BCON_INT32(1), "}", "hint", GRI_INDEX_URLS_LINE);
    enum gri_status status = gri_mongo_find(session, GRI_MONGO_URLS, filter, opts, add_first, &set, &op->error);
    if (status == GRI_OK) {
        opts = BCON_NEW("projection", "{", "_id", BCON_INT32(1), "}");
        status =
            gri_mongo_find(session, GRI_MONGO_LINE_ERRORS, gri_mongo_line_range(request->catalog, request->first, request->last),
                           opts, add_error, &set, &op->error);
    }
    if (status != GRI_OK) {
        free(set.lines);
        return status;
    }
    if (set.count) qsort(set.lines, set.count, sizeof *set.lines, compare_lines);
    for (size_t i = 0; i < set.count; i++) {
        if (i == 0 || set.lines[i] != set.lines[i - 1]) set.lines[request->count++] = set.lines[i];
    }
    request->lines = set.lines;
    return GRI_OK;
}

/* --- writes ---------------------------------------------------------------------------------------------------------- */

/* At most GRI_LINE_KEEP bytes, not ending within a character where the text is UTF-8. */
static struct gri_slice cut_line(struct gri_slice text) {
    if (text.len <= GRI_LINE_KEEP) return text;
    size_t len = GRI_LINE_KEEP;
    for (int back = 0; back < 3 && len > 0 && (text.data[len] & 0xc0) == 0x80; back++)
        len--;
    return (struct gri_slice){text.data, len};
}

enum gri_status gri_mongo_work_reject(struct gri_mongo_session *session, struct gri_op *op) {
    struct gri_ledger_reject *request = gri_container_of(op, struct gri_ledger_reject, op);
    struct gri_mongo_bulk bulk;
    gri_mongo_bulk_begin(&bulk, session, GRI_MONGO_LINE_ERRORS, false, "reject");
    for (size_t i = 0; i < request->count; i++) {
        const struct gri_line_error *line = &request->errors[i];
        char id[GRI_MONGO_LINE_ID_MAX];
        gri_mongo_line_id(id, request->catalog, line->line);
        bson_t *document = BCON_NEW("_id", BCON_UTF8(id), "catalog", BCON_UTF8(request->catalog), "line", BCON_INT64(line->line));
        gri_mongo_append_any(document, "text", cut_line(line->text));
        BSON_APPEND_UTF8(document, "reason", gri_reason_name(line->reason));
        gri_mongo_append_text(document, "detail", line->detail);
        gri_mongo_bulk_insert(&bulk, document);
    }
    GRI_CRASH_POINT(reject_before);
    enum gri_status status = gri_mongo_bulk_execute(&bulk, &op->error);
    GRI_CRASH_POINT(reject_after);
    if (status == GRI_OK) status = gri_mongo_bulk_refusal(&bulk, &op->error);
    gri_mongo_bulk_clear(&bulk);
    return status;
}

enum gri_status gri_mongo_work_chunk_done(struct gri_mongo_session *session, struct gri_op *op) {
    struct gri_ledger_chunk_done *request = gri_container_of(op, struct gri_ledger_chunk_done, op);
    char id[GRI_MONGO_CHUNK_ID_MAX];
    gri_mongo_chunk_id(id, request->catalog, request->number);
    bson_t *change =
        BCON_NEW("$set", "{", "admitted", BCON_BOOL(true), "}", "$currentDate", "{", "admitted_at", BCON_BOOL(true), "}");
    GRI_CRASH_POINT(chunk_done_before);
    enum gri_status status =
        gri_mongo_update_one(session, GRI_MONGO_CHUNKS, BCON_NEW("_id", BCON_UTF8(id), "admitted", BCON_BOOL(false)), change,
                             false, NULL, NULL, &op->error);
    GRI_CRASH_POINT(chunk_done_after);
    return status;
}

enum gri_status gri_mongo_work_quarantine(struct gri_mongo_session *session, struct gri_op *op) {
    struct gri_ledger_quarantine *request = gri_container_of(op, struct gri_ledger_quarantine, op);
    char id[GRI_ENTRY_ID_MAX + 8];
    (void)gri_format(id, sizeof id, "entry:%s", request->entry_id);
    bson_t *set = BCON_NEW("kind", "entry");
    gri_mongo_append_any(set, "text", request->text);
    BSON_APPEND_UTF8(set, "reason", gri_reason_name(request->reason));
    gri_mongo_append_text(set, "detail", request->detail ? request->detail : "");
    bson_t *change = BCON_NEW("$set", BCON_DOCUMENT(set), "$currentDate", "{", "at", BCON_BOOL(true), "}");
    bson_destroy(set);
    GRI_CRASH_POINT(quarantine_before);
    enum gri_status status =
        gri_mongo_update_one(session, GRI_MONGO_QUARANTINE, BCON_NEW("_id", BCON_UTF8(id)), change, true, NULL, NULL, &op->error);
    GRI_CRASH_POINT(quarantine_after);
    return status;
}
