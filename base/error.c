/* SPDX-License-Identifier: Apache-2.0 */
/* Status, reasons and errors (grisaille/status.h). */
#include <grisaille/status.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RETRY GRI_RETRY
#define PERMANENT GRI_PERMANENT
#define FATAL GRI_FATAL
static const struct gri_reason_info REASONS[GRI_REASON_COUNT] = {
#define GRI_REASON(name, class, group, http, help) {#name, #group, help, class, http},
#include <grisaille/reasons.def>
#undef GRI_REASON
};
#undef RETRY
#undef PERMANENT
#undef FATAL

const struct gri_reason_info *gri_reason_info(enum gri_reason reason) {
    GRI_ASSERT((unsigned)reason < GRI_REASON_COUNT);
    return &REASONS[reason];
}

const char *gri_reason_name(enum gri_reason reason) {
    return gri_reason_info(reason)->name;
}

enum gri_reason gri_reason_from_name(const char *name) {
    for (unsigned i = 0; name && i < GRI_REASON_COUNT; i++) {
        if (strcmp(REASONS[i].name, name) == 0) return (enum gri_reason)i;
    }
    return GRI_REASON_COUNT;
}

const char *gri_status_name(enum gri_status status) {
    static const char *const NAMES[] = {"ok", "retry", "permanent", "fatal"};
    GRI_ASSERT((unsigned)status < sizeof NAMES / sizeof *NAMES);
    return NAMES[status];
}

/* Cuts `text` of `size` bytes' room back to the last whole UTF-8 character, after a cut in the middle of one. */
static void trim_partial_character(char *text) {
    size_t len = strlen(text), back = 0;
    while (back < 3 && back < len && ((unsigned char)text[len - 1 - back] & 0xc0) == 0x80)
        back++;
    if (back >= len) return;
    unsigned char lead = (unsigned char)text[len - 1 - back];
    size_t want = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : lead >= 0xc0 ? 1 : 0;
    if (want > back) text[len - 1 - back] = '\0';
}

__attribute__((format(printf, 2, 0))) static void set_detail(struct gri_error *error, const char *format, va_list args) {
    /* The arguments may point into the detail itself, so it is written elsewhere first. */
    char detail[sizeof error->detail];
    int n = vsnprintf(detail, sizeof detail, format, args);
    if (n < 0) detail[0] = '\0';
    if (n >= (int)sizeof detail) trim_partial_character(detail);
    memcpy(error->detail, detail, sizeof detail);
}

enum gri_status gri_fail(struct gri_error *error, enum gri_reason reason, const char *format, ...) {
    GRI_ASSERT(error);
    va_list args;
    va_start(args, format);
    set_detail(error, format, args);
    va_end(args);
    error->reason = reason;
    error->status = gri_reason_info(reason)->status;
    error->unknown = false;
    return error->status;
}

enum gri_status gri_fail_as(struct gri_error *error, enum gri_status status, enum gri_reason reason, const char *format, ...) {
    GRI_ASSERT(error);
    GRI_ASSERT(status != GRI_OK);
    va_list args;
    va_start(args, format);
    set_detail(error, format, args);
    va_end(args);
    error->reason = reason;
    error->status = status;
    error->unknown = false;
    return status;
}

enum gri_status gri_error_wrap(struct gri_error *error, const char *format, ...) {
    GRI_ASSERT(error);
    char context[sizeof error->detail];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(context, sizeof context, format, args);
    va_end(args);
    if (n < 0) context[0] = '\0';
    char detail[2 * sizeof error->detail + 3];
    snprintf(detail, sizeof detail, "%s: %s", context, error->detail);
    bool cut = strlen(detail) >= sizeof error->detail;
    detail[sizeof error->detail - 1] = '\0';
    if (cut) trim_partial_character(detail);
    memcpy(error->detail, detail, strlen(detail) + 1);
    return error->status;
}

_Noreturn void gri_assert_failed(const char *expression, const char *file, int line) {
    fprintf(stderr, "{\"level\":\"error\",\"event\":\"assertion_failed\",\"file\":\"%s\",\"line\":%d,\"detail\":\"", file, line);
    for (const char *c = expression; *c; c++) {
        if (*c == '"' || *c == '\\') fputc('\\', stderr);
        fputc(*c, stderr);
    }
    fputs("\"}\n", stderr);
    abort();
}
