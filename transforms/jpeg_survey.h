/* SPDX-License-Identifier: Apache-2.0 */
/* Walks a JPEG's markers without decoding: what decoders forgive is found here. Reads hostile bytes; any thread.
 * Source of the format: ITU-T T.81, annexes B and G. */
#ifndef GRI_JPEG_SURVEY_H
#define GRI_JPEG_SURVEY_H

#include <grisaille/bytes.h>

enum { GRI_JPEG_SCANS_MAX = 100 };

struct gri_jpeg_survey {
    int width, height, components, scans;
    bool progressive;
    int64_t trailing_bytes; /* after the end-of-image marker */
};

/* Reason corrupt_image: no end marker, a segment past the end, a second frame, scans or bit planes that are missing
 * (`luma_only`: of the first component; the others don't matter), over GRI_JPEG_SCANS_MAX scans. Reason
 * unsupported_format: lossless, hierarchical or other than 8 bits a sample. */
enum gri_status gri_jpeg_survey(struct gri_slice source, bool luma_only, struct gri_jpeg_survey *survey,
                                struct gri_error *error) GRI_MUST_CHECK;

#endif
