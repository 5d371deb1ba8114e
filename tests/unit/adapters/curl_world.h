/* SPDX-License-Identifier: Apache-2.0 */
/* A fetcher, its loop, and the server that misbehaves on demand (raw_server.h), for the fetcher's tests. */
#ifndef GRISAILLE_TESTS_CURL_WORLD_H
#define GRISAILLE_TESTS_CURL_WORLD_H

#include <uv.h>

#include "curl_fetcher.h"
#include "raw_server.h"

struct curl_world {
    struct raw_server *server;
    struct gri_fetcher *fetcher;
    struct gri_metrics *metrics;
    uv_loop_t loop;
    int port, done;
    struct gri_curl_options options;
    const char *ranges[4];
    char connect_to[64];
    const char *connect_to_list[1];
};

/* A request with its world, so that `done` needs no global. */
struct curl_ask {
    struct gri_fetch fetch;
    struct curl_world *world;
    char url[512];
    bool finished;
};

/* Set-up and teardown of a test: *state is a struct curl_world without a fetcher yet. */
int curl_world_begin(void **state);
int curl_world_end(void **state);
/* The fetcher with the options as they are now; the first request does it, too. */
void curl_world_open(struct curl_world *world);

/* `target`: a whole URL, or a path at the server. `ask` has to live until it is finished; gri_fetch_clear is the caller's. */
void curl_ask_whether(struct curl_world *world, struct curl_ask *ask, const char *target, const char *etag, const char *modified);
void curl_ask_begin(struct curl_world *world, struct curl_ask *ask, const char *target);
void curl_ask_wait(struct curl_ask *ask);
void curl_get(struct curl_world *world, struct curl_ask *ask, const char *target);
/* Fetches, expects the failure or a success, and forgets it. */
void curl_refuses(struct curl_world *world, const char *target, enum gri_reason reason, enum gri_status status);
void curl_arrives(struct curl_world *world, const char *target);

#endif
