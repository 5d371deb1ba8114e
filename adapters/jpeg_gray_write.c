/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the gray file: headers, tables, entropy-coded data. */
#include "jpeg_gray_file.h"

#include <string.h>

enum { COMPONENT_ID = 1 /* JFIF's for Y */ };

static enum gri_status append(struct gri_gray_file *file, const void *data, size_t len) {
    size_t made = file->out->len - file->start;
    if (len > file->limits->max_output_bytes || made > file->limits->max_output_bytes - len)
        return gri_fail(file->error, GRI_R_output_too_large, "the gray JPEG is over %zu bytes", file->limits->max_output_bytes);
    return gri_bytes_append(file->out, data, len, file->error);
}

static enum gri_status write_quant(struct gri_gray_file *file, const uint16_t *quant, bool wide) {
    uint8_t segment[5 + 2 * GRI_GRAY_COEFFICIENTS] = {0xFF, GRI_JPEG_DQT, 0, (uint8_t)(wide ? 131 : 67), (uint8_t)(wide << 4)};
    size_t len = 5;
    for (int k = 0; k < GRI_GRAY_COEFFICIENTS; k++) {
        if (wide) segment[len++] = (uint8_t)(quant[k] >> 8);
        segment[len++] = (uint8_t)quant[k];
    }
    return append(file, segment, len);
}

enum gri_status gri_gray_write_head(struct gri_gray_file *file) {
    static const uint8_t start[] = {0xFF, GRI_JPEG_SOI, 0xFF, GRI_JPEG_APP0, 0, 16, 'J', 'F', 'I', 'F', 0, 1, 1, 0, 0, 1, 0, 1, 0,
                                    0};
    const uint16_t *quant = file->quant[file->components[0].quant]; /* it is there: the scan header was checked */
    bool wide = false;
    for (int k = 0; k < GRI_GRAY_COEFFICIENTS; k++) {
        if (quant[k] == 0) return gri_gray_corrupt(file, "a 0 in luma's quantisation table");
        wide = wide || quant[k] > 255;
    }
    int width = file->info->width, height = file->info->height;
    uint8_t marker = wide && file->frame == GRI_JPEG_SOF0 ? GRI_JPEG_SOF1 : file->frame;
    const uint8_t frame[] = {
        0xFF, marker,       0,    11, 8, (uint8_t)(height >> 8), (uint8_t)height, (uint8_t)(width >> 8), (uint8_t)width,
        1,    COMPONENT_ID, 0x11, 0};
    file->headed = true;
    if (append(file, start, sizeof start) != GRI_OK || write_quant(file, quant, wide) != GRI_OK) return file->error->status;
    return append(file, frame, sizeof frame);
}

static enum gri_status write_huffman(struct gri_gray_file *file, unsigned class, const struct gri_huffman_spec *spec,
                                     struct gri_huffman_spec *written) {
    if (!spec || memcmp(spec, written, sizeof *spec) == 0) return GRI_OK;
    *written = *spec;
    unsigned len = 19 + spec->count;
    uint8_t head[5] = {0xFF, GRI_JPEG_DHT, (uint8_t)(len >> 8), (uint8_t)len, (uint8_t)(class << 4)};
    if (append(file, head, sizeof head) != GRI_OK || append(file, spec->lengths, sizeof spec->lengths) != GRI_OK)
        return file->error->status;
    return append(file, spec->values, spec->count);
}

static enum gri_status write_restart(struct gri_gray_file *file, unsigned restart) {
    const uint8_t segment[] = {0xFF, GRI_JPEG_DRI, 0, 4, (uint8_t)(restart >> 8), (uint8_t)restart};
    if (restart == file->written_restart) return GRI_OK;
    file->written_restart = restart;
    return append(file, segment, sizeof segment);
}

enum gri_status gri_gray_write_scan_header(struct gri_gray_file *file, const struct gri_gray_scan *scan, unsigned restart,
                                           const struct gri_huffman_spec *dc, const struct gri_huffman_spec *ac) {
    if (!file->headed && gri_gray_write_head(file) != GRI_OK) return file->error->status;
    if (write_restart(file, restart) != GRI_OK) return file->error->status;
    if (write_huffman(file, 0, dc, &file->written_dc) != GRI_OK) return file->error->status;
    if (write_huffman(file, 1, ac, &file->written_ac) != GRI_OK) return file->error->status;
    const uint8_t header[] = {0xFF,
                              GRI_JPEG_SOS,
                              0,
                              8,
                              1,
                              COMPONENT_ID,
                              0,
                              (uint8_t)scan->first,
                              (uint8_t)scan->last,
                              (uint8_t)(scan->high << 4 | scan->low)};
    return append(file, header, sizeof header);
}

enum gri_status gri_gray_write_raw(struct gri_gray_file *file, struct gri_slice data) {
    return append(file, data.data, data.len);
}

enum gri_status gri_gray_write_stuffed(struct gri_gray_file *file, struct gri_slice data) {
    if (data.len > file->limits->max_output_bytes) return append(file, data.data, data.len); /* says so */
    if (gri_bytes_reserve(file->out, 2 * data.len, file->error) != GRI_OK) return file->error->status;
    uint8_t *to = file->out->data + file->out->len;
    const uint8_t *from = data.data, *end = data.data + data.len;
    while (from < end) {
        const uint8_t *found = memchr(from, 0xFF, (size_t)(end - from));
        size_t len = (size_t)((found ? found + 1 : end) - from);
        memcpy(to, from, len);
        to += len;
        from += len;
        if (found) *to++ = 0;
    }
    file->out->len = (size_t)(to - file->out->data);
    return append(file, "", 0); /* the limit, and the NUL behind */
}
