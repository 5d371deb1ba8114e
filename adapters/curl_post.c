/* SPDX-License-Identifier: Apache-2.0 */
/* POST to the operator's URL on libcurl's easy interface. */
#include "curl_post.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct gri_curl_poster {
    CURL *easy;
    bool (*stop)(void *arg);
    void *arg;
    char message[CURL_ERROR_SIZE];
};

static size_t throw_away(char *data, size_t size, size_t count, void *arg) {
    (void)data, (void)arg;
    return size * count;
}

static int progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d) {
    const struct gri_curl_poster *poster = arg;
    (void)a, (void)b, (void)c, (void)d;
    return poster->stop && poster->stop(poster->arg);
}

static enum gri_status check_url(const char *url, struct gri_error *error) {
    CURLU *parsed = curl_url();
    char *scheme = NULL;
    if (!parsed) return gri_fail(error, GRI_R_no_memory, "no memory for a URL");
    CURLUcode code = curl_url_set(parsed, CURLUPART_URL, url, 0);
    bool ok = code == CURLUE_OK && curl_url_get(parsed, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
              (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0);
    curl_free(scheme);
    curl_url_cleanup(parsed);
    if (ok) return GRI_OK;
    return gri_fail(error, GRI_R_config, "webhook.url: no http or https URL%s%s", code == CURLUE_OK ? "" : ": ",
                    code == CURLUE_OK ? "" : curl_url_strerror(code));
}

#define SET(option, value) ok = ok && curl_easy_setopt(poster->easy, option, value) == CURLE_OK

static bool set_options(struct gri_curl_poster *poster, const struct gri_curl_post_options *options) {
    bool ok = true;
    SET(CURLOPT_URL, options->url);
    if (*options->ca_file) SET(CURLOPT_CAINFO, options->ca_file);
    SET(CURLOPT_USERAGENT, options->user_agent);
    SET(CURLOPT_TIMEOUT_MS, (long)options->timeout_ms);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)options->timeout_ms);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_PROXY, "");
    SET(CURLOPT_NOPROXY, "*");
    SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_QUICK_EXIT, 1L);
    SET(CURLOPT_WRITEFUNCTION, throw_away);
    SET(CURLOPT_NOPROGRESS, 0L);
    SET(CURLOPT_XFERINFOFUNCTION, progress);
    SET(CURLOPT_XFERINFODATA, poster);
    SET(CURLOPT_ERRORBUFFER, poster->message);
    return ok;
}

enum gri_status gri_curl_poster_create(const struct gri_curl_post_options *options, struct gri_curl_poster **out,
                                       struct gri_error *error) {
    *out = NULL;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) return gri_fail(error, GRI_R_internal, "libcurl can't be initialised");
    struct gri_curl_poster *poster = gri_calloc(1, sizeof *poster);
    poster->stop = options->stop;
    poster->arg = options->arg;
    enum gri_status status = check_url(options->url, error);
    if (status == GRI_OK && *options->ca_file && access(options->ca_file, R_OK) != 0)
        status = gri_fail(error, GRI_R_config, "webhook.ca_file: %s can't be read", options->ca_file);
    if (status == GRI_OK) {
        poster->easy = curl_easy_init();
        if (!poster->easy || !set_options(poster, options))
            status = gri_fail(error, GRI_R_internal, "libcurl refused an option of the webhook");
    }
    if (status == GRI_OK) {
        *out = poster;
    } else {
        gri_curl_poster_destroy(poster);
    }
    return status;
}

void gri_curl_poster_destroy(struct gri_curl_poster *poster) {
    if (!poster) return;
    curl_easy_cleanup(poster->easy);
    free(poster);
    curl_global_cleanup();
}

enum gri_status gri_curl_poster_send(struct gri_curl_poster *poster, const char *const *headers, size_t header_count,
                                     struct gri_slice body, int *http_status, int64_t *retry_after_ms, struct gri_error *error) {
    struct curl_slist *list = NULL;
    bool ok = true;
    long code = 0;
    curl_off_t after = 0;
    for (size_t i = 0; ok && i < header_count; i++) {
        struct curl_slist *more = curl_slist_append(list, headers[i]);
        ok = more != NULL;
        if (more) list = more;
    }
    SET(CURLOPT_HTTPHEADER, list);
    SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.len);
    SET(CURLOPT_POSTFIELDS, (const char *)body.data);
    poster->message[0] = '\0';
    CURLcode sent = ok ? curl_easy_perform(poster->easy) : CURLE_OUT_OF_MEMORY;
    (void)curl_easy_getinfo(poster->easy, CURLINFO_RESPONSE_CODE, &code);
    (void)curl_easy_getinfo(poster->easy, CURLINFO_RETRY_AFTER, &after);
    (void)curl_easy_setopt(poster->easy, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(list);
    if (sent != CURLE_OK)
        return gri_fail_as(error, GRI_RETRY, sent == CURLE_OPERATION_TIMEDOUT ? GRI_R_timeout : GRI_R_connect, "%s",
                           poster->message[0] ? poster->message : curl_easy_strerror(sent));
    *http_status = (int)code;
    *retry_after_ms = after > 0 ? (int64_t)after * 1000 : -1;
    return GRI_OK;
}
