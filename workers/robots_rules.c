/* SPDX-License-Identifier: Apache-2.0 */
/* Parser and matcher of robots.txt. */
#include "robots_rules.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { DELAY_MAX_S = 3600 };

struct rule {
    bool allow;
    char *text;    /* "Disallow: /x", as people read it */
    char *pattern; /* normalised; '*' any bytes, a '$' at the end: the end */
    size_t len;
};

struct group_rules {
    struct rule *rules;
    size_t count, room, size;
    int64_t delay_ms;
    bool seen; /* there is a group */
};

struct gri_robots_rules {
    struct group_rules chosen;
};

/* --- one form for paths and patterns (RFC 9309, 2.2.2)
 * --------------------------------------------------------------------------- */

static int hex_value(int c) {
    if (c >= '0' && c <= '9') return c - '0';
    c = tolower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_unreserved(int c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' ||
           c == '~';
}

static char *put_escaped(char *at, int byte) {
    static const char HEX[] = "0123456789ABCDEF";
    *at++ = '%';
    *at++ = HEX[byte >> 4];
    *at++ = HEX[byte & 15];
    return at;
}

/* Escapes of what needs none are undone, and what needs one gets it; in a query '/' and ':' need none. `special`: '*' and '$'
 * are a pattern's signs; in a path they are bytes like others, which a pattern can only mean escaped. */
static char *normalise(const char *text, size_t len, bool special, size_t *out_len) {
    char *out = gri_alloc(len * 3 + 1), *at = out;
    bool query = false;
    for (size_t i = 0; i < len; i++) {
        int byte = (unsigned char)text[i];
        bool escaped = byte == '%' && i + 2 < len && hex_value((unsigned char)text[i + 1]) >= 0 &&
                       hex_value((unsigned char)text[i + 2]) >= 0;
        if (escaped) {
            byte = hex_value((unsigned char)text[i + 1]) << 4 | hex_value((unsigned char)text[i + 2]);
            i += 2;
        }
        query = query || (byte == '?' && !escaped);
        bool sign = byte == '*' || byte == '$';
        bool plain = escaped ? is_unreserved(byte) || (query && (byte == '/' || byte == ':'))
                             : byte > ' ' && byte < 0x7f && (special || !sign);
        if (plain) {
            *at++ = (char)byte;
        } else {
            at = put_escaped(at, byte);
        }
    }
    *at = '\0';
    *out_len = (size_t)(at - out);
    return out;
}

/* --- parsing
 * -------------------------------------------------------------------------------------------------------------------- */

struct parser {
    const char *agent;
    struct group_rules own, any;
    bool in_own, in_any; /* the group that is read is one of these */
    bool in_rules;       /* its user-agent lines are over */
};

static void add_rule(struct group_rules *group, bool allow, struct gri_slice value) {
    if (value.len == 0) return; /* "Disallow:" forbids nothing */
    if (group->count == group->room) {
        group->room = group->room ? group->room * 2 : 16;
        group->rules = realloc(group->rules, group->room * sizeof *group->rules);
        GRI_ASSERT(group->rules);
    }
    struct rule *rule = &group->rules[group->count++];
    size_t size = value.len + sizeof "Disallow: ";
    rule->allow = allow;
    rule->text = gri_alloc(size);
    (void)gri_format(rule->text, size, "%s: %.*s", allow ? "Allow" : "Disallow", (int)value.len, (const char *)value.data);
    rule->pattern = normalise((const char *)value.data, value.len, true, &rule->len);
    group->size += sizeof *rule + size + rule->len;
}

static void set_delay(struct group_rules *group, struct gri_slice value) {
    char text[24];
    if (value.len >= sizeof text) return;
    (void)gri_format(text, sizeof text, "%.*s", (int)value.len, (const char *)value.data);
    double seconds = strtod(text, NULL);
    if (seconds > 0) group->delay_ms = seconds < DELAY_MAX_S ? (int64_t)(seconds * 1000) : DELAY_MAX_S * 1000;
}

static bool equal_fold(struct gri_slice slice, const char *text) {
    return slice.len == strlen(text) && strncasecmp((const char *)slice.data, text, slice.len) == 0;
}

static struct gri_slice trim(struct gri_slice slice) {
    while (slice.len > 0 && (*slice.data == ' ' || *slice.data == '\t')) {
        slice.data++;
        slice.len--;
    }
    while (slice.len > 0 && (slice.data[slice.len - 1] == ' ' || slice.data[slice.len - 1] == '\t'))
        slice.len--;
    return slice;
}

static void take_agent(struct parser *parser, struct gri_slice value) {
    if (parser->in_rules) parser->in_own = parser->in_any = parser->in_rules = false;
    if (value.len > 0 && *value.data == '*' && (value.len == 1 || isspace(value.data[1]))) {
        parser->in_any = parser->any.seen = true;
        return;
    }
    size_t len = 0;
    while (len < value.len && (isalpha(value.data[len]) || value.data[len] == '-' || value.data[len] == '_'))
        len++;
    if (len > 0 && equal_fold((struct gri_slice){value.data, len}, parser->agent)) parser->in_own = parser->own.seen = true;
}

static void take_line(struct parser *parser, struct gri_slice line) {
    const uint8_t *comment = memchr(line.data, '#', line.len);
    if (comment) line.len = (size_t)(comment - line.data);
    const uint8_t *colon = line.len ? memchr(line.data, ':', line.len) : NULL;
    if (!colon) return;
    struct gri_slice key = trim((struct gri_slice){line.data, (size_t)(colon - line.data)});
    struct gri_slice value = trim((struct gri_slice){colon + 1, line.len - (size_t)(colon - line.data) - 1});
    bool allow = equal_fold(key, "allow");
    if (equal_fold(key, "user-agent")) {
        take_agent(parser, value);
    } else if (allow || equal_fold(key, "disallow")) {
        parser->in_rules = true;
        if (parser->in_own) add_rule(&parser->own, allow, value);
        if (parser->in_any) add_rule(&parser->any, allow, value);
    } else if (equal_fold(key, "crawl-delay")) {
        if (parser->in_own) set_delay(&parser->own, value);
        if (parser->in_any) set_delay(&parser->any, value);
    }
}

static void clear_group(struct group_rules *group) {
    for (size_t i = 0; i < group->count; i++) {
        free(group->rules[i].text);
        free(group->rules[i].pattern);
    }
    free(group->rules);
}

void gri_robots_agent(const char *user_agent, char out[GRI_ROBOTS_AGENT_MAX]) {
    size_t len = 0;
    while (len + 1 < GRI_ROBOTS_AGENT_MAX &&
           (isalpha((unsigned char)user_agent[len]) || user_agent[len] == '-' || user_agent[len] == '_')) {
        out[len] = user_agent[len];
        len++;
    }
    out[len] = '\0';
}

struct gri_robots_rules *gri_robots_rules_parse(struct gri_slice text, const char *agent) {
    struct gri_robots_rules *rules = gri_calloc(1, sizeof *rules);
    struct parser parser = {.agent = agent};
    if (text.len > GRI_ROBOTS_MAX) { /* a line that is cut would say something else */
        text.len = GRI_ROBOTS_MAX;
        while (text.len > 0 && text.data[text.len - 1] != '\n' && text.data[text.len - 1] != '\r')
            text.len--;
    }
    if (text.len >= 3 && memcmp(text.data, "\xef\xbb\xbf", 3) == 0) text = (struct gri_slice){text.data + 3, text.len - 3};
    for (size_t at = 0; at < text.len;) {
        size_t end = at;
        while (end < text.len && text.data[end] != '\n' && text.data[end] != '\r')
            end++;
        take_line(&parser, (struct gri_slice){text.data + at, end - at});
        at = end + 1;
    }
    bool own = parser.own.seen;
    rules->chosen = own ? parser.own : parser.any;
    clear_group(own ? &parser.any : &parser.own);
    return rules;
}

void gri_robots_rules_free(struct gri_robots_rules *rules) {
    if (!rules) return;
    clear_group(&rules->chosen);
    free(rules);
}

int64_t gri_robots_rules_delay_ms(const struct gri_robots_rules *rules) {
    return rules->chosen.delay_ms;
}

size_t gri_robots_rules_size(const struct gri_robots_rules *rules) {
    return sizeof *rules + rules->chosen.size;
}

/* --- matching
 * --------------------------------------------------------------------------------------------------------------------- */

/* Each piece between two '*' is looked for behind the one before; the last one at the end, where the pattern has its '$'. So the
 * path is read once. */
static bool matches(const struct rule *rule, const char *path, size_t len) {
    const char *piece = rule->pattern, *end = rule->pattern + rule->len;
    bool to_end = rule->len > 0 && end[-1] == '$';
    const char *at = path, *stop = path + len;
    bool first = true;
    if (to_end) end--;
    for (;;) {
        const char *star = memchr(piece, '*', (size_t)(end - piece));
        size_t piece_len = (size_t)((star ? star : end) - piece), left = (size_t)(stop - at);
        if (piece_len > left) return false;
        if (!star && to_end) return (first ? left == piece_len : true) && memcmp(stop - piece_len, piece, piece_len) == 0;
        const char *found = first ? (memcmp(at, piece, piece_len) == 0 ? at : NULL) : memmem(at, left, piece, piece_len);
        if (!found) return false;
        if (!star) return true;
        at = found + piece_len;
        piece = star + 1;
        first = false;
    }
}

bool gri_robots_rules_allow(const struct gri_robots_rules *rules, const char *path, const char **rule) {
    const struct rule *best = NULL;
    size_t len = 0;
    *rule = NULL;
    if (strcmp(path, "/robots.txt") == 0) return true;
    char *plain = normalise(*path ? path : "/", *path ? strlen(path) : 1, false, &len);
    for (size_t i = 0; i < rules->chosen.count; i++) {
        const struct rule *other = &rules->chosen.rules[i];
        /* The longest wins; of two as long as each other the one that allows. */
        if (best && (other->len < best->len || (other->len == best->len && (best->allow || !other->allow)))) continue;
        if (matches(other, plain, len)) best = other;
    }
    free(plain);
    if (best) *rule = best->text;
    return !best || best->allow;
}
