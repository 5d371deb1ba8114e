/* SPDX-License-Identifier: Apache-2.0 */
/* Which addresses may be fetched from: a pure function over a resolved address.
 *
 * Refused are all of IANA's special-purpose ranges (RFC 6890 and its registries), multicast, and every IPv6 form that carries
 * an IPv4 address inside (mapped, compatible, NAT64, 6to4, Teredo, ISATAP), whatever that address is. Allowed ranges are the only
 * way round. Threads: a guard is immutable after it was made. */
#ifndef GRISAILLE_CURL_GUARD_H
#define GRISAILLE_CURL_GUARD_H

#include <grisaille/status.h>

#include <sys/socket.h>

enum { GRI_GUARD_RANGES_MAX = 64 };

struct gri_guard_range {
    uint8_t address[16];
    int family; /* AF_INET: four bytes of address count */
    unsigned bits;
};

struct gri_guard {
    struct gri_guard_range allowed[GRI_GUARD_RANGES_MAX];
    size_t count;
};

/* From texts like "127.0.0.0/8", "::1/128", "10.0.0.1"; a wrong one is reason config. */
enum gri_status gri_guard_init(struct gri_guard *guard, const char *const *allow_ranges, size_t count,
                               struct gri_error *error) GRI_MUST_CHECK;

/* NULL when the address may be used, else the name of the rule that refuses it ("loopback", "private", …; static). Families other
 * than IPv4 and IPv6 are refused ("family"). */
const char *gri_guard_refuses(const struct gri_guard *guard, const struct sockaddr *address, size_t len);
/* The same for an address as text, without brackets or zone; text that is no address is refused ("form"). */
const char *gri_guard_refuses_text(const struct gri_guard *guard, const char *address);

#endif
