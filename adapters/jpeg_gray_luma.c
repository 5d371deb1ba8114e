/* SPDX-License-Identifier: Apache-2.0 */
/* Takes luma out of one scan: copied as it is where the scan is luma's alone, coded again where components interleave. */
#include "jpeg_gray_file.h"

#include <stdlib.h>
#include <string.h>

enum { DC_CODE_MAX = 20, CHUNK = GRI_BITS_MIN };

/* The tables of one scan, made ready. On the heap: too much for a thread's stack. */
struct tables {
    struct gri_huffman dc[GRI_GRAY_SCAN_PARTS_MAX], ac[GRI_GRAY_SCAN_PARTS_MAX];
};

static enum gri_status no_memory(struct gri_gray_file *file) {
    return gri_fail_as(file->error, GRI_RETRY, GRI_R_no_memory, "JPEG: no memory for %zu × %zu blocks", file->blocks_across,
                       file->blocks_down);
}

static enum gri_status build(struct gri_gray_file *file, struct gri_huffman *table, const struct gri_huffman_spec *spec,
                             enum gri_huffman_use use, unsigned low) {
    if (spec->count == 0) return gri_gray_unusual(file); /* some streams leave the standard ones out */
    return gri_huffman_build(table, spec, use, low) ? GRI_OK : gri_gray_corrupt(file, "a Huffman table that is no code");
}

/* Lays out an MCU, part after part. With one part it is one block, whatever the sampling. */
static enum gri_status lay_out(struct gri_gray_file *file, const struct gri_gray_scan *scan, struct tables *tables,
                               struct gri_gray_layout *layout) {
    bool alone = scan->count == 1, sequential = file->frame != GRI_JPEG_SOF2;
    size_t across = (size_t)file->across_max, down = (size_t)file->down_max;
    *layout = (struct gri_gray_layout){.low = scan->low, .across = alone ? 1 : across, .down = alone ? 1 : down};
    layout->mcus_across = (file->blocks_across + layout->across - 1) / layout->across;
    layout->mcus_down = (file->blocks_down + layout->down - 1) / layout->down;
    layout->stride = layout->mcus_across * layout->across;
    for (int i = 0; i < scan->count; i++) {
        const struct gri_gray_component *component = &file->components[scan->parts[i].component];
        bool luma = scan->parts[i].component == 0;
        enum gri_huffman_use use = luma ? GRI_HUFFMAN_DC_LUMA : GRI_HUFFMAN_DC_OTHER;
        if (build(file, &tables->dc[i], &file->dc[scan->parts[i].dc], use, scan->low) != GRI_OK) return file->error->status;
        if (sequential && build(file, &tables->ac[i], &file->ac[scan->parts[i].ac], GRI_HUFFMAN_AC, 0) != GRI_OK)
            return file->error->status;
        size_t high = alone ? 1 : component->down, wide = alone ? 1 : component->across;
        for (size_t y = 0; y < high; y++)
            for (size_t x = 0; x < wide; x++)
                layout->slots[layout->slot_count++] =
                    (struct gri_gray_slot){&tables->dc[i], &tables->ac[i], luma, luma ? y * layout->stride + x : 0};
    }
    return GRI_OK;
}

static size_t blocks_of(const struct gri_gray_layout *layout) {
    return layout->stride * layout->mcus_down * layout->down;
}

static void put_dc(struct gri_bit_writer *writer, int difference) {
    /* Codes of the standard table, by size. */
    static const uint16_t codes[] = {0x0, 0x2, 0x3, 0x4, 0x5, 0x6, 0xE, 0x1E, 0x3E, 0x7E, 0xFE, 0x1FE};
    static const uint8_t lengths[] = {2, 3, 3, 3, 3, 3, 4, 5, 6, 7, 8, 9};
    unsigned magnitude = (unsigned)(difference < 0 ? -difference : difference);
    unsigned size = magnitude ? 32 - (unsigned)__builtin_clz(magnitude) : 0;
    uint32_t bits = (uint32_t)(difference - (difference < 0)) & ((1U << size) - 1);
    gri_bits_put(writer, (uint64_t)codes[size] << size | bits, lengths[size] + size);
}

static void copy_bits(struct gri_bit_writer *writer, const uint8_t *data, size_t at, size_t length) {
    while (length > 0) {
        unsigned chunk = length < CHUNK ? (unsigned)length : CHUNK;
        uint64_t window = gri_load_be64(data + at / 8) << (at % 8);
        gri_bits_put(writer, window >> (64 - chunk), chunk);
        at += chunk;
        length -= chunk;
    }
}

/* The un-stuffed bits of a scan that was coded again; freed by the caller. */
struct coded {
    uint8_t *data;
    struct gri_bit_writer writer;
};

static bool coded_open(struct coded *coded, size_t bits) {
    coded->data = malloc(bits / 8 + 16);
    coded->writer = (struct gri_bit_writer){.next = coded->data};
    return coded->data != NULL;
}

static enum gri_status coded_write(struct gri_gray_file *file, const struct gri_gray_scan *scan, struct coded *coded,
                                   const struct gri_huffman_spec *dc, const struct gri_huffman_spec *ac) {
    gri_bits_finish(&coded->writer);
    struct gri_slice bits = {coded->data, (size_t)(coded->writer.next - coded->data)};
    if (gri_gray_write_scan_header(file, scan, dc, ac) != GRI_OK) return file->error->status;
    return gri_gray_write_stuffed(file, bits);
}

static enum gri_status write_dc(struct gri_gray_file *file, const struct gri_gray_scan *scan, const int16_t *dc, size_t stride) {
    struct coded coded;
    if (!coded_open(&coded, file->blocks_across * file->blocks_down * DC_CODE_MAX)) return no_memory(file);
    int before = 0;
    for (size_t y = 0; y < file->blocks_down; y++)
        for (size_t x = 0; x < file->blocks_across; x++) {
            int value = dc[y * stride + x];
            put_dc(&coded.writer, value - before);
            before = value;
        }
    enum gri_status status = coded_write(file, scan, &coded, &gri_huffman_standard_dc, NULL);
    free(coded.data);
    return status;
}

static enum gri_status write_sequential(struct gri_gray_file *file, const struct gri_gray_scan *scan,
                                        const struct gri_gray_block *blocks, size_t stride, const struct gri_huffman_spec *ac) {
    struct coded coded;
    if (!coded_open(&coded, scan->clean.len * 8 + file->blocks_across * file->blocks_down * DC_CODE_MAX)) return no_memory(file);
    int before = 0;
    for (size_t y = 0; y < file->blocks_down; y++)
        for (size_t x = 0; x < file->blocks_across; x++) {
            const struct gri_gray_block *block = &blocks[y * stride + x];
            put_dc(&coded.writer, block->dc - before);
            before = block->dc;
            copy_bits(&coded.writer, scan->clean.data, block->at, block->length);
        }
    enum gri_status status = coded_write(file, scan, &coded, &gri_huffman_standard_dc, ac);
    free(coded.data);
    return status;
}

/* The number of luma's Huffman tables in a scan that has it. */
static int luma_part(const struct gri_gray_scan *scan) {
    int i = 0;
    while (scan->parts[i].component != 0)
        i++;
    return i;
}

static enum gri_status take_dc_first(struct gri_gray_file *file, const struct gri_gray_scan *scan, struct tables *tables) {
    struct gri_gray_layout layout;
    if (lay_out(file, scan, tables, &layout) != GRI_OK) return file->error->status;
    enum gri_status status = GRI_OK;
    int16_t *dc = NULL;
    if (scan->clean.data) {
        dc = malloc(blocks_of(&layout) * sizeof *dc);
        if (!dc) return no_memory(file);
        const char *wrong = file->loops->dc_first(&layout, scan->clean, dc);
        if (wrong)
            status = gri_gray_corrupt(file, wrong);
        else
            gri_gray_shrink(file, dc, 1, layout.stride, scan->low);
    }
    if (status == GRI_OK && scan->count > 1) {
        status = write_dc(file, scan, dc, layout.stride);
    } else if (status == GRI_OK) {
        status = gri_gray_write_scan_header(file, scan, &file->dc[scan->parts[0].dc], NULL);
        if (status == GRI_OK) status = gri_gray_write_raw(file, scan->data);
    }
    free(dc);
    return status;
}

static enum gri_status take_sequential(struct gri_gray_file *file, const struct gri_gray_scan *scan, struct tables *tables) {
    struct gri_gray_layout layout;
    if (lay_out(file, scan, tables, &layout) != GRI_OK) return file->error->status;
    int luma = luma_part(scan);
    const struct gri_huffman_spec *ac = &file->ac[scan->parts[luma].ac];
    enum gri_status status = GRI_OK;
    struct gri_gray_block *blocks = NULL;
    if (scan->clean.data) {
        blocks = malloc(blocks_of(&layout) * sizeof *blocks);
        if (!blocks) return no_memory(file);
        const char *wrong = file->loops->sequential(&layout, scan->clean, blocks);
        if (wrong)
            status = gri_gray_corrupt(file, wrong);
        else
            gri_gray_shrink(file, &blocks->dc, sizeof *blocks / sizeof blocks->dc, layout.stride, 0);
    }
    if (status == GRI_OK && scan->count > 1) {
        status = write_sequential(file, scan, blocks, layout.stride, ac);
    } else if (status == GRI_OK) {
        status = gri_gray_write_scan_header(file, scan, &file->dc[scan->parts[0].dc], ac);
        if (status == GRI_OK) status = gri_gray_write_raw(file, scan->data);
    }
    free(blocks);
    return status;
}

/* One bit a block: luma's in raster order, padding blocks left out. The scan's length was checked. */
static void reorder_bits(const struct gri_gray_file *file, const struct gri_gray_layout *layout, struct gri_slice clean,
                         uint8_t *plane, struct gri_bit_writer *writer) {
    struct gri_bits bits = gri_bits_open(clean.data, clean.len);
    for (size_t y = 0; y < layout->mcus_down; y++) {
        uint8_t *mcu = plane + y * layout->down * layout->stride;
        for (size_t x = 0; x < layout->mcus_across; x++, mcu += layout->across) {
            gri_bits_refill(&bits);
            for (size_t i = 0; i < layout->slot_count; i++)
                if (layout->slots[i].luma) mcu[layout->slots[i].offset] = (uint8_t)(bits.window << i >> 63);
            gri_bits_drop(&bits, (unsigned)layout->slot_count);
        }
    }
    for (size_t y = 0; y < file->blocks_down; y++) {
        const uint8_t *row = plane + y * layout->stride;
        size_t x = 0;
        for (; x + 8 <= file->blocks_across; x += 8) /* the low bits of 8 bytes, first byte on top */
            gri_bits_put(writer, gri_load_be64(row + x) * 0x0102040810204080U >> 56, 8);
        for (; x < file->blocks_across; x++)
            gri_bits_put(writer, row[x], 1);
    }
}

/* The MCU of a DC refinement; it has no tables. */
static void lay_out_bits(const struct gri_gray_file *file, const struct gri_gray_scan *scan, struct gri_gray_layout *layout) {
    size_t across = scan->count == 1 ? 1 : (size_t)file->across_max, down = scan->count == 1 ? 1 : (size_t)file->down_max;
    *layout = (struct gri_gray_layout){.across = across, .down = down};
    layout->mcus_across = (file->blocks_across + across - 1) / across;
    layout->mcus_down = (file->blocks_down + down - 1) / down;
    layout->stride = layout->mcus_across * across;
    for (int i = 0; i < scan->count; i++) {
        const struct gri_gray_component *component = &file->components[scan->parts[i].component];
        size_t high = scan->count == 1 ? 1 : component->down, wide = scan->count == 1 ? 1 : component->across;
        bool luma = scan->parts[i].component == 0;
        for (size_t j = 0; j < high * wide; j++)
            layout->slots[layout->slot_count++] =
                (struct gri_gray_slot){.luma = luma, .offset = luma ? j / wide * layout->stride + j % wide : 0};
    }
}

static enum gri_status take_dc_refine(struct gri_gray_file *file, const struct gri_gray_scan *scan) {
    struct gri_gray_layout layout;
    lay_out_bits(file, scan, &layout);
    size_t bits = layout.mcus_across * layout.mcus_down * layout.slot_count;
    if (scan->clean.len != (bits + 7) / 8) return gri_gray_corrupt(file, "a scan's data is longer or shorter than its blocks");
    if (scan->count == 1) {
        if (gri_gray_write_scan_header(file, scan, NULL, NULL) != GRI_OK) return file->error->status;
        return gri_gray_write_raw(file, scan->data);
    }
    struct coded coded = {0};
    uint8_t *plane = malloc(blocks_of(&layout));
    enum gri_status status = plane && coded_open(&coded, file->blocks_across * file->blocks_down) ? GRI_OK : no_memory(file);
    if (status == GRI_OK) {
        reorder_bits(file, &layout, scan->clean, plane, &coded.writer);
        status = coded_write(file, scan, &coded, NULL, NULL);
    }
    free(coded.data);
    free(plane);
    return status;
}

static enum gri_status take_band(struct gri_gray_file *file, const struct gri_gray_scan *scan, struct gri_huffman *table) {
    const struct gri_huffman_spec *spec = &file->ac[scan->parts[0].ac];
    struct gri_gray_band band = {.table = table, .first = scan->first, .last = scan->last};
    band.blocks = file->blocks_across * file->blocks_down;
    if (build(file, table, spec, scan->high ? GRI_HUFFMAN_AC_REFINE : GRI_HUFFMAN_AC_FIRST, scan->low) != GRI_OK)
        return file->error->status;
    if (scan->clean.data) {
        bool masks = scan->high > 0 || scan->low > 0;
        if (masks && !file->masks) file->masks = calloc(band.blocks, sizeof *file->masks);
        if (masks && !file->masks) return no_memory(file);
        band.masks = masks ? file->masks : NULL;
        const char *wrong =
            scan->high ? file->loops->band_refine(&band, scan->clean) : file->loops->band_first(&band, scan->clean);
        if (wrong) return gri_gray_corrupt(file, wrong);
    }
    if (gri_gray_write_scan_header(file, scan, NULL, spec) != GRI_OK) return file->error->status;
    return gri_gray_write_raw(file, scan->data);
}

enum gri_status gri_gray_take_scan(struct gri_gray_file *file, const struct gri_gray_scan *scan) {
    bool progressive = file->frame == GRI_JPEG_SOF2;
    if (progressive && scan->first == 0 && scan->high > 0) return take_dc_refine(file, scan);
    struct tables *tables = malloc(sizeof *tables);
    if (!tables) return no_memory(file);
    enum gri_status status = GRI_OK;
    if (!progressive)
        status = take_sequential(file, scan, tables);
    else
        status = scan->first == 0 ? take_dc_first(file, scan, tables) : take_band(file, scan, &tables->ac[0]);
    free(tables);
    return status;
}
