/* SPDX-License-Identifier: Apache-2.0 */
/* The job key. */
#include "job_key.h"

void gri_job_key(const struct gri_crypto *crypto, const char *url, const char *salt, const char *pipeline_name,
                 char key[GRI_KEY_MAX]) {
    char sum[GRI_SHA256_HEX];
    struct gri_sha256 *running = crypto->sha256_begin();
    crypto->sha256_add(running, gri_slice_of(url));
    if (salt) {
        crypto->sha256_add(running, gri_slice_of("\n"));
        crypto->sha256_add(running, gri_slice_of(salt));
    }
    crypto->sha256_end(running, sum);
    GRI_ASSERT(gri_format(key, GRI_KEY_MAX, "%s:%s", sum, pipeline_name));
}
