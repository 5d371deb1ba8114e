/* SPDX-License-Identifier: Apache-2.0 */
/* What a CPU thread and a store thread do to each image, and nothing around it: image_slice FOLDER [portable].
 *
 * Sum of the source, gray without decoding, base64, sums, reading back, the document's sum, BSON. For callgrind:
 * valgrind --tool=callgrind --toggle-collect=run_slice image_slice FOLDER. One line: the number of pictures and bytes built. */
#include "crypto.h"
#include "jpeg_gray.h"
#include "mongo_image_document.h"

#include <grisaille/image_sums.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PICTURE_MAX = 8 << 20 };

static _Noreturn void die(const char *what) {
    (void)fprintf(stderr, "%s\n", what);
    exit(1);
}

static struct gri_slice load(const char *folder, const char *name) {
    char path[4096];
    FILE *file = gri_format(path, sizeof path, "%s/%s", folder, name) ? fopen(path, "rb") : NULL;
    if (!file) die("a picture can't be read");
    uint8_t *data = gri_alloc(PICTURE_MAX);
    size_t len = fread(data, 1, PICTURE_MAX, file);
    (void)fclose(file);
    return (struct gri_slice){data, len};
}

/* Not static and not inlined: callgrind collects within it. Bytes of the document. */
size_t run_slice(const struct gri_crypto *crypto, struct gri_slice source, unsigned form);
__attribute__((noinline)) size_t run_slice(const struct gri_crypto *crypto, struct gri_slice source, unsigned form) {
    struct gri_jpeg_limits limits = {
        .max_pixels = 50000000, .max_output_bytes = 32 << 20, .timeout_ms = 600000, .max_scans = 100};
    struct gri_image image = {.width = 0};
    struct gri_jpeg_info info;
    struct gri_error error;
    struct gri_bytes gray;
    bool handled = false;
    gri_bytes_init(&gray, 0);
    crypto->sha256_hex(source, image.sums.source);
    if (gri_jpeg_gray_take(source, form, &limits, &gray, &info, &handled, &error) != GRI_OK || !handled)
        die("a picture is not taken");
    if (gri_image_encode(crypto, &image, &gray, &error) != GRI_OK) die(error.detail);
    (void)gri_copy(image.pipeline, sizeof image.pipeline, "gray@000000000000");
    image.width = info.width;
    image.height = info.height;
    gri_image_set_id(&image);
    gri_image_seal(crypto, &image);
    bson_t *document = gri_mongo_image_document(&image);
    size_t bytes = document->len;
    bson_destroy(document);
    gri_image_clear(&image);
    gri_bytes_clear(&gray);
    return bytes;
}

int main(int argc, char **argv) {
    struct gri_error error;
    struct dirent **names = NULL;
    if (argc < 2 || argc > 3) die("image_slice FOLDER [portable]");
    const struct gri_crypto *crypto = gri_crypto_create(&error);
    if (!crypto) die(error.detail);
    int count = scandir(argv[1], &names, NULL, alphasort), pictures = 0;
    size_t bytes = 0;
    for (int i = 0; i < count; i++) {
        if (strstr(names[i]->d_name, ".jpg")) {
            struct gri_slice source = load(argv[1], names[i]->d_name);
            bytes += run_slice(crypto, source, argc == 3 ? GRI_JPEG_GRAY_PORTABLE : 0);
            free((void *)(uintptr_t)source.data);
            pictures++;
        }
        free(names[i]);
    }
    free(names);
    printf("%d pictures, %zu bytes of documents\n", pictures, bytes);
    return pictures > 0 ? 0 : 1;
}
