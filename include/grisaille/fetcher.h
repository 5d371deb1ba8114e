/* SPDX-License-Identifier: Apache-2.0 */
/* Port: HTTP GET of one URL, with every limit of docs/security.md. adapters/curl_fetcher implements it on curl's multi
 * interface over libuv; tests/sim has a simulated origin. Threads: the loop's thread. */
#ifndef GRISAILLE_FETCHER_H
#define GRISAILLE_FETCHER_H

#include <grisaille/job.h>
#include <grisaille/loop.h>

struct gri_fetch {
    struct gri_op op; /* error: reason dns … too_large; for http_4xx/5xx/rate_limited the class says if to retry */
    const char *url;  /* in: canonical; borrowed until done */
    /* in: what the host said of the copy that is there; borrowed until done, NULL or "": nothing. With either, the host may
     * answer 304, which is OK with `not_modified` and no body. */
    const char *known_etag, *known_modified;
    size_t keep; /* in: 0, or how much of a body is wanted: there the transfer ends, and well */
    /* in: asked before a redirect is followed, with the URL it leads to (scheme and host in small letters, no default port);
     * false ends the transfer with reason redirect_refused. NULL: all are followed. */
    bool (*may_follow)(struct gri_fetch *fetch, const char *url);
    bool not_modified; /* out */
    int http_status;   /* out: of the last response, 0 if none */
    char *final_url;   /* out: owned, NULL on failure before any response */
    char content_type[GRI_MIME_MAX], etag[GRI_HEADER_MAX], last_modified[GRI_HEADER_MAX], provider_id[GRI_HEADER_MAX]; /* out */
    struct gri_bytes body;             /* out: owned, also kept (up to 64 KiB) when the answer was an error */
    int64_t retry_after_ms;            /* out: of Retry-After, -1 if there was none */
    bool throttled;                    /* out: 429, or 503 with Retry-After: the host wants to be left alone */
    int redirects;                     /* out */
    double dns_seconds, total_seconds; /* out */
};

/* Zeroes the outputs before use, frees them after. */
void gri_fetch_init(struct gri_fetch *fetch, const char *url);
void gri_fetch_clear(struct gri_fetch *fetch);

struct gri_fetcher {
    const struct gri_fetcher_ops *ops;
};

struct gri_fetcher_ops {
    void (*fetch)(struct gri_fetcher *fetcher, struct gri_fetch *request);
    /* Ends it early: `done` comes with class retry, reason timeout. */
    void (*cancel)(struct gri_fetcher *fetcher, struct gri_fetch *request);
};

#endif
