/* SPDX-License-Identifier: Apache-2.0 */
/* Where a Redis is: redis.url taken apart. */
#ifndef GRISAILLE_REDIS_ADDRESS_H
#define GRISAILLE_REDIS_ADDRESS_H

#include <grisaille/job.h>

struct gri_redis_address {
    char path[108];          /* of a Unix socket, or "" */
    char host[GRI_HOST_MAX]; /* name or address without brackets; "" for a Unix socket */
    char port[6];
    char user[128];     /* "" for the default user */
    char password[512]; /* "" for none; never logged */
    int database;
    bool sentinel;                 /* it answers questions about a master, and is none itself */
    char shown[GRI_HOST_MAX + 16]; /* for logs: host:port or the path, no secrets */
};

enum { GRI_REDIS_SENTINELS_MAX = 16 };

/* The Sentinels that know where the server is. */
struct gri_redis_sentinels {
    struct gri_redis_address nodes[GRI_REDIS_SENTINELS_MAX];
    size_t count;    /* 0: the server is named itself */
    char master[64]; /* the name under which they watch it */
};

/* redis://[[user]:password@]host[:port][/database] and unix://[[user]:password@]/path[?db=number], user and password
 * percent-encoded. Port 6379 and database 0 unless told. Reason config for anything else; the detail names no password. */
enum gri_status gri_redis_address_parse(const char *url, struct gri_redis_address *out, struct gri_error *error) GRI_MUST_CHECK;

/* True for redis+sentinel://…, which the next function takes apart. */
bool gri_redis_address_is_sentinel(const char *url);
/* redis+sentinel://[[user]:password@]host[:port][,host[:port]…]/master-name[/database], port 26379 unless told. `server` gets
 * user, password and database; its host, port and `shown` are for whoever asks the Sentinels. Reason config as above. */
enum gri_status gri_redis_sentinels_parse(const char *url, struct gri_redis_sentinels *out, struct gri_redis_address *server,
                                          struct gri_error *error) GRI_MUST_CHECK;

#endif
