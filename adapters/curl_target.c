/* SPDX-License-Identifier: Apache-2.0 */
/* Which URLs are asked for: scheme, port, credentials; of the first URL and of each redirect before it is followed. */
#include <stdlib.h>
#include <string.h>

#include "curl_state.h"

static bool part_is_set(CURLU *url, CURLUPart part) {
    char *value = NULL;
    bool set = curl_url_get(url, part, &value, 0) == CURLUE_OK;
    curl_free(value);
    return set;
}

static bool scheme_ok(CURLU *url) {
    char *scheme = NULL;
    bool ok = curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
              (strcasecmp(scheme, "http") == 0 || strcasecmp(scheme, "https") == 0);
    curl_free(scheme);
    return ok;
}

static long port_of(CURLU *url) {
    char *text = NULL;
    long port = curl_url_get(url, CURLUPART_PORT, &text, CURLU_DEFAULT_PORT) == CURLUE_OK ? strtol(text, NULL, 10) : 0;
    curl_free(text);
    return port;
}

static bool port_ok(const struct gri_curl_settings *settings, long port) {
    for (size_t i = 0; i < settings->port_count; i++)
        if (settings->ports[i] == port) return true;
    return port == 80 || port == 443;
}

/* scheme://host[:port]/path[?query], or NULL. */
static char *absolute(CURLU *parsed) {
    char *url = NULL, *copy = NULL;
    (void)curl_url_set(parsed, CURLUPART_FRAGMENT, NULL, 0);
    if (curl_url_get(parsed, CURLUPART_URL, &url, CURLU_NO_DEFAULT_PORT) != CURLUE_OK) return NULL;
    copy = gri_strdup(url);
    curl_free(url);
    char *authority = strstr(copy, "://");
    for (char *c = copy; authority != NULL && c < authority + 3 + strcspn(authority + 3, "/?"); c++)
        *c = (char)(*c >= 'A' && *c <= 'Z' ? *c - 'A' + 'a' : *c);
    return copy;
}

enum gri_status gri_curl_target_check(const struct gri_curl_settings *settings, const char *url, const char *base, char **whole,
                                      struct gri_error *error) {
    CURLU *parsed = curl_url();
    if (!parsed) return gri_fail(error, GRI_R_no_memory, "no memory for a URL");
    enum gri_status status = GRI_OK;
    enum gri_reason redirect = base ? GRI_R_redirect_refused : GRI_R_none;
    unsigned flags = base ? CURLU_URLENCODE | CURLU_ALLOW_SPACE : 0; /* as libcurl reads a Location */
    CURLUcode code = base ? curl_url_set(parsed, CURLUPART_URL, base, 0) : CURLUE_OK;
    if (code == CURLUE_OK) code = curl_url_set(parsed, CURLUPART_URL, url, flags);
    if (code == CURLUE_UNSUPPORTED_SCHEME || (code == CURLUE_OK && !scheme_ok(parsed))) {
        status = gri_fail(error, redirect ? redirect : GRI_R_bad_scheme, "only http and https are fetched");
    } else if (code != CURLUE_OK) {
        status = gri_fail(error, redirect ? redirect : GRI_R_bad_host, "the URL can't be read: %s", curl_url_strerror(code));
    } else if (!port_ok(settings, port_of(parsed))) {
        status = gri_fail(error, redirect ? redirect : GRI_R_bad_port, "port %ld is not 80, 443 or one of fetch.allow_ports",
                          port_of(parsed));
    } else if (part_is_set(parsed, CURLUPART_USER) || part_is_set(parsed, CURLUPART_PASSWORD)) {
        status = gri_fail(error, redirect ? redirect : GRI_R_credentials, "a URL with user or password is refused");
    }
    if (whole != NULL) *whole = status == GRI_OK ? absolute(parsed) : NULL;
    curl_url_cleanup(parsed);
    return status;
}
