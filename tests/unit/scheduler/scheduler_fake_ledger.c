/* SPDX-License-Identifier: Apache-2.0 */
/* Fake ledger: catalogs with chunks, URL records, line errors, leases. */
#include "scheduler_fakes.h"

#include <stdlib.h>
#include <string.h>

static struct fake_ledger *self(struct gri_ledger *ledger) {
    return gri_container_of(ledger, struct fake_ledger, base);
}

static void finish_op(void *arg) {
    struct gri_op *op = arg;
    op->done(op);
}

static bool answer(struct fake_ledger *ledger, struct gri_op *op, const char *name) {
    struct fake_fault *fault = &ledger->fault;
    bool hit = fault->op && fault->times > 0 && strcmp(fault->op, name) == 0;
    if (hit) fault->times--;
    op->status = GRI_OK;
    if (ledger->down || hit)
        op->status = gri_fail_as(&op->error, hit ? fault->status : GRI_RETRY, GRI_R_store, "fake: %s fails", name);
    gri_timer_start(&ledger->loop->base, 1, finish_op, op);
    return op->status == GRI_OK || (hit && fault->applied);
}

struct fake_catalog *fake_ledger_catalog(struct fake_ledger *ledger, const char *id) {
    for (size_t i = 0; i < ledger->catalog_count; i++)
        if (strcmp(ledger->catalogs[i].id, id) == 0) return &ledger->catalogs[i];
    return NULL;
}

static struct fake_catalog *known_catalog(struct fake_ledger *ledger, const char *id) {
    struct fake_catalog *catalog = fake_ledger_catalog(ledger, id);
    GRI_ASSERT(catalog);
    return catalog;
}

struct fake_catalog *fake_ledger_add_catalog(struct fake_ledger *ledger, const char *id) {
    GRI_ASSERT(ledger->catalog_count < FAKE_CATALOGS);
    struct fake_catalog *catalog = &ledger->catalogs[ledger->catalog_count++];
    *catalog = (struct fake_catalog){.state = GRI_CATALOG_RUNNING};
    gri_copy(catalog->id, sizeof catalog->id, id);
    return catalog;
}

void fake_ledger_add_chunk(struct fake_catalog *catalog, const char *text) {
    GRI_ASSERT(catalog->chunk_count < FAKE_CHUNKS);
    struct fake_chunk *chunk = &catalog->chunks[catalog->chunk_count];
    *chunk = (struct fake_chunk){.text = gri_strdup(text), .first_line = 1};
    if (catalog->chunk_count > 0) chunk->first_line = chunk[-1].first_line + chunk[-1].lines;
    for (const char *at = text; *at; at++)
        chunk->lines += *at == '\n';
    catalog->chunk_count++;
}

static struct fake_url *find_key(const struct fake_ledger *ledger, const char *key) {
    for (size_t i = 0; i < ledger->url_count; i++)
        if (strcmp(ledger->urls[i].key, key) == 0) return &ledger->urls[i];
    return NULL;
}

struct fake_url *fake_ledger_url(struct fake_ledger *ledger, const char *url) {
    for (size_t i = 0; i < ledger->url_count; i++)
        if (strcmp(ledger->urls[i].url, url) == 0) return &ledger->urls[i];
    return NULL;
}

/* --- leases and feeder -------------------------------------------------------------------------------------------------------
 */

static void lease(struct gri_ledger *port, struct gri_ledger_lease *request) {
    struct fake_ledger *ledger = self(port);
    fake_trace_add(ledger->trace, "lease %s %lld", request->name, (long long)request->ttl_ms);
    request->held = answer(ledger, &request->op, "lease") && !ledger->lease_taken;
}

static int64_t queued_of(const struct fake_ledger *ledger, const struct fake_catalog *catalog) {
    int64_t queued = catalog->extra_queued;
    for (size_t i = 0; i < ledger->url_count; i++)
        queued += strcmp(ledger->urls[i].catalog, catalog->id) == 0 && ledger->urls[i].state == GRI_URL_QUEUED;
    return queued;
}

static int64_t open_of(const struct fake_ledger *ledger, const struct fake_catalog *catalog) {
    int64_t open = catalog->extra_open + catalog->extra_queued;
    for (size_t i = 0; i < ledger->url_count; i++) {
        const struct fake_url *url = &ledger->urls[i];
        open += strcmp(url->catalog, catalog->id) == 0 && (url->state == GRI_URL_QUEUED || url->state == GRI_URL_WAITING);
    }
    return open;
}

static void feed(struct gri_ledger *port, struct gri_ledger_feed *request) {
    struct fake_ledger *ledger = self(port);
    if (!answer(ledger, &request->op, "feed") || request->op.status != GRI_OK) return;
    request->catalogs = gri_calloc(FAKE_CATALOGS, sizeof *request->catalogs);
    for (size_t i = 0; i < ledger->catalog_count && request->count < request->catalog_limit; i++) {
        const struct fake_catalog *from = &ledger->catalogs[i];
        if (from->state == GRI_CATALOG_FINISHED) continue;
        struct gri_feed_catalog *to = &request->catalogs[request->count++];
        *to =
            (struct gri_feed_catalog){.state = from->state, .chunks = (int64_t)from->chunk_count, .open = open_of(ledger, from)};
        if (to->open > request->open_limit) to->open = request->open_limit;
        to->queued = queued_of(ledger, from) < request->queued_limit ? queued_of(ledger, from) : request->queued_limit;
        gri_copy(to->id, sizeof to->id, from->id);
        to->next = gri_calloc(FAKE_CHUNKS, sizeof *to->next);
        for (size_t j = 0; j < from->chunk_count && to->next_count < request->chunk_limit; j++) {
            if (from->chunks[j].admitted) continue;
            to->next[to->next_count].number = (int64_t)j;
            gri_copy(to->next[to->next_count++].announced_id, GRI_ENTRY_ID_MAX, from->chunks[j].announced_id);
        }
    }
}

static void announced(struct gri_ledger *port, struct gri_ledger_announced *request) {
    struct fake_ledger *ledger = self(port);
    fake_trace_add(ledger->trace, "announced %s", request->catalog);
    if (!answer(ledger, &request->op, "announced")) return;
    struct fake_catalog *catalog = known_catalog(ledger, request->catalog);
    for (size_t i = 0; i < request->count; i++)
        gri_copy(catalog->chunks[request->chunks[i]].announced_id, GRI_ENTRY_ID_MAX, request->ids[i]);
}

static void settle(struct gri_ledger *port, struct gri_ledger_settle *request) {
    struct fake_ledger *ledger = self(port);
    fake_trace_add(ledger->trace, "settle %s", request->catalog);
    if (!answer(ledger, &request->op, "settle")) return;
    struct fake_catalog *catalog = known_catalog(ledger, request->catalog);
    bool stopped = catalog->state == GRI_CATALOG_CANCELLED || catalog->state == GRI_CATALOG_DELETING;
    for (size_t i = 0; stopped && i < ledger->url_count; i++) {
        struct fake_url *url = &ledger->urls[i];
        bool pending = url->state == GRI_URL_QUEUED || url->state == GRI_URL_WAITING;
        if (pending && strcmp(url->catalog, catalog->id) == 0) url->state = GRI_URL_DEAD;
    }
    if (open_of(ledger, catalog) > 0) return;
    for (size_t i = 0; i < catalog->chunk_count; i++)
        if (!catalog->chunks[i].admitted) return;
    catalog->state = GRI_CATALOG_FINISHED;
    request->finished = true;
}

/* --- admission ---------------------------------------------------------------------------------------------------------------
 */

static void read_chunk(struct gri_ledger *port, struct gri_ledger_chunk *request) {
    struct fake_ledger *ledger = self(port);
    fake_trace_add(ledger->trace, "chunk %s %lld", request->catalog, (long long)request->number);
    if (!answer(ledger, &request->op, "chunk")) return;
    const struct fake_catalog *catalog = fake_ledger_catalog(ledger, request->catalog);
    if (!catalog || request->number >= (int64_t)catalog->chunk_count) return;
    const struct fake_chunk *chunk = &catalog->chunks[request->number];
    request->found = true;
    request->admitted = chunk->admitted;
    request->state = catalog->state;
    request->retry_dead = catalog->retry_dead;
    request->first_line = chunk->first_line;
    request->lines = chunk->lines;
    gri_copy(request->pipeline, sizeof request->pipeline, "gray@0123456789ab");
    gri_copy(request->rules, sizeof request->rules, "rules@0123456789ab");
    gri_bytes_put(&request->text, chunk->text);
}

static void definition(struct gri_ledger *port, struct gri_ledger_definition *request) {
    struct fake_ledger *ledger = self(port);
    fake_trace_add(ledger->trace, "definition %s", request->id);
    if (answer(ledger, &request->op, "definition")) gri_bytes_put(&request->body, ledger->rules);
}

static int by_number(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void accounted(struct gri_ledger *port, struct gri_ledger_accounted *request) {
    struct fake_ledger *ledger = self(port);
    fake_trace_add(ledger->trace, "accounted %s", request->catalog);
    if (!answer(ledger, &request->op, "accounted") || request->op.status != GRI_OK) return;
    request->lines = gri_calloc(ledger->url_count + ledger->error_count + 1, sizeof *request->lines);
    for (size_t i = 0; i < ledger->url_count; i++)
        if (strcmp(ledger->urls[i].catalog, request->catalog) == 0) request->lines[request->count++] = ledger->urls[i].line;
    for (size_t i = 0; i < ledger->error_count; i++)
        if (strcmp(ledger->errors[i].catalog, request->catalog) == 0) request->lines[request->count++] = ledger->errors[i].line;
    qsort(request->lines, request->count, sizeof *request->lines, by_number);
}

static enum gri_admitted admit_one(struct fake_ledger *ledger, const struct gri_ledger_admit *request, size_t i) {
    const struct gri_job *job = &request->urls[i].job;
    struct fake_url *known = find_key(ledger, job->key);
    request->runs[i] = 1;
    if (known && known->state == GRI_URL_DEAD && request->revive_dead) {
        known->state = GRI_URL_QUEUED;
        known->queued_at = ledger->loop->now;
        request->runs[i] = ++known->run;
        return GRI_REVIVED;
    }
    if (known) return GRI_KNOWN;
    GRI_ASSERT(ledger->url_count < FAKE_URLS);
    struct fake_url *url = &ledger->urls[ledger->url_count++];
    *url = (struct fake_url){.url = gri_strdup(job->url),
                             .line = request->urls[i].line,
                             .run = 1,
                             .queued_at = ledger->loop->now,
                             .state = GRI_URL_QUEUED};
    gri_copy(url->key, sizeof url->key, job->key);
    if (request->catalog) gri_copy(url->catalog, sizeof url->catalog, request->catalog);
    return GRI_ADMITTED;
}

static void admit(struct gri_ledger *port, struct gri_ledger_admit *request) {
    struct fake_ledger *ledger = self(port);
    fake_trace_add(ledger->trace, "admit %zu %s", request->count, request->catalog ? request->catalog : "-");
    if (request->count > ledger->largest_admit) ledger->largest_admit = request->count;
    for (size_t i = 0; ledger->poison && !ledger->down && i < request->count; i++) {
        if (!strstr(request->urls[i].job.url, ledger->poison)) continue;
        ledger->fault = (struct fake_fault){.op = "admit", .times = 1, .status = GRI_PERMANENT};
    }
    if (!answer(ledger, &request->op, "admit")) return;
    for (size_t i = 0; i < request->count; i++)
        request->results[i] = admit_one(ledger, request, i);
}

static void reject(struct gri_ledger *port, struct gri_ledger_reject *request) {
    struct fake_ledger *ledger = self(port);
    fake_trace_add(ledger->trace, "reject %zu", request->count);
    if (!answer(ledger, &request->op, "reject")) return;
    for (size_t i = 0; i < request->count; i++) {
        GRI_ASSERT(ledger->error_count < FAKE_ERRORS);
        ledger->errors[ledger->error_count].line = request->errors[i].line;
        ledger->errors[ledger->error_count].reason = request->errors[i].reason;
        gri_copy(ledger->errors[ledger->error_count++].catalog, GRI_CATALOG_ID_MAX, request->catalog);
    }
}

static void chunk_done(struct gri_ledger *port, struct gri_ledger_chunk_done *request) {
    struct fake_ledger *ledger = self(port);
    fake_trace_add(ledger->trace, "chunk_done %s %lld", request->catalog, (long long)request->number);
    if (answer(ledger, &request->op, "chunk_done"))
        known_catalog(ledger, request->catalog)->chunks[request->number].admitted = true;
}

static void quarantine(struct gri_ledger *port, struct gri_ledger_quarantine *request) {
    fake_trace_add(self(port)->trace, "quarantine %s", request->entry_id);
    if (answer(self(port), &request->op, "quarantine")) gri_copy(self(port)->quarantined, GRI_ENTRY_ID_MAX, request->entry_id);
}

static void events(struct gri_ledger *port, struct gri_ledger_events *request) {
    struct fake_ledger *ledger = self(port);
    fake_trace_add(ledger->trace, "events %zu %s", request->count, request->events[0].event);
    if (!answer(ledger, &request->op, "events")) return;
    ledger->event_count += request->count;
    ledger->last_event = request->events[request->count - 1].reason;
}

/* --- dispatcher and sweeper --------------------------------------------------------------------------------------------------
 */

static struct gri_due due_of(const struct fake_ledger *ledger, const struct fake_url *url) {
    struct gri_due due = {.job = {.run = url->run, .url = gri_strdup(url->url)}, .queued_ms = ledger->loop->now - url->queued_at};
    gri_copy(due.job.key, sizeof due.job.key, url->key);
    gri_copy(due.job.pipeline, sizeof due.job.pipeline, "gray@0123456789ab");
    return due;
}

static void due(struct gri_ledger *port, struct gri_ledger_due *request) {
    struct fake_ledger *ledger = self(port);
    if (!answer(ledger, &request->op, "due")) return;
    request->due = gri_calloc(request->limit, sizeof *request->due);
    request->next_ms = -1;
    for (size_t i = 0; i < ledger->url_count && request->count < request->limit; i++) {
        struct fake_url *url = &ledger->urls[i];
        if (url->state != GRI_URL_WAITING || url->next_at > ledger->loop->now) continue;
        url->state = GRI_URL_QUEUED;
        url->run++;
        url->queued_at = ledger->loop->now;
        request->due[request->count++] = due_of(ledger, url);
    }
    if (request->op.status == GRI_OK) return;
    gri_due_free(request->due, request->count); /* applied, and the answer was lost */
    request->due = NULL;
    request->count = 0;
}

static void stale(struct gri_ledger *port, struct gri_ledger_stale *request) {
    struct fake_ledger *ledger = self(port);
    fake_trace_add(ledger->trace, "stale %lld", (long long)request->min_age_ms);
    size_t from = request->after[0] ? (size_t)strtoul(request->after, NULL, 10) : 0;
    if (!answer(ledger, &request->op, "stale") || request->op.status != GRI_OK) return;
    request->due = gri_calloc(request->limit, sizeof *request->due);
    for (size_t i = from; i < ledger->url_count; i++) {
        const struct fake_url *url = &ledger->urls[i];
        if (url->state != GRI_URL_QUEUED || ledger->loop->now - url->queued_at < request->min_age_ms) continue;
        if (request->count == request->limit) {
            (void)gri_format(request->cursor, sizeof request->cursor, "%zu", i);
            return;
        }
        request->due[request->count++] = due_of(ledger, url);
    }
}

static void check(struct gri_ledger *port, struct gri_ledger_check *request) {
    struct fake_ledger *ledger = self(port);
    fake_trace_add(ledger->trace, "check %zu", request->count);
    if (!answer(ledger, &request->op, "check")) return;
    for (size_t i = 0; i < request->count; i++) {
        const struct fake_url *url = find_key(ledger, request->keys[i]);
        request->records[i] = (struct gri_url_record){.state = url ? url->state : GRI_URL_ABSENT, .run = url ? url->run : 0};
    }
}

static void reap(struct gri_ledger *port, struct gri_ledger_reap *request) {
    request->reaped = 0;
    (void)answer(self(port), &request->op, "reap");
}

static void upkeep(struct gri_ledger *port, struct gri_ledger_upkeep *request) {
    request->more = false;
    fake_trace_add(self(port)->trace, "upkeep");
    (void)answer(self(port), &request->op, "upkeep");
}

static void gauges(struct gri_ledger *port, struct gri_ledger_gauges *request) {
    (void)answer(self(port), &request->op, "gauges");
}

static void finish(struct gri_ledger *port, struct gri_ledger_finish *request) {
    (void)port;
    (void)request;
    GRI_ASSERT(!"a scheduler finishes no job");
}

void fake_ledger_init(struct fake_ledger *ledger, struct fake_loop *loop, struct fake_trace *trace) {
    static const struct gri_ledger_ops ops = {.lease = lease,
                                              .feed = feed,
                                              .announced = announced,
                                              .settle = settle,
                                              .chunk = read_chunk,
                                              .definition = definition,
                                              .accounted = accounted,
                                              .admit = admit,
                                              .reject = reject,
                                              .chunk_done = chunk_done,
                                              .quarantine = quarantine,
                                              .due = due,
                                              .stale = stale,
                                              .check = check,
                                              .finish = finish,
                                              .events = events,
                                              .gauges = gauges,
                                              .reap = reap,
                                              .upkeep = upkeep};
    *ledger = (struct fake_ledger){.base.ops = &ops, .loop = loop, .trace = trace};
    ledger->rules = "{\"allow_ports\":[],\"rules\":[]}";
    ledger->urls = gri_calloc(FAKE_URLS, sizeof *ledger->urls);
    ledger->errors = gri_calloc(FAKE_ERRORS, sizeof *ledger->errors);
}

void fake_ledger_clear(struct fake_ledger *ledger) {
    for (size_t i = 0; i < ledger->catalog_count; i++)
        for (size_t j = 0; j < ledger->catalogs[i].chunk_count; j++)
            free(ledger->catalogs[i].chunks[j].text);
    for (size_t i = 0; i < ledger->url_count; i++)
        free(ledger->urls[i].url);
    free(ledger->urls);
    free(ledger->errors);
}
