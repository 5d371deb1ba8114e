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
    char shown[GRI_HOST_MAX + 16]; /* for logs: host:port or the path, no secrets */
};

/* redis://[[user]:password@]host[:port][/database] and unix://[[user]:password@]/path[?db=number], user and password
 * percent-encoded. Port 6379 and database 0 unless told. Reason config for anything else; the detail names no password. */
enum gri_status gri_redis_address_parse(const char *url, struct gri_redis_address *out, struct gri_error *error) GRI_MUST_CHECK;

#endif
