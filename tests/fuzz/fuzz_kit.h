/* SPDX-License-Identifier: Apache-2.0 */
/* What every libFuzzer harness shares: the entry point's declaration, promises that a harness checks, and input cut in parts. */
#ifndef GRISAILLE_TESTS_FUZZ_KIT_H
#define GRISAILLE_TESTS_FUZZ_KIT_H

#include <grisaille/bytes.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A promise of the code under test: broken, the input is a finding. */
#define FUZZ_CHECK(promise)                                                             \
    do {                                                                                \
        if (!(promise)) {                                                               \
            (void)fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #promise); \
            abort();                                                                    \
        }                                                                               \
    } while (0)

/* A failure tells its reason and says something. */
static inline void fuzz_check_error(enum gri_status status, const struct gri_error *error) {
    if (status == GRI_OK) return;
    FUZZ_CHECK(error->status == status && error->reason != GRI_R_none && error->detail[0] != '\0');
}

/* What stands before the first `mark` (all of it where there is none); *rest is what stands behind. */
static inline struct gri_slice fuzz_cut(struct gri_slice *rest, uint8_t mark) {
    const uint8_t *at = rest->len ? memchr(rest->data, mark, rest->len) : NULL;
    struct gri_slice part = {rest->data, at ? (size_t)(at - rest->data) : rest->len};
    size_t used = part.len + (at ? 1 : 0);
    if (used) *rest = (struct gri_slice){rest->data + used, rest->len - used};
    return part;
}

/* The part as text (up to its first NUL), or NULL where it is empty; owned by the caller. */
static inline char *fuzz_text(struct gri_slice part) {
    return part.len ? gri_strndup((const char *)part.data, strnlen((const char *)part.data, part.len)) : NULL;
}

#endif
