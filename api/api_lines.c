/* SPDX-License-Identifier: Apache-2.0 */
/* GET /v1/catalogs/{id}/lines: a page of JSON, or the whole as NDJSON or CSV, streamed. */
#include <stdlib.h>
#include <string.h>

#include "api_fate.h"

enum { LINES_SCAN_MAX = 20000 }; /* lines looked at for one JSON page, so that a rare outcome can't hold a request for long */

static const char *const outcomes[] = {"blank",   "invalid",   "stored",  "duplicate_content", "duplicate", "dead",
                                       "pending", "cancelled", "removed", "unchanged",         "changed",   "refresh_failed"};

static bool wanted(const struct gri_json *row, const char *outcome) {
    return !outcome || strcmp(gri_json_str(row, "outcome", ""), outcome) == 0;
}

struct lines_stream {
    struct gri_fates *fates;
    const char *outcome; /* one of `outcomes`, or NULL */
    bool csv;
};

/* False when it did not fit. */
static bool put_row(struct gri_bytes *out, const struct gri_json *row, bool csv) {
    struct gri_error error;
    if (!csv) {
        if (gri_json_write(row, false, out, &error) != GRI_OK) return false;
        gri_bytes_put(out, "\n");
        return !gri_bytes_failed(out);
    }
    gri_bytes_printf(out, "%lld,", (long long)gri_json_get_int(row, "line", 0));
    gri_bytes_put_csv(out, gri_json_str(row, "url", gri_json_str(row, "text", "")));
    gri_bytes_printf(out, ",%s,%s,", gri_json_str(row, "outcome", ""), gri_json_str(row, "reason", ""));
    gri_bytes_put_csv(out, gri_json_str(row, "image", ""));
    gri_bytes_put(out, "\r\n");
    return !gri_bytes_failed(out);
}

static bool lines_more(void *arg, struct gri_bytes *out, bool *failed) {
    struct lines_stream *stream = arg;
    struct gri_error error;
    while (out->len == 0) {
        struct gri_json *batch;
        *failed = gri_fates_next(stream->fates, &batch, &error) != GRI_OK;
        if (*failed || !batch) return false;
        for (size_t i = 0; !*failed && i < gri_json_count(batch); i++)
            *failed = wanted(gri_json_at(batch, i), stream->outcome) && !put_row(out, gri_json_at(batch, i), stream->csv);
        gri_json_free(batch);
        if (*failed) return false;
    }
    return true;
}

static void lines_free(void *arg) {
    struct lines_stream *stream = arg;
    gri_fates_close(stream->fates);
    free(stream);
}

/* One JSON page: {"lines": […], "next": cursor or null}. */
static void reply_page(struct gri_api_call *call, struct gri_fates *fates, const char *outcome, int64_t limit, int64_t from) {
    struct gri_json *page = gri_json_object(), *lines = gri_json_array();
    int64_t last = from - 1;
    bool more = true;
    struct gri_error error;
    enum gri_status status = GRI_OK;
    while (more && (int64_t)gri_json_count(lines) < limit && last - from < LINES_SCAN_MAX) {
        struct gri_json *batch;
        status = gri_fates_next(fates, &batch, &error);
        if (status != GRI_OK || !batch) {
            more = false;
            break;
        }
        for (size_t i = 0; i < gri_json_count(batch) && (int64_t)gri_json_count(lines) < limit; i++) {
            const struct gri_json *row = gri_json_at(batch, i);
            last = gri_json_get_int(row, "line", last);
            if (wanted(row, outcome)) gri_json_append(lines, gri_json_copy(row));
        }
        gri_json_free(batch);
    }
    gri_json_set(page, "lines", lines);
    if (more) {
        char cursor[24];
        (void)gri_format(cursor, sizeof cursor, "%lld", (long long)last);
        gri_json_set_str(page, "next", cursor);
    } else {
        gri_json_set_null(page, "next");
    }
    if (status == GRI_OK) {
        gri_api_reply_json(call->reply, 200, page);
        return;
    }
    gri_json_free(page);
    gri_api_problem(call->reply, &error, NULL);
}

static bool check_outcome(struct gri_api_call *call, const char **outcome) {
    const char *asked = gri_api_query(call, "outcome");
    *outcome = NULL;
    if (!asked || !*asked) return true;
    for (size_t i = 0; i < sizeof outcomes / sizeof outcomes[0]; i++)
        if (strcmp(asked, outcomes[i]) == 0) *outcome = outcomes[i];
    if (*outcome) return true;
    gri_api_problem_of(call->reply, GRI_R_bad_request,
                       "outcome is one of blank, invalid, stored, duplicate_content, duplicate, dead, pending, "
                       "cancelled, removed");
    return false;
}

void gri_api_get_lines(struct gri_api_call *call) {
    const char *accept = call->request->accept ? call->request->accept : "";
    const char *outcome;
    int64_t limit, after;
    struct gri_fates *fates;
    struct gri_error error;
    if (!gri_api_catalog_id(call) || !check_outcome(call, &outcome) ||
        !gri_api_query_int(call, "limit", 1, GRI_API_PAGE_MAX, GRI_API_PAGE_DEFAULT, &limit) ||
        !gri_api_query_int(call, "cursor", 0, INT64_MAX / 2, 0, &after))
        return;
    if (gri_fates_open(call->api, call->segment, after + 1, &fates, &error) != GRI_OK) {
        gri_api_problem(call->reply, &error, NULL);
        return;
    }
    bool csv = strstr(accept, "text/csv") != NULL;
    if (!csv && !strstr(accept, "application/x-ndjson")) {
        reply_page(call, fates, outcome, limit, after + 1);
        gri_fates_close(fates);
        return;
    }
    struct lines_stream *stream = gri_calloc(1, sizeof *stream);
    *stream = (struct lines_stream){.fates = fates, .outcome = outcome, .csv = csv};
    call->reply->status = 200;
    call->reply->content_type = csv ? "text/csv; charset=utf-8" : "application/x-ndjson";
    if (csv) gri_bytes_put(&call->reply->body, "line,url,outcome,reason,image\r\n");
    call->reply->stream = stream;
    call->reply->more = lines_more;
    call->reply->stream_free = lines_free;
}
