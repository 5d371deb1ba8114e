/* SPDX-License-Identifier: Apache-2.0 */
/* Computes an image within a deadline, by libvips' progress signal and its kill flag. */
#include "vips_pixels.h"

#include "vips_runtime.h"

#include <grisaille/clock.h>

struct watch {
    int64_t deadline_ms;
    bool killed;
};

static void on_eval(VipsImage *image, VipsProgress *progress, gpointer arg) {
    (void)progress;
    struct watch *watch = arg;
    if (gri_clock_ms() <= watch->deadline_ms) return;
    watch->killed = true;
    vips_image_set_kill(image, TRUE);
}

enum gri_status gri_vips_compute(VipsImage *in, int64_t deadline_ms, enum gri_reason reason, const char *what, VipsImage **out,
                                 struct gri_error *error) {
    struct watch watch = {deadline_ms, gri_clock_ms() > deadline_ms};
    if (!watch.killed) {
        vips_image_set_progress(in, TRUE);
        gulong handler = g_signal_connect(in, "eval", G_CALLBACK(on_eval), &watch);
        *out = vips_image_copy_memory(in);
        g_signal_handler_disconnect(in, handler);
        vips_image_set_progress(in, FALSE);
        if (*out) /* progress signals of what follows go to whom it concerns */
            vips_image_set_progress(*out, FALSE);
        if (*out && !watch.killed) return GRI_OK;
        g_clear_object(out);
    }
    char text[200];
    gri_vips_message(text, sizeof text);
    if (watch.killed) return gri_fail(error, GRI_R_decode_timeout, "%s took longer than image.timeout_ms", what);
    return gri_fail(error, reason, "%s: %s", what, text);
}
