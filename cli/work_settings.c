/* SPDX-License-Identifier: Apache-2.0 */
/* Fetcher, codec and isolator from the configuration. */
#include "work_settings.h"

#include <stdlib.h>

#include "cli.h"
#include "curl_fetcher.h"
#include "jpeg_gray.h"
#include "uv_isolator.h"
#include "uv_loop.h"

enum {
    START_MS = 20000,        /* a child loads this program, libvips and the plugins */
    SLACK_MS = 5000,         /* beside the fetch's and the image's own limits */
    RESULT_SLACK = 96 << 20, /* of a result frame, beside the source: the picture and the rest */
};

void gri_work_user_agent(const struct gri_config *config, char out[GRI_USER_AGENT_MAX]) {
    const char *given = gri_config_text(config, "fetch.user_agent"), *contact = gri_config_text(config, "fetch.contact");
    if (*given)
        (void)gri_copy(out, GRI_USER_AGENT_MAX, given);
    else if (*contact)
        (void)gri_format(out, GRI_USER_AGENT_MAX, "grisaille/" GRI_VERSION " (+%s)", contact);
    else
        (void)gri_copy(out, GRI_USER_AGENT_MAX, "grisaille/" GRI_VERSION);
}

struct gri_json *gri_work_settings(const struct gri_config *config) {
    static const char *const numbers[] = {"connect_timeout_ms", "timeout_ms", "max_bytes", "max_redirects"};
    static const char *const texts[] = {"ca_file"};
    static const char *const lists[] = {"allow_ranges", "allow_ports", "connect_to"};
    struct gri_json *settings = gri_json_object(), *fetch = gri_json_object(), *image = gri_json_object();
    char key[64];
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        (void)gri_format(key, sizeof key, "fetch.%s", numbers[i]);
        gri_json_set_int(fetch, numbers[i], gri_config_int(config, key));
    }
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        (void)gri_format(key, sizeof key, "fetch.%s", texts[i]);
        gri_json_set_str(fetch, texts[i], gri_config_text(config, key));
    }
    char agent[GRI_USER_AGENT_MAX];
    gri_work_user_agent(config, agent);
    gri_json_set_str(fetch, "user_agent", agent);
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        (void)gri_format(key, sizeof key, "fetch.%s", lists[i]);
        gri_json_set(fetch, lists[i], gri_json_copy(gri_config_list(config, key)));
    }
    gri_json_set_int(image, "max_pixels", gri_config_int(config, "image.max_pixels"));
    gri_json_set_int(image, "timeout_ms", gri_config_int(config, "image.timeout_ms"));
    gri_json_set(settings, "fetch", fetch);
    gri_json_set(settings, "image", image);
    gri_json_set_str(settings, "plugins_dir", gri_config_text(config, "plugins.dir"));
    gri_json_set_str(settings, "sandbox", gri_config_text(config, "process.sandbox"));
    return settings;
}

/* The texts of a list, borrowed; the array is owned. */
static const char **texts_of(const struct gri_json *list) {
    const char **texts = gri_calloc(gri_json_count(list) + 1, sizeof *texts);
    for (size_t i = 0; i < gri_json_count(list); i++)
        texts[i] = gri_json_text(gri_json_at(list, i), "");
    return texts;
}

enum gri_status gri_work_fetcher(const struct gri_json *settings, struct gri_loop *loop, struct gri_log *log,
                                 struct gri_metrics *metrics, struct gri_fetcher **fetcher, struct gri_error *error) {
    const struct gri_json *fetch = gri_json_get(settings, "fetch");
    const struct gri_json *ranges = gri_json_get(fetch, "allow_ranges"), *ports = gri_json_get(fetch, "allow_ports"),
                          *connect_to = gri_json_get(fetch, "connect_to");
    const char **range_texts = texts_of(ranges), **connect_texts = texts_of(connect_to);
    const char *ca_file = gri_json_str(fetch, "ca_file", "");
    int *port_numbers = gri_calloc(gri_json_count(ports) + 1, sizeof *port_numbers);
    for (size_t i = 0; i < gri_json_count(ports); i++)
        port_numbers[i] = (int)gri_json_number(gri_json_at(ports, i), 0);
    struct gri_curl_options options;
    gri_curl_options_init(&options);
    options.connect_ms = gri_json_get_int(fetch, "connect_timeout_ms", options.connect_ms);
    options.timeout_ms = gri_json_get_int(fetch, "timeout_ms", options.timeout_ms);
    options.max_bytes = (size_t)gri_json_get_int(fetch, "max_bytes", (int64_t)options.max_bytes);
    options.max_redirects = (int)gri_json_get_int(fetch, "max_redirects", options.max_redirects);
    options.user_agent = gri_json_str(fetch, "user_agent", NULL);
    options.ca_file = *ca_file ? ca_file : NULL;
    options.allow_ranges = range_texts;
    options.allow_range_count = gri_json_count(ranges);
    options.allow_ports = port_numbers;
    options.allow_port_count = gri_json_count(ports);
    options.connect_to = connect_texts;
    options.connect_to_count = gri_json_count(connect_to);
    enum gri_status status = *fetcher ? gri_curl_fetcher_reload(*fetcher, &options, error)
                                      : gri_curl_fetcher_create(gri_uv_loop_handle(loop), &options, log, metrics, fetcher, error);
    free(range_texts);
    free(connect_texts);
    free(port_numbers);
    return status;
}

struct gri_codec *gri_work_codec(const struct gri_json *settings, const struct gri_transforms *transforms) {
    const struct gri_json *image = gri_json_get(settings, "image");
    struct gri_picture_codec_options options = {.transforms = transforms,
                                                .jpeg = gri_jpeg_gray_port(),
                                                .max_pixels = gri_json_get_int(image, "max_pixels", 0),
                                                .timeout_ms = gri_json_get_int(image, "timeout_ms", 0)};
    return gri_picture_codec_create(&options);
}

void gri_work_codec_reload(const struct gri_json *settings, struct gri_codec *codec) {
    const struct gri_json *image = gri_json_get(settings, "image");
    gri_picture_codec_limit(codec, gri_json_get_int(image, "max_pixels", 0), gri_json_get_int(image, "timeout_ms", 0));
}

enum gri_status gri_work_isolator(const struct gri_config *config, struct gri_loop *loop, struct gri_log *log,
                                  struct gri_isolator **isolator, struct gri_error *error) {
    static const char *const args[] = {"isolated", NULL};
    struct gri_json *settings = gri_work_settings(config);
    struct gri_bytes text;
    gri_bytes_init(&text, 0);
    enum gri_status status = gri_json_write(settings, false, &text, error);
    gri_json_free(settings);
    if (status == GRI_OK) {
        struct gri_uv_isolator_options options = {.args = args,
                                                  .settings = gri_bytes_slice(&text),
                                                  .start_ms = START_MS,
                                                  .work_ms = gri_config_int(config, "fetch.timeout_ms") +
                                                             gri_config_int(config, "image.timeout_ms") + SLACK_MS,
                                                  .memory_bytes = gri_config_int(config, "worker.isolated_memory"),
                                                  .result_max = (size_t)gri_config_int(config, "fetch.max_bytes") + RESULT_SLACK};
        if (*isolator)
            gri_uv_isolator_reload(*isolator, &options);
        else
            *isolator = gri_uv_isolator_create(gri_uv_loop_handle(loop), &options, log);
    }
    gri_bytes_clear(&text);
    return status;
}
