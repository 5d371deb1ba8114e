/* SPDX-License-Identifier: Apache-2.0 */
/* What several built-in transforms need: colours, places, tables of tones, sizes. Any thread. */
#ifndef GRI_TRANSFORM_KIT_H
#define GRI_TRANSFORM_KIT_H

#include <grisaille/transform.h>
#include <vips/vips.h>

enum { GRI_KIT_SIDE_MAX = 16384, GRI_KIT_COLOR_SIZE = 8 };

/* "#rrggbb". False: it is not of that form. */
bool gri_kit_color(const char *text, uint8_t rgb[3]);
/* The same for `check`: says which parameter is wrong. */
bool gri_kit_check_color(const char *name, const char *text, struct gri_transform_error *error);
/* *out: `in`, made sRGB where a gray picture must show a colour that is none; `ink`: the colour in its bands. Non-zero: failed.
 */
int gri_kit_ground(VipsImage *in, const uint8_t rgb[3], VipsImage **out, VipsArrayDouble **ink);

/* Where a smaller box lies in a larger one; the choices of a parameter. */
extern const char *const gri_kit_places[];
enum { GRI_KIT_CENTRE = 4, GRI_KIT_PLACES = 9, GRI_KIT_BOTTOM_RIGHT = 8 };
void gri_kit_place(int place, int room_across, int room_down, int *left, int *top);

/* Maps tones by tables: one for all bands, or three for the bands of an sRGB result (also of a gray picture). */
int gri_kit_map(VipsImage *in, const uint8_t (*tables)[256], int bands, VipsImage **out);

/* A side of `from` pixels scaled, in whole pixels: 1 to GRI_KIT_SIDE_MAX. */
int gri_kit_side(int from, double scale);
/* Scales to exactly width × height. `kernel`: of VipsKernel. */
int gri_kit_scale(VipsImage *in, int width, int height, VipsKernel kernel, VipsImage **out);
/* For `shrink`: how much may be taken off before scaling, when at least a factor of two shall be left to the kernel. */
double gri_kit_shrink(int from_width, int from_height, int to_width, int to_height);

/* Gray by ITU-R BT.601, in Pillow's integers; of a gray picture itself. */
int gri_kit_luma(VipsImage *in, VipsImage **out);

#endif
