/* SPDX-License-Identifier: Apache-2.0 */
/* What the fetcher's requests are made with: an immutable copy of its options, held by each transfer that uses it. */
#include <stdlib.h>
#include <unistd.h>

#include "curl_state.h"

void gri_curl_settings_let_go(struct gri_curl_settings *settings) {
    if (!settings || --settings->references > 0) return;
    curl_slist_free_all(settings->connect_to);
    free(settings->user_agent);
    free(settings->ca_file);
    free(settings);
}

static enum gri_status copy(struct gri_curl_settings *settings, const struct gri_curl_options *options, struct gri_error *error) {
    settings->options = *options;
    settings->options.allow_ranges = settings->options.connect_to = NULL; /* the caller's */
    settings->options.allow_ports = NULL;
    settings->options.user_agent = settings->options.ca_file = NULL;
    if (options->allow_port_count > CURL_PORTS_MAX)
        return gri_fail(error, GRI_R_config, "fetch.allow_ports: %zu ports are over the limit of %d", options->allow_port_count,
                        CURL_PORTS_MAX);
    for (size_t i = 0; i < options->allow_port_count; i++)
        settings->ports[i] = options->allow_ports[i];
    settings->port_count = options->allow_port_count;
    if (options->user_agent) settings->user_agent = gri_strdup(options->user_agent);
    if (options->ca_file) settings->ca_file = gri_strdup(options->ca_file);
    if (options->ca_file && access(options->ca_file, R_OK) != 0)
        return gri_fail(error, GRI_R_config, "fetch.ca_file: %s can't be read", options->ca_file);
    for (size_t i = 0; i < options->connect_to_count; i++) {
        struct curl_slist *more = curl_slist_append(settings->connect_to, options->connect_to[i]);
        if (!more) return gri_fail(error, GRI_R_no_memory, "no memory for fetch.connect_to");
        settings->connect_to = more;
    }
    return gri_guard_init(&settings->guard, options->allow_ranges, options->allow_range_count, error);
}

enum gri_status gri_curl_settings_create(const struct gri_curl_options *options, struct gri_curl_settings **out,
                                         struct gri_error *error) {
    struct gri_curl_settings *settings = gri_calloc(1, sizeof(*settings));
    settings->references = 1;
    enum gri_status status = copy(settings, options, error);
    *out = status == GRI_OK ? settings : NULL;
    if (status != GRI_OK) gri_curl_settings_let_go(settings);
    return status;
}
