/* SPDX-License-Identifier: Apache-2.0 */
/* The canonical form of a URL: what the ledger is keyed by, so that each spelling of one address is one piece of work.
 *
 * Lower-case scheme and host, no default port, no dot at the host's end, international names in punycode, IPv6 addresses
 * in their shortest form, dot segments resolved, no fragment, unreserved characters unescaped (%41 → A), other escapes in
 * capitals, everything RFC 3986 does not let stand raw escaped (spaces, quotes, backslashes, non-ASCII bytes, a lone %),
 * an empty path is "/", an empty query is none. Other literal addresses (127.1, 0x7f.1) stay as they are: the fetcher judges
 * the address they come to. canonical(canonical(x)) = canonical(x).
 *
 * The parser is strict where libcurl's is lenient; libcurl's URL API turns names into punycode and must then read the result
 * as we do, else the line is bad_host. Threads: any; no shared state, the process's locale does not matter. */
#ifndef GRISAILLE_CATALOG_CANONICAL_H
#define GRISAILLE_CATALOG_CANONICAL_H

#include <grisaille/job.h>

enum { GRI_ALLOW_PORTS_MAX = 64 };

/* Ports besides 80 and 443 that a URL may name. */
struct gri_ports {
    int list[GRI_ALLOW_PORTS_MAX];
    size_t count;
};

struct gri_canonical {
    char url[GRI_URL_MAX + 1];
    size_t len;
    char host[GRI_HOST_MAX]; /* IPv6 with its brackets */
    int port;                /* the scheme's default where none was given */
    size_t path, path_len;   /* where the path stands in url, from its "/" */
    size_t query, query_len; /* after the "?"; query_len 0: there is none */
};

/* Of trimmed text; `ports` NULL: only 80 and 443. Answers GRI_R_none, or the first that holds of no_scheme, bad_scheme,
 * bad_host, bad_port, credentials, too_long, not_text (then *out means nothing). A URL whose canonical form is over
 * GRI_URL_MAX bytes is too_long as well. */
enum gri_reason gri_canonical_url(struct gri_slice text, const struct gri_ports *ports, struct gri_canonical *out) GRI_MUST_CHECK;

/* Replaces the query by the parameters whose names `keep` answers true for, in their order; none left: no query. */
void gri_canonical_filter_query(struct gri_canonical *url, bool (*keep)(struct gri_slice name, const void *arg), const void *arg);

/* The canonical form of a host's name (no port); false when it is impossible. */
bool gri_canonical_host(struct gri_slice text, char host[GRI_HOST_MAX]) GRI_MUST_CHECK;

#endif
