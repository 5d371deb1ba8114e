/* SPDX-License-Identifier: Apache-2.0 */
/* The archive's operations, by file, and what they share. See grisaille/archive.h for what each does. */
#ifndef GRISAILLE_ADAPTERS_MONGO_ARCHIVE_H
#define GRISAILLE_ADAPTERS_MONGO_ARCHIVE_H

#include "mongo_session.h"

/* Opens a session for one call; failures come as reason unavailable. */
enum gri_status gri_mongo_archive_open(struct gri_archive *archive, struct gri_mongo_session *session,
                                       struct gri_error *error) GRI_MUST_CHECK;
/* Closes it and returns `status`, with a server that is away told as reason unavailable. */
enum gri_status gri_mongo_archive_close(struct gri_mongo_session *session, enum gri_status status, struct gri_error *error);

/* --- JSON (mongo_json.c) --------------------------------------------------------------------------------------------- */

/* Any BSON value as JSON: dates as RFC 3339 with milliseconds, object ids as hex, binary as text with U+FFFD. */
struct gri_json *gri_mongo_json_value(const bson_iter_t *at);
/* An object with the members `names` ("from" or "from>to", ended by NULL) of the document; missing ones are null. */
struct gri_json *gri_mongo_json_pick(const bson_t *document, const char *const *names);
/* {"<name>":[…],"next":cursor or null}; takes `items`. An empty cursor is null. */
struct gri_json *gri_mongo_json_page(const char *name, struct gri_json *items, const char *cursor);

/* A place in a list sorted by (time, id), newest first: "<ms>~<id>". */
struct gri_mongo_place {
    int64_t ms;
    char id[GRI_IMAGE_ID_MAX];
};
/* Reads filter->cursor into *place; *given: there was one. Nonsense is reason bad_request. */
enum gri_status gri_mongo_place_parse(const char *cursor, struct gri_mongo_place *place, bool *given,
                                      struct gri_error *error) GRI_MUST_CHECK;
void gri_mongo_place_print(const struct gri_mongo_place *place, char *out, size_t size);
/* Adds to `query` what comes after *place (NULL: the start) and lies within filter->since_ms…until_ms, by `time_field` and
 * _id. `as_oid`: the ids are object ids. */
void gri_mongo_append_place(bson_t *query, const char *time_field, const struct gri_mongo_place *place,
                            const struct gri_filter *filter, bool as_oid);
/* filter->limit within 1…1000, 100 where it is none. */
int64_t gri_mongo_limit(const struct gri_filter *filter);

/* --- operations ------------------------------------------------------------------------------------------------------ */

/* mongo_scrub.c */
extern const struct gri_scrub_ops gri_mongo_scrub_ops;

/* mongo_archive_push.c */
enum gri_status gri_mongo_push_begin(struct gri_archive *archive, const struct gri_push_meta *meta,
                                     struct gri_archive_push **push, struct gri_error *error);
enum gri_status gri_mongo_push_chunk(struct gri_archive_push *push, const struct gri_push_chunk *chunk, struct gri_error *error);
enum gri_status gri_mongo_push_commit(struct gri_archive_push *push, const struct gri_push_totals *totals,
                                      char id[GRI_CATALOG_ID_MAX], bool *existed, struct gri_error *error);
void gri_mongo_push_abort(struct gri_archive_push *push);

/* mongo_archive_catalogs.c */
enum gri_status gri_mongo_list_catalogs(struct gri_archive *archive, const struct gri_filter *filter, struct gri_json **out,
                                        struct gri_error *error);
/* A catalog's document as the API shows it; *out: owned. */
enum gri_status gri_mongo_catalog_json(const struct gri_mongo_session *session, const bson_t *document, struct gri_json **out,
                                       struct gri_error *error);
enum gri_status gri_mongo_get_catalog(struct gri_archive *archive, const char *id, struct gri_json **out,
                                      struct gri_error *error);
enum gri_status gri_mongo_get_chunk(struct gri_archive *archive, const char *catalog, int64_t number,
                                    struct gri_push_chunk *chunk, struct gri_bytes *text, struct gri_error *error);
enum gri_status gri_mongo_find_line(struct gri_archive *archive, const char *catalog, int64_t line, int64_t *number,
                                    struct gri_error *error);
enum gri_status gri_mongo_list_errors(struct gri_archive *archive, const char *catalog, const struct gri_filter *filter,
                                      struct gri_json **out, struct gri_error *error);

/* mongo_archive_urls.c */
enum gri_status gri_mongo_get_urls(struct gri_archive *archive, const char (*keys)[GRI_KEY_MAX], size_t count,
                                   struct gri_json **out, struct gri_error *error);
enum gri_status gri_mongo_get_url_records(struct gri_archive *archive, const char *url, struct gri_json **out,
                                          struct gri_error *error);
enum gri_status gri_mongo_get_totals(struct gri_archive *archive, struct gri_json **out, struct gri_error *error);

/* mongo_archive_events.c */
enum gri_status gri_mongo_list_events(struct gri_archive *archive, const char *key, const struct gri_filter *filter,
                                      struct gri_json **out, struct gri_error *error);
enum gri_status gri_mongo_follow_events(struct gri_archive *archive, const struct gri_filter *filter, struct gri_json **out,
                                        struct gri_error *error);
enum gri_status gri_mongo_get_event_body(struct gri_archive *archive, const char *id, struct gri_bytes *body, int64_t *bytes,
                                         struct gri_error *error);
void gri_mongo_tell(struct gri_archive *archive, const struct gri_event *event);

/* mongo_stats.c */
enum gri_status gri_mongo_get_stats(struct gri_archive *archive, const struct gri_stats_query *query, struct gri_json **out,
                                    struct gri_error *error);

/* mongo_dead.c */
enum gri_status gri_mongo_list_dead(struct gri_archive *archive, const struct gri_filter *filter, struct gri_json **out,
                                    struct gri_error *error);
enum gri_status gri_mongo_act_on_dead(struct gri_archive *archive, const struct gri_filter *filter, bool drop, const char *by,
                                      int64_t *count, struct gri_error *error);
enum gri_status gri_mongo_count_dead(struct gri_archive *archive, const struct gri_filter *filter, int64_t *count,
                                     struct gri_error *error);

/* mongo_steer.c */
enum gri_status gri_mongo_steer_catalog(struct gri_archive *archive, const char *id, enum gri_steer steer, const char *by,
                                        struct gri_error *error);

/* mongo_hosts.c */
enum gri_status gri_mongo_steer_host(struct gri_archive *archive, const char *host, bool pause, const char *by,
                                     struct gri_error *error);
enum gri_status gri_mongo_list_hosts(struct gri_archive *archive, struct gri_json **out, struct gri_error *error);

/* mongo_services.c */
enum gri_status gri_mongo_put_presence(struct gri_archive *archive, const struct gri_presence *presence, struct gri_error *error);
enum gri_status gri_mongo_list_services(struct gri_archive *archive, struct gri_json **out, struct gri_error *error);

/* mongo_phash.c */
enum gri_status gri_mongo_find_similar(struct gri_archive *archive, const char *phash, int within, int64_t limit,
                                       struct gri_json **out, struct gri_error *error);

/* mongo_notices.c */
enum gri_status gri_mongo_take_notice(struct gri_archive *archive, int64_t claim_ms, struct gri_notice *notice, bool *found,
                                      struct gri_error *error);
enum gri_status gri_mongo_settle_notice(struct gri_archive *archive, const struct gri_notice *notice, enum gri_notice_end end,
                                        int64_t again_ms, const char *detail, struct gri_error *error);

/* mongo_reprocess.c */
enum gri_status gri_mongo_get_reprocess(struct gri_archive *archive, const char *pipeline, const struct gri_filter *filter,
                                        struct gri_json **out, struct gri_error *error);
enum gri_status gri_mongo_start_reprocess(struct gri_archive *archive, const char *pipeline, const struct gri_filter *filter,
                                          const char *by, struct gri_error *error);
enum gri_status gri_mongo_cancel_reprocess(struct gri_archive *archive, const char *name, struct gri_error *error);

/* mongo_takedown.c */
enum gri_status gri_mongo_take_down(struct gri_archive *archive, const char *source_sha256, const char *why, const char *by,
                                    int64_t *count, struct gri_error *error);

/* mongo_archive_images.c */
/* An image's metadata as the API shows it. */
struct gri_json *gri_mongo_image_json(const bson_t *document);
enum gri_status gri_mongo_get_images_by_hash(struct gri_archive *archive, const char *sha256, struct gri_json **out,
                                             struct gri_error *error);
enum gri_status gri_mongo_get_image(struct gri_archive *archive, const char *id, struct gri_json **meta, struct gri_bytes *base64,
                                    struct gri_error *error);
enum gri_status gri_mongo_list_images(struct gri_archive *archive, const struct gri_filter *filter, struct gri_json **out,
                                      struct gri_error *error);

#endif
