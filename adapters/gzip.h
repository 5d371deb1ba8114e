/* SPDX-License-Identifier: Apache-2.0 */
/* The port inflate.h on zlib. */
#ifndef GRISAILLE_ADAPTERS_GZIP_H
#define GRISAILLE_ADAPTERS_GZIP_H

#include <grisaille/inflate.h>

/* The implementation: static, never freed. Each gri_inflate holds about 64 KiB. */
const struct gri_inflate_ops *gri_gzip_inflate(void);

#endif
