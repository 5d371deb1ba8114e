/* SPDX-License-Identifier: Apache-2.0 */
/* Reading events: pages of them, as they come, the bodies beside them; and telling one. */
#include "mongo_archive.h"
#include "mongo_ledger.h"

#include <grisaille/clock.h>
#include <stdlib.h>
#include <string.h>

struct event_list {
    struct gri_json *items;
    int64_t limit, count;
    struct gri_mongo_place last;
    bool more;
};

static struct gri_json *event_json(const bson_t *document) {
    static const char *const FIELDS[] = {"_id>id", "time",   "level",  "event",   "catalog", "key",        "url", "host",
                                         "reason", "detail", "worker", "attempt", "ms",      "body_bytes", NULL};
    return gri_mongo_json_pick(document, FIELDS);
}

static bool add_event(const bson_t *document, void *arg) {
    struct event_list *list = arg;
    bson_iter_t at;
    if (list->count == list->limit) {
        list->more = true;
        return false;
    }
    list->count++;
    list->last.ms = gri_mongo_number(document, "time", 0);
    if (bson_iter_init_find(&at, document, "_id") && BSON_ITER_HOLDS_OID(&at)) {
        char hex[25];
        bson_oid_to_string(bson_iter_oid(&at), hex);
        (void)gri_copy(list->last.id, sizeof list->last.id, hex);
    }
    gri_json_append(list->items, event_json(document));
    return true;
}

static enum gri_status event_filter(const char *key, const struct gri_filter *filter, bson_t **query, struct gri_error *error) {
    struct gri_mongo_place place;
    bool given = false;
    enum gri_status status = gri_mongo_place_parse(filter->cursor, &place, &given, error);
    if (status != GRI_OK) return status;
    *query = bson_new();
    if (key) BSON_APPEND_UTF8(*query, "key", key);
    if (filter->catalog) BSON_APPEND_UTF8(*query, "catalog", filter->catalog);
    if (filter->host) BSON_APPEND_UTF8(*query, "host", filter->host);
    if (filter->reason) BSON_APPEND_UTF8(*query, "reason", filter->reason);
    if (filter->level) BSON_APPEND_UTF8(*query, "level", filter->level);
    if (filter->event) BSON_APPEND_UTF8(*query, "event", filter->event);
    if (filter->match) BSON_APPEND_REGEX(*query, "detail", filter->match, "");
    gri_mongo_append_place(*query, "time", given ? &place : NULL, filter, true);
    return GRI_OK;
}

static enum gri_status read_events(const struct gri_mongo_session *session, const char *key, const struct gri_filter *filter,
                                   struct event_list *list, struct gri_error *error) {
    bson_t *query = NULL;
    enum gri_status status = event_filter(key, filter, &query, error);
    if (status != GRI_OK) return status;
    bson_t *opts = BCON_NEW("sort", "{", "time", BCON_INT32(-1), "_id", BCON_INT32(-1), "}", "limit",
                            BCON_INT64(list->limit - list->count + 1));
    status = gri_mongo_find(session, GRI_MONGO_EVENTS, query, opts, add_event, list, error);
    if (status == GRI_PERMANENT && filter->match) error->reason = GRI_R_bad_request; /* the expression can't be compiled */
    return status;
}

/* --- what no index finds ----------------------------------------------------------------------------------------------------
 *
 * A pattern is looked for event by event. So that each answer comes in time, however long the history is,
 * that goes window by window back in time; once SCAN_SHARE of the deadline of an operation is over the page ends where the
 * search has come to, with what was found and a cursor to go on with. */

enum { WINDOW = 50000, SCAN_SHARE = 4 };

static bool take_time(const bson_t *document, void *arg) {
    *(int64_t *)arg = gri_mongo_number(document, "time", 0);
    return true;
}

/* *from_ms: the time of the event that lies WINDOW events behind the cursor, whatever its message; 0 where there are fewer. */
static enum gri_status window_start(const struct gri_mongo_session *session, const char *key, const struct gri_filter *filter,
                                    int64_t *from_ms, struct gri_error *error) {
    struct gri_filter whatever = *filter;
    bson_t *query = NULL;
    *from_ms = 0;
    whatever.match = NULL;
    enum gri_status status = event_filter(key, &whatever, &query, error);
    if (status != GRI_OK) return status;
    bson_t *opts = BCON_NEW("sort", "{", "time", BCON_INT32(-1), "_id", BCON_INT32(-1), "}", "skip", BCON_INT32(WINDOW), "limit",
                            BCON_INT32(1), "projection", "{", "time", BCON_INT32(1), "_id", BCON_INT32(0), "}");
    return gri_mongo_find(session, GRI_MONGO_EVENTS, query, opts, take_time, from_ms, error);
}

static enum gri_status search_events(const struct gri_mongo_session *session, const char *key, const struct gri_filter *filter,
                                     struct event_list *list, struct gri_error *error) {
    int64_t began_ms = gri_clock_ms(), from_ms = 0;
    struct gri_filter rest = *filter;
    char cursor[GRI_IMAGE_ID_MAX + 32];
    for (;;) {
        enum gri_status status = window_start(session, key, &rest, &from_ms, error);
        struct gri_filter window = rest;
        if (from_ms > window.since_ms) window.since_ms = from_ms;
        if (status == GRI_OK) status = read_events(session, key, &window, list, error);
        if (status != GRI_OK || list->more || from_ms <= filter->since_ms) return status;
        /* on behind all events of that time: no id is less */
        struct gri_mongo_place place = {.ms = from_ms, .id = "000000000000000000000000"};
        gri_mongo_place_print(&place, cursor, sizeof cursor);
        rest.cursor = cursor;
        if (gri_clock_ms() - began_ms < session->mongo->timeout_ms / SCAN_SHARE) continue;
        list->last = place;
        list->more = true;
        return GRI_OK;
    }
}

enum gri_status gri_mongo_list_events(struct gri_archive *archive, const char *key, const struct gri_filter *filter,
                                      struct gri_json **out, struct gri_error *error) {
    struct gri_mongo_session session;
    struct event_list list = {.limit = gri_mongo_limit(filter)};
    char cursor[GRI_IMAGE_ID_MAX + 32] = "";
    enum gri_status status = gri_mongo_archive_open(archive, &session, error);
    if (status != GRI_OK) return status;
    list.items = gri_json_array();
    status = (filter->match ? search_events : read_events)(&session, key, filter, &list, error);
    if (list.more) gri_mongo_place_print(&list.last, cursor, sizeof cursor);
    if (status == GRI_OK) {
        *out = gri_mongo_json_page("events", list.items, cursor);
    } else {
        gri_json_free(list.items);
    }
    return gri_mongo_archive_close(&session, status, error);
}

/* --- as they come ------------------------------------------------------------------------------------------------------------
 */

/* An event becomes visible a little after its time: each reading looks back that far, and leaves out what the last one showed. */
enum { LOOK_BACK_MS = 1500 };

struct following {
    struct event_list list;
    const char *shown; /* ids of the last readings, 24 digits each */
    size_t shown_len;
    int64_t horizon_ms;
    struct gri_bytes ids; /* of this one, where they are behind the horizon */
    int64_t newest_ms;
};

static bool was_shown(const struct following *following, const char *id) {
    for (size_t i = 0; i + 24 <= following->shown_len; i += 24)
        if (memcmp(following->shown + i, id, 24) == 0) return true;
    return false;
}

static bool follow_event(const bson_t *document, void *arg) {
    struct following *following = arg;
    char hex[25] = "";
    bson_iter_t at;
    int64_t ms = gri_mongo_number(document, "time", 0);
    if (bson_iter_init_find(&at, document, "_id") && BSON_ITER_HOLDS_OID(&at)) bson_oid_to_string(bson_iter_oid(&at), hex);
    if (ms > following->newest_ms) following->newest_ms = ms;
    if (ms >= following->horizon_ms) gri_bytes_put(&following->ids, hex);
    if (!was_shown(following, hex)) gri_json_append(following->list.items, event_json(document));
    return true;
}

/* The cursor: "<ms>~<ids shown behind it>". */
static enum gri_status parse_follow(const char *cursor, struct following *following, int64_t *from_ms, struct gri_error *error) {
    char *end = NULL;
    if (!cursor || !cursor[0]) return GRI_OK;
    *from_ms = strtoll(cursor, &end, 10);
    if (end == cursor || *end != '~') return gri_fail(error, GRI_R_bad_request, "cursor: not one that an earlier page gave");
    following->shown = end + 1;
    following->shown_len = strlen(end + 1);
    return GRI_OK;
}

static enum gri_status read_on(const struct gri_mongo_session *session, const struct gri_filter *filter, int64_t from_ms,
                               struct following *following, struct gri_error *error) {
    struct gri_filter open = *filter;
    bson_t *query = NULL;
    open.cursor = NULL;
    open.since_ms = from_ms;
    open.until_ms = 0;
    enum gri_status status = event_filter(NULL, &open, &query, error);
    if (status != GRI_OK) return status;
    bson_t *opts =
        BCON_NEW("sort", "{", "time", BCON_INT32(1), "_id", BCON_INT32(1), "}", "limit", BCON_INT64(gri_mongo_limit(filter)));
    status = gri_mongo_find(session, GRI_MONGO_EVENTS, query, opts, follow_event, following, error);
    if (status == GRI_PERMANENT && filter->match) error->reason = GRI_R_bad_request;
    return status;
}

enum gri_status gri_mongo_follow_events(struct gri_archive *archive, const struct gri_filter *filter, struct gri_json **out,
                                        struct gri_error *error) {
    struct gri_mongo_session session;
    struct following following = {.shown = ""};
    int64_t now_ms = 0, from_ms = filter->since_ms;
    enum gri_status status = parse_follow(filter->cursor, &following, &from_ms, error);
    if (status == GRI_OK) status = gri_mongo_archive_open(archive, &session, error);
    if (status != GRI_OK) return status;
    status = gri_mongo_now(&session, &now_ms, error);
    if (from_ms == 0) from_ms = now_ms;
    following.list.items = gri_json_array();
    following.horizon_ms = now_ms - LOOK_BACK_MS;
    gri_bytes_init(&following.ids, 0);
    if (status == GRI_OK) status = read_on(&session, filter, from_ms, &following, error);
    if (status == GRI_OK) {
        /* A full page may end before the horizon: on from there. Else from the horizon, without what was shown behind it. */
        bool behind = following.newest_ms > 0 && following.newest_ms < following.horizon_ms;
        int64_t next_ms = following.newest_ms == 0 ? from_ms : behind ? following.newest_ms : following.horizon_ms;
        if (next_ms < from_ms) next_ms = from_ms;
        if (next_ms < following.horizon_ms && (int64_t)gri_json_count(following.list.items) < gri_mongo_limit(filter))
            next_ms = following.horizon_ms;
        struct gri_bytes cursor;
        gri_bytes_init(&cursor, 0);
        gri_bytes_printf(&cursor, "%lld~%s", (long long)next_ms, gri_bytes_text(&following.ids));
        *out = gri_mongo_json_page("events", following.list.items, gri_bytes_text(&cursor));
        gri_bytes_clear(&cursor);
    } else {
        gri_json_free(following.list.items);
    }
    gri_bytes_clear(&following.ids);
    return gri_mongo_archive_close(&session, status, error);
}

/* --- bodies, and telling ------------------------------------------------------------------------------------------------------
 */

enum gri_status gri_mongo_get_event_body(struct gri_archive *archive, const char *id, struct gri_bytes *body, int64_t *bytes,
                                         struct gri_error *error) {
    struct gri_mongo_session session;
    bson_oid_t oid;
    bson_t *found = NULL;
    if (!bson_oid_is_valid(id, strlen(id))) return gri_fail(error, GRI_R_not_found, "an event's id has 24 hexadecimal digits");
    bson_oid_init_from_string(&oid, id);
    enum gri_status status = gri_mongo_archive_open(archive, &session, error);
    if (status != GRI_OK) return status;
    status = gri_mongo_find_one(&session, GRI_MONGO_BODIES, BCON_NEW("_id", BCON_OID(&oid)), NULL, &found, error);
    if (status == GRI_OK && !found)
        status = gri_fail(error, GRI_R_not_found, "no body was kept with the event %s, or its days are over", id);
    if (status == GRI_OK) {
        struct gri_slice kept = gri_mongo_bytes(found, "body");
        *bytes = gri_mongo_number(found, "bytes", (int64_t)kept.len);
        status = gri_bytes_append(body, kept.data, kept.len, error);
    }
    bson_destroy(found);
    return gri_mongo_archive_close(&session, status, error);
}

void gri_mongo_tell(struct gri_archive *archive, const struct gri_event *event) {
    struct gri_mongo_session session;
    struct gri_error ignored;
    if (gri_mongo_archive_open(archive, &session, &ignored) != GRI_OK) return;
    (void)!gri_mongo_write_events(&session, event, 1, &ignored);
    (void)gri_mongo_archive_close(&session, GRI_OK, &ignored);
}
