/* SPDX-License-Identifier: Apache-2.0 */
/* libvips for a whole process: started once, locked down, and asked for its last message. */
#ifndef GRI_VIPS_RUNTIME_H
#define GRI_VIPS_RUNTIME_H

#include <grisaille/bytes.h>

/* Starts libvips: no operation cache, one thread an image, every loader blocked but JPEG, PNG, WebP and GIF from memory, its
 * own messages on standard error dropped. Once a process, before any other thread uses it. Reason internal. */
enum gri_status gri_vips_start(const char *program, struct gri_error *error) GRI_MUST_CHECK;
/* At the end of a process, after every thread that used it has ended. */
void gri_vips_stop(void);
/* At the beginning of a thread that runs a codec, once its rights are taken: has libvips start the threads of its pool from here,
 * so that they have no more rights than this one. */
void gri_vips_thread_begin(void);
/* At the end of each thread that ran a codec: frees what libvips keeps for the thread. */
void gri_vips_thread_end(void);

/* Bytes of pixels that libvips holds for the whole process: 0 when nothing runs, unless somebody kept an image. */
size_t gri_vips_memory(void);

/* libvips' message, first line, cut to fit, and cleared. It has one buffer for all threads: a hint, never more. */
void gri_vips_message(char *text, size_t size);

#endif
