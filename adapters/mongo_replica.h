/* SPDX-License-Identifier: Apache-2.0 */
/* Turns a freshly started mongod into a one-node replica set, for `grisaille up`. Synchronous; any thread. */
#ifndef GRISAILLE_ADAPTERS_MONGO_REPLICA_H
#define GRISAILLE_ADAPTERS_MONGO_REPLICA_H

#include <grisaille/status.h>

/* `uri`: a direct connection to the one node ("mongodb://127.0.0.1:27017/?directConnection=true"); `member`: its host:port as it
 * is to be known. Waits until the node answers, initiates the set unless it is one already, waits until it is primary; all within
 * timeout_ms, else reason unavailable. */
enum gri_status gri_mongo_initiate(const char *uri, const char *set, const char *member, int64_t timeout_ms,
                                   struct gri_error *error) GRI_MUST_CHECK;

#endif
