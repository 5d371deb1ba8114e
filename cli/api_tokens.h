/* SPDX-License-Identifier: Apache-2.0 */
/* The tokens of the configuration, checked. Threads: any. */
#ifndef GRI_API_TOKENS_H
#define GRI_API_TOKENS_H

#include "api.h"
#include "config.h"

/* api.tokens: a list of {name, digest, scopes: [read, push, admin]}. *tokens: owned, free(); *count 0 where none are configured.
 * Reason config; the detail names the file and line, the token's index and what is wrong with it. */
enum gri_status gri_api_tokens_read(const struct gri_config *config, struct gri_api_token **tokens, size_t *count,
                                    struct gri_error *error) GRI_MUST_CHECK;

#endif
