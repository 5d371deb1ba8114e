/* SPDX-License-Identifier: Apache-2.0 */
/* A private mongod (a one-node replica set) and the MongoDB adapter on it, for the adapter's tests. The server listens on a
 * free port of 127.0.0.1, lives in a folder of its own under TMPDIR and dies with the test, also when that aborts. */
#ifndef GRISAILLE_MONGO_WORLD_H
#define GRISAILLE_MONGO_WORLD_H

#include "mongo_client.h"

#include <mongoc/mongoc.h>
#include <sys/types.h>

struct mongo_world {
    char folder[64], uri[160], database[32];
    int port;
    pid_t pid;
    struct gri_loop *loop;
    struct gri_executor *executor;
    struct gri_metrics *metrics;
    struct gri_mongo *mongo;
    struct gri_ledger *ledger;
    struct gri_store *store;
    struct gri_archive *archive;
    mongoc_client_t *admin; /* the test's own eyes and hands */
};

/* Starts the server. False: there is no mongod (the test is to be skipped, exit code 77). */
bool mongo_world_start(struct mongo_world *world);
void mongo_world_stop(struct mongo_world *world);
/* An empty, prepared database and an adapter on it. */
void mongo_world_fresh(struct mongo_world *world);
/* A further adapter on the same database: another process, as it were. */
struct gri_mongo *mongo_world_open(struct mongo_world *world, struct gri_executor *executor, int64_t timeout_ms);

/* Arms `op` (before its request is submitted); mongo_world_wait turns the loop until its `done` came and returns its status. */
void mongo_world_arm(struct gri_op *op);
enum gri_status mongo_world_wait(struct mongo_world *world, struct gri_op *op);
/* Fails the test where `done` was called from inside the submit call. */
void mongo_world_not_done(const struct gri_op *op);
/* Submits through a port and waits: MONGO_RUN(world, ledger, check, request) == GRI_OK. */
#define MONGO_RUN(world, port, verb, request)                                                                                   \
    (mongo_world_arm(&(request)->op), (world)->port->ops->verb((world)->port, (request)), mongo_world_not_done(&(request)->op), \
     mongo_world_wait((world), &(request)->op))

/* A document (owned) by a filter given as JSON, or NULL; the number that match; a command on the database or on admin. */
bson_t *mongo_world_find(struct mongo_world *world, const char *collection, const char *filter);
int64_t mongo_world_count(struct mongo_world *world, const char *collection, const char *filter);
void mongo_world_insert(struct mongo_world *world, const char *collection, const char *document);
void mongo_world_update(struct mongo_world *world, const char *collection, const char *filter, const char *change);
bson_t *mongo_world_command(struct mongo_world *world, const char *database, const char *command);
/* Number or text of a document at a dotted path. */
int64_t mongo_world_number(const bson_t *document, const char *path);
const char *mongo_world_text(const bson_t *document, const char *path);
bool mongo_world_has(const bson_t *document, const char *path);
/* The next `times` of these commands (a JSON array of names) fail as `data` says (members of failCommand's data). */
void mongo_world_fail(struct mongo_world *world, int times, const char *commands, const char *data);

/* A key of the ledger: 64 hex digits of `number` and ":gray". */
void mongo_world_key(char key[GRI_KEY_MAX], unsigned number);

#endif
