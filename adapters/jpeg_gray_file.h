/* SPDX-License-Identifier: Apache-2.0 */
/* One file on its way from colour to gray: what its markers said so far, and the buffers of the work. */
#ifndef GRI_JPEG_GRAY_FILE_H
#define GRI_JPEG_GRAY_FILE_H

#include "jpeg_gray_scans.h"

#include <grisaille/jpeg_port.h>

enum { GRI_GRAY_COMPONENTS_MAX = 3, GRI_GRAY_TABLES = 4, GRI_GRAY_COEFFICIENTS = 64, GRI_GRAY_SCAN_PARTS_MAX = 4 };

struct gri_gray_component {
    uint8_t id, across, down, quant;      /* sampling factors and quantisation table, as in the frame header */
    int8_t planes[GRI_GRAY_COEFFICIENTS]; /* lowest bit plane seen of each coefficient, −1: none */
};

struct gri_gray_scan {
    int count;
    struct {
        int component;
        uint8_t dc, ac; /* numbers of Huffman tables */
    } parts[GRI_GRAY_SCAN_PARTS_MAX];
    int first, last;        /* Ss, Se */
    unsigned high, low;     /* Ah, Al */
    struct gri_slice data;  /* entropy-coded, as in the source */
    struct gri_slice clean; /* the same un-stuffed and padded, without restart markers; data NULL when it was not asked for */
    size_t intervals;       /* 1, and one more for each restart marker */
};

/* Huffman tables made ready. On the heap: too much for a thread's stack. */
struct gri_gray_tables {
    struct gri_huffman dc[GRI_GRAY_SCAN_PARTS_MAX], ac[GRI_GRAY_SCAN_PARTS_MAX]; /* of this scan, by its parts */
    struct gri_huffman bands[2];                                                 /* of this scan, and of the one that waits */
};

struct gri_gray_file {
    struct gri_slice source;
    size_t at;
    const struct gri_jpeg_limits *limits;
    const struct gri_gray_loops *loops;
    struct gri_jpeg_info *info;
    struct gri_error *error;
    int64_t deadline_ms;
    bool progressive_only;
    bool unusual; /* a failure that is none: of a kind that is not done here */

    /* What is in force. */
    struct gri_huffman_spec dc[GRI_GRAY_TABLES], ac[GRI_GRAY_TABLES];
    uint16_t quant[GRI_GRAY_TABLES][GRI_GRAY_COEFFICIENTS]; /* zigzag order, as in the file */
    bool quant_known[GRI_GRAY_TABLES];
    unsigned restart; /* MCUs of an interval; 0: there are none */
    bool jfif, adobe;
    uint8_t adobe_transform;

    /* The frame. */
    uint8_t frame; /* marker: SOF0, SOF1 or SOF2; 0: not come yet */
    int count, across_max, down_max;
    struct gri_gray_component components[GRI_GRAY_COMPONENTS_MAX];
    size_t blocks_across, blocks_down; /* of luma */
    int scans;

    /* Owned. */
    uint8_t *clean;    /* source.len + paddings; made at the first need */
    size_t clean_used; /* by the scan that waits */
    uint64_t *masks;   /* a block each, and one more */
    uint32_t *ends;    /* of the scan's intervals, in its un-stuffed bytes; a block each, when there are any */
    struct gri_gray_tables *tables;

    struct gri_gray_band waiting; /* to be validated with the next one of its kind; table NULL: none */
    bool waiting_refines;

    /* The output. */
    struct gri_bytes *out;
    size_t start; /* its length when we began */
    bool headed;  /* frame header written */
    unsigned written_restart;
    struct gri_huffman_spec written_dc, written_ac; /* count 0: none yet */
};

enum {
    GRI_JPEG_TEM = 0x01,
    GRI_JPEG_SOF0 = 0xC0,
    GRI_JPEG_SOF1 = 0xC1,
    GRI_JPEG_SOF2 = 0xC2,
    GRI_JPEG_DHT = 0xC4,
    GRI_JPEG_JPG = 0xC8,
    GRI_JPEG_DAC = 0xCC,
    GRI_JPEG_SOF15 = 0xCF,
    GRI_JPEG_RST0 = 0xD0,
    GRI_JPEG_RST7 = 0xD7,
    GRI_JPEG_SOI = 0xD8,
    GRI_JPEG_EOI = 0xD9,
    GRI_JPEG_SOS = 0xDA,
    GRI_JPEG_DQT = 0xDB,
    GRI_JPEG_DRI = 0xDD,
    GRI_JPEG_APP0 = 0xE0,
    GRI_JPEG_APP1 = 0xE1,
    GRI_JPEG_APP14 = 0xEE,
    GRI_JPEG_APP15 = 0xEF,
    GRI_JPEG_COM = 0xFE
};

/* Reason corrupt_image, with the place. */
enum gri_status gri_gray_corrupt(struct gri_gray_file *file, const char *what);
/* Of a kind that is not done here: `unusual` is set, the error is not. */
enum gri_status gri_gray_unusual(struct gri_gray_file *file);

/* jpeg_gray_segments.c: DQT, DHT, DRI, APPn and the frame header; `body` is without its length. */
enum gri_status gri_gray_read_segment(struct gri_gray_file *file, int marker, struct gri_slice body);
/* jpeg_gray_script.c: a scan header, checked against the frame and the scans before it. */
enum gri_status gri_gray_read_scan_header(struct gri_gray_file *file, struct gri_slice body, struct gri_gray_scan *scan);
/* … every bit plane of luma came. */
enum gri_status gri_gray_check_complete(struct gri_gray_file *file);
/* MCUs of a scan of luma. */
size_t gri_gray_scan_mcus(const struct gri_gray_file *file, const struct gri_gray_scan *scan);
/* jpeg_gray_luma.c: a scan that brings luma: checked, and written. */
enum gri_status gri_gray_take_scan(struct gri_gray_file *file, const struct gri_gray_scan *scan);
/* … validates the one that still waits, if there is one. */
enum gri_status gri_gray_finish_bands(struct gri_gray_file *file);

/* jpeg_gray_small.c: info->small from luma's DC values, `low` bits short of what they are; one in `element` numbers of 16 bits,
 * `stride` of them a row. */
void gri_gray_shrink(struct gri_gray_file *file, const int16_t *dc, size_t element, size_t stride, unsigned low);

/* jpeg_gray_write.c: the output. Tables are written when they differ from those written last. */
enum gri_status gri_gray_write_head(struct gri_gray_file *file); /* up to the frame header; NULL tables stay as they are */
enum gri_status gri_gray_write_scan_header(struct gri_gray_file *file, const struct gri_gray_scan *scan, unsigned restart,
                                           const struct gri_huffman_spec *dc, const struct gri_huffman_spec *ac);
enum gri_status gri_gray_write_raw(struct gri_gray_file *file, struct gri_slice data);     /* stuffed already */
enum gri_status gri_gray_write_stuffed(struct gri_gray_file *file, struct gri_slice data); /* a zero after each 0xFF */

#endif
