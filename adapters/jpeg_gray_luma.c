/* SPDX-License-Identifier: Apache-2.0 */
/* Takes luma out of one scan: copied as it is where the scan is luma's alone, coded again where components interleave. */
#include "jpeg_gray_file.h"

#include <stdlib.h>
#include <string.h>

enum { DC_CODE_MAX = 20, CHUNK = GRI_BITS_MIN };

static enum gri_status no_memory(struct gri_gray_file *file) {
    return gri_fail_as(file->error, GRI_RETRY, GRI_R_no_memory, "JPEG: no memory for %zu × %zu blocks", file->blocks_across,
                       file->blocks_down);
}

static enum gri_status build(struct gri_gray_file *file, struct gri_huffman *table, const struct gri_huffman_spec *spec,
                             enum gri_huffman_use use, unsigned low) {
    if (spec->count == 0) return gri_gray_unusual(file); /* some streams leave the standard ones out */
    return gri_huffman_build(table, spec, use, low) ? GRI_OK : gri_gray_corrupt(file, "a Huffman table that is no code");
}

/* An MCU without its slots. With one part it is one block, whatever the sampling. */
static struct gri_gray_layout mcu_of(const struct gri_gray_file *file, const struct gri_gray_scan *scan) {
    bool alone = scan->count == 1;
    size_t across = alone ? 1 : (size_t)file->across_max, down = alone ? 1 : (size_t)file->down_max;
    size_t mcus_across = (file->blocks_across + across - 1) / across, mcus_down = (file->blocks_down + down - 1) / down;
    return (struct gri_gray_layout){.low = scan->low,
                                    .across = across,
                                    .down = down,
                                    .mcus_across = mcus_across,
                                    .mcus_down = mcus_down,
                                    .stride = mcus_across * across};
}

/* Lays out an MCU, part after part. */
static enum gri_status lay_out(struct gri_gray_file *file, const struct gri_gray_scan *scan, struct gri_gray_tables *tables,
                               struct gri_gray_layout *layout) {
    bool alone = scan->count == 1, sequential = file->frame != GRI_JPEG_SOF2;
    *layout = mcu_of(file, scan);
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

size_t gri_gray_scan_mcus(const struct gri_gray_file *file, const struct gri_gray_scan *scan) {
    struct gri_gray_layout layout = mcu_of(file, scan);
    return layout.mcus_across * layout.mcus_down;
}

static struct gri_gray_interval interval_of(const struct gri_gray_file *file, const struct gri_gray_scan *scan, size_t number) {
    bool last = number + 1 == scan->intervals;
    size_t from = number > 0 ? file->ends[number - 1] : 0, to = last ? scan->clean.len : file->ends[number];
    size_t first = number * file->restart, count = last ? gri_gray_scan_mcus(file, scan) - first : file->restart;
    return (struct gri_gray_interval){{scan->clean.data + from, to - from}, from, first, count};
}

static size_t blocks_of(const struct gri_gray_layout *layout) {
    return layout->stride * layout->mcus_down * layout->down;
}

GRI_INLINE void put_dc(struct gri_bit_writer *writer, int difference) {
    /* Codes of the standard table, by size. */
    static const uint16_t codes[] = {0x0, 0x2, 0x3, 0x4, 0x5, 0x6, 0xE, 0x1E, 0x3E, 0x7E, 0xFE, 0x1FE};
    static const uint8_t lengths[] = {2, 3, 3, 3, 3, 3, 4, 5, 6, 7, 8, 9};
    unsigned magnitude = (unsigned)(difference < 0 ? -difference : difference);
    unsigned size = 31 - (unsigned)__builtin_clz(2 * magnitude | 1);
    uint32_t bits = (uint32_t)(difference - (difference < 0)) & ((1U << size) - 1);
    gri_bits_put(writer, (uint64_t)codes[size] << size | bits, lengths[size] + size);
}

GRI_INLINE void copy_bits(struct gri_bit_writer *writer, const uint8_t *data, size_t at, size_t length) {
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
    if (gri_gray_write_scan_header(file, scan, 0, dc, ac) != GRI_OK) return file->error->status;
    return gri_gray_write_stuffed(file, bits);
}

/* Luma's alone: as it is, its restart intervals too. */
static enum gri_status copy_scan(struct gri_gray_file *file, const struct gri_gray_scan *scan, const struct gri_huffman_spec *dc,
                                 const struct gri_huffman_spec *ac) {
    if (gri_gray_write_scan_header(file, scan, file->restart, dc, ac) != GRI_OK) return file->error->status;
    return gri_gray_write_raw(file, scan->data);
}

static enum gri_status write_dc(struct gri_gray_file *file, const struct gri_gray_scan *scan, const int16_t *dc, size_t stride) {
    struct coded coded;
    if (!coded_open(&coded, file->blocks_across * file->blocks_down * DC_CODE_MAX)) return no_memory(file);
    struct gri_bit_writer writer = coded.writer; /* kept in registers */
    int before = 0;
    for (size_t y = 0; y < file->blocks_down; y++)
        for (size_t x = 0; x < file->blocks_across; x++) {
            int value = dc[y * stride + x];
            put_dc(&writer, value - before);
            before = value;
        }
    coded.writer = writer;
    enum gri_status status = coded_write(file, scan, &coded, &gri_huffman_standard_dc, NULL);
    free(coded.data);
    return status;
}

static enum gri_status write_sequential(struct gri_gray_file *file, const struct gri_gray_scan *scan,
                                        const struct gri_gray_block *blocks, size_t stride, const struct gri_huffman_spec *ac) {
    struct coded coded;
    if (!coded_open(&coded, scan->clean.len * 8 + file->blocks_across * file->blocks_down * DC_CODE_MAX)) return no_memory(file);
    struct gri_bit_writer writer = coded.writer;
    int before = 0;
    for (size_t y = 0; y < file->blocks_down; y++)
        for (size_t x = 0; x < file->blocks_across; x++) {
            const struct gri_gray_block *block = &blocks[y * stride + x];
            put_dc(&writer, block->dc - before);
            before = block->dc;
            copy_bits(&writer, scan->clean.data, block->at, block->length);
        }
    coded.writer = writer;
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

static enum gri_status take_dc_first(struct gri_gray_file *file, const struct gri_gray_scan *scan,
                                     struct gri_gray_tables *tables) {
    struct gri_gray_layout layout;
    if (lay_out(file, scan, tables, &layout) != GRI_OK) return file->error->status;
    enum gri_status status = GRI_OK;
    int16_t *dc = NULL;
    if (scan->clean.data) {
        dc = malloc(blocks_of(&layout) * sizeof *dc);
        if (!dc) return no_memory(file);
        const char *wrong = NULL;
        for (size_t i = 0; i < scan->intervals && !wrong; i++) {
            struct gri_gray_interval interval = interval_of(file, scan, i);
            wrong = file->loops->dc_first(&layout, &interval, dc);
        }
        if (wrong)
            status = gri_gray_corrupt(file, wrong);
        else
            gri_gray_shrink(file, dc, 1, layout.stride, scan->low);
    }
    if (status == GRI_OK && scan->count > 1) {
        status = write_dc(file, scan, dc, layout.stride);
    } else if (status == GRI_OK) {
        status = copy_scan(file, scan, &file->dc[scan->parts[0].dc], NULL);
    }
    free(dc);
    return status;
}

static enum gri_status take_sequential(struct gri_gray_file *file, const struct gri_gray_scan *scan,
                                       struct gri_gray_tables *tables) {
    struct gri_gray_layout layout;
    if (lay_out(file, scan, tables, &layout) != GRI_OK) return file->error->status;
    int luma = luma_part(scan);
    const struct gri_huffman_spec *ac = &file->ac[scan->parts[luma].ac];
    enum gri_status status = GRI_OK;
    struct gri_gray_block *blocks = NULL;
    if (scan->clean.data) {
        blocks = malloc(blocks_of(&layout) * sizeof *blocks);
        if (!blocks) return no_memory(file);
        const char *wrong = NULL;
        for (size_t i = 0; i < scan->intervals && !wrong; i++) {
            struct gri_gray_interval interval = interval_of(file, scan, i);
            wrong = file->loops->sequential(&layout, &interval, blocks);
        }
        if (wrong)
            status = gri_gray_corrupt(file, wrong);
        else
            gri_gray_shrink(file, &blocks->dc, sizeof *blocks / sizeof blocks->dc, layout.stride, 0);
    }
    if (status == GRI_OK && scan->count > 1) {
        status = write_sequential(file, scan, blocks, layout.stride, ac);
    } else if (status == GRI_OK) {
        status = copy_scan(file, scan, &file->dc[scan->parts[0].dc], ac);
    }
    free(blocks);
    return status;
}

/* One bit a block, of an interval whose length was checked: luma's, where they belong. */
static void place_bits(const struct gri_gray_layout *layout, const struct gri_gray_interval *interval, uint8_t *plane) {
    struct gri_bits bits = gri_bits_open(interval->data.data, interval->data.len);
    for (struct gri_gray_stretch at = gri_gray_stretch(layout, interval, 0); at.count > 0;
         at = gri_gray_stretch(layout, interval, at.done)) {
        uint8_t *mcu = plane + at.offset;
        for (size_t n = at.count; n > 0; n--, mcu += layout->across) {
            gri_bits_refill(&bits);
            for (size_t i = 0; i < layout->slot_count; i++)
                if (layout->slots[i].luma) mcu[layout->slots[i].offset] = (uint8_t)(bits.window << i >> 63);
            gri_bits_drop(&bits, (unsigned)layout->slot_count);
        }
    }
}

/* In raster order, padding blocks left out. */
static void put_plane(const struct gri_gray_file *file, const struct gri_gray_layout *layout, const uint8_t *plane,
                      struct gri_bit_writer *writer) {
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
    *layout = mcu_of(file, scan);
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
    for (size_t i = 0; i < scan->intervals; i++) {
        struct gri_gray_interval interval = interval_of(file, scan, i);
        if (interval.data.len != (interval.count * layout.slot_count + 7) / 8)
            return gri_gray_corrupt(file, "a scan's data is longer or shorter than its blocks");
    }
    if (scan->count == 1) return copy_scan(file, scan, NULL, NULL);
    struct coded coded = {0};
    uint8_t *plane = malloc(blocks_of(&layout));
    enum gri_status status = plane && coded_open(&coded, file->blocks_across * file->blocks_down) ? GRI_OK : no_memory(file);
    if (status == GRI_OK) {
        for (size_t i = 0; i < scan->intervals; i++) {
            struct gri_gray_interval interval = interval_of(file, scan, i);
            place_bits(&layout, &interval, plane);
        }
        put_plane(file, &layout, plane, &coded.writer);
        status = coded_write(file, scan, &coded, NULL, NULL);
    }
    free(coded.data);
    free(plane);
    return status;
}

/* Validates one scan, or two of the same kind at once. */
static enum gri_status validate(struct gri_gray_file *file, bool refines, const struct gri_gray_band *one,
                                const struct gri_gray_band *other) {
    const char *wrong = refines ? file->loops->band_refine(one, other) : file->loops->band_first(one, other);
    return wrong ? gri_gray_corrupt(file, wrong) : GRI_OK;
}

enum gri_status gri_gray_finish_bands(struct gri_gray_file *file) {
    struct gri_gray_band waiting = file->waiting;
    file->waiting.table = NULL;
    file->clean_used = 0;
    return waiting.table ? validate(file, file->waiting_refines, &waiting, NULL) : GRI_OK;
}

/* One interval after another. */
static enum gri_status validate_intervals(struct gri_gray_file *file, const struct gri_gray_scan *scan,
                                          const struct gri_gray_band *whole) {
    enum gri_status status = gri_gray_finish_bands(file);
    for (size_t i = 0; i < scan->intervals && status == GRI_OK; i++) {
        struct gri_gray_interval interval = interval_of(file, scan, i);
        struct gri_gray_band band = *whole;
        band.masks += interval.first;
        band.blocks = interval.count;
        band.data = interval.data;
        status = validate(file, scan->high > 0, &band, NULL);
    }
    return status;
}

/* A scan waits for the next of its kind: two are validated in little more time than one. */
static enum gri_status pair_band(struct gri_gray_file *file, bool refines, const struct gri_gray_band *band) {
    if (file->waiting.table && file->waiting_refines == refines) {
        struct gri_gray_band waiting = file->waiting;
        file->waiting.table = NULL;
        file->clean_used = 0;
        return validate(file, refines, &waiting, band);
    }
    if (gri_gray_finish_bands(file) != GRI_OK) return file->error->status;
    file->waiting = *band;
    file->waiting_refines = refines;
    file->clean_used = (size_t)(band->data.data - file->clean) + band->data.len + JPEG_GRAY_PAD;
    return GRI_OK;
}

static enum gri_status take_band(struct gri_gray_file *file, const struct gri_gray_scan *scan) {
    const struct gri_huffman_spec *spec = &file->ac[scan->parts[0].ac];
    struct gri_huffman *tables = file->tables->bands, *table = file->waiting.table == &tables[0] ? &tables[1] : &tables[0];
    struct gri_gray_band band = {.table = table, .first = scan->first, .last = scan->last, .data = scan->clean};
    band.blocks = file->blocks_across * file->blocks_down;
    if (build(file, table, spec, scan->high ? GRI_HUFFMAN_AC_REFINE : GRI_HUFFMAN_AC_FIRST, scan->low) != GRI_OK)
        return file->error->status;
    if (scan->clean.data) {
        if (!file->masks) file->masks = calloc(band.blocks + 1, sizeof *file->masks);
        if (!file->masks) return no_memory(file);
        band.masks = file->masks;
        enum gri_status status =
            scan->intervals > 1 ? validate_intervals(file, scan, &band) : pair_band(file, scan->high > 0, &band);
        if (status != GRI_OK) return status;
    }
    return copy_scan(file, scan, NULL, spec);
}

enum gri_status gri_gray_take_scan(struct gri_gray_file *file, const struct gri_gray_scan *scan) {
    bool progressive = file->frame == GRI_JPEG_SOF2;
    if (progressive && scan->first == 0 && scan->high > 0) return take_dc_refine(file, scan);
    if (!file->tables) file->tables = malloc(sizeof *file->tables);
    if (!file->tables) return no_memory(file);
    if (!progressive) return take_sequential(file, scan, file->tables);
    return scan->first == 0 ? take_dc_first(file, scan, file->tables) : take_band(file, scan);
}
