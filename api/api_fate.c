/* SPDX-License-Identifier: Apache-2.0 */
/* How a line's fate is found. Nothing of it is stored beside the truth: the text is judged again under the rules the catalog was
 * pushed with, and the ledger is asked by key. */
#include "api_fate.h"

#include <stdlib.h>
#include <string.h>

#include "job_key.h"
#include "lines.h"

enum { BATCH = 500 };

struct gri_fates {
    struct gri_api *api;
    char catalog[GRI_CATALOG_ID_MAX];
    char pipeline[GRI_NAME_MAX];
    struct gri_ruleset *rules;
    int64_t from, chunk, chunks;
    struct gri_bytes text; /* of the current chunk */
    struct gri_lines lines;
    bool in_chunk;
    /* the batch being gathered */
    size_t count;
    int64_t numbers[BATCH];
    struct gri_json *rows[BATCH];
    char keys[BATCH][GRI_KEY_MAX]; /* "" for a line that has none */
};

static enum gri_status load_rules(struct gri_fates *fates, const char *id, struct gri_error *error) {
    struct gri_archive *archive = fates->api->options.archive;
    struct gri_bytes body;
    gri_bytes_init(&body, 0);
    enum gri_status status = archive->ops->definition(archive, GRI_DEF_RULES, id, &body, error);
    if (status == GRI_OK) status = gri_ruleset_compile(gri_bytes_slice(&body), &fates->rules, error);
    gri_bytes_clear(&body);
    return status;
}

enum gri_status gri_fates_open(struct gri_api *api, const char *catalog, int64_t from, struct gri_fates **out,
                               struct gri_error *error) {
    struct gri_archive *archive = api->options.archive;
    struct gri_json *json = NULL;
    struct gri_fates *fates = gri_calloc(1, sizeof *fates);
    fates->api = api;
    fates->from = from;
    gri_bytes_init(&fates->text, 2 * GRI_CHUNK_BYTES);
    (void)gri_copy(fates->catalog, sizeof fates->catalog, catalog);
    *out = NULL;
    enum gri_status status = archive->ops->catalog(archive, catalog, &json, error);
    if (status == GRI_OK) {
        gri_pipeline_name(gri_json_str(json, "pipeline", ""), fates->pipeline);
        fates->chunks = gri_json_get_int(json, "chunks", 0);
        status = load_rules(fates, gri_json_str(json, "rules", ""), error);
    }
    if (status == GRI_OK && from > 1 && fates->chunks > 0 && from <= gri_json_get_int(json, "lines", 0))
        status = archive->ops->chunk_of_line(archive, catalog, from, &fates->chunk, error);
    else if (status == GRI_OK && from > 1)
        fates->chunk = fates->chunks;
    gri_json_free(json);
    if (status == GRI_OK)
        *out = fates;
    else
        gri_fates_close(fates);
    return status;
}

static void clear_batch(struct gri_fates *fates) {
    for (size_t i = 0; i < fates->count; i++)
        gri_json_free(fates->rows[i]);
    fates->count = 0;
}

void gri_fates_close(struct gri_fates *fates) {
    if (!fates) return;
    clear_batch(fates);
    gri_ruleset_free(fates->rules);
    gri_bytes_clear(&fates->text);
    free(fates);
}

/* Judges one line into a row; what needs the ledger gets a key. */
static void add_line(struct gri_fates *fates, int64_t number, struct gri_slice line) {
    struct gri_verdict verdict;
    gri_ruleset_judge(fates->rules, line, &verdict);
    size_t i = fates->count++;
    struct gri_json *row = fates->rows[i] = gri_json_object();
    fates->numbers[i] = number;
    fates->keys[i][0] = '\0';
    gri_json_set_int(row, "line", number);
    if (verdict.kind == GRI_LINE_BLANK) {
        gri_json_set_str(row, "outcome", "blank");
    } else if (verdict.kind == GRI_LINE_BAD) {
        gri_json_set(row, "text",
                     gri_json_string_n((const char *)line.data, line.len < GRI_LINE_KEEP ? line.len : GRI_LINE_KEEP));
        gri_json_set_str(row, "outcome", "invalid");
        gri_json_set_str(row, "reason", gri_reason_name(verdict.reason));
        if (verdict.rule[0]) gri_json_set_str(row, "detail", verdict.rule);
    } else {
        char salt[GRI_CATALOG_ID_MAX + 24];
        (void)gri_format(salt, sizeof salt, "%s:%lld", fates->catalog, (long long)number);
        gri_json_set_str(row, "url", verdict.url);
        gri_json_set_str(row, "outcome", "pending");
        gri_job_key(fates->api->options.crypto, verdict.url, verdict.is_volatile ? salt : NULL, fates->pipeline, fates->keys[i]);
    }
}

/* Fills the batch from the text, chunk after chunk. */
static enum gri_status gather(struct gri_fates *fates, struct gri_error *error) {
    struct gri_archive *archive = fates->api->options.archive;
    while (fates->count < BATCH) {
        if (!fates->in_chunk) {
            if (fates->chunk >= fates->chunks) break;
            struct gri_push_chunk chunk;
            gri_bytes_reset(&fates->text);
            enum gri_status status = archive->ops->chunk(archive, fates->catalog, fates->chunk, &chunk, &fates->text, error);
            if (status != GRI_OK) return status;
            gri_lines_init(&fates->lines, gri_bytes_slice(&fates->text), chunk.first_line, chunk.continued);
            fates->in_chunk = true;
            fates->chunk++;
        }
        int64_t number;
        struct gri_slice line;
        if (!gri_lines_next(&fates->lines, &number, &line))
            fates->in_chunk = false;
        else if (number >= fates->from)
            add_line(fates, number, line);
    }
    return GRI_OK;
}

/* What nobody tried, because its catalog was cancelled, is no failure of its own. */
static const char *outcome_of_error(const char *reason, const char *otherwise) {
    return strcmp(reason, gri_reason_name(GRI_R_cancelled)) == 0 ? "cancelled" : otherwise;
}

/* How the renewal went that this very catalog asked for; NULL: there is none, or its URL is dead since. */
static const char *refreshed_as(const struct gri_fates *fates, const struct gri_json *record) {
    const struct gri_json *renew = gri_json_get(record, "renew");
    const char *outcome = gri_json_str(renew, "outcome", ""), *state = gri_json_str(record, "state", "");
    if (strcmp(gri_json_str(renew, "for", ""), fates->catalog) != 0 || strcmp(state, "dead") == 0) return NULL;
    if (strcmp(state, "done") != 0) return "pending";
    return strcmp(outcome, "failed") == 0 ? "refresh_failed" : strcmp(outcome, "pending") == 0 ? NULL : outcome;
}

/* Being fetched anew for somebody, and so done: it has its picture. */
static bool is_kept(const struct gri_json *record) {
    const char *state = gri_json_str(record, "state", "");
    return (strcmp(state, "queued") == 0 || strcmp(state, "waiting") == 0) &&
           strcmp(gri_json_str(gri_json_get(record, "renew"), "outcome", ""), "pending") == 0;
}

/* Where the newest image is one of several outputs: all of these, by name. */
static void add_outputs(struct gri_json *row, const struct gri_json *images) {
    const char *last = gri_json_text(gri_json_at(images, gri_json_count(images) - 1), "");
    const char *slash = strchr(last, '/');
    if (!slash) return;
    struct gri_json *outputs = gri_json_object();
    for (size_t i = 0; i < gri_json_count(images); i++) {
        const char *id = gri_json_text(gri_json_at(images, i), "");
        if (strncmp(id, last, (size_t)(slash - last) + 1) == 0) gri_json_set_str(outputs, id + (slash - last) + 1, id);
    }
    gri_json_set(row, "outputs", outputs);
}

/* A record of the ledger tells the fate of a line that asked for its URL. */
static void settle_row(const struct gri_fates *fates, size_t i, const struct gri_json *record) {
    struct gri_json *row = fates->rows[i];
    const struct gri_json *first = gri_json_get(record, "first");
    const char *state = gri_json_str(record, "state", "");
    bool own = strcmp(gri_json_str(first, "catalog", ""), fates->catalog) == 0 &&
               gri_json_get_int(first, "line", 0) == fates->numbers[i];
    const struct gri_json *images = gri_json_get(record, "images");
    const struct gri_json *renew = gri_json_get(record, "renew");
    const char *refreshed = refreshed_as(fates, record);
    gri_json_set_str(row, "state", state);
    add_outputs(row, images);
    if (gri_json_count(images) > 0) gri_json_set(row, "image", gri_json_copy(gri_json_at(images, gri_json_count(images) - 1)));
    if (!own && first) gri_json_set(row, "first", gri_json_copy(first));
    if (refreshed) {
        gri_json_set_str(row, "outcome", refreshed);
        if (gri_json_get(renew, "reason")) gri_json_set_str(row, "reason", gri_json_str(renew, "reason", ""));
        if (gri_json_get(renew, "detail")) gri_json_set_str(row, "detail", gri_json_str(renew, "detail", ""));
    } else if (!own) {
        gri_json_set_str(row, "outcome", "duplicate");
    } else if (strcmp(state, "done") == 0 || is_kept(record)) {
        const char *reason = gri_json_str(gri_json_get(record, "error"), "reason", "");
        bool removed = strcmp(reason, gri_reason_name(GRI_R_removed)) == 0;
        gri_json_set_str(row, "outcome",
                         removed                                    ? "removed"
                         : gri_json_get_bool(record, "made", false) ? "stored"
                                                                    : "duplicate_content");
        if (removed) gri_json_set_str(row, "reason", reason);
    } else if (strcmp(state, "dead") == 0) {
        const struct gri_json *error = gri_json_get(record, "error");
        gri_json_set_str(row, "outcome", outcome_of_error(gri_json_str(error, "reason", "none"), "dead"));
        gri_json_set_str(row, "reason", gri_json_str(error, "reason", "none"));
        gri_json_set_str(row, "detail", gri_json_str(error, "detail", ""));
    }
}

static enum gri_status ask_ledger(struct gri_fates *fates, struct gri_error *error) {
    struct gri_archive *archive = fates->api->options.archive;
    char(*keys)[GRI_KEY_MAX] = gri_calloc(BATCH, sizeof *keys);
    size_t at[BATCH], count = 0;
    struct gri_json *records = NULL;
    for (size_t i = 0; i < fates->count; i++) {
        if (!fates->keys[i][0]) continue;
        memcpy(keys[count], fates->keys[i], GRI_KEY_MAX);
        at[count++] = i;
    }
    enum gri_status status = GRI_OK;
    if (count > 0) status = archive->ops->urls(archive, (const char(*)[GRI_KEY_MAX])keys, count, &records, error);
    for (size_t i = 0; status == GRI_OK && i < count; i++) {
        const struct gri_json *record = gri_json_at(records, i);
        if (gri_json_kind(record) == GRI_JSON_OBJECT) settle_row(fates, at[i], record);
    }
    gri_json_free(records);
    free(keys);
    return status;
}

/* Lines that the scheduler recorded as errors though their text is right (cancelled, poison). */
static enum gri_status apply_errors(struct gri_fates *fates, struct gri_error *error) {
    struct gri_archive *archive = fates->api->options.archive;
    char cursor[24];
    (void)gri_format(cursor, sizeof cursor, "%lld", (long long)(fates->numbers[0] - 1));
    struct gri_filter filter = {.limit = BATCH, .cursor = cursor};
    struct gri_json *errors;
    enum gri_status status = archive->ops->errors(archive, fates->catalog, &filter, &errors, error);
    if (status != GRI_OK) return status;
    const struct gri_json *list = gri_json_get(errors, "errors");
    for (size_t e = 0, i = 0; e < gri_json_count(list); e++) {
        const struct gri_json *bad = gri_json_at(list, e);
        int64_t line = gri_json_get_int(bad, "line", 0);
        while (i < fates->count && fates->numbers[i] < line)
            i++;
        if (i == fates->count) break;
        if (fates->numbers[i] != line) continue;
        gri_json_set_str(fates->rows[i], "outcome", outcome_of_error(gri_json_str(bad, "reason", "none"), "invalid"));
        gri_json_set_str(fates->rows[i], "reason", gri_json_str(bad, "reason", "none"));
    }
    gri_json_free(errors);
    return GRI_OK;
}

enum gri_status gri_fates_next(struct gri_fates *fates, struct gri_json **batch, struct gri_error *error) {
    *batch = NULL;
    enum gri_status status = gather(fates, error);
    if (status == GRI_OK && fates->count > 0) status = ask_ledger(fates, error);
    if (status == GRI_OK && fates->count > 0) status = apply_errors(fates, error);
    if (status != GRI_OK || fates->count == 0) {
        clear_batch(fates);
        return status;
    }
    *batch = gri_json_array();
    for (size_t i = 0; i < fates->count; i++)
        gri_json_append(*batch, fates->rows[i]);
    fates->count = 0;
    return GRI_OK;
}
