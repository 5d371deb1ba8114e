/* SPDX-License-Identifier: Apache-2.0 */
/* The port crypto.h on libcrypto (SHA-256, base64) and libsodium (BLAKE2b, constant-time comparison, randomness). */
#ifndef GRISAILLE_ADAPTERS_CRYPTO_H
#define GRISAILLE_ADAPTERS_CRYPTO_H

#include <grisaille/crypto.h>

/* The implementation: static, never freed, the same at each call, usable from any thread. NULL, with reason internal, where
 * a library refuses to start (no source of randomness, no SHA-256). */
const struct gri_crypto *gri_crypto_create(struct gri_error *error);

#endif
