/* SPDX-License-Identifier: Apache-2.0 */
/* Repair of damaged images. */
#include "scrub_repair.h"

#include <stdlib.h>
#include <string.h>

#include "uv_isolator.h"
#include "uv_loop.h"
#include "vips_runtime.h"
#include "work_settings.h"

enum { DEFINITION_MAX = 1024 * 1024, URLS_MAX = 3, TRIES = 2 };

struct gri_scrub_repair {
    struct gri_archive *archive;
    const struct gri_crypto *crypto;
    struct gri_loop *loop;
    struct gri_isolator *isolator;
    struct gri_codec *codec; /* for its version: what it says stands in made_by */
    struct gri_isolated request;
};

enum gri_status gri_scrub_repair_create(struct gri_cli *cli, struct gri_archive *archive, struct gri_scrub_repair **out,
                                        struct gri_error *error) {
    struct gri_scrub_repair *repair = gri_calloc(1, sizeof *repair);
    repair->archive = archive;
    repair->crypto = cli->crypto;
    enum gri_status status = gri_vips_start("grisaille", error);
    if (status == GRI_OK) {
        struct gri_json *settings = gri_work_settings(cli->config);
        repair->codec = gri_work_codec(settings, cli->definitions->transforms);
        gri_json_free(settings);
        status = gri_uv_loop_create(&repair->loop, error);
    }
    if (status == GRI_OK) status = gri_work_isolator(cli->config, repair->loop, NULL, &repair->isolator, error);
    *out = status == GRI_OK ? repair : NULL;
    if (status != GRI_OK) gri_scrub_repair_destroy(repair);
    return status;
}

void gri_scrub_repair_destroy(struct gri_scrub_repair *repair) {
    if (!repair) return;
    gri_uv_isolator_destroy(repair->isolator);
    gri_uv_loop_destroy(repair->loop);
    if (repair->codec) {
        gri_picture_codec_destroy(repair->codec);
        gri_vips_stop();
    }
    free(repair);
}

static void isolated(struct gri_op *op) {
    struct gri_isolated *request = gri_container_of(op, struct gri_isolated, op);
    gri_uv_loop_stop(gri_container_of(request, struct gri_scrub_repair, request)->loop);
}

/* Fetches and transforms; the bytes must have the sum `source`. On success repair->request holds fetch and picture. */
static enum gri_status fetch(struct gri_scrub_repair *repair, const char *url, struct gri_slice definition, const char *source,
                             struct gri_error *error) {
    char sum[GRI_SHA256_HEX];
    struct gri_isolated *request = &repair->request;
    for (int i = 0; i < TRIES; i++) {
        gri_isolated_init(request, url, definition);
        request->op.done = isolated;
        repair->isolator->ops->run(repair->isolator, request);
        gri_uv_loop_run(repair->loop);
        if (request->op.status == GRI_OK) break;
        *error = request->op.error;
        enum gri_status status = request->op.status;
        gri_isolated_clear(request);
        if (status != GRI_RETRY || i == TRIES - 1) return gri_error_wrap(error, "%.120s", url);
    }
    repair->crypto->sha256_hex(gri_bytes_slice(&request->fetch.body), sum);
    if (strcmp(sum, source) == 0) return GRI_OK;
    gri_isolated_clear(request);
    return gri_fail(error, GRI_R_corrupt, "%.120s gives other bytes now", url);
}

/* What the fields of a sound document say stays; of a damaged one only what can be known otherwise is used. */
static enum gri_status build(struct gri_scrub_repair *repair, const struct gri_image *damaged, bool fields_sound, const char *job,
                             const char *url, struct gri_image *image, struct gri_error *error) {
    const struct gri_fetch *got = &repair->request.fetch;
    const struct gri_picture *picture = gri_picture_find(&repair->request.picture, image->output);
    struct gri_source *source = &image->source;
    int64_t now_ms = gri_wall_ms(repair->loop);
    if (!picture) return gri_fail(error, GRI_R_corrupt, "its pipeline has no output %s", image->output);
    (void)gri_copy(image->id, sizeof image->id, damaged->id);
    (void)gri_copy(image->job, sizeof image->job, job);
    (void)gri_copy(image->content_type, sizeof image->content_type, picture->content_type);
    (void)gri_copy(image->note, sizeof image->note, picture->note);
    (void)gri_copy(image->facts, sizeof image->facts, picture->facts);
    (void)gri_copy(image->phash, sizeof image->phash, picture->phash);
    image->width = picture->width;
    image->height = picture->height;
    source->url = gri_strdup(url ? url : damaged->source.url);
    source->final_url = gri_strdup(got->final_url ? got->final_url : source->url);
    gri_url_host(source->url, source->host);
    (void)gri_copy(source->content_type, sizeof source->content_type, picture->source_type);
    source->width = picture->source_width;
    source->height = picture->source_height;
    source->bytes = (int64_t)got->body.len;
    (void)gri_copy(source->etag, sizeof source->etag, got->etag);
    (void)gri_copy(source->last_modified, sizeof source->last_modified, got->last_modified);
    (void)gri_copy(source->provider_id, sizeof source->provider_id, got->provider_id);
    (void)gri_format(image->made_by, sizeof image->made_by, "grisaille " GRI_VERSION "; %s",
                     repair->codec->ops->version(repair->codec));
    image->fetched_at_ms = now_ms;
    image->inserted_at_ms = fields_sound ? damaged->inserted_at_ms : now_ms;
    enum gri_status status = gri_image_encode(repair->crypto, image, &picture->output, error);
    if (status == GRI_OK) gri_image_seal(repair->crypto, image);
    return status;
}

/* Sound fields: the address that gave the bytes, then the asked one. Damaged ones: the ledger's word comes first. */
static size_t list_urls(const struct gri_image *damaged, bool fields_sound, const char *ledger_url, const char *urls[URLS_MAX]) {
    const char *own[] = {damaged->source.final_url, damaged->source.url};
    size_t count = 0;
    if (!fields_sound && ledger_url) urls[count++] = ledger_url;
    for (size_t i = 0; i < 2; i++)
        if (own[i] && strncmp(own[i], "http", 4) == 0 && (count == 0 || strcmp(own[i], urls[count - 1]) != 0))
            urls[count++] = own[i];
    if (fields_sound && ledger_url && count < URLS_MAX) urls[count++] = ledger_url;
    return count;
}

enum gri_status gri_scrub_remake(void *arg, const struct gri_image *damaged, bool fields_sound, struct gri_image *image,
                                 struct gri_error *error) {
    struct gri_scrub_repair *repair = arg;
    const char *urls[URLS_MAX];
    char key[GRI_KEY_MAX], own[GRI_KEY_MAX], *ledger_url = NULL;
    const char *job = damaged->job;
    struct gri_bytes definition;
    *image = (struct gri_image){.width = 0};
    gri_bytes_init(&definition, DEFINITION_MAX);
    enum gri_status status = gri_image_parse_id(damaged->id, image->sums.source, image->pipeline, image->output)
                                 ? GRI_OK
                                 : gri_fail(error, GRI_R_corrupt, "its _id is not one of ours");
    if (status == GRI_OK)
        status = repair->archive->ops->definition(repair->archive, GRI_DEF_PIPELINE, image->pipeline, &definition, error);
    if (status == GRI_OK)
        status = repair->archive->ops->scrub->maker(repair->archive, damaged->id, damaged->job, key, &ledger_url, error);
    if (status != GRI_OK) goto out;
    gri_image_job_key(job, own);
    if (key[0] && strcmp(own, key) != 0) job = key; /* the ledger knows better whose it is */
    size_t count = list_urls(damaged, fields_sound, ledger_url, urls);
    status = gri_fail(error, GRI_R_corrupt, "it has no URL to fetch it from");
    for (size_t i = 0; i < count && status != GRI_OK; i++)
        status = fetch(repair, urls[i], gri_bytes_slice(&definition), image->sums.source, error);
    if (status != GRI_OK) goto out;
    status = build(repair, damaged, fields_sound, job, fields_sound ? NULL : ledger_url, image, error);
    gri_isolated_clear(&repair->request);
out:
    if (status != GRI_OK) gri_image_clear(image);
    gri_bytes_clear(&definition);
    free(ledger_url);
    return status;
}
