/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer: any bytes as a fetched body, all the way: signature, decoding, gray, encoding, reading back, base64. The first byte
 * chooses the pipeline. (libvips and its loaders are not instrumented: their code is not what is explored here.)
 *
 * Parser: transforms/picture_*.c transforms/jpeg_survey.c transforms/vips_pixels.c adapters/jpeg_*.[ch] */
#include "fuzz_kit.h"

#include "codec_kit.h"
#include "crypto.h"

enum { MAX_PIXELS = 250000, TIME_MS = 5000 };

static const char *const pipelines[] = {
    "{\"steps\":[{\"grayscale\":{}}]}",
    "{\"steps\":[{\"grayscale\":{}}],\"output\":{\"format\":\"png\"}}",
    "{\"steps\":[{\"resize\":{\"width\":16}},{\"grayscale\":{}}]}",
};

static void to_base64(const struct gri_picture *picture) {
    struct gri_error error;
    const struct gri_crypto *crypto = gri_crypto_create(&error);
    struct gri_bytes text, back;
    gri_bytes_init(&text, 0);
    gri_bytes_init(&back, 0);
    FUZZ_CHECK(picture->output.len > 0 && picture->width > 0 && picture->height > 0);
    FUZZ_CHECK((int64_t)picture->source_width * picture->source_height <= MAX_PIXELS);
    FUZZ_CHECK(crypto->base64_encode(gri_bytes_slice(&picture->output), &text, &error) == GRI_OK);
    FUZZ_CHECK(crypto->base64_decode(gri_bytes_slice(&text), &back, &error) == GRI_OK);
    FUZZ_CHECK(gri_slice_equal(gri_bytes_slice(&back), gri_bytes_slice(&picture->output)));
    gri_bytes_clear(&text);
    gri_bytes_clear(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct codec_kit kit;
    static struct gri_plan *plans[sizeof pipelines / sizeof *pipelines];
    struct gri_picture picture;
    struct gri_error error;
    if (!kit.codec) {
        codec_kit_open(&kit, MAX_PIXELS, TIME_MS);
        for (size_t i = 0; i < sizeof plans / sizeof *plans; i++)
            FUZZ_CHECK(kit.codec->ops->compile(kit.codec, gri_slice_of(pipelines[i]), &plans[i], &error) == GRI_OK);
    }
    if (size == 0) return 0;
    const struct gri_plan *plan = plans[data[0] % (sizeof plans / sizeof *plans)];
    enum gri_status status = kit.codec->ops->run(kit.codec, plan, (struct gri_slice){data + 1, size - 1}, &picture, &error);
    fuzz_check_error(status, &error);
    if (status != GRI_OK) return 0;
    to_base64(&picture);
    gri_picture_clear(&picture);
    return 0;
}
