/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer: any bytes as JSON. What is read can be written, and what was written is read as the same.
 *
 * Parser: base/json.c base/utf8.c */
#include "fuzz_kit.h"

#include <grisaille/json.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct gri_json *json = NULL, *again = NULL;
    struct gri_bytes text, second;
    struct gri_error error;
    enum gri_status status = gri_json_parse((struct gri_slice){data, size}, &json, &error);
    fuzz_check_error(status, &error);
    if (status != GRI_OK) return 0;
    gri_bytes_init(&text, 0);
    gri_bytes_init(&second, 0);
    FUZZ_CHECK(gri_json_write(json, true, &text, &error) == GRI_OK);
    FUZZ_CHECK(gri_json_parse(gri_bytes_slice(&text), &again, &error) == GRI_OK);
    FUZZ_CHECK(gri_json_write(again, true, &second, &error) == GRI_OK);
    FUZZ_CHECK(gri_slice_equal(gri_bytes_slice(&text), gri_bytes_slice(&second)));
    gri_bytes_clear(&text);
    gri_bytes_clear(&second);
    gri_json_free(json);
    gri_json_free(again);
    return 0;
}
