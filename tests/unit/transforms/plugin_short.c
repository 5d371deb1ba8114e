/* SPDX-License-Identifier: Apache-2.0 */
/* A plugin whose symbol says the right ABI and is too short to be one. */
#include <stdint.h>

extern const uint32_t gri_transform_plugin;
__attribute__((visibility("default"))) const uint32_t gri_transform_plugin = 1;
