/* SPDX-License-Identifier: Apache-2.0 */
/* The context of a command: configuration, definitions, MongoDB, the API in process; each made when first asked for. */
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "crypto.h"
#include "gzip.h"
#include "live_stats.h"
#include "mongo_client.h"

extern char **environ;

enum gri_status gri_cli_config_again(const struct gri_cli *cli, struct gri_config **config, struct gri_error *error) {
    struct gri_config_sources sources = {
        .file = cli->config_path, .environment = environ, .sets = cli->sets, .set_count = (size_t)cli->set_count};
    return gri_config_load(&sources, config, error);
}

enum gri_status gri_cli_config(struct gri_cli *cli, struct gri_error *error) {
    if (cli->config) return GRI_OK;
    enum gri_status status = gri_cli_config_again(cli, &cli->config, error);
    if (status == GRI_OK && !cli->crypto) cli->crypto = gri_crypto_create(error);
    return status == GRI_OK && !cli->crypto ? error->status : status;
}

static void say_refused(const struct gri_cli *cli) {
    const struct gri_json *refused = gri_transforms_refused(cli->transforms);
    for (size_t i = 0; i < gri_json_count(refused); i++)
        gri_cli_say(cli, "a plugin is left out: %s", gri_json_text(gri_json_at(refused, i), ""));
}

enum gri_status gri_cli_definitions(struct gri_cli *cli, struct gri_error *error) {
    if (cli->definitions) return GRI_OK;
    enum gri_status status = gri_cli_config(cli, error);
    if (status == GRI_OK && !cli->transforms) status = gri_definitions_transforms(cli->config, &cli->transforms, error);
    if (status != GRI_OK) return status;
    status = gri_definitions_load(cli->config, cli->transforms, cli->crypto, &cli->definitions, error);
    if (status != GRI_OK || !cli->command->daemon) say_refused(cli); /* a daemon that starts tells it in its log */
    return status;
}

static enum gri_status open_archive(struct gri_cli *cli, struct gri_archive **archive, struct gri_error *error) {
    struct gri_mongo_options options = {.uri = gri_config_text(cli->config, "mongo.uri"),
                                        .database = gri_config_text(cli->config, "mongo.database"),
                                        .timeout_ms = gri_config_int(cli->config, "mongo.timeout_ms"),
                                        .keep_days = gri_config_int(cli->config, "events.keep_days")};
    enum gri_status status = gri_mongo_create(&options, cli->log, NULL, &cli->mongo, error);
    if (status != GRI_OK) return status;
    *archive = gri_mongo_archive(cli->mongo);
    status = (*archive)->ops->prepare(*archive, error);
    if (status == GRI_OK) status = gri_definitions_store(cli->definitions, *archive, error);
    if (status == GRI_RETRY)
        status = gri_error_wrap(error, "MongoDB does not answer; does it run, and is mongo.uri right (set by %s)?",
                                gri_config_source(cli->config, "mongo.uri"));
    return status;
}

static struct gri_json *live(void *arg) {
    return gri_live_stats_read(arg);
}

enum gri_status gri_cli_api(struct gri_cli *cli, struct gri_error *error) {
    struct gri_archive *archive;
    if (cli->api) return GRI_OK;
    enum gri_status status = gri_cli_definitions(cli, error);
    if (status == GRI_OK) status = open_archive(cli, &archive, error);
    if (status != GRI_OK) return status;
    struct gri_api_options options = {.archive = archive,
                                      .crypto = cli->crypto,
                                      .inflate = gri_gzip_inflate(),
                                      .log = cli->log,
                                      .version = GRI_VERSION,
                                      .rules_body = gri_bytes_slice(&cli->definitions->rules_body),
                                      .rules_id = cli->definitions->rules_id,
                                      .pipelines = cli->definitions->pipeline_rows,
                                      .transforms = cli->definitions->transform_rows,
                                      .default_pipeline = GRI_PIPELINE_STANDARD,
                                      .live = live,
                                      .arg = cli,
                                      .max_catalog_bytes = gri_config_int(cli->config, "api.max_catalog_bytes")};
    return gri_api_create(&options, &cli->api, error);
}

void gri_cli_clear(struct gri_cli *cli) {
    gri_api_destroy(cli->api);
    if (cli->mongo) {
        gri_mongo_destroy(cli->mongo);
        gri_mongo_cleanup();
    }
    gri_definitions_free(cli->definitions);
    gri_transforms_destroy(cli->transforms);
    gri_config_destroy(cli->config);
    gri_log_destroy(cli->log);
}

/* "cli:root": who did it, in what a command pushes or changes. */
const char *gri_cli_user(char out[GRI_NAME_MAX]) {
    const struct passwd *user = getpwuid(geteuid());
    (void)gri_format(out, GRI_NAME_MAX, "cli:%s", user ? user->pw_name : "?");
    return out;
}

/* Runs one request; the reply is cleared by the caller. */
static enum gri_status call(struct gri_cli *cli, const char *method, const char *path, const char *const *query,
                            struct gri_api_reply *reply, struct gri_error *error) {
    struct gri_api_param params[16];
    char by[GRI_NAME_MAX];
    size_t count = 0;
    for (; query && query[0]; query += 2) {
        GRI_ASSERT(count < sizeof params / sizeof params[0]);
        if (query[1]) params[count++] = (struct gri_api_param){query[0], query[1]};
    }
    enum gri_status status = gri_cli_api(cli, error);
    if (status != GRI_OK) return status;
    struct gri_api_request request = {
        .method = method, .path = path, .query = params, .query_count = count, .trusted = true, .by = gri_cli_user(by)};
    gri_api_handle(cli->api, &request, reply);
    return GRI_OK;
}

enum gri_status gri_cli_reply_error(const struct gri_api_reply *reply, struct gri_error *error) {
    struct gri_json *problem = NULL;
    if (gri_json_parse(gri_bytes_slice(&reply->body), &problem, error) != GRI_OK) return error->status;
    enum gri_reason reason = gri_reason_from_name(gri_json_str(problem, "reason", "internal"));
    struct gri_bytes detail;
    gri_bytes_init(&detail, 4096);
    gri_bytes_put(&detail, gri_json_str(problem, "detail", "?"));
    const struct gri_json *choices = gri_json_get(problem, "choices");
    for (size_t i = 0; i < gri_json_count(choices); i++)
        gri_bytes_printf(&detail, "%s %s", i ? "," : ":",
                         gri_json_str(gri_json_at(choices, i), "sha256", gri_json_str(gri_json_at(choices, i), "pipeline", "")));
    enum gri_status status = gri_fail(error, reason == GRI_REASON_COUNT ? GRI_R_internal : reason, "%s", gri_bytes_text(&detail));
    gri_bytes_clear(&detail);
    gri_json_free(problem);
    return status;
}

enum gri_status gri_cli_send(struct gri_cli *cli, const char *method, const char *path, const char *const *query,
                             struct gri_json **json, struct gri_error *error) {
    struct gri_api_reply reply = {0};
    *json = NULL;
    enum gri_status status = call(cli, method, path, query, &reply, error);
    if (status == GRI_OK && reply.status >= 300) status = gri_cli_reply_error(&reply, error);
    if (status == GRI_OK && reply.body.len > 0) status = gri_json_parse(gri_bytes_slice(&reply.body), json, error);
    gri_api_reply_clear(&reply);
    return status;
}

enum gri_status gri_cli_get(struct gri_cli *cli, const char *path, const char *const *query, struct gri_json **json,
                            struct gri_error *error) {
    return gri_cli_send(cli, "GET", path, query, json, error);
}

enum gri_status gri_cli_stream(struct gri_cli *cli, const char *path, const char *const *query, FILE *out,
                               const char **content_type, struct gri_error *error) {
    struct gri_api_reply reply = {0};
    enum gri_status status = call(cli, "GET", path, query, &reply, error);
    *content_type = reply.content_type;
    if (status == GRI_OK && reply.status >= 300) status = gri_cli_reply_error(&reply, error);
    bool more = status == GRI_OK, failed = false;
    while (more) {
        if (fwrite(reply.body.data, 1, reply.body.len, out) != reply.body.len) {
            status = gri_fail(error, GRI_R_io, "can't write the answer");
            break;
        }
        gri_bytes_reset(&reply.body);
        more = reply.more && reply.more(reply.stream, &reply.body, &failed);
    }
    if (failed) status = gri_fail(error, GRI_R_unavailable, "the answer broke off in the middle");
    gri_api_reply_clear(&reply);
    return status;
}
