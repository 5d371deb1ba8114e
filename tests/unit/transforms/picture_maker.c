/* SPDX-License-Identifier: Apache-2.0 */
/* JPEGs from recipes, with libjpeg. */
#include "picture_maker.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

/* Smooth shapes with some noise, the same on every run. */
static uint8_t pixel(int x, int y, int band, uint32_t *seed) {
    *seed = *seed * 1664525U + 1013904223U;
    int noise = (int)(*seed >> 28);
    return (uint8_t)(((x * (3 + band) + y * (5 - band)) / 4 + (x / 16 ^ y / 16) * 9 + noise) & 0xFF);
}

/* DC at once; each AC coefficient in two scans of its own. */
static void set_many_scans(struct jpeg_compress_struct *out, jpeg_scan_info *scans) {
    int count = 0;
    scans[count++] = (jpeg_scan_info){.comps_in_scan = 1};
    for (int k = 1; k < DCTSIZE2; k++) {
        scans[count++] = (jpeg_scan_info){.comps_in_scan = 1, .Ss = k, .Se = k, .Al = 1};
        scans[count++] = (jpeg_scan_info){.comps_in_scan = 1, .Ss = k, .Se = k, .Ah = 1};
    }
    out->scan_info = scans;
    out->num_scans = count;
}

static void add_scan(struct jpeg_compress_struct *out, jpeg_scan_info *scans, int component, int first, int last, int high,
                     int low) {
    if (component >= out->num_components) return;
    jpeg_scan_info *scan = &scans[out->num_scans++];
    *scan = (jpeg_scan_info){.comps_in_scan = 1, .component_index = {component}, .Ss = first, .Se = last, .Ah = high, .Al = low};
    if (component >= 0) return;
    scan->comps_in_scan = out->num_components;
    for (int i = 0; i < out->num_components; i++)
        scan->component_index[i] = i;
}

/* Rows of component (−1: all), Ss, Se, Ah, Al; a row of Se −1 ends. */
static void set_script(struct jpeg_compress_struct *out, enum jpeg_script script, jpeg_scan_info *scans) {
    static const int scripts[SCRIPT_COUNT][24][5] = {
        [SCRIPT_DC_APART] = {{0, 0, 0, 0, 0},
                             {1, 0, 0, 0, 0},
                             {2, 0, 0, 0, 0},
                             {0, 1, 9, 0, 0},
                             {0, 10, 63, 0, 0},
                             {1, 1, 63, 0, 0},
                             {2, 1, 63, 0, 0},
                             {0, 0, -1}},
        [SCRIPT_MOZJPEG] = {{-1, 0, 0, 0, 0},
                            {0, 1, 8, 0, 2},
                            {1, 1, 8, 0, 0},
                            {2, 1, 8, 0, 0},
                            {0, 9, 63, 0, 2},
                            {0, 1, 63, 2, 1},
                            {0, 1, 63, 1, 0},
                            {1, 9, 63, 0, 0},
                            {2, 9, 63, 0, 0},
                            {0, 0, -1}},
        [SCRIPT_DEEP] = {{-1, 0, 0, 0, 3},
                         {0, 1, 63, 0, 3},
                         {1, 1, 63, 0, 0},
                         {2, 1, 63, 0, 0},
                         {0, 1, 20, 3, 2},
                         {-1, 0, 0, 3, 2},
                         {0, 21, 63, 3, 2},
                         {0, 1, 63, 2, 1},
                         {0, 0, 0, 2, 1},
                         {1, 0, 0, 2, 1},
                         {2, 0, 0, 2, 1},
                         {-1, 0, 0, 1, 0},
                         {0, 1, 1, 1, 0},
                         {0, 2, 63, 1, 0},
                         {0, 0, -1}},
    };
    out->num_scans = 0;
    for (const int(*row)[5] = scripts[script]; (*row)[2] >= 0; row++)
        add_scan(out, scans, (*row)[0], (*row)[1], (*row)[2], (*row)[3], (*row)[4]);
    out->scan_info = scans;
}

static void set_scans(struct jpeg_compress_struct *out, const struct jpeg_recipe *recipe, jpeg_scan_info *scans) {
    if (recipe->progressive && recipe->script) set_script(out, recipe->script, scans);
    if (recipe->many_scans) set_many_scans(out, scans);
    if (!recipe->separate_scans) return;
    for (int i = 0; i < recipe->components; i++)
        scans[i] = (jpeg_scan_info){.comps_in_scan = 1, .component_index = {i}, .Ss = 0, .Se = 63};
    out->scan_info = scans;
    out->num_scans = recipe->components;
}

static void write_exif(struct jpeg_compress_struct *out, int orientation) {
    const uint8_t exif[] = {'E', 'x', 'i', 'f',  0,    0, 'M', 'M', 0, '*', 0, 0, 0,
                            8,   0,   1,   0x01, 0x12, 0, 3,   0,   0, 0,   1, 0, (uint8_t)orientation,
                            0,   0,   0,   0,    0,    0};
    jpeg_write_marker(out, JPEG_APP0 + 1, exif, sizeof exif);
}

/* Cuts the file before its (count + 1)th scan and ends it there. */
static void keep_scans(struct gri_bytes *file, size_t from, int count) {
    int seen = 0;
    for (size_t i = from; i + 1 < file->len; i++)
        if (file->data[i] == 0xFF && file->data[i + 1] == 0xDA && ++seen > count) {
            file->data[i + 1] = 0xD9;
            file->len = i + 2;
            return;
        }
}

void make_jpeg(const struct jpeg_recipe *recipe, struct gri_bytes *out) {
    struct jpeg_compress_struct file;
    struct jpeg_error_mgr errors;
    jpeg_scan_info scans[2 * DCTSIZE2];
    unsigned char *memory = NULL;
    unsigned long len = 0;
    memset(&file, 0, sizeof file);
    file.err = jpeg_std_error(&errors);
    jpeg_create_compress(&file);
    jpeg_mem_dest(&file, &memory, &len);
    file.image_width = (JDIMENSION)recipe->width;
    file.image_height = (JDIMENSION)recipe->height;
    file.input_components = recipe->components;
    file.in_color_space = recipe->components == 1 ? JCS_GRAYSCALE : recipe->components == 3 ? JCS_RGB : JCS_CMYK;
    jpeg_set_defaults(&file);
    if (recipe->rgb) jpeg_set_colorspace(&file, JCS_RGB);
    jpeg_set_quality(&file, recipe->quality ? recipe->quality : 85, TRUE);
    file.optimize_coding = recipe->optimised;
    file.arith_code = recipe->arithmetic;
    file.restart_interval = (unsigned)recipe->restart;
    if (recipe->across) {
        file.comp_info[0].h_samp_factor = recipe->across;
        file.comp_info[0].v_samp_factor = recipe->down;
    }
    if (recipe->progressive) jpeg_simple_progression(&file);
    set_scans(&file, recipe, scans);
    jpeg_start_compress(&file, TRUE);
    if (recipe->orientation) write_exif(&file, recipe->orientation);
    uint8_t *row = malloc((size_t)recipe->width * (size_t)recipe->components);
    uint32_t seed = 7;
    for (int y = 0; y < recipe->height; y++) {
        for (int x = 0; x < recipe->width; x++)
            for (int band = 0; band < recipe->components; band++)
                row[x * recipe->components + band] = pixel(x, y, band, &seed);
        jpeg_write_scanlines(&file, &row, 1);
    }
    free(row);
    jpeg_finish_compress(&file);
    jpeg_destroy_compress(&file);
    size_t start = out->len;
    struct gri_error error;
    GRI_ASSERT(gri_bytes_append(out, memory, len, &error) == GRI_OK);
    free(memory);
    if (recipe->stop_scans) keep_scans(out, start, recipe->stop_scans);
}

struct reader {
    struct jpeg_error_mgr errors; /* first */
    jmp_buf escape;
    struct jpeg_decompress_struct in;
    uint8_t *pixels;
    bool done;
};

static _Noreturn void give_up(j_common_ptr info) {
    longjmp(((struct reader *)(void *)info->err)->escape, 1);
}

static void on_message(j_common_ptr info, int level) {
    if (level < 0) give_up(info);
}

uint8_t *read_luma(struct gri_slice jpeg, int *width, int *height) {
    struct reader *reader = calloc(1, sizeof *reader);
    jpeg_std_error(&reader->errors);
    reader->errors.error_exit = give_up;
    reader->errors.emit_message = on_message;
    reader->in.err = &reader->errors;
    if (setjmp(reader->escape) == 0) {
        jpeg_create_decompress(&reader->in);
        jpeg_mem_src(&reader->in, jpeg.data, (unsigned long)jpeg.len);
        jpeg_read_header(&reader->in, TRUE);
        reader->in.out_color_space = JCS_GRAYSCALE;
        jpeg_start_decompress(&reader->in);
        *width = (int)reader->in.output_width;
        *height = (int)reader->in.output_height;
        reader->pixels = malloc((size_t)*width * (size_t)*height);
        while (reader->in.output_scanline < reader->in.output_height) {
            JSAMPROW row = reader->pixels + (size_t)reader->in.output_scanline * (size_t)*width;
            jpeg_read_scanlines(&reader->in, &row, 1);
        }
        jpeg_finish_decompress(&reader->in);
        reader->done = true;
    }
    jpeg_destroy_decompress(&reader->in);
    uint8_t *pixels = reader->pixels;
    if (!reader->done) {
        free(pixels);
        pixels = NULL;
    }
    free(reader);
    return pixels;
}
