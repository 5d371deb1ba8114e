/* SPDX-License-Identifier: Apache-2.0 */
/* Which addresses may be fetched from. */
#include "curl_guard.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

struct rule4 {
    uint32_t network;
    unsigned bits;
    const char *name;
};

#define V4(a, b, c, d) (((uint32_t)(a) << 24) | ((uint32_t)(b) << 16) | ((uint32_t)(c) << 8) | (uint32_t)(d))

static const struct rule4 rules4[] = {
    {V4(0, 0, 0, 0), 8, "this_network"},
    {V4(10, 0, 0, 0), 8, "private"},
    {V4(100, 64, 0, 0), 10, "shared"}, /* carrier-grade NAT; some clouds keep metadata there (100.100.100.200) */
    {V4(127, 0, 0, 0), 8, "loopback"},
    {V4(169, 254, 0, 0), 16, "link_local"}, /* most clouds' metadata (169.254.169.254) */
    {V4(172, 16, 0, 0), 12, "private"},
    {V4(192, 0, 0, 0), 24, "protocol"},
    {V4(192, 0, 2, 0), 24, "documentation"},
    {V4(192, 88, 99, 0), 24, "6to4"}, /* its relays */
    {V4(192, 168, 0, 0), 16, "private"},
    {V4(198, 18, 0, 0), 15, "benchmark"},
    {V4(198, 51, 100, 0), 24, "documentation"},
    {V4(203, 0, 113, 0), 24, "documentation"},
    {V4(168, 63, 129, 16), 32, "metadata"}, /* Azure's, a public address that each machine reaches */
    {V4(224, 0, 0, 0), 4, "multicast"},
    {V4(255, 255, 255, 255), 32, "broadcast"},
    {V4(240, 0, 0, 0), 4, "reserved"},
};

struct rule6 {
    uint8_t network[16];
    unsigned bits;
    const char *name;
};

/* The first that holds; whatever is outside 2000::/3 is refused by the last line of refuses6. */
static const struct rule6 rules6[] = {
    {{0}, 128, "unspecified"},
    {{[15] = 1}, 128, "loopback"},
    {{[10] = 0xff, [11] = 0xff}, 96, "v4_mapped"},
    {{0}, 96, "v4_compatible"},
    {{0x00, 0x64, 0xff, 0x9b}, 96, "nat64"},
    {{0x00, 0x64, 0xff, 0x9b, 0x00, 0x01}, 48, "nat64"},
    {{0x01}, 64, "discard"},
    {{0x20, 0x01, 0x00, 0x00}, 32, "teredo"},
    {{0x20, 0x01, 0x00}, 23, "protocol"},
    {{0x20, 0x01, 0x0d, 0xb8}, 32, "documentation"},
    {{0x3f, 0xff}, 20, "documentation"},
    {{0x20, 0x02}, 16, "6to4"},
    {{0xfc}, 7, "unique_local"}, /* AWS keeps metadata at fd00:ec2::254 */
    {{0xfe, 0x80}, 10, "link_local"},
    {{0xfe, 0xc0}, 10, "site_local"},
    {{0xff}, 8, "multicast"},
};

static bool within(const uint8_t *address, const uint8_t *network, unsigned bits) {
    if (memcmp(address, network, bits / 8) != 0) return false;
    if (bits % 8 == 0) return true;
    uint8_t mask = (uint8_t)(0xff << (8 - bits % 8));
    return ((address[bits / 8] ^ network[bits / 8]) & mask) == 0;
}

static const char *refuses4(const uint8_t address[4]) {
    uint32_t value = V4(address[0], address[1], address[2], address[3]);
    for (size_t i = 0; i < sizeof(rules4) / sizeof(rules4[0]); i++)
        if (((value ^ rules4[i].network) >> (32 - rules4[i].bits)) == 0) return rules4[i].name;
    return NULL;
}

/* An interface identifier 0000:5efe or 0200:5efe before an IPv4 address, under any prefix (RFC 5214). */
static bool is_isatap(const uint8_t address[16]) {
    return (address[8] & 0xfd) == 0 && address[9] == 0 && address[10] == 0x5e && address[11] == 0xfe;
}

static const char *refuses6(const uint8_t address[16]) {
    for (size_t i = 0; i < sizeof(rules6) / sizeof(rules6[0]); i++)
        if (within(address, rules6[i].network, rules6[i].bits)) return rules6[i].name;
    if (is_isatap(address)) return "isatap";
    return (address[0] & 0xe0) == 0x20 ? NULL : "not_global";
}

static const char *refuses(const struct gri_guard *guard, int family, const uint8_t *address) {
    for (size_t i = 0; i < guard->count; i++) {
        const struct gri_guard_range *range = &guard->allowed[i];
        if (range->family == family && within(address, range->address, range->bits)) return NULL;
    }
    return family == AF_INET ? refuses4(address) : refuses6(address);
}

const char *gri_guard_refuses(const struct gri_guard *guard, const struct sockaddr *address, size_t len) {
    if (address->sa_family == AF_INET && len >= sizeof(struct sockaddr_in)) {
        struct sockaddr_in in;
        memcpy(&in, address, sizeof(in));
        return refuses(guard, AF_INET, (const uint8_t *)&in.sin_addr);
    }
    if (address->sa_family == AF_INET6 && len >= sizeof(struct sockaddr_in6)) {
        struct sockaddr_in6 in;
        memcpy(&in, address, sizeof(in));
        return refuses(guard, AF_INET6, in.sin6_addr.s6_addr);
    }
    return "family";
}

const char *gri_guard_refuses_text(const struct gri_guard *guard, const char *address) {
    uint8_t bytes[16];
    if (inet_pton(AF_INET, address, bytes) == 1) return refuses(guard, AF_INET, bytes);
    if (inet_pton(AF_INET6, address, bytes) == 1) return refuses(guard, AF_INET6, bytes);
    return "form";
}

static bool read_range(const char *text, struct gri_guard_range *range) {
    char address[INET6_ADDRSTRLEN];
    size_t len = strcspn(text, "/");
    if (len >= sizeof(address)) return false;
    memcpy(address, text, len);
    address[len] = '\0';
    range->family = strchr(address, ':') ? AF_INET6 : AF_INET;
    if (inet_pton(range->family, address, range->address) != 1) return false;
    unsigned most = range->family == AF_INET ? 32 : 128;
    range->bits = most;
    if (text[len] == '\0') return true;
    const char *digits = text + len + 1;
    size_t count = strspn(digits, "0123456789");
    if (count == 0 || count > 3 || digits[count] != '\0') return false;
    range->bits = (unsigned)strtoul(digits, NULL, 10);
    return range->bits <= most;
}

enum gri_status gri_guard_init(struct gri_guard *guard, const char *const *allow_ranges, size_t count, struct gri_error *error) {
    *guard = (struct gri_guard){0};
    if (count > GRI_GUARD_RANGES_MAX)
        return gri_fail(error, GRI_R_config, "fetch.allow_ranges: %zu ranges are over the limit of %d", count,
                        GRI_GUARD_RANGES_MAX);
    for (size_t i = 0; i < count; i++)
        if (!read_range(allow_ranges[i], &guard->allowed[i]))
            return gri_fail(error, GRI_R_config, "fetch.allow_ranges[%zu]: \"%s\" is no range such as 127.0.0.0/8 or ::1/128", i,
                            allow_ranges[i]);
    guard->count = count;
    return GRI_OK;
}
