/* SPDX-License-Identifier: Apache-2.0 */
/* MongoDB behind the ports ledger, store and archive (mongo-c-driver 1.23).
 *
 * One gri_mongo is one pool of clients on one database. Everything is written with majority, journal and a finite
 * wtimeout, retried once by the driver, and read with majority from the primary, whatever the URI says.
 * Threads: ledger and store are called on the loop's thread; their work is done on threads of `store`, one pooled client
 * a task, and `done` comes back on the loop's thread. The archive is synchronous and may be called from any thread.
 * Deadlines: of each step (a free client, a server, an answer, a majority) timeout_ms and 5 s at most for the network, and the
 * driver retries a step once; so a request ends within some four times timeout_ms.
 * The collections are described in docs/data-model.md. */
#ifndef GRISAILLE_ADAPTERS_MONGO_CLIENT_H
#define GRISAILLE_ADAPTERS_MONGO_CLIENT_H

#include <grisaille/archive.h>
#include <grisaille/crypto.h>
#include <grisaille/executor.h>
#include <grisaille/ledger.h>
#include <grisaille/log.h>
#include <grisaille/metrics.h>
#include <grisaille/store.h>

struct gri_mongo_options {
    const char *uri; /* mongodb:// or mongodb+srv:// */
    const char *database;
    int64_t timeout_ms;              /* of server selection, of a server's work and of write concern; 0: 10,000 */
    int64_t keep_days;               /* events; 0: for ever */
    bool notify;                     /* a catalog that is finished gets a notice for the webhook */
    const struct gri_crypto *crypto; /* borrowed; for `recall`. NULL: nothing is recalled as sound */
    struct gri_executor *store;      /* borrowed; NULL where only the archive is used */
    struct gri_loop *loop;           /* borrowed; needed with `store`: a task that a full queue refused is answered through it */
};

struct gri_mongo;

/* Parses the URI and makes the pool; connects at the first use. Failure: class fatal, reason config. `log` and `metrics`
 * are borrowed and may be NULL. */
enum gri_status gri_mongo_create(const struct gri_mongo_options *options, struct gri_log *log, struct gri_metrics *metrics,
                                 struct gri_mongo **out, struct gri_error *error) GRI_MUST_CHECK;
/* No request may be under way. NULL is fine. */
void gri_mongo_destroy(struct gri_mongo *mongo);
/* Once, at the end of the process, after the last destroy; the driver can't be used again. */
void gri_mongo_cleanup(void);

/* Borrowed until destroy. Ledger and store need `store` and `loop`. */
struct gri_ledger *gri_mongo_ledger(struct gri_mongo *mongo);
struct gri_store *gri_mongo_store(struct gri_mongo *mongo);
struct gri_archive *gri_mongo_archive(struct gri_mongo *mongo);

#endif
