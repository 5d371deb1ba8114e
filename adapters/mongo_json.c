/* SPDX-License-Identifier: Apache-2.0 */
/* BSON to JSON as the API shows it, and places in sorted lists. */
#include "mongo_archive.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LIMIT_DEFAULT = 100, LIMIT_MAX = 1000 };

static struct gri_json *json_time(int64_t ms) {
    char day[32], text[48];
    struct tm utc;
    int64_t seconds = ms / 1000, rest = ms % 1000;
    if (rest < 0) {
        rest += 1000;
        seconds--;
    }
    time_t at = (time_t)seconds;
    if (!gmtime_r(&at, &utc) || strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &utc) == 0) return gri_json_null();
    (void)gri_format(text, sizeof text, "%s.%03dZ", day, (int)rest);
    return gri_json_string(text);
}

/* Nesting is this program's own: a few levels. */
static struct gri_json *json_children(const bson_iter_t *at, bool array) {
    struct gri_json *parent = array ? gri_json_array() : gri_json_object();
    bson_iter_t child;
    if (!bson_iter_recurse(at, &child)) return parent;
    while (bson_iter_next(&child)) {
        struct gri_json *value = gri_mongo_json_value(&child);
        if (array) {
            gri_json_append(parent, value);
        } else {
            gri_json_set(parent, bson_iter_key(&child), value);
        }
    }
    return parent;
}

struct gri_json *gri_mongo_json_value(const bson_iter_t *at) {
    uint32_t len = 0;
    const uint8_t *data = NULL;
    char hex[25];
    switch (bson_iter_type(at)) {
    case BSON_TYPE_UTF8: {
        const char *text = bson_iter_utf8(at, &len);
        return gri_json_string_n(text, len);
    }
    case BSON_TYPE_BINARY:
        bson_iter_binary(at, NULL, &len, &data);
        return gri_json_string_n((const char *)data, len);
    case BSON_TYPE_INT32:
    case BSON_TYPE_INT64:
        return gri_json_int(bson_iter_as_int64(at));
    case BSON_TYPE_DOUBLE:
        return gri_json_real(bson_iter_double(at));
    case BSON_TYPE_BOOL:
        return gri_json_bool(bson_iter_bool(at));
    case BSON_TYPE_DATE_TIME:
        return json_time(bson_iter_date_time(at));
    case BSON_TYPE_OID:
        bson_oid_to_string(bson_iter_oid(at), hex);
        return gri_json_string(hex);
    case BSON_TYPE_DOCUMENT:
        return json_children(at, false);
    case BSON_TYPE_ARRAY:
        return json_children(at, true);
    default:
        return gri_json_null();
    }
}

struct gri_json *gri_mongo_json_pick(const bson_t *document, const char *const *names) {
    struct gri_json *object = gri_json_object();
    for (; *names; names++) {
        char from[GRI_NAME_MAX];
        bson_iter_t at;
        const char *to = strchr(*names, '>');
        size_t len = to ? (size_t)(to - *names) : strlen(*names);
        GRI_ASSERT(len < sizeof from);
        memcpy(from, *names, len);
        from[len] = '\0';
        bool there = bson_iter_init_find(&at, document, from);
        gri_json_set(object, to ? to + 1 : from, there ? gri_mongo_json_value(&at) : gri_json_null());
    }
    return object;
}

struct gri_json *gri_mongo_json_page(const char *name, struct gri_json *items, const char *cursor) {
    struct gri_json *page = gri_json_object();
    gri_json_set(page, name, items);
    gri_json_set_str(page, "next", cursor && cursor[0] ? cursor : NULL);
    return page;
}

enum gri_status gri_mongo_place_parse(const char *cursor, struct gri_mongo_place *place, bool *given, struct gri_error *error) {
    char *end = NULL;
    *given = cursor && cursor[0];
    if (!*given) return GRI_OK;
    place->ms = strtoll(cursor, &end, 10);
    if (end == cursor || *end != '~' || !gri_copy(place->id, sizeof place->id, end + 1) ||
        !bson_utf8_validate(end + 1, strlen(end + 1), false)) {
        return gri_fail(error, GRI_R_bad_request, "cursor: not one that an earlier page gave");
    }
    return GRI_OK;
}

void gri_mongo_place_print(const struct gri_mongo_place *place, char *out, size_t size) {
    bool fits = gri_format(out, size, "%lld~%s", (long long)place->ms, place->id);
    GRI_ASSERT(fits);
}

static void append_id(bson_t *to, const char *key, const char *id, bool as_oid) {
    if (as_oid && bson_oid_is_valid(id, strlen(id))) {
        bson_oid_t oid;
        bson_oid_init_from_string(&oid, id);
        BSON_APPEND_OID(to, key, &oid);
    } else {
        BSON_APPEND_UTF8(to, key, id);
    }
}

void gri_mongo_append_place(bson_t *query, const char *time_field, const struct gri_mongo_place *place,
                            const struct gri_filter *filter, bool as_oid) {
    bson_t range = BSON_INITIALIZER, id = BSON_INITIALIZER;
    if (filter->since_ms) BSON_APPEND_DATE_TIME(&range, "$gte", filter->since_ms);
    if (filter->until_ms) BSON_APPEND_DATE_TIME(&range, "$lt", filter->until_ms);
    if (place) BSON_APPEND_DATE_TIME(&range, "$lte", place->ms);
    if (!bson_empty(&range)) BSON_APPEND_DOCUMENT(query, time_field, &range);
    if (place) {
        append_id(&id, "$lt", place->id, as_oid);
        BCON_APPEND(query, "$or", "[", "{", time_field, "{", "$lt", BCON_DATE_TIME(place->ms), "}", "}", "{", time_field,
                    BCON_DATE_TIME(place->ms), "_id", BCON_DOCUMENT(&id), "}", "]");
    }
    bson_destroy(&range);
    bson_destroy(&id);
}

int64_t gri_mongo_limit(const struct gri_filter *filter) {
    if (filter->limit <= 0) return LIMIT_DEFAULT;
    return filter->limit < LIMIT_MAX ? filter->limit : LIMIT_MAX;
}
