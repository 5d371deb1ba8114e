/* SPDX-License-Identifier: Apache-2.0 */
/* Images: by hash, their content (verified at each read) and the list. */
#include <stdlib.h>
#include <string.h>

#include "api_internal.h"

void gri_api_get_images(struct gri_api_call *call) {
    struct gri_filter filter;
    struct gri_json *json;
    struct gri_error error;
    if (!gri_api_filter(call, &filter)) return;
    struct gri_archive *archive = call->api->options.archive;
    if (archive->ops->images(archive, &filter, &json, &error) != GRI_OK)
        gri_api_problem(call->reply, &error, NULL);
    else
        gri_api_reply_json(call->reply, 200, json);
}

/* The distinct sums among the images that begin with `prefix`, as choices {sha256, sum, id, pipeline}. */
static struct gri_json *matching_sums(const struct gri_json *images, const char *prefix, size_t *distinct) {
    static const char *const names[] = {"source", "output", "base64"};
    struct gri_json *choices = gri_json_array();
    *distinct = 0;
    for (size_t i = 0; i < gri_json_count(images) * 3; i++) {
        const struct gri_json *image = gri_json_at(images, i / 3);
        const char *sum = gri_json_str(gri_json_get(image, "sums"), names[i % 3], "");
        if (strncmp(sum, prefix, strlen(prefix)) != 0) continue;
        bool known = false;
        for (size_t k = 0; k < gri_json_count(choices); k++)
            known = known || strcmp(gri_json_str(gri_json_at(choices, k), "sha256", ""), sum) == 0;
        *distinct += !known;
        struct gri_json *choice = gri_json_object();
        gri_json_set_str(choice, "sha256", sum);
        gri_json_set_str(choice, "sum", names[i % 3]);
        gri_json_set_str(choice, "id", gri_json_str(image, "id", ""));
        gri_json_set_str(choice, "pipeline", gri_json_str(image, "pipeline", ""));
        gri_json_append(choices, choice);
    }
    return choices;
}

/* Does the prefix mean one sum? Else 409 with what it may mean. */
static bool is_one_sum(struct gri_api_call *call, const struct gri_json *images, const char *prefix) {
    size_t distinct;
    struct gri_json *choices = matching_sums(images, prefix, &distinct), *extra;
    if (strlen(prefix) == 64 || distinct <= 1) {
        gri_json_free(choices);
        return true;
    }
    struct gri_error error;
    extra = gri_json_object();
    gri_json_set(extra, "choices", choices);
    (void)gri_fail(&error, GRI_R_ambiguous, "%zu sums begin with %s; give more digits", distinct, prefix);
    gri_api_problem(call->reply, &error, extra);
    return false;
}

struct gri_json *gri_api_find_images(struct gri_api_call *call) {
    struct gri_archive *archive = call->api->options.archive;
    struct gri_json *images;
    struct gri_error error;
    char hash[GRI_SHA256_HEX];
    if (!gri_api_hash(call, hash)) return NULL;
    if (archive->ops->images_by_hash(archive, hash, &images, &error) != GRI_OK) {
        gri_api_problem(call->reply, &error, NULL);
        return NULL;
    }
    if (gri_json_count(images) > 0 && is_one_sum(call, images, hash)) return images;
    if (gri_json_count(images) == 0)
        gri_api_problem_of(call->reply, GRI_R_not_found, "no image has this SHA-256 as its source, output or base64 sum");
    gri_json_free(images);
    return NULL;
}

void gri_api_get_image(struct gri_api_call *call) {
    struct gri_json *images = gri_api_find_images(call);
    if (!images) return;
    struct gri_json *json = gri_json_object();
    gri_json_set(json, "images", images);
    gri_api_reply_json(call->reply, 200, json);
}

/* Does the image belong to ?pipeline= (a name or name@version) and ?output=? */
static bool chosen(struct gri_api_call *call, const struct gri_json *image) {
    const char *pipeline = gri_api_query(call, "pipeline"), *output = gri_api_query(call, "output");
    const char *own = gri_json_str(image, "pipeline", "");
    char name[GRI_NAME_MAX];
    gri_pipeline_name(own, name);
    if (pipeline && *pipeline && strcmp(pipeline, own) != 0 && strcmp(pipeline, name) != 0) return false;
    return !output || strcmp(output, gri_json_str(image, "output", "")) == 0;
}

void gri_api_name_choice(const struct gri_json *image, char *names, size_t size) {
    size_t used = strlen(names);
    const char *output = gri_json_str(image, "output", "");
    if (!gri_format(names + used, size - used, "%s%s%s%s", used ? ", " : "", gri_json_str(image, "pipeline", ""),
                    *output ? "/" : "", output))
        names[used] = '\0';
}

/* The one image that is meant; else answers 404, or 409 with the choices, and returns false. */
static bool choose(struct gri_api_call *call, char id[GRI_IMAGE_ID_MAX]) {
    struct gri_json *images = gri_api_find_images(call);
    if (!images) return false;
    struct gri_json *choices = gri_json_array();
    char names[400] = "";
    for (size_t i = 0; i < gri_json_count(images); i++) {
        const struct gri_json *image = gri_json_at(images, i);
        if (!chosen(call, image)) continue;
        gri_api_name_choice(image, names, sizeof names);
        struct gri_json *choice = gri_json_object();
        (void)gri_copy(id, GRI_IMAGE_ID_MAX, gri_json_str(image, "id", ""));
        gri_json_set_str(choice, "id", id);
        gri_json_set_str(choice, "pipeline", gri_json_str(image, "pipeline", ""));
        gri_json_set_str(choice, "output", gri_json_str(image, "output", ""));
        gri_json_append(choices, choice);
    }
    size_t count = gri_json_count(choices);
    gri_json_free(images);
    if (count == 1) {
        gri_json_free(choices);
        return true;
    }
    struct gri_error error;
    if (count == 0) {
        (void)gri_fail(&error, GRI_R_not_found, "this picture was not made by that pipeline, or it has no such output");
        gri_json_free(choices);
        gri_api_problem(call->reply, &error, NULL);
        return false;
    }
    struct gri_json *extra = gri_json_object();
    gri_json_set(extra, "choices", choices);
    (void)gri_fail(&error, GRI_R_ambiguous,
                   "%zu images have this hash; choose by pipeline= (name or name@version) and output=: %s", count, names);
    gri_api_problem(call->reply, &error, extra);
    return false;
}

/* Recomputes base64 → output → sums; names the first that fails. */
static enum gri_status verify(const struct gri_crypto *crypto, const struct gri_json *meta, const struct gri_bytes *base64,
                              struct gri_bytes *output, struct gri_error *error) {
    const struct gri_json *sums = gri_json_get(meta, "sums");
    char sum[GRI_SHA256_HEX];
    crypto->sha256_hex(gri_bytes_slice(base64), sum);
    if (strcmp(sum, gri_json_str(sums, "base64", "")) != 0)
        return gri_fail(error, GRI_R_corrupt, "image %s: its base64 text no longer has the recorded sum; scrub repairs it",
                        gri_json_str(meta, "id", "?"));
    enum gri_status status = crypto->base64_decode(gri_bytes_slice(base64), output, error);
    if (status != GRI_OK) return status;
    crypto->sha256_hex(gri_bytes_slice(output), sum);
    if (strcmp(sum, gri_json_str(sums, "output", "")) != 0)
        return gri_fail(error, GRI_R_corrupt, "image %s: the decoded picture no longer has the recorded sum; scrub repairs it",
                        gri_json_str(meta, "id", "?"));
    return GRI_OK;
}

/* {stage, found, at}, as the scrub leaves it. */
static bool is_marked(const struct gri_json *meta) {
    const struct gri_json *mark = gri_json_get(meta, "corrupt");
    return gri_json_kind(mark) == GRI_JSON_OBJECT || gri_json_flag(mark, false);
}

/* What a reader found damaged is kept and marked, as the scrub does; the reader is answered whether or not that succeeds. */
static void quarantine(const struct gri_api_call *call, const char *id, const char *detail) {
    const struct gri_api *api = call->api;
    struct gri_archive *archive = api->options.archive;
    struct gri_scrub_document document;
    struct gri_image_check check;
    struct gri_error error;
    if (!archive->ops->scrub) return;
    if (archive->ops->scrub->read(archive, id, &document, &error) == GRI_OK && document.found && !document.removed) {
        gri_image_verify(api->options.crypto, &document.image, &check);
        struct gri_scrub_finding finding = {.image = &document.image, .check = &check, .detail = detail, .by = call->by};
        enum gri_status status = check.stage == GRI_SUM_SOUND ? GRI_OK : archive->ops->scrub->mark(archive, &finding, &error);
        if (status != GRI_OK) gri_log_error(api->options.log, GRI_WARN, "quarantine_failed", &error);
    }
    gri_image_clear(&document.image);
}

/* The chosen image, verified; false when a problem was answered. */
static bool load(struct gri_api_call *call, struct gri_json **meta, struct gri_bytes *base64, struct gri_bytes *output) {
    struct gri_archive *archive = call->api->options.archive;
    char id[GRI_IMAGE_ID_MAX];
    struct gri_error error;
    if (!choose(call, id)) return false;
    enum gri_status status = archive->ops->image(archive, id, meta, base64, &error);
    if (status == GRI_OK && gri_json_get_bool(*meta, "removed", false))
        status = gri_fail(&error, GRI_R_removed, "this picture was taken down");
    if (status == GRI_OK && is_marked(*meta))
        status = gri_fail(&error, GRI_R_corrupt, "image %s is marked corrupt; scrub --repair fetches it again", id);
    bool verified = status == GRI_OK;
    if (verified) status = verify(call->api->options.crypto, *meta, base64, output, &error);
    if (status == GRI_OK) return true;
    if (verified) quarantine(call, id, error.detail);
    if (error.reason == GRI_R_corrupt)
        gri_log(call->api->options.log, GRI_ERROR, "image_corrupt", GRI_TEXT("image", id), GRI_TEXT("detail", error.detail));
    gri_api_problem(call->reply, &error, NULL);
    return false;
}

/* Digits at *text as a number, at most `size`; moves behind them. False when there are none. */
static bool read_position(const char **text, size_t size, size_t *out) {
    const char *at = *text;
    *out = 0;
    for (; *at >= '0' && *at <= '9'; at++) {
        size_t digit = (size_t)(*at - '0');
        *out = *out > (size - digit) / 10 ? size : *out * 10 + digit;
    }
    bool found = at != *text;
    *text = at;
    return found;
}

/* One "bytes=a-b" range within size; false: ignore the header (RFC 9110 lets us: several ranges, another unit, nonsense);
 * *bad: 416. */
static bool parse_range(const char *text, size_t size, size_t *from, size_t *to, bool *bad) {
    size_t a, b;
    *bad = false;
    if (!text || strncmp(text, "bytes=", 6) != 0) return false;
    text += 6;
    /* Positions saturate at a value no picture reaches, so that b < a is still told apart from b past the end. */
    bool first = read_position(&text, SIZE_MAX / 4, &a);
    if (*text++ != '-') return false;
    bool last = read_position(&text, SIZE_MAX / 4, &b);
    if (*text || (!first && !last)) return false;
    if (!first) {
        *bad = b == 0 || size == 0;
        a = b < size ? size - b : 0;
        b = SIZE_MAX;
    } else if (last && b < a) {
        return false;
    } else if (!last) {
        b = SIZE_MAX;
    }
    *bad = *bad || a >= size;
    *from = a;
    *to = b < size ? b : size - 1;
    return true;
}

static bool etag_matches(const char *header, const char *etag) {
    return header && (strcmp(header, "*") == 0 || strstr(header, etag) != NULL);
}

static void reply_no_range(struct gri_api_reply *reply, size_t size) {
    struct gri_error error;
    struct gri_json *extra = gri_json_object();
    char range[80];
    (void)gri_format(range, sizeof range, "bytes */%zu", size);
    gri_json_set_int(extra, "status", 416);
    (void)gri_fail(&error, GRI_R_bad_request, "the range lies behind the end; there are %zu bytes", size);
    gri_api_problem(reply, &error, extra);
    reply->status = 416;
    gri_api_header(reply, "Content-Range", range);
}

/* 200, 206, 304 or 416 for immutable bytes. */
static void reply_bytes(struct gri_api_call *call, const char *type, const char *sum, struct gri_bytes *bytes) {
    const struct gri_api_request *request = call->request;
    struct gri_api_reply *reply = call->reply;
    char etag[GRI_SHA256_HEX + 2], range[80];
    size_t from = 0, to = 0;
    bool bad;
    (void)gri_format(etag, sizeof etag, "\"%s\"", sum);
    gri_api_header(reply, "ETag", etag);
    gri_api_header(reply, "Accept-Ranges", "bytes");
    bool unchanged = etag_matches(request->if_none_match, etag);
    bool partial = !unchanged && (!request->if_range || strcmp(request->if_range, etag) == 0) &&
                   parse_range(request->range, bytes->len, &from, &to, &bad);
    if (partial && bad) {
        reply_no_range(reply, bytes->len);
        return;
    }
    gri_api_header(reply, "Cache-Control", "private, max-age=31536000, immutable");
    reply->content_type = type;
    reply->status = unchanged ? 304 : partial ? 206 : 200;
    if (unchanged) return;
    if (partial) {
        (void)gri_format(range, sizeof range, "bytes %zu-%zu/%zu", from, to, bytes->len);
        gri_api_header(reply, "Content-Range", range);
        memmove(bytes->data, bytes->data + from, to - from + 1);
        bytes->len = to - from + 1;
    }
    gri_bytes_move(&reply->body, bytes);
}

static const char *const picture_types[] = {"image/jpeg", "image/png", "image/webp", "image/gif"};

/* Only types that a browser shows as a picture; anything else is offered as bytes. */
static const char *safe_type(const char *type) {
    for (size_t i = 0; i < sizeof picture_types / sizeof picture_types[0]; i++)
        if (strcmp(type, picture_types[i]) == 0) return picture_types[i];
    return "application/octet-stream";
}

static void reply_image(struct gri_api_call *call, bool text) {
    struct gri_json *meta = NULL;
    struct gri_bytes base64, output;
    gri_bytes_init(&base64, GRI_BASE64_MAX + 1024);
    gri_bytes_init(&output, GRI_BASE64_MAX);
    if (load(call, &meta, &base64, &output)) {
        const struct gri_json *sums = gri_json_get(meta, "sums");
        const char *type = safe_type(gri_json_str(meta, "content_type", ""));
        char disposition[160];
        (void)gri_format(disposition, sizeof disposition, "inline; filename=\"%.64s.%s\"", gri_json_str(sums, "output", "image"),
                         text                              ? "txt"
                         : strcmp(type, "image/jpeg") == 0 ? "jpg"
                                                           : strchr(type, '/') + 1);
        gri_api_header(call->reply, "Content-Disposition", disposition);
        gri_api_header(call->reply, "X-Content-Type-Options", "nosniff");
        if (text)
            reply_bytes(call, "text/plain", gri_json_str(sums, "base64", ""), &base64);
        else
            reply_bytes(call, type, gri_json_str(sums, "output", ""), &output);
    }
    gri_bytes_clear(&base64);
    gri_bytes_clear(&output);
    gri_json_free(meta);
}

void gri_api_get_content(struct gri_api_call *call) {
    reply_image(call, false);
}

void gri_api_get_base64(struct gri_api_call *call) {
    reply_image(call, true);
}
