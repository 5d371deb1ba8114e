/* SPDX-License-Identifier: Apache-2.0 */
/* Pixels made real: libvips is lazy, so this is where time passes and errors show up. */
#ifndef GRI_VIPS_PIXELS_H
#define GRI_VIPS_PIXELS_H

#include <grisaille/status.h>
#include <vips/vips.h>

/* Computes `in` into memory: *out is a new reference. Past `deadline_ms` it is killed: reason decode_timeout; any other
 * failure has `reason`. `what` ("decoding") begins the message. */
enum gri_status gri_vips_compute(VipsImage *in, int64_t deadline_ms, enum gri_reason reason, const char *what, VipsImage **out,
                                 struct gri_error *error) GRI_MUST_CHECK;

#endif
