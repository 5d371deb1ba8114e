/* SPDX-License-Identifier: Apache-2.0 */
/* POST to one URL that the operator has configured (the webhook), blocking, with a deadline.
 *
 * Unlike the fetcher it has no guard: whoever writes the configuration chooses the address, which may be private. Redirects are
 * not followed, the answer's body is thrown away, proxies of the environment are not used. Threads: one at a time. */
#ifndef GRISAILLE_ADAPTERS_CURL_POST_H
#define GRISAILLE_ADAPTERS_CURL_POST_H

#include <grisaille/bytes.h>

struct gri_curl_poster;

struct gri_curl_post_options {
    const char *url;     /* http or https */
    const char *ca_file; /* "": the system's authorities */
    const char *user_agent;
    int64_t timeout_ms;      /* of a whole request */
    bool (*stop)(void *arg); /* asked now and then during a request: true ends it early */
    void *arg;
};

/* Fails with reason config where the URL or the file can't be used. *out: owned. Texts are copied. */
enum gri_status gri_curl_poster_create(const struct gri_curl_post_options *options, struct gri_curl_poster **out,
                                       struct gri_error *error) GRI_MUST_CHECK;
/* NULL is fine. */
void gri_curl_poster_destroy(struct gri_curl_poster *poster);

/* Sends `body` with those header lines ("Name: value"). GRI_OK: an answer came, *http_status is its status and *retry_after_ms
 * its Retry-After, -1 without. Else class retry. */
enum gri_status gri_curl_poster_send(struct gri_curl_poster *poster, const char *const *headers, size_t header_count,
                                     struct gri_slice body, int *http_status, int64_t *retry_after_ms,
                                     struct gri_error *error) GRI_MUST_CHECK;

#endif
