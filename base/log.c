/* SPDX-License-Identifier: Apache-2.0 */
/* JSON-lines log (grisaille/log.h). A line is built in one fixed buffer and written with one write(2). */
#include <grisaille/log.h>

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "log_ecs.h"
#include "redact.h"
#include "utf8.h"

enum { LINE_MAX_BYTES = 8192, TAIL_BYTES = 16, TEXT_MAX = 1024, LOOK_AT = 16 * 1024 };

struct gri_log {
    int fd;
    _Atomic int level;
    enum gri_log_format format;
    char *role, *instance;
    gri_log_tap tap;
    void *tap_arg;
};

struct line {
    char text[LINE_MAX_BYTES];
    size_t len;
    bool full; /* something did not fit */
};

static const char *const LEVELS[] = {"debug", "info", "warn", "error"};

struct gri_log *gri_log_create(int fd, enum gri_level level, const char *role, const char *instance) {
    struct gri_log *log = gri_calloc(1, sizeof *log);
    log->fd = fd;
    atomic_init(&log->level, (int)level);
    log->role = gri_strdup(role);
    log->instance = gri_strdup(instance);
    return log;
}

void gri_log_destroy(struct gri_log *log) {
    if (!log) return;
    free(log->instance);
    free(log->role);
    free(log);
}

void gri_log_set_tap(struct gri_log *log, gri_log_tap tap, void *arg) {
    log->tap_arg = arg;
    log->tap = tap;
}

void gri_log_set_format(struct gri_log *log, enum gri_log_format format) {
    log->format = format;
}

void gri_log_set_level(struct gri_log *log, enum gri_level level) {
    atomic_store(&log->level, (int)level);
}

bool gri_level_from_name(const char *name, enum gri_level *level) {
    for (int i = GRI_DEBUG; i <= GRI_ERROR; i++) {
        if (strcmp(name, LEVELS[i]) == 0) {
            *level = (enum gri_level)i;
            return true;
        }
    }
    return false;
}

const char *gri_level_name(enum gri_level level) {
    GRI_ASSERT((unsigned)level <= GRI_ERROR);
    return LEVELS[level];
}

static void put(struct line *line, const char *text, size_t len) {
    if (line->full || len > sizeof line->text - TAIL_BYTES - line->len) {
        line->full = true;
        return;
    }
    memcpy(line->text + line->len, text, len);
    line->len += len;
}

static void put_escaped(struct line *line, const char *text, size_t len) {
    for (size_t i = 0; i < len && !line->full; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '"' || c == '\\') {
            put(line, (char[]){'\\', (char)c}, 2);
        } else if (c < 0x20 || c == 0x7f) {
            char code[8];
            snprintf(code, sizeof code, "\\u%04x", c);
            put(line, code, 6);
        } else {
            put(line, text + i, 1);
        }
    }
}

/* At most TEXT_MAX bytes of valid UTF-8, cut between characters. Credentials go before the cut, so that none is cut open. */
static void put_text(struct line *line, const char *text) {
    struct gri_bytes redacted, clean;
    gri_bytes_init(&redacted, (size_t)2 * LOOK_AT);
    gri_bytes_init(&clean, (size_t)6 * LOOK_AT);
    gri_redact_put(&redacted, (struct gri_slice){(const uint8_t *)text, strnlen(text, LOOK_AT)});
    gri_utf8_put_clean(&clean, gri_bytes_slice(&redacted));
    size_t len = clean.len, n = 0;
    if (len > TEXT_MAX) {
        for (len = 0; (n = gri_utf8_length(clean.data + len, clean.len - len)) > 0 && len + n <= TEXT_MAX;)
            len += n;
    }
    put(line, "\"", 1);
    put_escaped(line, gri_bytes_text(&clean), len);
    put(line, "\"", 1);
    gri_bytes_clear(&clean);
    gri_bytes_clear(&redacted);
}

/* A field that does not fit whole is left out, and so is the rest of the line. */
static void put_field(struct line *line, const struct gri_field *field) {
    size_t before = line->len;
    put(line, ",\"", 2);
    put_escaped(line, field->name, strlen(field->name));
    put(line, "\":", 2);
    if (field->is_number) {
        char number[32];
        snprintf(number, sizeof number, "%" PRId64, field->number);
        put(line, number, strlen(number));
    } else if (field->text) {
        put_text(line, field->text);
    } else {
        put(line, "null", 4);
    }
    if (line->full) line->len = before;
}

static void put_time(struct line *line, const char *name) {
    struct timespec now;
    struct tm utc;
    char text[64];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    int start = snprintf(text, sizeof text, "{\"%s\":\"", name);
    size_t len = (size_t)start + strftime(text + start, sizeof text - (size_t)start, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(text + len, sizeof text - len, ".%03dZ\"", (int)(now.tv_nsec / 1000000));
    put(line, text, strlen(text));
}

static void put_trace(struct line *line, const char *name, const struct gri_field *field) {
    char trace[GRI_TRACE_HEX + 1];
    if (gri_log_trace(field, trace)) put_field(line, &GRI_TEXT(name, trace));
}

static void put_plain(struct line *line, const struct gri_log *log, enum gri_level level, const char *event,
                      const struct gri_field *fields, size_t count) {
    put_time(line, "time");
    put_field(line, &GRI_TEXT("level", gri_level_name(level)));
    put_field(line, &GRI_TEXT("role", log->role));
    put_field(line, &GRI_TEXT("instance", log->instance));
    put_field(line, &GRI_TEXT("event", event));
    for (size_t i = 0; i < count && fields[i].name; i++) {
        put_field(line, &fields[i]);
        put_trace(line, "trace", &fields[i]);
    }
}

/* ECS wants a message in every line: the field `detail`, which is a sentence, else the event's name. */
static void put_ecs(struct line *line, const struct gri_log *log, enum gri_level level, const char *event,
                    const struct gri_field *fields, size_t count) {
    const char *message = event;
    char name[GRI_ECS_NAME_MAX];
    for (size_t i = 0; i < count && fields[i].name; i++)
        if (strcmp(fields[i].name, "detail") == 0 && fields[i].text) message = fields[i].text;
    put_time(line, "@timestamp");
    put_field(line, &GRI_TEXT("log.level", gri_level_name(level)));
    put_field(line, &GRI_TEXT("message", message));
    put_field(line, &GRI_TEXT("ecs.version", "8.11.0"));
    put_field(line, &GRI_TEXT("service.name", "grisaille"));
    put_field(line, &GRI_TEXT("service.node.role", log->role));
    put_field(line, &GRI_TEXT("service.node.name", log->instance));
    put_field(line, &GRI_TEXT("event.action", event));
    for (size_t i = 0; i < count && fields[i].name; i++) {
        if (strcmp(fields[i].name, "detail") == 0) continue;
        struct gri_field field = gri_log_ecs_field(&fields[i], name);
        put_field(line, &field);
        put_trace(line, "trace.id", &fields[i]);
    }
}

static void write_line(int fd, const char *text, size_t len) {
    while (len > 0) {
        ssize_t n = write(fd, text, len);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return; /* there is nowhere left to tell it */
        text += n;
        len -= (size_t)n;
    }
}

void gri_log_write(struct gri_log *log, enum gri_level level, const char *event, const struct gri_field *fields, size_t count) {
    if (!log || (int)level < atomic_load(&log->level)) return;
    struct line line;
    line.len = 0;
    line.full = false;
    if (log->format == GRI_LOG_ECS) {
        put_ecs(&line, log, level, event, fields, count);
    } else {
        put_plain(&line, log, level, event, fields, count);
    }
    const char *tail = line.full ? ",\"cut\":true}\n" : "}\n";
    GRI_ASSERT(strlen(tail) <= TAIL_BYTES);
    memcpy(line.text + line.len, tail, strlen(tail));
    write_line(log->fd, line.text, line.len + strlen(tail));
    if (log->tap && level >= GRI_WARN) log->tap(log->tap_arg, level, event, fields, count);
}

void gri_log_error(struct gri_log *log, enum gri_level level, const char *event, const struct gri_error *error) {
    gri_log(log, level, event, GRI_TEXT("reason", gri_reason_name(error->reason)),
            GRI_TEXT("class", gri_status_name(error->status)), GRI_TEXT("detail", error->detail));
}
