/* SPDX-License-Identifier: Apache-2.0 */
/* Takes the luma component out of a JPEG, coefficient by coefficient, with libjpeg-turbo.
 *
 * libjpeg is forgiving: it warns and goes on with gray filler. Here every warning ends the work, and what it does not even
 * warn of (bit planes that never came) is looked up afterwards. */
#include "jpeg_lossless.h"

#include "jpeg_exif.h"

#include <grisaille/clock.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>

enum { OUT_STEP = 32 * 1024, EXIF_KEEP = 0xFFFF };

/* One piece of work: both directions, their managers, and the way out of libjpeg's depths. */
struct work {
    struct jpeg_error_mgr errors; /* first: libjpeg's err pointer is cast back to struct work */
    jmp_buf escape;
    struct gri_error *error;
    const struct gri_jpeg_limits *limits;
    int64_t deadline_ms;
    bool unhandled; /* the escape means "decode it instead" */

    struct jpeg_decompress_struct in;
    struct jpeg_progress_mgr progress;
    struct jpeg_compress_struct out;
    struct jpeg_destination_mgr sink;
    struct gri_bytes *bytes;
    size_t start; /* length of `bytes` when we began */
};

static struct work *work_of(j_common_ptr info) {
    return (struct work *)(void *)info->err;
}

static _Noreturn void escape(struct work *work) {
    longjmp(work->escape, 1);
}

static _Noreturn void on_error(j_common_ptr info) {
    struct work *work = work_of(info);
    char text[JMSG_LENGTH_MAX];
    info->err->format_message(info, text);
    switch (info->err->msg_code) {
    case JERR_OUT_OF_MEMORY:
        gri_fail_as(work->error, GRI_RETRY, GRI_R_no_memory, "JPEG: %s", text);
        break;
    case JERR_BAD_PRECISION:
    case JERR_SOF_UNSUPPORTED:
    case JERR_ARITH_NOTIMPL:
    case JERR_CONVERSION_NOTIMPL:
    case JERR_COMPONENT_COUNT:
        work->unhandled = true;
        break;
    default:
        gri_fail(work->error, GRI_R_corrupt_image, "JPEG: %s", text);
    }
    escape(work);
}

/* level −1 is a warning: libjpeg would go on with made-up data. */
static void on_message(j_common_ptr info, int level) {
    if (level >= 0 || info->err->msg_code == JWRN_JFIF_MAJOR) /* an odd JFIF version number harms no pixel */
        return;
    if (info->err->msg_code == JWRN_ADOBE_XFORM) {
        work_of(info)->unhandled = true;
        escape(work_of(info));
    }
    on_error(info);
}

static void on_output(j_common_ptr info) {
    (void)info;
}

/* Called for each row of blocks of each scan: where a file of very many scans is stopped. */
static void on_progress(j_common_ptr info) {
    struct work *work = work_of(info);
    if (info->is_decompressor && work->in.input_scan_number > work->limits->max_scans)
        gri_fail(work->error, GRI_R_corrupt_image, "JPEG: more than %d scans", work->limits->max_scans);
    else if (gri_clock_ms() > work->deadline_ms)
        gri_fail(work->error, GRI_R_decode_timeout, "JPEG: not read within %lld ms", (long long)work->limits->timeout_ms);
    else
        return;
    escape(work);
}

static void sink_room(struct work *work) {
    size_t made = work->bytes->len - work->start;
    if (made > work->limits->max_output_bytes) {
        gri_fail(work->error, GRI_R_output_too_large, "the gray JPEG is over %zu bytes", work->limits->max_output_bytes);
        escape(work);
    }
    if (gri_bytes_reserve(work->bytes, OUT_STEP, work->error) != GRI_OK) escape(work);
    work->sink.next_output_byte = work->bytes->data + work->bytes->len;
    work->sink.free_in_buffer = OUT_STEP;
}

static void sink_begin(j_compress_ptr out) {
    sink_room(work_of((j_common_ptr)out));
}

static boolean sink_full(j_compress_ptr out) {
    struct work *work = work_of((j_common_ptr)out);
    work->bytes->len += OUT_STEP;
    sink_room(work);
    return TRUE;
}

static void sink_end(j_compress_ptr out) {
    struct work *work = work_of((j_common_ptr)out);
    work->bytes->len += OUT_STEP - work->sink.free_in_buffer;
}

static int orientation_of(const struct jpeg_decompress_struct *in) {
    for (jpeg_saved_marker_ptr marker = in->marker_list; marker; marker = marker->next) {
        if (marker->marker != JPEG_APP0 + 1) continue;
        int orientation = gri_jpeg_exif_orientation((struct gri_slice){marker->data, marker->data_length});
        if (orientation != 1) return orientation;
    }
    return 1;
}

/* Whether the file has a luma component that is the gray picture as it stands. */
static bool has_luma(const struct jpeg_decompress_struct *in) {
    if (in->data_precision != 8 || in->arith_code) return false;
    if (in->jpeg_color_space == JCS_GRAYSCALE) return in->num_components == 1;
    return in->jpeg_color_space == JCS_YCbCr && in->num_components == 3 &&
           in->comp_info[0].h_samp_factor == in->max_h_samp_factor && in->comp_info[0].v_samp_factor == in->max_v_samp_factor;
}

/* Reads all scans. What libjpeg lets pass: a file whose luma scans, or their last bit planes, never came. */
static jvirt_barray_ptr *read_luma(struct work *work) {
    jvirt_barray_ptr *coefficients = jpeg_read_coefficients(&work->in);
    bool complete = coefficients && work->in.comp_info[0].quant_table;
    for (int k = 0; complete && work->in.progressive_mode && k < DCTSIZE2; k++)
        complete = work->in.coef_bits[0][k] == 0;
    if (!complete) {
        gri_fail(work->error, GRI_R_corrupt_image, "JPEG: scans of the luma component are missing");
        escape(work);
    }
    return coefficients;
}

static void write_luma(struct work *work, jvirt_barray_ptr *coefficients, bool progressive) {
    struct jpeg_compress_struct *out = &work->out;
    out->dest = &work->sink;
    out->image_width = work->in.image_width;
    out->image_height = work->in.image_height;
    out->input_components = 1;
    out->in_color_space = JCS_GRAYSCALE;
    jpeg_set_defaults(out);
    jpeg_set_colorspace(out, JCS_GRAYSCALE);
    if (!out->quant_tbl_ptrs[0]) out->quant_tbl_ptrs[0] = jpeg_alloc_quant_table((j_common_ptr)out);
    memcpy(out->quant_tbl_ptrs[0]->quantval, work->in.comp_info[0].quant_table->quantval,
           sizeof out->quant_tbl_ptrs[0]->quantval);
    out->quant_tbl_ptrs[0]->sent_table = FALSE;
    out->optimize_coding = TRUE;
    if (progressive) jpeg_simple_progression(out);
    jpeg_write_coefficients(out, coefficients);
    jpeg_finish_compress(out);
}

static void transfer(struct work *work, struct gri_slice source, bool progressive, struct gri_jpeg_info *info) {
    struct jpeg_decompress_struct *in = &work->in;
    jpeg_create_decompress(in);
    jpeg_create_compress(&work->out);
    in->progress = &work->progress;
    work->out.progress = &work->progress;
    jpeg_mem_src(in, source.data, (unsigned long)source.len);
    jpeg_save_markers(in, JPEG_APP0 + 1, EXIF_KEEP);
    jpeg_read_header(in, TRUE);
    *info =
        (struct gri_jpeg_info){.width = (int)in->image_width, .height = (int)in->image_height, .orientation = orientation_of(in)};
    if ((int64_t)in->image_width * (int64_t)in->image_height > work->limits->max_pixels) {
        gri_fail(work->error, GRI_R_too_many_pixels, "%u × %u is over %lld pixels", in->image_width, in->image_height,
                 (long long)work->limits->max_pixels);
        escape(work);
    }
    if (!has_luma(in)) {
        work->unhandled = true;
        escape(work);
    }
    jvirt_barray_ptr *coefficients = read_luma(work);
    info->trailing_bytes = (int64_t)in->src->bytes_in_buffer;
    write_luma(work, coefficients, progressive);
    if (work->bytes->len - work->start > work->limits->max_output_bytes) {
        gri_fail(work->error, GRI_R_output_too_large, "the gray JPEG is over %zu bytes", work->limits->max_output_bytes);
        escape(work);
    }
}

static void work_init(struct work *work, const struct gri_jpeg_limits *limits, struct gri_bytes *out, struct gri_error *error) {
    memset(work, 0, sizeof *work);
    work->error = error;
    work->limits = limits;
    work->deadline_ms = gri_clock_ms() + limits->timeout_ms;
    work->bytes = out;
    work->start = out->len;
    jpeg_std_error(&work->errors);
    work->errors.error_exit = on_error;
    work->errors.emit_message = on_message;
    work->errors.output_message = on_output;
    work->progress.progress_monitor = on_progress;
    work->sink.init_destination = sink_begin;
    work->sink.empty_output_buffer = sink_full;
    work->sink.term_destination = sink_end;
    work->in.err = &work->errors;
    work->out.err = &work->errors;
}

/* Ends what transfer() began, in whatever state it left it (libjpeg's destroy takes zeroed structs too). */
static void work_clear(struct work *work) {
    jpeg_destroy_compress(&work->out);
    jpeg_destroy_decompress(&work->in);
}

static enum gri_status jpeg_gray(struct gri_slice source, bool progressive, const struct gri_jpeg_limits *limits,
                                 struct gri_bytes *out, struct gri_jpeg_info *info, bool *handled, struct gri_error *error) {
    struct work *work = gri_calloc(1, sizeof *work); /* on the heap: a local changed after setjmp would be indeterminate */
    work_init(work, limits, out, error);
    *info = (struct gri_jpeg_info){.orientation = 1};
    *handled = false;
    enum gri_status status = GRI_OK;
    if (setjmp(work->escape) == 0) {
        transfer(work, source, progressive, info);
        *handled = true;
    } else {
        out->len = work->start;
        if (out->data) out->data[out->len] = 0;
        status = work->unhandled ? GRI_OK : error->status;
    }
    work_clear(work);
    free(work);
    if (*handled) out->data[out->len] = 0;
    return status;
}

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)

static const char *jpeg_version(void) {
    return "libjpeg-turbo " TEXT(LIBJPEG_TURBO_VERSION);
}

const struct gri_jpeg_port *gri_jpeg_lossless_port(void) {
    static const struct gri_jpeg_port port = {.gray = jpeg_gray, .version = jpeg_version};
    return &port;
}
