/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of a catalog. */
#include "lines.h"

#include <string.h>

void gri_lines_init(struct gri_lines *lines, struct gri_slice text, int64_t first_line, bool continued) {
    *lines = (struct gri_lines){text, first_line};
    if (!continued) return;
    const uint8_t *end = text.len ? memchr(text.data, '\n', text.len) : NULL;
    size_t skip = end ? (size_t)(end - text.data) + 1 : text.len;
    lines->rest = (struct gri_slice){text.data + skip, text.len - skip};
}

bool gri_lines_next(struct gri_lines *lines, int64_t *number, struct gri_slice *line) {
    if (lines->rest.len == 0) return false;
    const uint8_t *end = memchr(lines->rest.data, '\n', lines->rest.len);
    size_t len = end ? (size_t)(end - lines->rest.data) : lines->rest.len;
    size_t used = end ? len + 1 : len;
    *line = (struct gri_slice){lines->rest.data, len};
    *number = lines->number++;
    lines->rest = (struct gri_slice){lines->rest.data + used, lines->rest.len - used};
    return true;
}

static bool is_space(uint8_t c) {
    return c == ' ' || c == '\t' || c == '\r';
}

static bool is_mark(const uint8_t *at) {
    return at[0] == 0xef && at[1] == 0xbb && at[2] == 0xbf;
}

static struct gri_slice trim_space(struct gri_slice text) {
    for (;;) {
        size_t off = text.len && is_space(text.data[0]) ? 1 : text.len >= 3 && is_mark(text.data) ? 3 : 0;
        if (off == 0) break;
        text = (struct gri_slice){text.data + off, text.len - off};
    }
    for (;;) {
        if (text.len && is_space(text.data[text.len - 1])) {
            text.len--;
        } else if (text.len >= 3 && is_mark(text.data + text.len - 3)) {
            text.len -= 3;
        } else {
            return text;
        }
    }
}

struct gri_slice gri_line_trim(struct gri_slice line) {
    struct gri_slice text = trim_space(line);
    if (text.len < 2 || text.data[0] != text.data[text.len - 1]) return text;
    if (text.data[0] != '"' && text.data[0] != '\'') return text;
    return trim_space((struct gri_slice){text.data + 1, text.len - 2});
}

bool gri_line_is_blank(struct gri_slice line) {
    bool more = line.len > GRI_LINE_LOOK;
    if (more) line.len = GRI_LINE_LOOK;
    struct gri_slice text = trim_space(line);
    return text.len ? text.data[0] == '#' : !more;
}
