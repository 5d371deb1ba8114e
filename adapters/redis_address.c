/* SPDX-License-Identifier: Apache-2.0 */
/* redis.url taken apart. By hand, since curl's URL API is not this folder family's to include. */
#include "redis_address.h"

#include <ctype.h>
#include <grisaille/bytes.h>
#include <stdlib.h>
#include <string.h>

static enum gri_status refuse(struct gri_error *error, const char *what) {
    return gri_fail(error, GRI_R_config,
                    "redis.url: %s; write redis://[[user]:password@]host[:port][/database], unix://[[user]:password@]/path or "
                    "redis+sentinel://[[user]:password@]host[:port][,host[:port]]/master-name[/database]",
                    what);
}

static int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* Percent-decodes `len` bytes of text into `out`; false where it does not fit, is no hex or holds NUL. */
static bool decode(const char *text, size_t len, char *out, size_t size) {
    size_t used = 0;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (c == '%') {
            int high = i + 2 < len ? hex_value(text[i + 1]) : -1;
            int low = i + 2 < len ? hex_value(text[i + 2]) : -1;
            if (high < 0 || low < 0) return false;
            c = (char)(high * 16 + low);
            i += 2;
        }
        if (c == '\0' || used + 1 >= size) return false;
        out[used++] = c;
    }
    out[used] = '\0';
    return true;
}

static bool parse_number(const char *text, size_t len, int max, int *out) {
    int value = 0;
    if (len == 0 || len > 5) return false;
    for (size_t i = 0; i < len; i++) {
        if (!isdigit((unsigned char)text[i])) return false;
        value = value * 10 + (text[i] - '0');
    }
    *out = value;
    return value <= max;
}

/* Takes "[user]:password@" from the front of `rest`; a name without a colon is a password's user without password: refused. */
static bool take_credentials(const char **rest, struct gri_redis_address *out) {
    size_t authority = strcspn(*rest, "/?");
    const char *at = NULL;
    for (size_t i = 0; i < authority; i++) {
        if ((*rest)[i] == '@') at = *rest + i;
    }
    if (!at) return true;
    const char *colon = memchr(*rest, ':', (size_t)(at - *rest));
    if (!colon) return false;
    if (!decode(*rest, (size_t)(colon - *rest), out->user, sizeof out->user)) return false;
    if (!decode(colon + 1, (size_t)(at - colon - 1), out->password, sizeof out->password)) return false;
    *rest = at + 1;
    return true;
}

static enum gri_status parse_unix(const char *rest, struct gri_redis_address *out, struct gri_error *error) {
    if (!take_credentials(&rest, out)) return refuse(error, "user and password can't be read");
    size_t len = strcspn(rest, "?");
    if (rest[0] != '/' || !decode(rest, len, out->path, sizeof out->path)) {
        return refuse(error, "the socket's path is not absolute or too long");
    }
    if (rest[len] == '?') {
        const char *query = rest + len + 1;
        if (strncmp(query, "db=", 3) != 0 || !parse_number(query + 3, strlen(query + 3), 65535, &out->database)) {
            return refuse(error, "after the socket's path only ?db=number may follow");
        }
    }
    gri_copy(out->shown, sizeof out->shown, out->path);
    return GRI_OK;
}

/* Takes host[:port] from the front of `rest`, up to one of `/ ? # ,`. */
static enum gri_status take_host(const char **at, int default_port, struct gri_redis_address *out, struct gri_error *error) {
    const char *rest = *at, *host = rest;
    size_t host_len;
    if (*rest == '[') {
        host = rest + 1;
        host_len = strcspn(host, "]");
        if (host[host_len] != ']') return refuse(error, "the IPv6 address has no closing bracket");
        rest = host + host_len + 1;
    } else {
        host_len = strcspn(rest, ":/?#,");
        rest += host_len;
    }
    if (host_len == 0 || !decode(host, host_len, out->host, sizeof out->host)) return refuse(error, "no host, or one too long");
    int port = default_port;
    if (*rest == ':') {
        size_t len = strcspn(++rest, "/?#,");
        if (!parse_number(rest, len, 65535, &port) || port == 0) return refuse(error, "the port is no number from 1 to 65535");
        rest += len;
    }
    gri_format(out->port, sizeof out->port, "%d", port);
    gri_format(out->shown, sizeof out->shown, strchr(out->host, ':') ? "[%s]:%d" : "%s:%d", out->host, port);
    *at = rest;
    return GRI_OK;
}

static enum gri_status parse_tcp(const char *rest, struct gri_redis_address *out, struct gri_error *error) {
    if (!take_credentials(&rest, out)) return refuse(error, "user and password can't be read");
    enum gri_status status = take_host(&rest, 6379, out, error);
    if (status != GRI_OK) return status;
    if (*rest == '/')
        rest++;
    else if (*rest != '\0')
        return refuse(error, "something odd follows the host");
    if (*rest != '\0' && !parse_number(rest, strlen(rest), 65535, &out->database)) {
        return refuse(error, "the database is no number");
    }
    return GRI_OK;
}

static enum gri_status take_sentinels(const char **rest, struct gri_redis_sentinels *out, const struct gri_redis_address *server,
                                      struct gri_error *error) {
    do {
        if (out->count == GRI_REDIS_SENTINELS_MAX) return refuse(error, "more than 16 Sentinels");
        if (out->count > 0) ++*rest; /* the comma */
        struct gri_redis_address *node = &out->nodes[out->count++];
        *node = *server; /* user and password are the same for all */
        node->database = 0;
        node->sentinel = true;
        enum gri_status status = take_host(rest, 26379, node, error);
        if (status != GRI_OK) return status;
    } while (**rest == ',');
    return GRI_OK;
}

static const char SENTINEL_SCHEME[] = "redis+sentinel://";

bool gri_redis_address_is_sentinel(const char *url) {
    return strncmp(url, SENTINEL_SCHEME, strlen(SENTINEL_SCHEME)) == 0;
}

enum gri_status gri_redis_sentinels_parse(const char *url, struct gri_redis_sentinels *out, struct gri_redis_address *server,
                                          struct gri_error *error) {
    *out = (struct gri_redis_sentinels){0};
    *server = (struct gri_redis_address){0};
    GRI_ASSERT(gri_redis_address_is_sentinel(url));
    const char *rest = url + strlen(SENTINEL_SCHEME);
    if (!take_credentials(&rest, server)) return refuse(error, "user and password can't be read");
    enum gri_status status = take_sentinels(&rest, out, server, error);
    if (status != GRI_OK) return status;
    size_t len = *rest == '/' ? strcspn(++rest, "/?#") : 0;
    if (len == 0 || !decode(rest, len, out->master, sizeof out->master)) {
        return refuse(error, "after the Sentinels the master's name is missing, or too long");
    }
    rest += len;
    if (*rest == '/' && *++rest != '\0') {
        len = strlen(rest);
        if (!parse_number(rest, len, 65535, &server->database)) return refuse(error, "the database is no number");
        rest += len;
    }
    if (*rest != '\0') return refuse(error, "something odd follows the master's name");
    gri_copy(server->shown, sizeof server->shown, out->master);
    return GRI_OK;
}

enum gri_status gri_redis_address_parse(const char *url, struct gri_redis_address *out, struct gri_error *error) {
    *out = (struct gri_redis_address){0};
    if (strncmp(url, "redis://", 8) == 0) return parse_tcp(url + 8, out, error);
    if (strncmp(url, "unix://", 7) == 0) return parse_unix(url + 7, out, error);
    if (strncmp(url, "rediss://", 9) == 0) {
        return gri_fail(error, GRI_R_config,
                        "redis.url: rediss:// needs TLS, which this build's hiredis (0.14) lacks; run a TLS tunnel (stunnel, a "
                        "service mesh) beside this process and point redis.url at its local end");
    }
    return refuse(error, "unknown scheme");
}
