/* SPDX-License-Identifier: Apache-2.0 */
/* The work of each ledger request, on a store thread. The request is the struct of ledger.h that begins with `op`. */
#ifndef GRISAILLE_ADAPTERS_MONGO_LEDGER_H
#define GRISAILLE_ADAPTERS_MONGO_LEDGER_H

#include "mongo_session.h"

/* mongo_feed.c */
enum gri_status gri_mongo_work_lease(struct gri_mongo_session *session, struct gri_op *op);
enum gri_status gri_mongo_work_feed(struct gri_mongo_session *session, struct gri_op *op);
enum gri_status gri_mongo_work_announced(struct gri_mongo_session *session, struct gri_op *op);
enum gri_status gri_mongo_work_settle(struct gri_mongo_session *session, struct gri_op *op);
/* mongo_chunk.c */
enum gri_status gri_mongo_work_chunk(struct gri_mongo_session *session, struct gri_op *op);
enum gri_status gri_mongo_work_definition(struct gri_mongo_session *session, struct gri_op *op);
enum gri_status gri_mongo_work_accounted(struct gri_mongo_session *session, struct gri_op *op);
enum gri_status gri_mongo_work_reject(struct gri_mongo_session *session, struct gri_op *op);
enum gri_status gri_mongo_work_chunk_done(struct gri_mongo_session *session, struct gri_op *op);
enum gri_status gri_mongo_work_quarantine(struct gri_mongo_session *session, struct gri_op *op);
/* mongo_admit.c */
enum gri_status gri_mongo_work_admit(struct gri_mongo_session *session, struct gri_op *op);
/* mongo_due.c */
enum gri_status gri_mongo_work_due(struct gri_mongo_session *session, struct gri_op *op);
enum gri_status gri_mongo_work_stale(struct gri_mongo_session *session, struct gri_op *op);
/* mongo_finish.c */
enum gri_status gri_mongo_work_check(struct gri_mongo_session *session, struct gri_op *op);
enum gri_status gri_mongo_work_finish(struct gri_mongo_session *session, struct gri_op *op);
/* mongo_events.c */
enum gri_status gri_mongo_work_events(struct gri_mongo_session *session, struct gri_op *op);
enum gri_status gri_mongo_work_gauges(struct gri_mongo_session *session, struct gri_op *op);
/* mongo_reap.c */
enum gri_status gri_mongo_work_reap(struct gri_mongo_session *session, struct gri_op *op);
/* mongo_hosts.c: a document with a member for each host that an operator has paused (owned), as read within the last seconds. A
 * reading that fails leaves the last one. */
bson_t *gri_mongo_paused_hosts(const struct gri_mongo_session *session);
bool gri_mongo_host_is_paused(const bson_t *paused, const char *host);
/* Appends the names to an array, from index `position` on. */
void gri_mongo_append_paused(bson_t *array, const bson_t *paused, uint32_t position);
/* mongo_upkeep.c */
enum gri_status gri_mongo_work_upkeep(struct gri_mongo_session *session, struct gri_op *op);
/* All chunks of that catalog. */
enum gri_status gri_mongo_remove_chunks(const struct gri_mongo_session *session, const char *id,
                                        struct gri_error *error) GRI_MUST_CHECK;
/* Writes events at best effort; returns how it went, for the counters. */
enum gri_status gri_mongo_write_events(const struct gri_mongo_session *session, const struct gri_event *events, size_t count,
                                       struct gri_error *error);

enum { GRI_MONGO_CHUNK_ID_MAX = 48, GRI_MONGO_LINE_ID_MAX = 48 };
/* _id of a chunk: catalog:number; of a line error: catalog:line. Padded, so that they sort by number. */
void gri_mongo_chunk_id(char id[GRI_MONGO_CHUNK_ID_MAX], const char *catalog, int64_t number);
void gri_mongo_line_id(char id[GRI_MONGO_LINE_ID_MAX], const char *catalog, int64_t line);
/* {_id: {$gte: id of `first`, $lte: id of `last`}} of catalog_errors. */
bson_t *gri_mongo_line_range(const char *catalog, int64_t first, int64_t last);
/* The collection of that kind of definition. */
enum gri_mongo_collection gri_mongo_definitions(enum gri_definition_kind kind);

#endif
