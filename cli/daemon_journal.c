/* SPDX-License-Identifier: Apache-2.0 */
/* Warnings and errors of the log, kept in a bounded table by whatever thread logs, written by the loop. */
#include "daemon_journal.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { NOTES_MAX = 64, FLUSH_MS = 1000, EVENT_MAX = 48, DETAIL_MAX = 500, URL_KEEP = 1024 };

struct note {
    enum gri_level level;
    enum gri_reason reason;
    int64_t ms;
    char event[EVENT_MAX], detail[DETAIL_MAX], key[GRI_KEY_MAX], catalog[GRI_CATALOG_ID_MAX], host[GRI_HOST_MAX], url[URL_KEEP];
};

struct table {
    struct note notes[NOTES_MAX];
    size_t count;
};

struct gri_daemon_journal {
    struct gri_loop *loop;
    struct gri_log *log;
    struct gri_ledger *ledger;
    const char *instance;
    struct gri_timer *timer;
    pthread_mutex_t lock; /* of `filling` */
    struct table *filling, *writing;
    struct gri_ledger_events request;
    struct gri_event rows[NOTES_MAX];
    bool out, failed;
    void (*done)(void *arg);
    void *arg;
};

/* Those that are written as events where they arise. */
static bool is_event_already(const char *event) {
    static const char *const names[] = {"dead_letter",  "attempt_failed", "image_corrupt",
                                        "image_healed", "reclaimed",      "repaired"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(event, names[i]) == 0) return true;
    return false;
}

static void take_field(struct note *note, const struct gri_field *field) {
    const struct {
        const char *name;
        char *to;
        size_t size;
    } texts[] = {{"detail", note->detail, sizeof note->detail},
                 {"job", note->key, sizeof note->key},
                 {"catalog", note->catalog, sizeof note->catalog},
                 {"host", note->host, sizeof note->host},
                 {"url", note->url, sizeof note->url}};
    if (field->is_number) {
        if (strcmp(field->name, "ms") == 0) note->ms = field->number;
        return;
    }
    if (!field->text) return;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (strcmp(field->name, texts[i].name) == 0) (void)gri_copy(texts[i].to, texts[i].size, field->text);
    if (strcmp(field->name, "reason") != 0) return;
    enum gri_reason reason = gri_reason_from_name(field->text);
    note->reason = reason == GRI_REASON_COUNT ? GRI_R_none : reason;
}

static void tap(void *arg, enum gri_level level, const char *event, const struct gri_field *fields, size_t count) {
    if (!is_event_already(event)) gri_daemon_journal_note(arg, level, event, fields, count);
}

void gri_daemon_journal_note(struct gri_daemon_journal *journal, enum gri_level level, const char *event,
                             const struct gri_field *fields, size_t count) {
    pthread_mutex_lock(&journal->lock);
    if (journal->filling->count < NOTES_MAX) {
        struct note *note = &journal->filling->notes[journal->filling->count++];
        *note = (struct note){.level = level, .reason = GRI_R_none};
        (void)gri_copy(note->event, sizeof note->event, event);
        for (size_t i = 0; i < count && fields[i].name; i++)
            take_field(note, &fields[i]);
    }
    pthread_mutex_unlock(&journal->lock);
}

struct gri_daemon_journal *gri_daemon_journal_create(struct gri_loop *loop, struct gri_log *log, const char *instance) {
    struct gri_daemon_journal *journal = gri_calloc(1, sizeof *journal);
    *journal = (struct gri_daemon_journal){.loop = loop, .log = log, .instance = instance};
    journal->filling = gri_calloc(1, sizeof *journal->filling);
    journal->writing = gri_calloc(1, sizeof *journal->writing);
    pthread_mutex_init(&journal->lock, NULL);
    gri_log_set_tap(log, tap, journal);
    return journal;
}

static void flush(void *arg);

static void flushed(struct gri_op *op) {
    struct gri_daemon_journal *journal = gri_container_of(op, struct gri_daemon_journal, request.op);
    journal->out = false;
    journal->failed = op->status != GRI_OK;
    journal->writing->count = 0;
    if (journal->done)
        journal->done(journal->arg);
    else
        journal->timer = gri_timer_start(journal->loop, FLUSH_MS, flush, journal);
}

/* True when a request is under way. */
static bool submit(struct gri_daemon_journal *journal) {
    pthread_mutex_lock(&journal->lock);
    struct table *full = journal->filling;
    journal->filling = journal->writing;
    journal->writing = full;
    pthread_mutex_unlock(&journal->lock);
    if (full->count == 0) return false;
    for (size_t i = 0; i < full->count; i++) {
        const struct note *note = &full->notes[i];
        journal->rows[i] = (struct gri_event){.level = note->level,
                                              .event = note->event,
                                              .catalog = note->catalog,
                                              .key = note->key,
                                              .url = note->url,
                                              .host = note->host,
                                              .detail = note->detail,
                                              .worker = journal->instance,
                                              .reason = note->reason,
                                              .ms = note->ms};
    }
    journal->request = (struct gri_ledger_events){.op = {.done = flushed}, .events = journal->rows, .count = full->count};
    journal->out = true;
    journal->ledger->ops->events(journal->ledger, &journal->request);
    return true;
}

static void flush(void *arg) {
    struct gri_daemon_journal *journal = arg;
    journal->timer = NULL;
    if (!submit(journal)) journal->timer = gri_timer_start(journal->loop, FLUSH_MS, flush, journal);
}

void gri_daemon_journal_start(struct gri_daemon_journal *journal, struct gri_ledger *ledger) {
    journal->ledger = ledger;
    flush(journal);
}

void gri_daemon_journal_stop(struct gri_daemon_journal *journal, void (*done)(void *arg), void *arg) {
    gri_timer_stop(journal->loop, journal->timer);
    journal->timer = NULL;
    journal->done = done;
    journal->arg = arg;
    if (journal->out) return;
    if (!journal->ledger || journal->failed || !submit(journal)) done(arg);
}

void gri_daemon_journal_destroy(struct gri_daemon_journal *journal) {
    if (!journal) return;
    gri_log_set_tap(journal->log, NULL, NULL);
    gri_timer_stop(journal->loop, journal->timer);
    pthread_mutex_destroy(&journal->lock);
    free(journal->filling);
    free(journal->writing);
    free(journal);
}
