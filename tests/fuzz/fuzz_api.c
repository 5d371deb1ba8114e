/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer: an API request over an archive in memory. Lines: method and target, then the headers Accept, Authorization,
 * If-None-Match, Range, If-Range, Content-Encoding (empty: not sent); all behind is the body. Every answer is complete; every
 * refusal is a problem document.
 *
 * Parser: api/api_*.c adapters/http_target.c */
#include "fuzz_kit.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "api_fake_archive.h"
#include "http_server.h"

enum { CATALOG_MAX = 64 * 1024, HEADERS = 6 };

static struct fixture world;
static size_t runs;

static void open_world(void) {
    char id[GRI_CATALOG_ID_MAX];
    fixture_open(&world, runs % 2 ? 4 : 0, CATALOG_MAX);
    fixture_catalog(&world, "http://a.example/1\n\nnonsense\nhttp://a.example/1\n", id);
    fixture_image(&world, "source", "output", "gray@0123456789a", NULL);
    fixture_image(&world, "source", "other", "small@ba9876543210", NULL);
    fixture_image(&world, "spoilt", "output", "gray@0123456789a", "output");
    fixture_record(&world, "http://a.example/1", id, 1, "done");
}

static void check_reply(struct gri_api_reply *reply) {
    struct gri_bytes text;
    bool cut;
    FUZZ_CHECK(reply->status >= 200 && reply->status < 600 && reply->route);
    if (reply->status >= 400 && reply->status != 416) {
        struct gri_json *json = NULL;
        struct gri_error error;
        if (strcmp(reply->content_type, "application/problem+json") == 0) {
            FUZZ_CHECK(gri_json_parse(gri_bytes_slice(&reply->body), &json, &error) == GRI_OK);
            FUZZ_CHECK(gri_json_get_int(json, "status", 0) == reply->status && gri_json_str(json, "reason", NULL));
            gri_json_free(json);
        } else {
            FUZZ_CHECK(reply->status == 503); /* the probes say it in a word */
        }
    }
    for (size_t i = 0; i < reply->header_count; i++)
        FUZZ_CHECK(!strpbrk(reply->headers[i].value, "\r\n"));
    reply_text(reply, &text, &cut);
    gri_bytes_clear(&text);
    gri_api_reply_clear(reply);
}

static void run(const struct gri_api_request *request, struct gri_slice body) {
    struct gri_api_reply reply = {0};
    if (!gri_api_is_push(request)) {
        gri_api_handle(world.api, request, &reply);
        check_reply(&reply);
        return;
    }
    struct gri_api_push *push = gri_api_push_begin(world.api, request, &reply);
    if (push) {
        size_t half = body.len / 2;
        if (gri_api_push_data(push, (struct gri_slice){body.data, half}))
            (void)gri_api_push_data(push, (struct gri_slice){body.data + half, body.len - half});
        gri_api_push_end(push, &reply);
    }
    check_reply(&reply);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct gri_slice rest = {data, size};
    char *method = fuzz_text(fuzz_cut(&rest, ' ')), *target = fuzz_text(fuzz_cut(&rest, '\n')), *headers[HEADERS];
    struct gri_http_pair pairs[GRI_HTTP_QUERY_MAX];
    struct gri_api_param query[GRI_HTTP_QUERY_MAX];
    const char *path;
    size_t count;
    for (size_t i = 0; i < HEADERS; i++)
        headers[i] = fuzz_text(fuzz_cut(&rest, '\n'));
    if (!world.api || world.archive.catalog_count > 1 || runs % 1024 == 0) {
        if (world.api) fixture_close(&world);
        open_world();
    }
    runs++;
    if (method && target && gri_http_parse_target(target, &path, pairs, &count)) {
        FUZZ_CHECK(path[0] == '/' && count <= GRI_HTTP_QUERY_MAX);
        for (size_t i = 0; i < count; i++)
            query[i] = (struct gri_api_param){pairs[i].name, pairs[i].value};
        struct gri_api_request request = {.method = method,
                                          .path = path,
                                          .query = query,
                                          .query_count = count,
                                          .accept = headers[0],
                                          .authorization = headers[1],
                                          .if_none_match = headers[2],
                                          .range = headers[3],
                                          .if_range = headers[4],
                                          .content_encoding = headers[5]};
        run(&request, rest);
    }
    for (size_t i = 0; i < HEADERS; i++)
        free(headers[i]);
    free(method);
    free(target);
    return 0;
}
