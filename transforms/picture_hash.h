/* SPDX-License-Identifier: Apache-2.0 */
/* A perceptual hash of 64 bits: pictures that look alike have hashes that differ in few bits.
 *
 * The picture is brought to 32 x 32 gray pixels (a JPEG by its DC coefficients first: libjpeg's scaling by 1/8), its
 * two-dimensional DCT-II taken, and of the 64 lowest frequencies behind the mean, by u + v, each that is over their median is a
 * one (after Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010). */
#ifndef GRI_PICTURE_HASH_H
#define GRI_PICTURE_HASH_H

#include <grisaille/bytes.h>

enum { GRI_PHASH_HEX = 17 }; /* 16 hex digits and NUL */

/* Of an encoded picture of a kind that pipelines read. "" where it has nothing to tell apart (one level all over), or can't be
 * read. Threads: any, libvips being started. */
void gri_picture_hash(struct gri_slice picture, char hash[GRI_PHASH_HEX]);
/* Of 32 x 32 gray pixels that somebody has already, upright. */
void gri_picture_hash_small(const uint8_t *small, char hash[GRI_PHASH_HEX]);

#endif
