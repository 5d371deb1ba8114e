/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of a catalog: where they begin and end, what is trimmed off them, which are blank.
 *
 * '\n' ends a line; the end of the last line makes no line of its own. Threads: any. Slices borrow from the text. */
#ifndef GRISAILLE_CATALOG_LINES_H
#define GRISAILLE_CATALOG_LINES_H

#include <grisaille/job.h>

/* What a line is depends on its first GRI_LINE_LOOK bytes and on whether there are more; a longer one is never accepted.
 * A chunk holds at least that much of every line that begins in it, so a line that was cut is judged as the whole would be. */
enum { GRI_LINE_LOOK = 16 * 1024 };

struct gri_lines {
    struct gri_slice rest;
    int64_t number; /* of the line at the start of rest */
};

/* `first_line`: the number (from 1) of the first line that begins in the text. `continued`: the text begins inside a line
 * of the chunk before; that line's rest is skipped. */
void gri_lines_init(struct gri_lines *lines, struct gri_slice text, int64_t first_line, bool continued);
/* The next line, without its '\n'; false at the end. */
bool gri_lines_next(struct gri_lines *lines, int64_t *number, struct gri_slice *line);

/* Byte-order marks, CR, spaces and tabs off both ends, then one pair of quotes (" or ') and the same again inside it. */
struct gri_slice gri_line_trim(struct gri_slice line);
/* Empty, white space only, or '#' first. White space of more than GRI_LINE_LOOK bytes is not blank but too_long. */
bool gri_line_is_blank(struct gri_slice line);

#endif
