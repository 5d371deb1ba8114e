/* SPDX-License-Identifier: Apache-2.0 */
/* Scan headers: each must fit the frame, and follow on what the scans before it brought (T.81, B.2.3 and G.1.1.1). */
#include "jpeg_gray_file.h"

enum { LOW_MAX = 10 };

static enum gri_status read_parts(struct gri_gray_file *file, struct gri_slice body, struct gri_gray_scan *scan) {
    int blocks = 0;
    for (int i = 0; i < scan->count; i++) {
        int index = 0;
        while (index < file->count && file->components[index].id != body.data[1 + 2 * i])
            index++;
        if (index == file->count) return gri_gray_corrupt(file, "a scan of no component");
        if (i > 0 && index <= scan->parts[i - 1].component)
            return gri_gray_corrupt(file, "the components of a scan are not in the frame's order");
        unsigned quant = file->components[index].quant;
        if (quant >= GRI_GRAY_TABLES || !file->quant_known[quant])
            return gri_gray_corrupt(file, "a quantisation table is missing");
        uint8_t tables = body.data[2 + 2 * i];
        if (tables >> 4 >= GRI_GRAY_TABLES || (tables & 15) >= GRI_GRAY_TABLES)
            return gri_gray_corrupt(file, "a scan with no such Huffman table");
        scan->parts[i].component = index;
        scan->parts[i].dc = tables >> 4;
        scan->parts[i].ac = tables & 15;
        blocks += file->components[index].across * file->components[index].down;
    }
    return scan->count > 1 && blocks > GRI_MCU_BLOCKS_MAX ? gri_gray_corrupt(file, "too many blocks in an MCU") : GRI_OK;
}

static bool sound_spectrum(const struct gri_gray_file *file, const struct gri_gray_scan *scan) {
    if (file->frame != GRI_JPEG_SOF2)
        return scan->first == 0 && scan->last == GRI_GRAY_COEFFICIENTS - 1 && scan->high == 0 && scan->low == 0;
    bool band = scan->first == 0 ? scan->last == 0 : scan->count == 1 && scan->first <= scan->last;
    return band && scan->last < GRI_GRAY_COEFFICIENTS && scan->low <= LOW_MAX && (scan->high == 0 || scan->low + 1 == scan->high);
}

static enum gri_status note_planes(struct gri_gray_file *file, const struct gri_gray_scan *scan) {
    for (int i = 0; i < scan->count; i++) {
        int8_t *planes = file->components[scan->parts[i].component].planes;
        if (scan->first > 0 && planes[0] < 0) return gri_gray_corrupt(file, "AC before DC");
        for (int k = scan->first; k <= scan->last; k++) {
            if (scan->high == 0 ? planes[k] >= 0 : planes[k] != (int)scan->high)
                return gri_gray_corrupt(file, "the scans do not follow on each other");
            planes[k] = (int8_t)scan->low;
        }
    }
    return GRI_OK;
}

/* Whether the first component is the gray picture, by libjpeg's rules (jdapimin.c, default_decompress_parms). */
static bool has_luma(const struct gri_gray_file *file) {
    if (file->count == 1 || file->jfif) return true;
    if (file->adobe) return file->adobe_transform == 1;
    const struct gri_gray_component *c = file->components;
    return !(c[0].id == 'R' && c[1].id == 'G' && c[2].id == 'B');
}

enum gri_status gri_gray_read_scan_header(struct gri_gray_file *file, struct gri_slice body, struct gri_gray_scan *scan) {
    if (!file->frame) return gri_gray_corrupt(file, "a scan before the frame header");
    size_t count = body.len > 0 ? body.data[0] : 0;
    if (count == 0 || count > GRI_GRAY_SCAN_PARTS_MAX || body.len != 4 + 2 * count)
        return gri_gray_corrupt(file, "a malformed scan header");
    if (file->scans == 0 && !has_luma(file)) return gri_gray_unusual(file);
    if (++file->scans > file->limits->max_scans)
        return gri_fail(file->error, GRI_R_corrupt_image, "JPEG: more than %d scans", file->limits->max_scans);
    const uint8_t *end = body.data + 1 + 2 * count;
    *scan = (struct gri_gray_scan){.count = (int)count, .first = end[0], .last = end[1]};
    scan->high = end[2] >> 4;
    scan->low = end[2] & 15;
    if (read_parts(file, body, scan) != GRI_OK) return file->error->status;
    if (!sound_spectrum(file, scan)) return gri_gray_corrupt(file, "a malformed scan header");
    return note_planes(file, scan);
}

enum gri_status gri_gray_check_complete(struct gri_gray_file *file) {
    if (!file->frame) return gri_gray_corrupt(file, "no frame header");
    for (int k = 0; k < GRI_GRAY_COEFFICIENTS; k++)
        if (file->components[0].planes[k] != 0) return gri_gray_corrupt(file, "scans are missing");
    return GRI_OK;
}
