/* SPDX-License-Identifier: Apache-2.0 */
/* How long gray takes, way by way: jpeg_gray_bench CORPUS [ROUNDS] [WAY]
 *
 * CORPUS: a folder of JPEGs (make_corpus.py). Each round runs every way over every picture, one after another, so that
 * what slows one slows all; printed are the medians over the rounds of CPU milliseconds an image, and of the ratio to
 * libjpeg-turbo's lossless transform in the same round. With WAY, only that one, for callgrind:
 * valgrind --tool=callgrind --toggle-collect=run_way jpeg_gray_bench CORPUS 1 full */
#include "jpeg_gray.h"
#include "jpeg_lossless.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <turbojpeg.h>

enum { PICTURES_MAX = 10000, ROUNDS_MAX = 1000, WAYS = 7, PICTURE_MAX = 32 << 20 };

enum way { STRUCTURE, FULL, PORTABLE, FALLBACK, LOSSLESS, LOSSLESS_SAME, READ_GRAY };

static const struct {
    const char *name, *meaning;
} ways[WAYS] = {
    {"structure", "gray without decoding, structure checked"},
    {"full", "gray without decoding, luma validated to the last code"},
    {"portable", "the same without BMI2"},
    {"fallback", "jpeg_lossless: libjpeg-turbo's coefficients, optimised sequential output"},
    {"lossless", "tjTransform, gray: sequential output"},
    {"lossless_same", "tjTransform, gray: progressive output"},
    {"decode", "tjDecompress2 to gray pixels, no output"},
};

static struct gri_slice pictures[PICTURES_MAX];
static size_t picture_count;

static void load(const char *folder) {
    struct dirent **names = NULL;
    int count = scandir(folder, &names, NULL, alphasort);
    for (int i = 0; i < count && picture_count < PICTURES_MAX; i++) {
        char path[4096];
        FILE *file = gri_format(path, sizeof path, "%s/%s", folder, names[i]->d_name) ? fopen(path, "rb") : NULL;
        free(names[i]);
        if (!file) continue;
        uint8_t *data = gri_alloc(PICTURE_MAX);
        size_t len = strstr(path, ".jpg") ? fread(data, 1, PICTURE_MAX, file) : 0;
        (void)fclose(file);
        uint8_t *kept = len ? realloc(data, len) : NULL;
        if (kept)
            pictures[picture_count++] = (struct gri_slice){kept, len};
        else
            free(data);
    }
    free(names);
}

static bool by_port(enum way way, struct gri_slice picture, size_t *size) {
    struct gri_jpeg_limits limits = {.max_pixels = 50000000, .max_output_bytes = 64 << 20, .timeout_ms = 60000, .max_scans = 100};
    limits.verify = way == STRUCTURE ? GRI_JPEG_VERIFY_STRUCTURE : GRI_JPEG_VERIFY_FULL;
    struct gri_jpeg_info info;
    struct gri_error error;
    struct gri_bytes out;
    bool handled = false;
    gri_bytes_init(&out, 0);
    enum gri_status status =
        way == FALLBACK
            ? gri_jpeg_lossless_port()->gray(picture, false, &limits, &out, &info, &handled, &error)
            : gri_jpeg_gray_take(picture, way == PORTABLE ? GRI_JPEG_GRAY_PORTABLE : 0, &limits, &out, &info, &handled, &error);
    *size = out.len;
    gri_bytes_clear(&out);
    return status == GRI_OK && handled;
}

static bool by_turbojpeg(enum way way, struct gri_slice picture, size_t *size) {
    unsigned char *out = NULL;
    unsigned long len = 0;
    tjtransform transform = {.options = TJXOPT_GRAY | TJXOPT_COPYNONE | (way == LOSSLESS_SAME ? TJXOPT_PROGRESSIVE : 0)};
    tjhandle handle = tjInitTransform();
    bool good = tjTransform(handle, picture.data, picture.len, 1, &out, &len, &transform, 0) == 0;
    *size = len;
    tjFree(out);
    tjDestroy(handle);
    return good;
}

static bool by_decoding(struct gri_slice picture, size_t *size) {
    int width = 0, height = 0, sampling = 0, space = 0;
    tjhandle handle = tjInitDecompress();
    bool good = tjDecompressHeader3(handle, picture.data, picture.len, &width, &height, &sampling, &space) == 0;
    *size = (size_t)width * (size_t)height;
    unsigned char *pixels = gri_alloc(*size + 1);
    good = good && tjDecompress2(handle, picture.data, picture.len, pixels, width, 0, height, TJPF_GRAY, 0) == 0;
    free(pixels);
    tjDestroy(handle);
    return good;
}

/* Not static and not inlined: callgrind collects within it. */
void run_way(enum way way, size_t *bytes);
__attribute__((noinline)) void run_way(enum way way, size_t *bytes) {
    *bytes = 0;
    for (size_t i = 0; i < picture_count; i++) {
        size_t size = 0;
        bool good = way == LOSSLESS || way == LOSSLESS_SAME ? by_turbojpeg(way, pictures[i], &size)
                    : way == READ_GRAY                      ? by_decoding(pictures[i], &size)
                                                            : by_port(way, pictures[i], &size);
        if (!good) {
            (void)fprintf(stderr, "picture %zu: %s does not do it\n", i, ways[way].name);
            exit(1);
        }
        *bytes += size;
    }
}

static double cpu_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int count) {
    qsort(values, (size_t)count, sizeof *values, ascending);
    return values[count / 2];
}

static void measure(int rounds) {
    static double times[WAYS][ROUNDS_MAX], ratios[WAYS][ROUNDS_MAX];
    size_t bytes[WAYS];
    for (int round = 0; round < rounds; round++) {
        for (int way = 0; way < WAYS; way++) {
            double start = cpu_ms();
            run_way((enum way)way, &bytes[way]);
            times[way][round] = (cpu_ms() - start) / (double)picture_count;
        }
        for (int way = 0; way < WAYS; way++)
            ratios[way][round] = times[way][round] / times[LOSSLESS][round];
    }
    printf("%-14s %10s %9s %10s\n", "way", "ms/image", "ratio", "bytes out");
    for (int way = 0; way < WAYS; way++)
        printf("%-14s %10.4f %9.3f %10zu  %s\n", ways[way].name, median(times[way], rounds), median(ratios[way], rounds),
               bytes[way] / picture_count, ways[way].meaning);
}

int main(int argc, char **argv) {
    int rounds = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 11;
    if (argc < 2 || argc > 4 || rounds < 1 || rounds > ROUNDS_MAX) {
        (void)fprintf(stderr, "jpeg_gray_bench CORPUS [ROUNDS] [WAY]\n");
        return 2;
    }
    load(argv[1]);
    size_t bytes = 0;
    for (size_t i = 0; i < picture_count; i++)
        bytes += pictures[i].len;
    if (picture_count == 0) return 1;
    printf("%zu pictures, %zu bytes on average\n", picture_count, bytes / picture_count);
    for (int way = 0; argc == 4 && way < WAYS; way++)
        if (strcmp(argv[3], ways[way].name) == 0)
            for (int round = 0; round < rounds; round++)
                run_way((enum way)way, &bytes);
    if (argc < 4) measure(rounds);
    return 0;
}
