/* SPDX-License-Identifier: Apache-2.0 */
/* The job key: "<SHA-256 hex of the canonical URL>:<pipeline name>". Threads: any. */
#ifndef GRISAILLE_CATALOG_JOB_KEY_H
#define GRISAILLE_CATALOG_JOB_KEY_H

#include <grisaille/crypto.h>
#include <grisaille/job.h>

/* `salt`: NULL; for a volatile source the line's or stream entry's id, and the sum is then of url, '\n', salt (a canonical URL
 * has no '\n', so no URL's key can equal another's salted one). `pipeline_name`: without its version, under GRI_NAME_MAX. */
void gri_job_key(const struct gri_crypto *crypto, const char *url, const char *salt, const char *pipeline_name,
                 char key[GRI_KEY_MAX]);

#endif
