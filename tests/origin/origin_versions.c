/* SPDX-License-Identifier: Apache-2.0 */
/* /fault/version?key=K: a picture that changes when it is told to, and answers 304 where it has not.
 * /fault/version/next?key=K    from now on it is another picture (the next one, by number)
 * /fault/version/first?key=K   from now on it is the first one again
 * /fault/version/gone?key=K    from now on it is 404
 * /fault/version/asked?key=K   how it was answered: {"whole":…,"unchanged":…}
 * With validators=etag (as without), modified, both or none: what it says of itself. */
#include "origin.h"

#include <string.h>
#include <time.h>

static char *name_of(struct origin_request *request, const char *what) {
    const char *key = origin_query(request, "key");
    return g_strdup_printf("version %s %s", what, key ? key : "");
}

static uint64_t count_of(struct origin_request *request, const char *what, bool more) {
    char *name = name_of(request, what);
    uint64_t count = more ? origin_stats_bump(request->origin->stats, name) : origin_stats_peek(request->origin->stats, name);
    g_free(name);
    return count;
}

static bool header_is(struct origin_request *request, const char *name, const char *value) {
    const char *sent = MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
    return sent && strcmp(sent, value) == 0;
}

static enum MHD_Result serve(struct origin_request *request) {
    const char *validators = origin_query(request, "validators");
    bool both = validators && !strcmp(validators, "both"), none = validators && !strcmp(validators, "none");
    bool dated = both || (validators && !strcmp(validators, "modified")), tagged = !none && (both || !dated);
    /* 0, 1, 2, … and, after `first`, 0 again */
    uint64_t version = count_of(request, "first", false) ? 0 : count_of(request, "next", false);
    char tag[64], date[64];
    time_t at = 1700000000 + (time_t)version * 3600;
    struct tm utc;
    g_snprintf(tag, sizeof tag, "\"v%" G_GUINT64_FORMAT "\"", version);
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&at, &utc));
    if (count_of(request, "gone", false)) return origin_send_error(request, 404, "page not found");
    bool unchanged = (tagged && header_is(request, "If-None-Match", tag)) ||
                     (dated && !tagged && header_is(request, "If-Modified-Since", date));
    struct MHD_Response *response;
    (void)count_of(request, unchanged ? "unchanged" : "whole", true);
    if (unchanged) {
        response = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    } else {
        uint64_t hash = origin_mix(origin_hash_text(request->target) + version);
        struct origin_picture picture = {
            .id = origin_id_draw(hash), .width = 40 + (unsigned)version, .height = 40 + (unsigned)(hash >> 32) % 64};
        response = origin_response_of(origin_picture_encode(request->origin, &picture));
        origin_add_header(response, "Content-Type", "image/jpeg");
    }
    if (tagged) origin_add_header(response, "ETag", tag);
    if (dated) origin_add_header(response, "Last-Modified", date);
    return origin_send(request, unchanged ? 304 : 200, response);
}

enum MHD_Result origin_version_serve(struct origin_request *request, const char *rest) {
    if (*rest == 0) return serve(request);
    if (!strcmp(rest, "/next") || !strcmp(rest, "/first") || !strcmp(rest, "/gone")) {
        (void)count_of(request, rest + 1, true);
        return origin_send_text(request, 200, "text/plain", "done\n");
    }
    if (strcmp(rest, "/asked") != 0) return origin_send_error(request, 404, "page not found");
    char text[96];
    g_snprintf(text, sizeof text, "{\"whole\":%" G_GUINT64_FORMAT ",\"unchanged\":%" G_GUINT64_FORMAT "}\n",
               count_of(request, "whole", false), count_of(request, "unchanged", false));
    return origin_send_text(request, 200, "application/json", text);
}
