/* SPDX-License-Identifier: Apache-2.0 */
/* What of the API's options may change while it serves: an immutable copy, held by each request from its beginning to its end. */
#include <stdlib.h>
#include <string.h>

#include "api_internal.h"

static void settings_free(struct gri_api_settings *settings) {
    gri_ruleset_free(settings->rules);
    gri_json_free(settings->pipelines);
    free(settings->tokens);
    free(settings);
}

static enum gri_status settings_make(const struct gri_api_options *options, struct gri_api_settings **out,
                                     struct gri_error *error) {
    struct gri_api_settings *made = gri_calloc(1, sizeof *made);
    enum gri_status status = gri_ruleset_compile(options->rules_body, &made->rules, error);
    if (status != GRI_OK) {
        free(made);
        return status;
    }
    atomic_init(&made->references, 1);
    (void)gri_copy(made->rules_id, sizeof made->rules_id, options->rules_id);
    made->pipelines = options->pipelines ? gri_json_copy(options->pipelines) : gri_json_array();
    made->max_catalog_bytes = options->max_catalog_bytes;
    made->token_count = options->token_count;
    made->tokens = gri_calloc(options->token_count + 1, sizeof *made->tokens);
    if (options->token_count > 0) memcpy(made->tokens, options->tokens, options->token_count * sizeof *made->tokens);
    *out = made;
    return GRI_OK;
}

struct gri_api_settings *gri_api_settings_hold(struct gri_api *api) {
    pthread_mutex_lock(&api->lock);
    struct gri_api_settings *settings = api->settings;
    atomic_fetch_add(&settings->references, 1);
    pthread_mutex_unlock(&api->lock);
    return settings;
}

void gri_api_settings_let_go(struct gri_api_settings *settings) {
    if (settings && atomic_fetch_sub(&settings->references, 1) == 1) settings_free(settings);
}

enum gri_status gri_api_reload(struct gri_api *api, const struct gri_api_options *options, struct gri_error *error) {
    struct gri_api_settings *made, *before;
    enum gri_status status = settings_make(options, &made, error);
    if (status != GRI_OK) return status;
    pthread_mutex_lock(&api->lock);
    before = api->settings;
    api->settings = made;
    pthread_mutex_unlock(&api->lock);
    gri_api_settings_let_go(before);
    return GRI_OK;
}

enum gri_status gri_api_create(const struct gri_api_options *options, struct gri_api **api, struct gri_error *error) {
    struct gri_api *made = gri_calloc(1, sizeof *made);
    made->options = *options;
    /* Of these the settings have a copy. */
    made->options.rules_body = (struct gri_slice){0};
    made->options.rules_id = NULL;
    made->options.pipelines = NULL;
    made->options.tokens = NULL;
    pthread_mutex_init(&made->lock, NULL);
    enum gri_status status = settings_make(options, &made->settings, error);
    if (status != GRI_OK) {
        gri_api_destroy(made);
        made = NULL;
    }
    *api = made;
    return status;
}

void gri_api_destroy(struct gri_api *api) {
    if (!api) return;
    gri_api_settings_let_go(api->settings);
    pthread_mutex_destroy(&api->lock);
    free(api);
}
