/* SPDX-License-Identifier: Apache-2.0 */
/* picsum.photos and its image host: routes, redirects, headers and error texts. */
#include "origin.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

/* What a path asks for. */
struct route {
    enum { BY_CHANCE, BY_ID, BY_SEED } by;
    char name[256]; /* the id or seed as written */
    char width[32], height[32];
    const char *extension; /* from its dot on, or "" */
};

struct asked {
    unsigned id, width, height, blur;
    bool blurred, gray, webp;
};

static const char *take_digits(const char *at, char out[32]) {
    size_t length = strspn(at, "0123456789");
    if (length == 0 || length >= 31) return NULL;
    memcpy(out, at, length);
    out[length] = 0;
    return at + length;
}

/* "<size>[.ext]" or "<width>/<height>[.ext]"; an extension is whatever stands from the first dot on, slashes too. */
static bool match_size(const char *at, struct route *route) {
    at = take_digits(at, route->width);
    if (!at) return false;
    memcpy(route->height, route->width, sizeof route->height);
    if (*at == '/') {
        at = take_digits(at + 1, route->height);
        if (!at) return false;
    }
    route->extension = at;
    return *at == 0 || *at == '.';
}

static bool match_route(const char *path, struct route *route) {
    const char *rest = path + 1;
    route->by = BY_CHANCE;
    if (g_str_has_prefix(path, "/id/") || g_str_has_prefix(path, "/seed/")) {
        route->by = path[1] == 'i' ? BY_ID : BY_SEED;
        rest += route->by == BY_ID ? 3 : 5;
        size_t length = strcspn(rest, "/");
        if (length == 0 || length >= sizeof route->name || rest[length] == 0) return false;
        memcpy(route->name, rest, length);
        route->name[length] = 0;
        rest += length + 1;
    }
    return match_size(rest, route);
}

/* The id written as picsum lists it: no sign, no leading zero. */
static bool parse_id(const char *text, unsigned *id) {
    size_t length = strspn(text, "0123456789");
    if (length == 0 || length > 4 || text[length] || (text[0] == '0' && length > 1)) return false;
    *id = (unsigned)strtoul(text, NULL, 10);
    return origin_id_exists(*id);
}

static const char *parse_blur(struct origin_request *request, struct asked *asked) {
    const char *text = origin_query(request, "blur");
    asked->blurred = text != NULL;
    asked->blur = 0;
    if (!text) return NULL;
    if (!*text) {
        asked->blur = 5;
        return NULL;
    }
    char *end = NULL;
    long amount = strtol(text, &end, 10);
    if (*end || amount < 1 || amount > 10) return "Invalid blur amount";
    asked->blur = (unsigned)amount;
    return NULL;
}

/* An error text, or NULL. A number of too many digits is too large a size, not an unknown page. */
static const char *parse_sizes(const struct route *route, struct asked *asked) {
    if (strlen(route->width) > 9 || strlen(route->height) > 9) return "Invalid size";
    asked->width = (unsigned)strtoul(route->width, NULL, 10);
    asked->height = (unsigned)strtoul(route->height, NULL, 10);
    return NULL;
}

static const char *parse_extension(const struct route *route, struct asked *asked) {
    asked->webp = !strcmp(route->extension, ".webp");
    return *route->extension && !asked->webp && strcmp(route->extension, ".jpg") != 0 ? "Invalid file extension" : NULL;
}

static bool choose_id(struct origin_request *request, const struct route *route, struct asked *asked) {
    struct origin *origin = request->origin;
    switch (route->by) {
    case BY_ID:
        return parse_id(route->name, &asked->id);
    case BY_SEED:
        asked->id = origin_id_draw(origin_hash_text(route->name));
        return true;
    default:
        asked->id = origin_id_draw(origin->seed + 0x9e3779b97f4a7c15u * atomic_fetch_add(&origin->drawn, 1));
        return true;
    }
}

/* Path and query at the image host, signed. Owned. */
static char *signed_target(const struct origin *origin, const struct asked *asked) {
    char blur[24] = "";
    if (asked->blurred) g_snprintf(blur, sizeof blur, "blur=%u&", asked->blur);
    char *plain = g_strdup_printf("/id/%u/%u/%u.%s?%s%s", asked->id, asked->width, asked->height, asked->webp ? "webp" : "jpg",
                                  blur, asked->gray ? "grayscale&" : "");
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    if (!HMAC(EVP_sha256(), origin->secret, (int)sizeof origin->secret, (const unsigned char *)plain, strlen(plain), mac,
              &length))
        g_error("HMAC failed");
    char *text = g_base64_encode(mac, length);
    for (char *at = text; *at; at++)
        *at = *at == '+' ? '-' : *at == '/' ? '_' : *at;
    char *target = g_strdup_printf("%shmac=%.43s", plain, text);
    g_free(text);
    g_free(plain);
    return target;
}

static enum MHD_Result redirect(struct origin_request *request, const struct asked *asked) {
    char *target = signed_target(request->origin, asked);
    char *location = g_strconcat(request->origin->image_base, target, NULL);
    struct MHD_Response *response = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    origin_add_header(response, "Location", location);
    origin_add_header(response, "Cache-Control", "private, no-cache, no-store, must-revalidate");
    origin_add_header(response, "Vary", "Origin");
    g_free(location);
    g_free(target);
    return origin_send(request, 302, response);
}

/* One slash too many at the end: to the same page without it, by a relative location. */
static enum MHD_Result redirect_slash(struct origin_request *request, const char *path) {
    const char *query = strchr(request->target, '?');
    char *location = g_strconcat(path, query, NULL);
    struct MHD_Response *response = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    origin_add_header(response, "Location", location);
    g_free(location);
    return origin_send(request, 301, response);
}

static enum MHD_Result serve_front(struct origin_request *request) {
    struct route route = {0};
    if (!match_route(request->path, &route)) {
        size_t length = strlen(request->path);
        char *shorter = g_strndup(request->path, length - 1);
        bool slash = length > 1 && request->path[length - 1] == '/' && match_route(shorter, &route);
        enum MHD_Result result = slash ? redirect_slash(request, shorter) : origin_send_error(request, 404, "page not found");
        g_free(shorter);
        return result;
    }
    struct asked asked = {0};
    const char *wrong = parse_sizes(&route, &asked);
    if (!wrong) wrong = parse_extension(&route, &asked);
    if (!wrong) wrong = parse_blur(request, &asked);
    if (wrong) return origin_send_error(request, 400, wrong);
    if (!choose_id(request, &route, &asked)) return origin_send_error(request, 404, "Image does not exist");
    if (asked.width > ORIGIN_SIZE_MAX || asked.height > ORIGIN_SIZE_MAX) return origin_send_error(request, 400, "Invalid size");
    unsigned width = 0, height = 0;
    origin_id_size(asked.id, &width, &height);
    if (asked.width == 0) asked.width = width;
    if (asked.height == 0) asked.height = height;
    asked.gray = origin_query(request, "grayscale") != NULL;
    return redirect(request, &asked);
}

static enum MHD_Result send_picture(struct origin_request *request, const struct asked *asked) {
    struct origin_picture picture = {.id = asked->id,
                                     .width = asked->width,
                                     .height = asked->height,
                                     .gray = asked->gray,
                                     .blur = asked->blur,
                                     .with_exif = true,
                                     .format = asked->webp ? ORIGIN_WEBP : ORIGIN_JPEG};
    GBytes *bytes = origin_picture_encode(request->origin, &picture);
    if (!bytes) return origin_send_error(request, 500, "Something went wrong");
    char blur[24] = "", id[16], disposition[128];
    if (asked->blurred) g_snprintf(blur, sizeof blur, "-blur_%u", asked->blur);
    g_snprintf(id, sizeof id, "%u", asked->id);
    g_snprintf(disposition, sizeof disposition, "inline; filename=\"%u-%ux%u%s%s.%s\"", asked->id, asked->width, asked->height,
               blur, asked->gray ? "-grayscale" : "", asked->webp ? "webp" : "jpg");
    struct MHD_Response *response = origin_response_of(bytes);
    origin_add_header(response, "Content-Type", origin_format_type(picture.format));
    origin_add_header(response, "Content-Disposition", disposition);
    origin_add_header(response, "Picsum-Id", id);
    origin_add_header(response, "Timing-Allow-Origin", "*");
    origin_add_header(response, "Cache-Control",
                      "public, max-age=2592000, stale-while-revalidate=60, stale-if-error=43200, immutable");
    return origin_send(request, 200, response);
}

static enum MHD_Result serve_image(struct origin_request *request) {
    struct route route = {0};
    if (!match_route(request->path, &route) || route.by != BY_ID) return origin_send_error(request, 404, "page not found");
    struct asked asked = {.gray = origin_query(request, "grayscale") != NULL};
    bool right = !parse_sizes(&route, &asked) && !parse_extension(&route, &asked) && !parse_blur(request, &asked) &&
                 parse_id(route.name, &asked.id) && asked.width && asked.height && asked.width <= ORIGIN_SIZE_MAX &&
                 asked.height <= ORIGIN_SIZE_MAX;
    char *expected = signed_target(request->origin, &asked);
    right = right && !strcmp(expected, request->target);
    g_free(expected);
    return right ? send_picture(request, &asked) : origin_send_error(request, 400, "Invalid parameters");
}

/* The two hosts are told apart by name; under any other name (an address, say) a signature asks for the image host. */
enum MHD_Result origin_front_serve(struct origin_request *request) {
    bool image = g_str_has_prefix(request->host, "fastly.") ||
                 (strcmp(request->host, "picsum.photos") != 0 && origin_query(request, "hmac") != NULL);
    origin_stats_count(request->origin->stats, image ? ORIGIN_IMAGE : ORIGIN_FRONT, request->host, request->target);
    return image ? serve_image(request) : serve_front(request);
}
