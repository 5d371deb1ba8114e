/* SPDX-License-Identifier: Apache-2.0 */
/* Hosts that an operator has paused: kept here for some seconds, for they are asked for with every batch. */
#include "mongo_archive.h"
#include "mongo_ledger.h"

#include <string.h>

enum { READ_AGAIN_MS = 2000, PAUSED_MAX = 1000 };

/* Member names of BSON may hold any text, dots too: nothing looks them up by path. */
static bool add_name(const bson_t *document, void *arg) {
    bson_append_bool(arg, gri_mongo_text(document, "_id"), -1, true);
    return true;
}

static bool is_due(struct gri_mongo *mongo) {
    int64_t now_ms = bson_get_monotonic_time() / 1000;
    pthread_mutex_lock(&mongo->hosts_lock);
    bool due = !mongo->paused_hosts || now_ms - mongo->hosts_read_ms >= READ_AGAIN_MS;
    if (due) mongo->hosts_read_ms = now_ms; /* the others go on with the last reading meanwhile */
    pthread_mutex_unlock(&mongo->hosts_lock);
    return due;
}

bson_t *gri_mongo_paused_hosts(const struct gri_mongo_session *session) {
    struct gri_mongo *mongo = session->mongo;
    if (is_due(mongo)) {
        struct gri_error ignored;
        bson_t *names = bson_new();
        if (gri_mongo_find(session, GRI_MONGO_HOSTS, bson_new(), BCON_NEW("limit", BCON_INT32(PAUSED_MAX)), add_name, names,
                           &ignored) == GRI_OK) {
            pthread_mutex_lock(&mongo->hosts_lock);
            bson_destroy(mongo->paused_hosts);
            mongo->paused_hosts = names;
            pthread_mutex_unlock(&mongo->hosts_lock);
        } else {
            bson_destroy(names);
        }
    }
    pthread_mutex_lock(&mongo->hosts_lock);
    bson_t *copy = mongo->paused_hosts ? bson_copy(mongo->paused_hosts) : bson_new();
    pthread_mutex_unlock(&mongo->hosts_lock);
    return copy;
}

bool gri_mongo_host_is_paused(const bson_t *paused, const char *host) {
    bson_iter_t at;
    return bson_iter_init_find(&at, paused, host);
}

void gri_mongo_append_paused(bson_t *array, const bson_t *paused, uint32_t position) {
    bson_iter_t at;
    if (!bson_iter_init(&at, paused)) return;
    while (bson_iter_next(&at)) {
        char buffer[16];
        const char *index;
        bson_uint32_to_string(position++, &index, buffer, sizeof buffer);
        BSON_APPEND_UTF8(array, index, bson_iter_key(&at));
    }
}

enum gri_status gri_mongo_steer_host(struct gri_archive *archive, const char *host, bool pause, const char *by,
                                     struct gri_error *error) {
    struct gri_mongo_session session;
    int64_t paused = 0;
    enum gri_status status = gri_mongo_archive_open(archive, &session, error);
    if (status != GRI_OK) return status;
    if (pause) {
        status = gri_mongo_count(&session, GRI_MONGO_HOSTS, bson_new(), "_id_", PAUSED_MAX, &paused, error);
        if (status == GRI_OK && paused >= PAUSED_MAX)
            status = gri_fail(error, GRI_R_conflict, "%d hosts are paused already; resume some first", (int)PAUSED_MAX);
        if (status == GRI_OK)
            status = gri_mongo_update_one(
                &session, GRI_MONGO_HOSTS, BCON_NEW("_id", BCON_UTF8(host)),
                BCON_NEW("$set", "{", "by", BCON_UTF8(by), "}", "$currentDate", "{", "at", BCON_BOOL(true), "}"), true, NULL,
                NULL, error);
    } else {
        status = gri_mongo_delete(&session, GRI_MONGO_HOSTS, BCON_NEW("_id", BCON_UTF8(host)), NULL, error);
    }
    return gri_mongo_archive_close(&session, status, error);
}

static bool add_host(const bson_t *document, void *arg) {
    static const char *const FIELDS[] = {"_id>host", "by", "at", NULL};
    gri_json_append(arg, gri_mongo_json_pick(document, FIELDS));
    return true;
}

enum gri_status gri_mongo_list_hosts(struct gri_archive *archive, struct gri_json **out, struct gri_error *error) {
    struct gri_mongo_session session;
    enum gri_status status = gri_mongo_archive_open(archive, &session, error);
    if (status != GRI_OK) return status;
    struct gri_json *list = gri_json_array();
    status =
        gri_mongo_find(&session, GRI_MONGO_HOSTS, bson_new(),
                       BCON_NEW("sort", "{", "_id", BCON_INT32(1), "}", "limit", BCON_INT32(PAUSED_MAX)), add_host, list, error);
    if (status == GRI_OK) {
        *out = list;
    } else {
        gri_json_free(list);
    }
    return gri_mongo_archive_close(&session, status, error);
}
