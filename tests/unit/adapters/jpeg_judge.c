/* SPDX-License-Identifier: Apache-2.0 */
/* Reads luma's coefficients with libjpeg, warnings noted by the scan they are about. */
#include "jpeg_judge.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>

enum { SCANS_MAX = 100 };

struct judge {
    struct jpeg_error_mgr errors; /* first */
    jmp_buf escape;
    struct jpeg_decompress_struct in;
    struct jpeg_progress_mgr progress;
    bool blamed;
    char said[JMSG_LENGTH_MAX];
};

/* Whatever is said is about luma, unless a scan without it was the last to begin. */
static void blame(struct judge *judge) {
    struct jpeg_decompress_struct *in = &judge->in;
    bool luma = in->input_scan_number == 0;
    for (int i = 0; i < in->comps_in_scan && i < MAX_COMPS_IN_SCAN; i++)
        luma = luma || (in->cur_comp_info[i] && in->cur_comp_info[i]->component_index == 0);
    if (!luma) return;
    if (!judge->blamed) judge->errors.format_message((j_common_ptr)&judge->in, judge->said);
    judge->blamed = true;
}

static _Noreturn void on_error(j_common_ptr info) {
    struct judge *judge = (struct judge *)(void *)info->err;
    blame(judge);
    longjmp(judge->escape, 1);
}

static void on_message(j_common_ptr info, int level) {
    const struct judge *judge = (const struct judge *)(void *)info->err;
    /* With restart intervals, bytes that were passed over in one scan are told in another, whose fault they need not be. */
    if (info->err->msg_code == JWRN_EXTRANEOUS_DATA && judge->in.restart_interval != 0) return;
    if (level < 0 && info->err->msg_code != JWRN_JFIF_MAJOR) blame((struct judge *)(void *)info->err);
}

static void on_progress(j_common_ptr info) {
    struct judge *judge = (struct judge *)(void *)info->err;
    if (judge->in.input_scan_number <= SCANS_MAX) return;
    judge->blamed = true;
    longjmp(judge->escape, 1);
}

static void take_coefficients(struct judge *judge, struct judgement *judgement) {
    struct jpeg_decompress_struct *in = &judge->in;
    jvirt_barray_ptr *arrays = jpeg_read_coefficients(in);
    const jpeg_component_info *luma = &in->comp_info[0];
    for (int k = 0; in->progressive_mode && k < DCTSIZE2; k++)
        if (in->coef_bits[0][k] != 0) judge->blamed = true;
    if (!luma->quant_table) {
        judge->blamed = true;
        return;
    }
    judgement->width = (int)in->image_width;
    judgement->height = (int)in->image_height;
    JDIMENSION across = (in->image_width + 7) / 8, down = (in->image_height + 7) / 8;
    if (across != luma->width_in_blocks || down != luma->height_in_blocks) return; /* luma is not the largest */
    memcpy(judgement->quant, luma->quant_table->quantval, sizeof judgement->quant);
    judgement->blocks = (size_t)across * down;
    judgement->coefficients = malloc(judgement->blocks * sizeof(JBLOCK));
    for (JDIMENSION y = 0; y < down; y++) {
        JBLOCKARRAY rows = in->mem->access_virt_barray((j_common_ptr)in, arrays[0], y, 1, FALSE);
        memcpy(judgement->coefficients + (size_t)y * across * DCTSIZE2, rows[0], across * sizeof(JBLOCK));
    }
    judgement->readable = true;
}

void judge_jpeg(struct gri_slice jpeg, struct judgement *judgement) {
    struct judge *judge = calloc(1, sizeof *judge);
    memset(judgement, 0, sizeof *judgement);
    jpeg_std_error(&judge->errors);
    judge->errors.error_exit = on_error;
    judge->errors.emit_message = on_message;
    judge->progress.progress_monitor = on_progress;
    judge->in.err = &judge->errors;
    if (setjmp(judge->escape) == 0) {
        jpeg_create_decompress(&judge->in);
        judge->in.progress = &judge->progress;
        jpeg_mem_src(&judge->in, jpeg.data, (unsigned long)jpeg.len);
        jpeg_read_header(&judge->in, TRUE);
        take_coefficients(judge, judgement);
    }
    judgement->luma_sound = !judge->blamed;
    (void)gri_copy(judgement->said, sizeof judgement->said, judge->said);
    jpeg_destroy_decompress(&judge->in);
    free(judge);
}

void judgement_clear(struct judgement *judgement) {
    free(judgement->coefficients);
    judgement->coefficients = NULL;
}

bool judgements_agree(const struct judgement *a, const struct judgement *b) {
    return a->readable && b->readable && a->width == b->width && a->height == b->height && a->blocks == b->blocks &&
           memcmp(a->quant, b->quant, sizeof a->quant) == 0 &&
           memcmp(a->coefficients, b->coefficients, a->blocks * 64 * sizeof *a->coefficients) == 0;
}
