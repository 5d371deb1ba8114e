/* SPDX-License-Identifier: Apache-2.0 */
/* The test origin: one server that behaves as picsum.photos (front and image host) does, and misbehaves under /fault.
 *
 * A program of its own for tests and the demo: it shares no code with the product, so that both can't be wrong in the same way.
 * Threads: MHD runs one thread a connection; everything below may be called from any of them. Pictures and encoded
 * results are GBytes (reference-counted); a function that returns one returns an owned reference. */
#ifndef GRISAILLE_TESTS_ORIGIN_H
#define GRISAILLE_TESTS_ORIGIN_H

#include <glib.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    ORIGIN_SIZE_MAX = 5000,     /* a side that picsum still serves */
    ORIGIN_IDS = 1084,          /* ids 0…1083, some of them missing */
    ORIGIN_IDLE_SECONDS = 5,    /* an idle connection is closed after that */
    ORIGIN_TARGET_MAX = 16384,  /* bytes of a request target */
    ORIGIN_STATS_URLS = 400000, /* URLs counted one by one; past that only the total rises */
    ORIGIN_RENDERING = 16,      /* locks of scenes being rendered */
    ORIGIN_KEYS_MAX = 20000     /* counters of /fault/…?key= */
};

struct origin_cache; /* a bounded LRU of GBytes by name */
struct origin_stats;

struct origin {
    uint64_t seed;              /* of the random ids */
    unsigned char secret[32];   /* of the hmac parameter */
    const char *image_base;     /* "https://fastly.picsum.photos" */
    atomic_uint_fast64_t drawn; /* random ids given out */
    atomic_bool stopping;       /* handlers that sleep end soon */
    struct origin_cache *results, *bases;
    pthread_mutex_t rendering[ORIGIN_RENDERING];
    struct origin_stats *stats;
};

/* One request while it is handled. */
struct origin_request {
    struct origin *origin;
    struct MHD_Connection *connection;
    char *target;     /* as it was sent: path and query */
    const char *path; /* percent-decoded by MHD, without query */
    char host[256];   /* of the Host header, lower case, without port */
    bool begun;       /* MHD has called for it before */
    bool patient;     /* the idle limit was lifted for this request */
};

/* --- origin_cache.c */
struct origin_cache *origin_cache_create(size_t max_bytes);
void origin_cache_destroy(struct origin_cache *cache);
GBytes *origin_cache_get(struct origin_cache *cache, const char *key); /* NULL: not there */
void origin_cache_put(struct origin_cache *cache, const char *key, GBytes *value);

/* --- origin_stats.c: how often what was asked for */
enum origin_class { ORIGIN_FRONT, ORIGIN_IMAGE, ORIGIN_KIND, ORIGIN_FAULT, ORIGIN_STATS, ORIGIN_OTHER, ORIGIN_CLASSES };
struct origin_stats *origin_stats_create(void);
void origin_stats_destroy(struct origin_stats *stats);
void origin_stats_count(struct origin_stats *stats, enum origin_class class, const char *host, const char *target);
/* How often `key` was asked before this call (the call counts). */
uint64_t origin_stats_bump(struct origin_stats *stats, const char *key);
uint64_t origin_stats_peek(struct origin_stats *stats, const char *key); /* without counting */
enum MHD_Result origin_stats_serve(struct origin_request *request);

/* --- origin_scene.c: a landscape as a function of a number and a place, the same at any resolution */
void origin_scene_render(unsigned number, unsigned width, unsigned height, unsigned char *rgb);

/* --- origin_pictures.c: pictures and their files */
enum origin_format {
    ORIGIN_JPEG,            /* progressive, 4:2:0, quality 75 */
    ORIGIN_JPEG_SEQUENTIAL, /* baseline */
    ORIGIN_JPEG_CMYK,
    ORIGIN_JPEG_ROTATED, /* EXIF orientation 6 */
    ORIGIN_WEBP,
    ORIGIN_PNG,
    ORIGIN_PNG_ALPHA,
    ORIGIN_PNG16,
    ORIGIN_GIF,
    ORIGIN_GIF_ANIMATED,
    ORIGIN_FORMATS
};
struct origin_picture {
    unsigned id, width, height;
    enum origin_format format;
    bool gray;
    unsigned blur;  /* 0: none; 1…10 */
    bool with_exif; /* the comment "Picsum ID: <id>" */
};
bool origin_id_exists(unsigned id);
unsigned origin_id_draw(uint64_t number);                            /* an existing id, the same for the same number */
void origin_id_size(unsigned id, unsigned *width, unsigned *height); /* of the original */
/* The encoded file, the same bytes for the same picture. NULL where libvips failed (told on standard error). */
GBytes *origin_picture_encode(struct origin *origin, const struct origin_picture *picture);
const char *origin_format_type(enum origin_format format); /* "image/jpeg", … */

/* --- origin_front.c: picsum.photos and its image host */
enum MHD_Result origin_front_serve(struct origin_request *request);

/* --- origin_kinds.c, origin_faults.c: /kind/… and /fault/… on any host */
enum MHD_Result origin_kind_serve(struct origin_request *request);
enum MHD_Result origin_fault_serve(struct origin_request *request);
/* A small JPEG that depends on the request's target alone. */
GBytes *origin_fault_picture(struct origin_request *request);

/* --- origin_versions.c: /fault/version…; `rest` is what follows that */
enum MHD_Result origin_version_serve(struct origin_request *request, const char *rest);

/* --- origin_reply.c: answers */
uint64_t origin_hash_text(const char *text);
uint64_t origin_mix(uint64_t value);
const char *origin_query(struct origin_request *request, const char *name); /* NULL: absent; "" without a value */
int64_t origin_query_int(struct origin_request *request, const char *name, int64_t otherwise);
void origin_add_header(struct MHD_Response *response, const char *name, const char *value);
enum MHD_Result origin_send(struct origin_request *request, unsigned status, struct MHD_Response *response); /* takes it */
/* picsum's errors: text/plain, or JSON where Accept is exactly application/json. */
enum MHD_Result origin_send_error(struct origin_request *request, unsigned status, const char *text);
enum MHD_Result origin_send_text(struct origin_request *request, unsigned status, const char *type, const char *text);
/* Takes `bytes`; NULL answers 500 Something went wrong. */
enum MHD_Result origin_send_bytes(struct origin_request *request, unsigned status, const char *type, GBytes *bytes);
struct MHD_Response *origin_response_of(GBytes *bytes); /* takes it */
/* Sleeps, less if the server stops; lifts the idle limit of this connection for this request. */
void origin_sleep_ms(struct origin_request *request, int64_t ms);

#endif
