/* SPDX-License-Identifier: Apache-2.0 */
/* Image documents: their identity and the text that sums.document is the SHA-256 of (grisaille/job.h). */
#include <grisaille/job.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void gri_image_clear(struct gri_image *image) {
    if (!image) return;
    gri_bytes_clear(&image->data);
    free(image->source.url);
    free(image->source.final_url);
    image->source.url = NULL;
    image->source.final_url = NULL;
}

void gri_image_set_id(struct gri_image *image) {
    bool fits = image->output[0]
                    ? gri_format(image->id, sizeof image->id, "%s:%s/%s", image->sums.source, image->pipeline, image->output)
                    : gri_format(image->id, sizeof image->id, "%s:%s", image->sums.source, image->pipeline);
    GRI_ASSERT(fits);
}

/* A newline or backslash inside a value is escaped, so that two different documents never give the same text. */
static void put_text(struct gri_bytes *out, const char *name, const char *value) {
    gri_bytes_put(out, name);
    gri_bytes_put(out, "=");
    const char *at = value ? value : "", *special;
    while ((special = strpbrk(at, "\n\\"))) {
        gri_bytes_put_slice(out, (struct gri_slice){(const uint8_t *)at, (size_t)(special - at)});
        gri_bytes_put(out, *special == '\n' ? "\\n" : "\\\\");
        at = special + 1;
    }
    gri_bytes_put(out, at);
    gri_bytes_put(out, "\n");
}

static void put_number(struct gri_bytes *out, const char *name, int64_t value) {
    gri_bytes_printf(out, "%s=%" PRId64 "\n", name, value);
}

static void put_source(struct gri_bytes *out, const struct gri_source *source) {
    put_text(out, "source.url", source->url);
    put_text(out, "source.final_url", source->final_url);
    put_text(out, "source.host", source->host);
    put_text(out, "source.content_type", source->content_type);
    put_number(out, "source.width", source->width);
    put_number(out, "source.height", source->height);
    put_number(out, "source.bytes", source->bytes);
    put_text(out, "source.etag", source->etag);
    put_text(out, "source.last_modified", source->last_modified);
    put_text(out, "source.provider_id", source->provider_id);
}

void gri_image_document_text(const struct gri_image *image, struct gri_bytes *out) {
    put_text(out, "_id", image->id);
    put_text(out, "job", image->job);
    put_text(out, "pipeline", image->pipeline);
    put_text(out, "output", image->output);
    put_text(out, "content_type", image->content_type);
    put_number(out, "width", image->width);
    put_number(out, "height", image->height);
    put_number(out, "bytes", image->bytes);
    put_source(out, &image->source);
    put_text(out, "sums.source", image->sums.source);
    put_text(out, "sums.output", image->sums.output);
    put_text(out, "sums.base64", image->sums.base64);
    put_text(out, "made_by", image->made_by);
    put_text(out, "note", image->note);
    /* Images without these keep the sum they had before there were any. */
    if (image->facts[0]) put_text(out, "facts", image->facts);
    if (image->phash[0]) put_text(out, "phash", image->phash);
    put_number(out, "fetched_at", image->fetched_at_ms);
    put_number(out, "inserted_at", image->inserted_at_ms);
}
