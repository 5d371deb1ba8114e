/* SPDX-License-Identifier: Apache-2.0 */
/* Who is there: what each daemon last said of itself (`services`). Best effort: nothing rests on it. Whoever starts or ends takes
 * away what was not heard of for a day; so few documents need no index. */
#include "mongo_archive.h"

#include <string.h>

enum { SILENT_MS = 30000, SHOWN_MS = 3600000, KEPT_MS = 86400000, FIRST_MS = 15000, SERVICES_MAX = 1000 };

enum gri_status gri_mongo_put_presence(struct gri_archive *archive, const struct gri_presence *presence,
                                       struct gri_error *error) {
    struct gri_mongo_session session;
    enum gri_status status = gri_mongo_archive_open(archive, &session, error);
    if (status != GRI_OK) return status;
    bson_t readings = BSON_INITIALIZER;
    for (size_t i = 0; i < presence->reading_count; i++)
        bson_append_double(&readings, presence->readings[i].name, -1, presence->readings[i].value);
    struct gri_mongo_bulk bulk;
    gri_mongo_bulk_begin(&bulk, &session, GRI_MONGO_SERVICES, true, "presence");
    gri_mongo_bulk_update(&bulk, BCON_NEW("_id", BCON_UTF8(presence->id)),
                          BCON_NEW("$set", "{", "role", BCON_UTF8(presence->role), "version", BCON_UTF8(presence->version),
                                   "up_ms", BCON_INT64(presence->up_ms), "ended", BCON_BOOL(presence->ended), "readings",
                                   BCON_DOCUMENT(&readings), "}", "$currentDate", "{", "seen_at", BCON_BOOL(true), "}"),
                          true);
    status = gri_mongo_bulk_execute(&bulk, error);
    gri_mongo_bulk_clear(&bulk);
    if (status == GRI_OK && (presence->up_ms < FIRST_MS || presence->ended))
        status = gri_mongo_delete(&session, GRI_MONGO_SERVICES,
                                  BCON_NEW("$expr", "{", "$lt", "[", "$seen_at", "{", "$subtract", "[", "$$NOW",
                                           BCON_INT64(KEPT_MS), "]", "}", "]", "}"),
                                  NULL, error);
    bson_destroy(&readings);
    return gri_mongo_archive_close(&session, status, error);
}

static bool add_service(const bson_t *document, void *arg) {
    static const char *const FIELDS[] = {"_id>id", "role", "version", "state", "age_ms", "up_ms", "seen_at", "readings", NULL};
    gri_json_append(arg, gri_mongo_json_pick(document, FIELDS));
    return true;
}

enum gri_status gri_mongo_list_services(struct gri_archive *archive, struct gri_json **out, struct gri_error *error) {
    struct gri_mongo_session session;
    enum gri_status status = gri_mongo_archive_open(archive, &session, error);
    if (status != GRI_OK) return status;
    struct gri_json *list = gri_json_array();
    bson_t *pipeline = BCON_NEW(
        "0", "{", "$match", "{", "$expr", "{", "$gte", "[", "$seen_at", "{", "$subtract", "[", "$$NOW", BCON_INT64(SHOWN_MS), "]",
        "}", "]", "}", "}", "}", "1", "{", "$addFields", "{", "age_ms", "{", "$subtract", "[", "$$NOW", "$seen_at", "]", "}", "}",
        "}", "2", "{", "$addFields", "{", "state", "{", "$cond", "[", "$ended", "ended", "{", "$cond", "[", "{", "$gt", "[",
        "$age_ms", BCON_INT64(SILENT_MS), "]", "}", "silent", "alive", "]", "}", "]", "}", "}", "}", "3", "{", "$sort", "{",
        "role", BCON_INT32(1), "_id", BCON_INT32(1), "}", "}", "4", "{", "$limit", BCON_INT32(SERVICES_MAX), "}");
    status = gri_mongo_aggregate(&session, GRI_MONGO_SERVICES, pipeline, NULL, add_service, list, error);
    if (status == GRI_OK)
        *out = list;
    else
        gri_json_free(list);
    return gri_mongo_archive_close(&session, status, error);
}
