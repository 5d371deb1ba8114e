/* SPDX-License-Identifier: Apache-2.0 */
/* Replies: JSON bodies, headers, problem details (RFC 9457), and the checks of parameters that answer one. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api_internal.h"
#include "utf8.h"

void gri_api_reply_clear(struct gri_api_reply *reply) {
    if (reply->stream_free) reply->stream_free(reply->stream);
    gri_bytes_clear(&reply->body);
    *reply = (struct gri_api_reply){0};
}

void gri_api_header(struct gri_api_reply *reply, const char *name, const char *value) {
    GRI_ASSERT(reply->header_count < GRI_API_HEADERS_MAX);
    struct gri_api_header *header = &reply->headers[reply->header_count++];
    header->name = name;
    (void)gri_copy(header->value, sizeof header->value, value);
}

void gri_api_reply_json(struct gri_api_reply *reply, int status, struct gri_json *json) {
    struct gri_error error;
    reply->status = status;
    if (!reply->content_type) reply->content_type = "application/json";
    gri_bytes_reset(&reply->body);
    if (gri_json_write(json, false, &reply->body, &error) != GRI_OK || gri_bytes_failed(&reply->body)) {
        reply->status = 500;
        gri_bytes_reset(&reply->body);
        gri_bytes_put(&reply->body,
                      "{\"title\":\"internal\",\"status\":500,\"detail\":\"the answer is too large\",\"reason\":\"internal\"}");
    } else {
        gri_bytes_put(&reply->body, "\n");
    }
    gri_json_free(json);
}

static void merge(const char *key, const struct gri_json *value, void *arg) {
    gri_json_set(arg, key, gri_json_copy(value));
}

void gri_api_problem(struct gri_api_reply *reply, const struct gri_error *error, struct gri_json *extra) {
    const struct gri_reason_info *info = gri_reason_info(error->reason);
    int status = info->http >= 400 ? info->http : 500;
    if (error->reason == GRI_R_store || error->reason == GRI_R_stream) status = 503;
    struct gri_json *problem = gri_json_object();
    char type[96];
    (void)gri_format(type, sizeof type, "urn:grisaille:reason:%s", info->name);
    gri_json_set_str(problem, "type", type);
    gri_json_set_str(problem, "title", info->help);
    gri_json_set_int(problem, "status", status);
    gri_json_set_str(problem, "detail", error->detail);
    gri_json_set_str(problem, "reason", info->name);
    if (extra) gri_json_each(extra, merge, problem);
    gri_json_free(extra);
    reply->content_type = "application/problem+json";
    gri_api_reply_json(reply, status, problem);
    if (status == 503) gri_api_header(reply, "Retry-After", "5");
}

void gri_api_problem_of(struct gri_api_reply *reply, enum gri_reason reason, const char *format, ...) {
    char detail[300];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(detail, sizeof detail, format, args);
    va_end(args);
    struct gri_error error;
    (void)gri_fail(&error, reason, "%s", length < 0 ? "" : detail);
    gri_api_problem(reply, &error, NULL);
}

int64_t gri_api_now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

const char *gri_api_query(const struct gri_api_call *call, const char *name) {
    for (size_t i = 0; i < call->request->query_count; i++)
        if (strcmp(call->request->query[i].name, name) == 0) return call->request->query[i].value;
    return NULL;
}

bool gri_api_query_is_text(struct gri_api_call *call) {
    for (size_t i = 0; i < call->request->query_count; i++) {
        const struct gri_api_param *param = &call->request->query[i];
        if (strcmp(param->name, "url") == 0 || gri_utf8_valid(gri_slice_of(param->value))) continue;
        gri_api_problem_of(call->reply, GRI_R_bad_request, "a query parameter is not UTF-8");
        return false;
    }
    return true;
}

bool gri_api_query_int(struct gri_api_call *call, const char *name, int64_t min, int64_t max, int64_t otherwise, int64_t *out) {
    const char *text = gri_api_query(call, name);
    *out = otherwise;
    if (!text) return true;
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno || end == text || *end || value < min || value > max) {
        gri_api_problem_of(call->reply, GRI_R_bad_request, "%s must be a whole number from %lld to %lld", name, (long long)min,
                           (long long)max);
        return false;
    }
    *out = value;
    return true;
}

/* "30m", "2w": that long ago; 0 when it is no age. */
static int64_t parse_age(const char *text) {
    static const struct {
        char unit;
        int64_t ms;
    } units[] = {{'s', 1000}, {'m', 60000}, {'h', 3600000}, {'d', 86400000}, {'w', 604800000}};
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (errno || end == text || number < 0 || number > 100000 || !end[0] || end[1]) return 0;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (*end == units[i].unit) return gri_api_now_ms() - number * units[i].ms;
    return 0;
}

/* RFC 3339 ("2026-11-21", "2026-11-21T09:00:00Z", with fraction) or whole Unix seconds; 0 when it is neither. */
static int64_t parse_time(const char *text) {
    struct tm tm = {0};
    const char *rest = strptime(text, "%Y-%m-%d", &tm);
    if (rest && *rest == 'T') {
        rest = strptime(rest + 1, "%H:%M:%S", &tm);
        if (rest && *rest == '.') rest += 1 + strspn(rest + 1, "0123456789");
        if (!rest || strcmp(rest, "Z") != 0) return 0;
    } else if (rest && *rest) {
        rest = NULL;
    }
    if (rest) return (int64_t)timegm(&tm) * 1000;
    char *end;
    errno = 0;
    long long seconds = strtoll(text, &end, 10);
    return errno || *end || seconds <= 0 || seconds > INT64_C(99999999999) ? 0 : seconds * 1000;
}

bool gri_api_query_time(struct gri_api_call *call, const char *name, int64_t *out) {
    const char *text = gri_api_query(call, name);
    *out = text ? parse_time(text) : 0;
    if (text && !*out) *out = parse_age(text);
    if (!text || *out) return true;
    gri_api_problem_of(
        call->reply, GRI_R_bad_request,
        "%s must be a UTC time such as 2026-11-21T09:00:00Z, a date, Unix seconds, or an age such as 30m, 12h, 14d, 2w", name);
    return false;
}

bool gri_api_query_flag(struct gri_api_call *call, const char *name, bool *out) {
    const char *text = gri_api_query(call, name);
    *out = text && strcmp(text, "true") == 0;
    if (!text || *out || strcmp(text, "false") == 0) return true;
    gri_api_problem_of(call->reply, GRI_R_bad_request, "%s is true or false", name);
    return false;
}

bool gri_api_filter(struct gri_api_call *call, struct gri_filter *filter) {
    *filter = (struct gri_filter){.catalog = gri_api_query(call, "catalog"),
                                  .host = gri_api_query(call, "host"),
                                  .reason = gri_api_query(call, "reason"),
                                  .url = gri_api_query(call, "url"),
                                  .output = gri_api_query(call, "output"),
                                  .match = gri_api_query(call, "match"),
                                  .event = gri_api_query(call, "event"),
                                  .level = gri_api_query(call, "level"),
                                  .cursor = gri_api_query(call, "cursor")};
    enum gri_level level;
    if (filter->level && !gri_level_from_name(filter->level, &level)) {
        gri_api_problem_of(call->reply, GRI_R_bad_request, "level is debug, info, warn or error");
        return false;
    }
    if (filter->reason && gri_reason_from_name(filter->reason) == GRI_REASON_COUNT) {
        gri_api_problem_of(call->reply, GRI_R_bad_request, "there is no reason '%.60s'; /v1/reasons lists them", filter->reason);
        return false;
    }
    return gri_api_query_int(call, "limit", 1, GRI_API_PAGE_MAX, GRI_API_PAGE_DEFAULT, &filter->limit) &&
           gri_api_query_time(call, "since", &filter->since_ms) && gri_api_query_time(call, "until", &filter->until_ms);
}

static size_t hex_digits(const char *text) {
    return strspn(text, "0123456789abcdefABCDEF");
}

bool gri_api_catalog_id(struct gri_api_call *call) {
    if (strlen(call->segment) == 24 && hex_digits(call->segment) == 24) return true;
    gri_api_problem_of(call->reply, GRI_R_not_found, "a catalog's id has 24 hexadecimal digits");
    return false;
}

bool gri_api_hash(struct gri_api_call *call, char hash[GRI_SHA256_HEX]) {
    size_t len = strlen(call->segment);
    if (len < GRI_API_PREFIX_MIN || len > 64 || hex_digits(call->segment) != len) {
        gri_api_problem_of(call->reply, GRI_R_bad_request,
                           "an image is asked for by the 64 hexadecimal digits of a SHA-256, or at least the first %d of them",
                           (int)GRI_API_PREFIX_MIN);
        return false;
    }
    for (size_t i = 0; i <= len; i++) {
        char c = call->segment[i];
        hash[i] = (char)(c >= 'A' && c <= 'F' ? c + ('a' - 'A') : c);
    }
    return true;
}
