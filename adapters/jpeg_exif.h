/* SPDX-License-Identifier: Apache-2.0 */
/* The orientation told by an EXIF segment. Any thread; reads hostile bytes. */
#ifndef GRI_JPEG_EXIF_H
#define GRI_JPEG_EXIF_H

#include <grisaille/bytes.h>

/* `segment`: the body of an APP1 marker, from "Exif\0\0" on. The orientation of the first directory (tag 0x0112), 1 to 8;
 * 1 when there is none or the segment can't be read, as viewers do. (CIPA DC-008, 4.6.) */
int gri_jpeg_exif_orientation(struct gri_slice segment);

#endif
