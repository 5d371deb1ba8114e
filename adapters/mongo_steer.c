/* SPDX-License-Identifier: Apache-2.0 */
/* Steering a catalog: one change of its state. What follows from it (pending URLs made dead, records removed) is done by the
 * schedulers, which find the state there: so a caller that dies leaves nothing half done. */
#include "mongo_archive.h"

#include <grisaille/crash_point.h>
#include <string.h>

/* The states from which it may be done, the one it leads to. */
struct rule {
    const char *from[4];
    const char *to;
    const char *otherwise; /* why not */
};

static const struct rule RULES[] = {
    [GRI_STEER_PAUSE] = {{"running", "paused"}, "paused", "only a running catalog can be paused"},
    [GRI_STEER_RESUME] =
        {{"paused", "running"},
         "running",
         "only a paused catalog can be resumed; push --retry-dead gives the URLs of a cancelled one another life"},
    [GRI_STEER_CANCEL] = {{"running", "paused", "cancelled"}, "cancelled", "a finished catalog has nothing left to cancel"},
    [GRI_STEER_DELETE] = {{"running", "paused", "cancelled", "finished"}, "deleting", "it is being deleted"},
};

static bson_t *state_filter(const char *id, const struct rule *rule) {
    bson_t *filter = BCON_NEW("_id", BCON_UTF8(id));
    bson_t condition, states;
    BSON_APPEND_DOCUMENT_BEGIN(filter, "state", &condition);
    BSON_APPEND_ARRAY_BEGIN(&condition, "$in", &states);
    for (uint32_t i = 0; i < 4 && rule->from[i]; i++) {
        char name[2] = {(char)('0' + i), '\0'};
        BSON_APPEND_UTF8(&states, name, rule->from[i]);
    }
    bson_append_array_end(&condition, &states);
    bson_append_document_end(filter, &condition);
    return filter;
}

static bson_t *state_change(enum gri_steer steer, const char *by) {
    bson_t *set = BCON_NEW("state", BCON_UTF8(RULES[steer].to), "steered.by", BCON_UTF8(by));
    /* Finished ones come back into the feeder's sight, so that they are drained like any other. */
    if (steer == GRI_STEER_DELETE) BCON_APPEND(set, "unfinished", BCON_BOOL(true), "doomed", BCON_BOOL(true));
    bson_t *change = BCON_NEW("$set", BCON_DOCUMENT(set), "$currentDate", "{", "steered.at", BCON_BOOL(true), "}");
    bson_destroy(set);
    return change;
}

enum gri_status gri_mongo_steer_catalog(struct gri_archive *archive, const char *id, enum gri_steer steer, const char *by,
                                        struct gri_error *error) {
    struct gri_mongo_session session;
    const struct rule *rule = &RULES[steer];
    bson_t *found = NULL;
    int64_t matched = 0;
    enum gri_status status = gri_mongo_archive_open(archive, &session, error);
    if (status != GRI_OK) return status;
    GRI_CRASH_POINT(steer_before);
    status = gri_mongo_update_one(&session, GRI_MONGO_CATALOGS, state_filter(id, rule), state_change(steer, by), false, &matched,
                                  NULL, error);
    GRI_CRASH_POINT(steer_after);
    if (status == GRI_OK && matched == 0) {
        status = gri_mongo_find_one(&session, GRI_MONGO_CATALOGS, BCON_NEW("_id", BCON_UTF8(id)),
                                    BCON_NEW("projection", "{", "state", BCON_INT32(1), "}"), &found, error);
        const char *state = found ? gri_mongo_text(found, "state") : "abandoned";
        if (status == GRI_OK && strcmp(state, "abandoned") == 0) {
            status = gri_fail(error, GRI_R_not_found, "no catalog %s", id);
        } else if (status == GRI_OK && strcmp(state, rule->to) != 0) {
            status = gri_fail(error, GRI_R_conflict, "catalog %s is %s: %s", id, state, rule->otherwise);
        }
        bson_destroy(found);
    }
    return gri_mongo_archive_close(&session, status, error);
}
