/* SPDX-License-Identifier: Apache-2.0 */
/* Starts and stops libvips, and takes its messages. */
#include "vips_runtime.h"

#include <string.h>
#include <vips/vips.h>

static void drop_log(const char *domain, GLogLevelFlags level, const char *message, void *arg) {
    (void)domain;
    (void)level;
    (void)message;
    (void)arg;
}

/* Vector code is compiled into memory that ORC gets by way of a temporary file: now, while files may be opened. Nothing is
 * computed here, so that no thread of libvips' pool starts with more rights than a decoder is to have. */
static void get_code_memory(void) {
    enum { SIDE = 64 };
    VipsImage *black = NULL, *half = NULL;
    if (vips_black(&black, SIDE, SIDE, NULL) == 0) (void)vips_resize(black, &half, 0.5, NULL);
    g_clear_object(&half);
    g_clear_object(&black);
    vips_error_clear();
}

enum gri_status gri_vips_start(const char *program, struct gri_error *error) {
    /* what it warns of is an error of the image, and standard error is for the log's JSON lines */
    g_log_set_handler("VIPS", G_LOG_LEVEL_WARNING | G_LOG_LEVEL_MESSAGE | G_LOG_LEVEL_INFO | G_LOG_LEVEL_DEBUG, drop_log, NULL);
    if (VIPS_INIT(program)) {
        char text[200];
        gri_vips_message(text, sizeof text);
        return gri_fail(error, GRI_R_internal, "libvips does not start: %s", text);
    }
    vips_block_untrusted_set(TRUE);
    vips_operation_block_set("VipsForeignLoad", TRUE);
    vips_operation_block_set("VipsForeignLoadJpegBuffer", FALSE);
    vips_operation_block_set("VipsForeignLoadPngBuffer", FALSE);
    vips_operation_block_set("VipsForeignLoadWebpBuffer", FALSE);
    vips_operation_block_set("VipsForeignLoadNsgifBuffer", FALSE);
    vips_cache_set_max(0);
    vips_concurrency_set(1);
    get_code_memory();
    return GRI_OK;
}

void gri_vips_stop(void) {
    vips_shutdown();
}

void gri_vips_thread_begin(void) {
    enum { SIDE = 64 };
    VipsImage *black = NULL, *white = NULL, *pixels = NULL;
    if (vips_black(&black, SIDE, SIDE, NULL) == 0 && vips_invert(black, &white, NULL) == 0)
        pixels = vips_image_copy_memory(white);
    g_clear_object(&pixels);
    g_clear_object(&white);
    g_clear_object(&black);
}

void gri_vips_thread_end(void) {
    vips_thread_shutdown();
}

size_t gri_vips_memory(void) {
    return vips_tracked_get_mem();
}

void gri_vips_message(char *text, size_t size) {
    char *message = vips_error_buffer_copy();
    g_strdelimit(message, "\r", ' ');
    message[strcspn(message, "\n")] = 0;
    gri_copy(text, size, *message ? message : "libvips gave no message");
    g_free(message);
}
