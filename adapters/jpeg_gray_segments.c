/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the segments between SOI and the scans: tables, frame header, application data (T.81, annex B). */
#include "jpeg_exif.h"
#include "jpeg_gray_file.h"

#include <string.h>

enum { SIDE_MAX = 65500 /* of libjpeg */, SAMPLING_MAX = 4, ADOBE_LEN = 12, JFIF_LEN = 14 };

static enum gri_status read_quant(struct gri_gray_file *file, struct gri_slice body) {
    while (body.len > 0) {
        unsigned wide = body.data[0] >> 4, number = body.data[0] & 15;
        size_t need = 1 + (size_t)GRI_GRAY_COEFFICIENTS * (wide + 1);
        if (wide > 1 || number >= GRI_GRAY_TABLES || body.len < need)
            return gri_gray_corrupt(file, "a malformed quantisation table");
        const uint8_t *from = body.data + 1;
        for (int k = 0; k < GRI_GRAY_COEFFICIENTS; k++)
            file->quant[number][k] = (uint16_t)(wide ? from[2 * k] << 8 | from[2 * k + 1] : from[k]);
        file->quant_known[number] = true;
        body = (struct gri_slice){body.data + need, body.len - need};
    }
    return GRI_OK;
}

static enum gri_status read_huffman(struct gri_gray_file *file, struct gri_slice body) {
    while (body.len > 0) {
        unsigned class = body.data[0] >> 4, number = body.data[0] & 15;
        if (class > 1 || number >= GRI_GRAY_TABLES || body.len < 17) return gri_gray_corrupt(file, "a malformed Huffman table");
        unsigned count = 0;
        for (int i = 1; i <= 16; i++)
            count += body.data[i];
        if (count > 256 || body.len < 17 + (size_t)count) return gri_gray_corrupt(file, "a malformed Huffman table");
        struct gri_huffman_spec *spec = class ? &file->ac[number] : &file->dc[number];
        memset(spec, 0, sizeof *spec);
        memcpy(spec->lengths, body.data + 1, sizeof spec->lengths);
        memcpy(spec->values, body.data + 17, count);
        spec->count = count;
        body = (struct gri_slice){body.data + 17 + count, body.len - 17 - count};
    }
    return GRI_OK;
}

static enum gri_status read_component(struct gri_gray_file *file, int index, const uint8_t *from) {
    struct gri_gray_component *component = &file->components[index];
    *component = (struct gri_gray_component){.id = from[0], .across = from[1] >> 4, .down = from[1] & 15, .quant = from[2]};
    memset(component->planes, -1, sizeof component->planes);
    if (component->across < 1 || component->across > SAMPLING_MAX || component->down < 1 || component->down > SAMPLING_MAX)
        return gri_gray_corrupt(file, "a malformed sampling factor");
    for (int i = 0; i < index; i++)
        if (file->components[i].id == component->id) return gri_gray_unusual(file);
    if (component->across > file->across_max) file->across_max = component->across;
    if (component->down > file->down_max) file->down_max = component->down;
    return GRI_OK;
}

static enum gri_status read_frame(struct gri_gray_file *file, int marker, struct gri_slice body) {
    if (file->frame) return gri_gray_corrupt(file, "a second frame header");
    if (body.len < 6 || body.data[5] == 0 || body.len != 6 + 3 * (size_t)body.data[5])
        return gri_gray_corrupt(file, "a malformed frame header");
    int height = body.data[1] << 8 | body.data[2], width = body.data[3] << 8 | body.data[4];
    if (height == 0 || width == 0) return gri_gray_corrupt(file, "a width or height of 0");
    file->info->width = width;
    file->info->height = height;
    if ((int64_t)width * height > file->limits->max_pixels)
        return gri_fail(file->error, GRI_R_too_many_pixels, "%d × %d is over %lld pixels", width, height,
                        (long long)file->limits->max_pixels);
    bool known = marker >= GRI_JPEG_SOF0 && marker <= GRI_JPEG_SOF2 && body.data[0] == 8;
    if (!known || (body.data[5] != 1 && body.data[5] != 3) || width > SIDE_MAX || height > SIDE_MAX)
        return gri_gray_unusual(file);
    if (file->progressive_only && marker != GRI_JPEG_SOF2) return gri_gray_unusual(file);
    file->frame = (uint8_t)marker;
    file->count = body.data[5];
    for (int i = 0; i < file->count; i++)
        if (read_component(file, i, body.data + 6 + 3 * i) != GRI_OK) return file->error->status;
    const struct gri_gray_component *luma = &file->components[0];
    if (luma->across != file->across_max || luma->down != file->down_max) return gri_gray_unusual(file);
    file->blocks_across = ((size_t)width + 7) / 8;
    file->blocks_down = ((size_t)height + 7) / 8;
    return GRI_OK;
}

static void read_application(struct gri_gray_file *file, int marker, struct gri_slice body) {
    if (file->scans > 0) return; /* as libjpeg: what comes later changes nothing */
    if (marker == GRI_JPEG_APP0 && body.len >= JFIF_LEN && memcmp(body.data, "JFIF", 5) == 0) file->jfif = true;
    if (marker == GRI_JPEG_APP1 && file->info->orientation == 1) file->info->orientation = gri_jpeg_exif_orientation(body);
    if (marker == GRI_JPEG_APP14 && body.len >= ADOBE_LEN && memcmp(body.data, "Adobe", 5) == 0) {
        file->adobe = true;
        file->adobe_transform = body.data[11];
    }
}

enum gri_status gri_gray_read_segment(struct gri_gray_file *file, int marker, struct gri_slice body) {
    if (marker == GRI_JPEG_DHT) return read_huffman(file, body);
    if (marker == GRI_JPEG_DQT) return read_quant(file, body);
    if (marker == GRI_JPEG_DRI) {
        if (body.len != 2) return gri_gray_corrupt(file, "a malformed restart interval");
        file->restart = (unsigned)body.data[0] << 8 | body.data[1];
        return GRI_OK;
    }
    if (marker >= GRI_JPEG_APP0 && marker <= GRI_JPEG_APP15) {
        read_application(file, marker, body);
        return GRI_OK;
    }
    if (marker == GRI_JPEG_COM) return GRI_OK;
    if (marker == GRI_JPEG_DAC || marker == GRI_JPEG_JPG) return gri_gray_unusual(file);
    if (marker >= GRI_JPEG_SOF0 && marker <= GRI_JPEG_SOF15) return read_frame(file, marker, body);
    return gri_gray_corrupt(file, "a marker that is reserved or out of place");
}
