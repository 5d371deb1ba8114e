/* SPDX-License-Identifier: Apache-2.0 */
/* Counts of requests, by class and by URL, so that tests can say how often something was fetched.
 * /stats                       totals
 * /stats?url=<host+target>     how often that one was asked for
 * /stats?urls=<prefix>         every counted URL that begins so (at most 20,000)
 * /stats/reset                 everything back to nothing */
#include "origin.h"

#include <string.h>

struct origin_stats {
    GMutex lock;
    uint64_t classes[ORIGIN_CLASSES];
    uint64_t uncounted;
    GHashTable *urls; /* host and target → count, in the pointer */
    GHashTable *keys;
};

enum { LISTED_MAX = 20000 };

static const char *const class_names[ORIGIN_CLASSES] = {"front", "image", "kind", "fault", "stats", "other"};

struct origin_stats *origin_stats_create(void) {
    struct origin_stats *stats = g_new0(struct origin_stats, 1);
    g_mutex_init(&stats->lock);
    stats->urls = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    stats->keys = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    return stats;
}

void origin_stats_destroy(struct origin_stats *stats) {
    if (!stats) return;
    g_hash_table_destroy(stats->urls);
    g_hash_table_destroy(stats->keys);
    g_mutex_clear(&stats->lock);
    g_free(stats);
}

/* One more for `key`; the count before. A full table counts nothing and answers 0. */
static uint64_t bump(GHashTable *table, const char *key, guint most) {
    gpointer known = NULL, count = NULL;
    if (g_hash_table_lookup_extended(table, key, &known, &count)) {
        /* insert keeps the known key and frees the one it is given */
        g_hash_table_insert(table, g_strdup(key), GSIZE_TO_POINTER(GPOINTER_TO_SIZE(count) + 1));
        return GPOINTER_TO_SIZE(count);
    }
    if (g_hash_table_size(table) < most) g_hash_table_insert(table, g_strdup(key), GSIZE_TO_POINTER(1));
    return 0;
}

void origin_stats_count(struct origin_stats *stats, enum origin_class class, const char *host, const char *target) {
    char *url = g_strconcat(host, target, NULL);
    g_mutex_lock(&stats->lock);
    stats->classes[class]++;
    if (class != ORIGIN_STATS) {
        if (g_hash_table_size(stats->urls) >= ORIGIN_STATS_URLS && !g_hash_table_contains(stats->urls, url)) stats->uncounted++;
        bump(stats->urls, url, ORIGIN_STATS_URLS);
    }
    g_mutex_unlock(&stats->lock);
    g_free(url);
}

uint64_t origin_stats_bump(struct origin_stats *stats, const char *key) {
    g_mutex_lock(&stats->lock);
    uint64_t before = bump(stats->keys, key, ORIGIN_KEYS_MAX);
    g_mutex_unlock(&stats->lock);
    return before;
}

uint64_t origin_stats_peek(struct origin_stats *stats, const char *key) {
    g_mutex_lock(&stats->lock);
    uint64_t count = GPOINTER_TO_SIZE(g_hash_table_lookup(stats->keys, key));
    g_mutex_unlock(&stats->lock);
    return count;
}

static void append_json_text(GString *out, const char *text) {
    g_string_append_c(out, '"');
    for (const char *at = text; *at; at++) {
        unsigned char c = (unsigned char)*at;
        if (c == '"' || c == '\\')
            g_string_append_printf(out, "\\%c", c);
        else if (c < 0x20 || c >= 0x7f) /* bytes, not characters: Latin-1 keeps each one apart */
            g_string_append_printf(out, "\\u%04x", c);
        else
            g_string_append_c(out, (char)c);
    }
    g_string_append_c(out, '"');
}

static void append_urls(GString *out, GHashTable *urls, const char *prefix) {
    GHashTableIter iter;
    gpointer key, count;
    guint listed = 0;
    g_string_append(out, ",\"counts\":{");
    g_hash_table_iter_init(&iter, urls);
    while (listed < LISTED_MAX && g_hash_table_iter_next(&iter, &key, &count)) {
        if (!g_str_has_prefix(key, prefix)) continue;
        if (listed++) g_string_append_c(out, ',');
        append_json_text(out, key);
        g_string_append_printf(out, ":%zu", GPOINTER_TO_SIZE(count));
    }
    g_string_append_c(out, '}');
}

static char *stats_text(struct origin_stats *stats, const char *url, const char *prefix) {
    GString *out = g_string_new("{\"requests\":{");
    g_mutex_lock(&stats->lock);
    for (int i = 0; i < ORIGIN_CLASSES; i++)
        g_string_append_printf(out, "%s\"%s\":%" G_GUINT64_FORMAT, i ? "," : "", class_names[i], stats->classes[i]);
    g_string_append_printf(out, "},\"urls\":%u,\"uncounted\":%" G_GUINT64_FORMAT, g_hash_table_size(stats->urls),
                           stats->uncounted);
    if (url) g_string_append_printf(out, ",\"count\":%zu", GPOINTER_TO_SIZE(g_hash_table_lookup(stats->urls, url)));
    if (prefix) append_urls(out, stats->urls, prefix);
    g_mutex_unlock(&stats->lock);
    g_string_append(out, "}\n");
    return g_string_free(out, FALSE);
}

static void reset(struct origin_stats *stats) {
    g_mutex_lock(&stats->lock);
    for (int i = 0; i < ORIGIN_CLASSES; i++)
        stats->classes[i] = 0;
    stats->uncounted = 0;
    g_hash_table_remove_all(stats->urls);
    g_hash_table_remove_all(stats->keys);
    g_mutex_unlock(&stats->lock);
}

enum MHD_Result origin_stats_serve(struct origin_request *request) {
    struct origin_stats *stats = request->origin->stats;
    if (!strcmp(request->path, "/stats/reset")) reset(stats);
    char *text = stats_text(stats, origin_query(request, "url"), origin_query(request, "urls"));
    enum MHD_Result result = origin_send_text(request, 200, "application/json", text);
    g_free(text);
    return result;
}
