/* SPDX-License-Identifier: Apache-2.0 */
/* replSetInitiate of one node, and the wait for its election. */
#include "mongo_replica.h"

#include <grisaille/clock.h>
#include <string.h>
#include <unistd.h>

#include <mongoc/mongoc.h>

enum { POLL_MS = 100 };

static bool flag(const bson_t *reply, const char *name) {
    bson_iter_t at;
    return bson_iter_init_find(&at, reply, name) && bson_iter_as_bool(&at);
}

/* {replSetInitiate: {_id: set, members: [{_id: 0, host: member}]}}; one that is initiated already is fine (code 23). */
static bool initiate(mongoc_client_t *client, const char *set, const char *member, bson_error_t *why) {
    bson_t *command = BCON_NEW("replSetInitiate", "{", "_id", BCON_UTF8(set), "members", "[", "{", "_id", BCON_INT32(0), "host",
                               BCON_UTF8(member), "}", "]", "}");
    bool done = mongoc_client_command_simple(client, "admin", command, NULL, NULL, why) || why->code == 23;
    bson_destroy(command);
    return done;
}

/* One look: true when it is primary. Initiates where it is not in a set yet. */
static bool step(mongoc_client_t *client, const char *set, const char *member, bson_error_t *why) {
    bson_t *hello = BCON_NEW("hello", BCON_INT32(1)), reply;
    bool primary = false;
    if (mongoc_client_command_simple(client, "admin", hello, NULL, &reply, why)) {
        primary = flag(&reply, "isWritablePrimary") && bson_has_field(&reply, "setName");
        if (!bson_has_field(&reply, "setName")) (void)initiate(client, set, member, why);
    }
    bson_destroy(&reply);
    bson_destroy(hello);
    return primary;
}

enum gri_status gri_mongo_initiate(const char *uri, const char *set, const char *member, int64_t timeout_ms,
                                   struct gri_error *error) {
    bson_error_t why = {0};
    int64_t deadline = gri_clock_ms() + timeout_ms;
    mongoc_init();
    mongoc_client_t *client = mongoc_client_new(uri);
    if (!client) return gri_fail(error, GRI_R_config, "not a MongoDB URI: %s", uri);
    bool primary = false;
    while (!(primary = step(client, set, member, &why)) && gri_clock_ms() < deadline)
        usleep(POLL_MS * 1000);
    mongoc_client_destroy(client);
    return primary ? GRI_OK : gri_fail(error, GRI_R_unavailable, "mongod at %s did not become primary: %s", member, why.message);
}
