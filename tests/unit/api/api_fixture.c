/* SPDX-License-Identifier: Apache-2.0 */
/* The API over the fake archive, and short ways to ask it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api_fake_archive.h"
#include "crypto.h"
#include "gzip.h"
#include "job_key.h"
#include "rules.h"

extern const struct gri_archive_ops fake_archive_ops;

static bool is_alive(void *arg) {
    return ((struct fixture *)arg)->healthy;
}

static bool is_ready(void *arg) {
    return ((struct fixture *)arg)->reachable;
}

static struct gri_json *live(void *arg) {
    (void)arg;
    struct gri_json *json = gri_json_object();
    gri_json_set_int(json, "inflight", 7);
    return json;
}

static void add_pipeline(struct gri_json *list, const char *name, const char *id) {
    struct gri_json *row = gri_json_object();
    gri_json_set_str(row, "name", name);
    gri_json_set_str(row, "id", id);
    gri_json_append(list, row);
}

static void add_tokens(struct fixture *f) {
    static const struct {
        const char *name;
        unsigned scopes;
    } rows[] = {{"reader", GRI_SCOPE_READ},
                {"pusher", GRI_SCOPE_PUSH},
                {"admin", GRI_SCOPE_ADMIN},
                {"both", GRI_SCOPE_READ | GRI_SCOPE_PUSH}};
    for (size_t i = 0; i < 4; i++) {
        char text[40];
        gri_format(text, sizeof text, "%s-token", rows[i].name);
        gri_copy(f->tokens[i].name, sizeof f->tokens[i].name, rows[i].name);
        f->tokens[i].scopes = rows[i].scopes;
        f->crypto->token_digest(text, f->tokens[i].digest);
    }
}

void fixture_open(struct fixture *f, size_t tokens, int64_t max_catalog_bytes) {
    struct gri_error error = {0};
    *f = (struct fixture){.healthy = true, .reachable = true};
    f->archive.port.ops = &fake_archive_ops;
    f->archive.refuse_chunk = -1;
    f->archive.records = gri_json_object();
    f->archive.errors = gri_json_array();
    f->crypto = gri_crypto_create(&error);
    assert_non_null(f->crypto);
    gri_bytes_init(&f->archive.rules_body, 0);
    assert_int_equal(gri_ruleset_body(NULL, NULL, f->crypto, &f->archive.rules_body, f->archive.rules_id, &error), GRI_OK);
    f->pipelines = gri_json_array();
    add_pipeline(f->pipelines, "gray", "gray@0123456789a");
    add_pipeline(f->pipelines, "small", "small@ba9876543210");
    f->transforms = gri_json_array();
    f->metrics = gri_metrics_create();
    add_tokens(f);
    struct gri_api_options options = {.archive = &f->archive.port,
                                      .crypto = f->crypto,
                                      .inflate = gri_gzip_inflate(),
                                      .metrics = f->metrics,
                                      .version = "9.9.9",
                                      .rules_body = gri_bytes_slice(&f->archive.rules_body),
                                      .rules_id = f->archive.rules_id,
                                      .pipelines = f->pipelines,
                                      .transforms = f->transforms,
                                      .default_pipeline = "gray",
                                      .tokens = f->tokens,
                                      .token_count = tokens,
                                      .max_catalog_bytes = max_catalog_bytes,
                                      .live = live,
                                      .alive = is_alive,
                                      .ready = is_ready,
                                      .arg = f};
    assert_int_equal(gri_api_create(&options, &f->api, &error), GRI_OK);
}

void fixture_close(struct fixture *f) {
    assert_int_equal(f->archive.open_pushes, 0);
    gri_api_destroy(f->api);
    gri_metrics_destroy(f->metrics);
    gri_json_free(f->pipelines);
    gri_json_free(f->transforms);
    gri_json_free(f->archive.records);
    gri_json_free(f->archive.errors);
    gri_bytes_clear(&f->archive.rules_body);
    for (size_t i = 0; i < f->archive.catalog_count; i++)
        for (size_t k = 0; k < f->archive.catalogs[i].chunk_count; k++)
            gri_bytes_clear(&f->archive.catalogs[i].texts[k]);
    for (size_t i = 0; i < f->archive.image_count; i++) {
        gri_json_free(f->archive.images[i].meta);
        free(f->archive.images[i].base64);
    }
}

/* A request cut out of `ask`; the texts live in `buffer` (freed by the caller). */
struct built {
    struct gri_api_request request;
    struct gri_api_param query[16];
    char buffer[2048], authorization[128];
};

static void build(const struct ask *ask, struct built *built) {
    *built = (struct built){0};
    gri_copy(built->buffer, sizeof built->buffer, ask->target);
    char *query = strchr(built->buffer, '?');
    if (query) *query++ = '\0';
    size_t count = 0;
    while (query && *query) {
        char *next = strchr(query, '&'), *value;
        if (next) *next++ = '\0';
        value = strchr(query, '=');
        if (value) *value++ = '\0';
        built->query[count++] = (struct gri_api_param){query, value ? value : ""};
        query = next;
    }
    if (ask->token) gri_format(built->authorization, sizeof built->authorization, "Bearer %s", ask->token);
    built->request = (struct gri_api_request){.method = ask->method ? ask->method : "GET",
                                              .path = built->buffer,
                                              .query = built->query,
                                              .query_count = count,
                                              .accept = ask->accept,
                                              .authorization = ask->token ? built->authorization : NULL,
                                              .if_none_match = ask->if_none_match,
                                              .range = ask->range,
                                              .if_range = ask->if_range,
                                              .content_encoding = ask->content_encoding,
                                              .trusted = ask->trusted,
                                              .by = ask->trusted ? "cli:test" : NULL};
}

void fixture_ask(struct fixture *f, const struct ask *ask, struct gri_api_reply *reply) {
    struct built built;
    build(ask, &built);
    *reply = (struct gri_api_reply){0};
    gri_api_handle(f->api, &built.request, reply);
    assert_non_null(reply->route);
}

struct gri_json *fixture_get(struct fixture *f, const char *target, int status) {
    struct gri_api_reply reply;
    struct gri_json *json = NULL;
    struct gri_error error;
    fixture_ask(f, &(struct ask){.target = target}, &reply);
    if (reply.status != status) print_message("%s: %s\n", target, gri_bytes_text(&reply.body));
    assert_int_equal(reply.status, status);
    assert_int_equal(gri_json_parse(gri_bytes_slice(&reply.body), &json, &error), GRI_OK);
    gri_api_reply_clear(&reply);
    return json;
}

void fixture_push(struct fixture *f, const struct ask *ask, struct gri_slice body, size_t piece, struct gri_api_reply *reply) {
    struct built built;
    struct ask post = *ask;
    post.method = "POST";
    build(&post, &built);
    *reply = (struct gri_api_reply){0};
    assert_true(gri_api_is_push(&built.request));
    struct gri_api_push *push = gri_api_push_begin(f->api, &built.request, reply);
    if (!push) return;
    while (body.len > 0) {
        size_t n = piece && piece < body.len ? piece : body.len;
        if (!gri_api_push_data(push, (struct gri_slice){body.data, n})) break;
        body.data += n;
        body.len -= n;
    }
    gri_api_push_end(push, reply);
}

void fixture_catalog(struct fixture *f, const char *text, char id[GRI_CATALOG_ID_MAX]) {
    struct gri_api_reply reply;
    struct gri_json *json = NULL;
    struct gri_error error;
    fixture_push(f, &(struct ask){.target = "/v1/catalogs?name=test", .trusted = true}, gri_slice_of(text), 0, &reply);
    assert_int_equal(reply.status, 202);
    assert_int_equal(gri_json_parse(gri_bytes_slice(&reply.body), &json, &error), GRI_OK);
    gri_copy(id, GRI_CATALOG_ID_MAX, gri_json_str(json, "id", ""));
    gri_json_free(json);
    gri_api_reply_clear(&reply);
}

void fixture_image(struct fixture *f, const char *source, const char *output, const char *pipeline, const char *spoil) {
    struct fake_image *image = &f->archive.images[f->archive.image_count++];
    struct gri_json *meta = image->meta = gri_json_object(), *sums = gri_json_object();
    struct gri_bytes base64;
    struct gri_error error;
    char sum[GRI_SHA256_HEX], id[GRI_IMAGE_ID_MAX];
    gri_bytes_init(&base64, 0);
    assert_int_equal(f->crypto->base64_encode(gri_slice_of(output), &base64, &error), GRI_OK);
    if (spoil && strcmp(spoil, "text") == 0) base64.data[0] = '!';
    f->crypto->sha256_hex(gri_slice_of(source), sum);
    gri_json_set_str(sums, "source", sum);
    gri_format(id, sizeof id, "%s:%s", sum, pipeline);
    f->crypto->sha256_hex(spoil && strcmp(spoil, "output") == 0 ? gri_slice_of("other") : gri_slice_of(output), sum);
    gri_json_set_str(sums, "output", sum);
    f->crypto->sha256_hex(spoil && strcmp(spoil, "base64") == 0 ? gri_slice_of("other") : gri_bytes_slice(&base64), sum);
    gri_json_set_str(sums, "base64", sum);
    gri_json_set_str(meta, "id", id);
    gri_json_set_str(meta, "pipeline", pipeline);
    gri_json_set_str(meta, "content_type", "image/jpeg");
    gri_json_set(meta, "sums", sums);
    gri_json_set(meta, "urls", gri_json_array());
    image->base64 = gri_strdup(gri_bytes_text(&base64));
    gri_bytes_clear(&base64);
}

struct gri_json *fixture_record(struct fixture *f, const char *url, const char *catalog, int64_t line, const char *state) {
    char key[GRI_KEY_MAX];
    struct gri_json *record = gri_json_object(), *first = gri_json_object();
    gri_job_key(f->crypto, url, NULL, "gray", key);
    gri_json_set_str(record, "key", key);
    gri_json_set_str(record, "url", url);
    gri_json_set_str(record, "state", state);
    gri_json_set_str(first, "catalog", catalog);
    gri_json_set_int(first, "line", line);
    gri_json_set(record, "first", first);
    gri_json_set(f->archive.records, key, record);
    return record;
}

const char *reply_header(const struct gri_api_reply *reply, const char *name) {
    for (size_t i = 0; i < reply->header_count; i++)
        if (strcmp(reply->headers[i].name, name) == 0) return reply->headers[i].value;
    return "";
}

void assert_problem(const struct gri_api_reply *reply, int status, const char *reason) {
    struct gri_json *json = NULL;
    struct gri_error error;
    if (reply->status != status) print_message("%d %s\n", reply->status, gri_bytes_text(&reply->body));
    assert_int_equal(reply->status, status);
    assert_string_equal(reply->content_type, "application/problem+json");
    assert_int_equal(gri_json_parse(gri_bytes_slice(&reply->body), &json, &error), GRI_OK);
    assert_string_equal(gri_json_str(json, "reason", ""), reason);
    assert_int_equal(gri_json_get_int(json, "status", 0), status);
    assert_true(strlen(gri_json_str(json, "detail", "")) > 5);
    assert_non_null(gri_json_str(json, "type", NULL));
    assert_non_null(gri_json_str(json, "title", NULL));
    gri_json_free(json);
}

void reply_text(struct gri_api_reply *reply, struct gri_bytes *out, bool *cut) {
    struct gri_bytes part;
    gri_bytes_init(out, 0);
    gri_bytes_init(&part, 0);
    *cut = false;
    gri_bytes_put_slice(out, gri_bytes_slice(&reply->body));
    for (bool more = reply->more != NULL; more && !*cut;) {
        gri_bytes_reset(&part);
        more = reply->more(reply->stream, &part, cut);
        if (!*cut) gri_bytes_put_slice(out, gri_bytes_slice(&part));
    }
    gri_bytes_clear(&part);
    assert_false(gri_bytes_failed(out));
}
