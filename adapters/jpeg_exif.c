/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the orientation in an EXIF segment, and nothing else of it. */
#include "jpeg_exif.h"

#include <string.h>

enum { EXIF_HEAD = 6, TIFF_HEAD = 8, ENTRY_SIZE = 12, TAG_ORIENTATION = 0x0112, TYPE_SHORT = 3 };

/* 16 or 32 bits at `at` in the file's byte order; the caller has checked the bounds. */
static uint32_t read_u16(const uint8_t *at, bool big) {
    return big ? (uint32_t)(at[0] << 8 | at[1]) : (uint32_t)(at[1] << 8 | at[0]);
}

static uint32_t read_u32(const uint8_t *at, bool big) {
    return big ? read_u16(at, big) << 16 | read_u16(at + 2, big) : read_u16(at + 2, big) << 16 | read_u16(at, big);
}

int gri_jpeg_exif_orientation(struct gri_slice segment) {
    if (segment.len < EXIF_HEAD + TIFF_HEAD || memcmp(segment.data, "Exif\0\0", EXIF_HEAD) != 0) return 1;
    const uint8_t *tiff = segment.data + EXIF_HEAD;
    size_t len = segment.len - EXIF_HEAD;
    bool big = memcmp(tiff, "MM\0*", 4) == 0;
    if (!big && memcmp(tiff, "II*\0", 4) != 0) return 1;
    size_t directory = read_u32(tiff + 4, big);
    if (directory > len - 2) return 1;
    size_t count = read_u16(tiff + directory, big);
    size_t room = (len - directory - 2) / ENTRY_SIZE;
    for (size_t i = 0; i < count && i < room; i++) {
        const uint8_t *entry = tiff + directory + 2 + i * ENTRY_SIZE;
        if (read_u16(entry, big) != TAG_ORIENTATION) continue;
        uint32_t value = read_u16(entry + 8, big);
        bool sound = read_u16(entry + 2, big) == TYPE_SHORT && read_u32(entry + 4, big) == 1 && value >= 1 && value <= 8;
        return sound ? (int)value : 1;
    }
    return 1;
}
