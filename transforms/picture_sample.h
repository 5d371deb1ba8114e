/* SPDX-License-Identifier: Apache-2.0 */
/* A picture to try transforms on. */
#ifndef GRI_PICTURE_SAMPLE_H
#define GRI_PICTURE_SAMPLE_H

#include <grisaille/bytes.h>

/* Appends a colour JPEG with smooth parts, edges and texture; the same bytes each time. Reason internal. */
enum gri_status gri_picture_sample(int width, int height, struct gri_bytes *out, struct gri_error *error) GRI_MUST_CHECK;

#endif
