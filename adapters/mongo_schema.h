/* SPDX-License-Identifier: Apache-2.0 */
/* Collections and indexes of MongoDB; the names are hints of queries that must be answered by an index alone. */
#ifndef GRISAILLE_ADAPTERS_MONGO_SCHEMA_H
#define GRISAILLE_ADAPTERS_MONGO_SCHEMA_H

#include "mongo_session.h"

#define GRI_INDEX_URLS_QUEUED "queued"
#define GRI_INDEX_URLS_WAITING "waiting"
#define GRI_INDEX_URLS_DEAD "dead"
#define GRI_INDEX_URLS_STATE "catalog_state"
#define GRI_INDEX_URLS_CHANGED "catalog_changed"
#define GRI_INDEX_URLS_LINE "catalog_line"
#define GRI_INDEX_URLS_DONE "done"
#define GRI_INDEX_URLS_RENEW "renew"
#define GRI_INDEX_URLS_MADE "pipeline_done"
#define GRI_INDEX_EVENTS_EVENT "event"
#define GRI_INDEX_CHUNKS_PENDING "pending"
#define GRI_INDEX_CHUNKS_LINES "lines"
#define GRI_INDEX_CATALOGS_UNFINISHED "unfinished"
#define GRI_INDEX_ROLLUPS_SPAN "span"
#define GRI_INDEX_CATALOGS_STATE "state"
#define GRI_INDEX_CATALOGS_NOTICES "notices"
#define GRI_INDEX_IMAGES_JOB "job"
#define GRI_INDEX_IMAGES_SOURCE "source"
#define GRI_INDEX_IMAGES_CORRUPT "corrupt"

/* {state: …, <first field of that state's partial index>: any date}: the date alone makes the planner look at the index's
 * other fields before it reads a document. For queued, waiting and dead. */
bson_t *gri_mongo_state_filter(enum gri_url_state state);

/* gri_archive's prepare: makes what is missing; again, and from several processes at once, is harmless. Failure: fatal,
 * reason config, where the database is of a newer version or no replica set. */
enum gri_status gri_mongo_prepare(struct gri_archive *archive, struct gri_error *error) GRI_MUST_CHECK;

#endif
