/* SPDX-License-Identifier: Apache-2.0 */
/* Runs gray without decoding over any bytes and holds it against libjpeg. */
#include "jpeg_trial.h"

#include "jpeg_gray.h"
#include "jpeg_judge.h"

#include <string.h>

struct answer {
    enum gri_status status;
    struct gri_bytes out;
    struct gri_jpeg_info info;
    bool handled;
    struct gri_error error;
};

static struct answer take(struct gri_slice source, unsigned form, enum gri_jpeg_verify verify) {
    struct gri_jpeg_limits limits = {
        .max_pixels = 1 << 20, .max_output_bytes = 8 << 20, .timeout_ms = 60000, .max_scans = 100, .verify = verify};
    struct answer answer = {0};
    gri_bytes_init(&answer.out, 0);
    answer.status = gri_jpeg_gray_take(source, form, &limits, &answer.out, &answer.info, &answer.handled, &answer.error);
    return answer;
}

static bool same_output(const struct answer *a, const struct answer *b) {
    return a->status == b->status && a->handled == b->handled && a->out.len == b->out.len &&
           (a->out.len == 0 || memcmp(a->out.data, b->out.data, a->out.len) == 0);
}

static void say(struct trial *trial, const char *what, const char *detail) {
    (void)gri_format(trial->wrong, sizeof trial->wrong, "%s%s", what, detail);
}

static void judge_taken(struct gri_slice source, const struct answer *answer, struct trial *trial) {
    struct judgement before, after;
    judge_jpeg(source, &before);
    judge_jpeg(gri_bytes_slice(&answer->out), &after);
    if (!before.luma_sound)
        say(trial, "taken, though libjpeg complains of luma: ", before.said);
    else if (!after.readable || !after.luma_sound)
        say(trial, "libjpeg complains of the output: ", after.said);
    else if (before.readable && !judgements_agree(&before, &after))
        say(trial, "the output has other coefficients", "");
    judgement_clear(&before);
    judgement_clear(&after);
}

void trial_run(struct gri_slice source, bool strict, struct trial *trial) {
    *trial = (struct trial){0};
    struct answer full = take(source, 0, GRI_JPEG_VERIFY_FULL),
                  portable = take(source, GRI_JPEG_GRAY_PORTABLE, GRI_JPEG_VERIFY_FULL),
                  structure = take(source, 0, GRI_JPEG_VERIFY_STRUCTURE);
    trial->taken = full.status == GRI_OK && full.handled;
    trial->refused = full.status != GRI_OK && full.error.reason == GRI_R_corrupt_image;
    if (!same_output(&full, &portable) || (full.status != GRI_OK && strcmp(full.error.detail, portable.error.detail) != 0))
        say(trial, "the forms differ: ", portable.error.detail);
    else if (!full.handled && full.out.len > 0)
        say(trial, "output, though nothing was handled", "");
    else if (trial->taken && !same_output(&full, &structure))
        say(trial, "structure checks give something else: ", structure.error.detail);
    else if (trial->taken)
        judge_taken(source, &full, trial);
    if (strict && trial->refused) {
        struct judgement before;
        judge_jpeg(source, &before);
        trial->stricter = before.readable && before.luma_sound;
        judgement_clear(&before);
    }
    gri_bytes_clear(&full.out);
    gri_bytes_clear(&portable.out);
    gri_bytes_clear(&structure.out);
}
