/* SPDX-License-Identifier: Apache-2.0 */
/* The JPEG port (grisaille/jpeg_port.h) over libjpeg-turbo's coefficient interface.
 *
 * Memory: libjpeg holds every coefficient of every component, about 2 bytes a sample (150 MB for 50 megapixels at 4:2:0). */
#ifndef GRI_JPEG_LOSSLESS_H
#define GRI_JPEG_LOSSLESS_H

#include <grisaille/jpeg_port.h>

/* Static; any thread. */
const struct gri_jpeg_port *gri_jpeg_lossless_port(void);

#endif
