/* SPDX-License-Identifier: Apache-2.0 */
/* A plugin whose symbol says the right ABI and a size that is not this one's: built against a header that someone changed. */
#include <stdint.h>

extern const uint32_t gri_transform_plugin[2];
__attribute__((visibility("default"))) const uint32_t gri_transform_plugin[2] = {1, 8};
