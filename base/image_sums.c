/* SPDX-License-Identifier: Apache-2.0 */
/* Sums of image documents, made and checked (grisaille/image_sums.h). */
#include <grisaille/image_sums.h>

#include <string.h>

/* The text must give back the very bytes. */
static enum gri_status read_back(const struct gri_crypto *crypto, const struct gri_image *image, const struct gri_bytes *output,
                                 struct gri_error *error) {
    struct gri_bytes decoded;
    gri_bytes_init(&decoded, output->len + 64);
    enum gri_status status = crypto->base64_decode(gri_bytes_slice(&image->data), &decoded, error);
    bool same = status == GRI_OK && gri_slice_equal(gri_bytes_slice(&decoded), gri_bytes_slice(output));
    gri_bytes_clear(&decoded);
    if (same) return GRI_OK;
    return gri_fail(error, GRI_R_internal, "the base64 text does not give back the image's bytes: faulty memory?");
}

enum gri_status gri_image_encode(const struct gri_crypto *crypto, struct gri_image *image, const struct gri_bytes *output,
                                 struct gri_error *error) {
    size_t text_len = (output->len + 2) / 3 * 4;
    GRI_ASSERT(image->data.len == 0);
    if (text_len > GRI_BASE64_MAX)
        return gri_fail(error, GRI_R_output_too_large, "the base64 text would have %zu bytes, over %d", text_len, GRI_BASE64_MAX);
    gri_bytes_clear(&image->data);
    gri_bytes_init(&image->data, GRI_BASE64_MAX + 64);
    enum gri_status status = crypto->base64_encode(gri_bytes_slice(output), &image->data, error);
    if (status != GRI_OK) return status;
    image->bytes = (int64_t)output->len;
    crypto->sha256_hex(gri_bytes_slice(output), image->sums.output);
    crypto->sha256_hex(gri_bytes_slice(&image->data), image->sums.base64);
    return read_back(crypto, image, output, error);
}

static void document_sum(const struct gri_crypto *crypto, const struct gri_image *image, char sum[GRI_SHA256_HEX]) {
    struct gri_bytes text;
    gri_bytes_init(&text, 0);
    gri_image_document_text(image, &text);
    GRI_ASSERT(!gri_bytes_failed(&text)); /* every field is bounded */
    crypto->sha256_hex(gri_bytes_slice(&text), sum);
    gri_bytes_clear(&text);
}

void gri_image_seal(const struct gri_crypto *crypto, struct gri_image *image) {
    document_sum(crypto, image, image->sums.document);
}

const char *gri_image_sum_name(enum gri_image_sum stage) {
    static const char *const NAMES[] = {"sound", "base64", "output", "source", "document"};
    GRI_ASSERT((unsigned)stage < GRI_SUM_COUNT);
    return NAMES[stage];
}

bool gri_image_parse_id(const char *id, char source[GRI_SHA256_HEX], char pipeline[GRI_PIPELINE_MAX], char output[GRI_NAME_MAX]) {
    size_t digits = strspn(id, "0123456789abcdef");
    const char *rest = id + digits + 1;
    if (digits != GRI_SHA256_HEX - 1 || id[digits] != ':') return false;
    memcpy(source, id, digits);
    source[digits] = '\0';
    size_t len = strcspn(rest, "/");
    if (len == 0 || len >= GRI_PIPELINE_MAX) return false;
    memcpy(pipeline, rest, len);
    pipeline[len] = '\0';
    return gri_copy(output, GRI_NAME_MAX, rest[len] == '/' ? rest + len + 1 : "");
}

/* Notes the first failure only. */
static void failed(struct gri_image_check *check, enum gri_image_sum stage, const char *recorded, const char *computed) {
    if (check->stage != GRI_SUM_SOUND) return;
    check->stage = stage;
    (void)gri_copy(check->recorded, sizeof check->recorded, recorded);
    (void)gri_copy(check->computed, sizeof check->computed, computed);
}

static void verify_data(const struct gri_crypto *crypto, const struct gri_image *image, struct gri_image_check *check) {
    char sum[GRI_SHA256_HEX] = "";
    struct gri_bytes output;
    struct gri_error error;
    crypto->sha256_hex(gri_bytes_slice(&image->data), sum);
    if (strcmp(sum, image->sums.base64) != 0) failed(check, GRI_SUM_BASE64, image->sums.base64, sum);
    gri_bytes_init(&output, image->data.len + 64);
    sum[0] = '\0';
    if (crypto->base64_decode(gri_bytes_slice(&image->data), &output, &error) == GRI_OK)
        crypto->sha256_hex(gri_bytes_slice(&output), sum);
    gri_bytes_clear(&output);
    if (strcmp(sum, image->sums.output) != 0) failed(check, GRI_SUM_OUTPUT, image->sums.output, sum);
}

void gri_image_verify(const struct gri_crypto *crypto, const struct gri_image *image, struct gri_image_check *check) {
    char source[GRI_SHA256_HEX] = "", pipeline[GRI_PIPELINE_MAX], output[GRI_NAME_MAX], sum[GRI_SHA256_HEX];
    *check = (struct gri_image_check){.fields_sound = true};
    verify_data(crypto, image, check);
    if (!gri_image_parse_id(image->id, source, pipeline, output) || strcmp(source, image->sums.source) != 0 ||
        strcmp(pipeline, image->pipeline) != 0 || strcmp(output, image->output) != 0) {
        check->fields_sound = false;
        /* A pipeline or output that does not fit is a field like others; the source sum is a stage of its own. */
        if (strcmp(source, image->sums.source) != 0) failed(check, GRI_SUM_SOURCE, image->sums.source, source);
    }
    document_sum(crypto, image, sum);
    if (strcmp(sum, image->sums.document) != 0) {
        check->fields_sound = false;
        failed(check, GRI_SUM_DOCUMENT, image->sums.document, sum);
    }
    if (!check->fields_sound) failed(check, GRI_SUM_DOCUMENT, image->sums.document, sum);
}
