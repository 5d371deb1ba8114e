/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8 well-formedness (utf8.h). */
#include "utf8.h"

static bool continues(uint8_t byte, uint8_t low, uint8_t high) {
    return byte >= low && byte <= high;
}

size_t gri_utf8_length(const uint8_t *text, size_t len) {
    if (len == 0) return 0;
    uint8_t lead = text[0];
    if (lead < 0x80) return lead != 0; /* C readers of the text would stop at a NUL */
    if (lead < 0xc2 || lead > 0xf4) return 0;
    size_t need = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    if (len < need) return 0;
    uint8_t low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    uint8_t high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (!continues(text[1], low, high)) return 0;
    for (size_t i = 2; i < need; i++) {
        if (!continues(text[i], 0x80, 0xbf)) return 0;
    }
    return need;
}

bool gri_utf8_valid(struct gri_slice text) {
    for (size_t i = 0; i < text.len;) {
        size_t n = gri_utf8_length(text.data + i, text.len - i);
        if (n == 0) return false;
        i += n;
    }
    return true;
}

void gri_utf8_put_clean(struct gri_bytes *out, struct gri_slice text) {
    for (size_t i = 0; i < text.len;) {
        size_t run = i, n = 0;
        while (run < text.len && (n = gri_utf8_length(text.data + run, text.len - run)) > 0)
            run += n;
        gri_bytes_put_slice(out, (struct gri_slice){text.data + i, run - i});
        if (run < text.len) {
            gri_bytes_put(out, "\xef\xbf\xbd");
            run++;
        }
        i = run;
    }
}
