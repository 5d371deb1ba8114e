/* SPDX-License-Identifier: Apache-2.0 */
/* A bounded least-recently-used cache of GBytes by name. */
#include "origin.h"

struct entry {
    char *key;
    GBytes *value;
    GList link; /* in `order`, youngest first; data is the entry */
};

struct origin_cache {
    GMutex lock;
    GHashTable *entries; /* key → entry; the entry owns the key */
    GQueue order;
    size_t bytes, max_bytes;
};

static void free_entry(gpointer data) {
    struct entry *entry = data;
    g_bytes_unref(entry->value);
    g_free(entry->key);
    g_free(entry);
}

struct origin_cache *origin_cache_create(size_t max_bytes) {
    struct origin_cache *cache = g_new0(struct origin_cache, 1);
    g_mutex_init(&cache->lock);
    g_queue_init(&cache->order);
    cache->entries = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, free_entry);
    cache->max_bytes = max_bytes;
    return cache;
}

void origin_cache_destroy(struct origin_cache *cache) {
    if (!cache) return;
    g_hash_table_destroy(cache->entries);
    g_mutex_clear(&cache->lock);
    g_free(cache);
}

GBytes *origin_cache_get(struct origin_cache *cache, const char *key) {
    GBytes *value = NULL;
    g_mutex_lock(&cache->lock);
    struct entry *entry = g_hash_table_lookup(cache->entries, key);
    if (entry) {
        g_queue_unlink(&cache->order, &entry->link);
        g_queue_push_head_link(&cache->order, &entry->link);
        value = g_bytes_ref(entry->value);
    }
    g_mutex_unlock(&cache->lock);
    return value;
}

static void drop_oldest(struct origin_cache *cache) {
    GList *link = g_queue_pop_tail_link(&cache->order);
    struct entry *entry = link->data;
    cache->bytes -= g_bytes_get_size(entry->value);
    g_hash_table_remove(cache->entries, entry->key);
}

void origin_cache_put(struct origin_cache *cache, const char *key, GBytes *value) {
    size_t size = g_bytes_get_size(value);
    if (size > cache->max_bytes / 4) return;
    g_mutex_lock(&cache->lock);
    if (!g_hash_table_contains(cache->entries, key)) {
        while (cache->bytes + size > cache->max_bytes)
            drop_oldest(cache);
        struct entry *entry = g_new0(struct entry, 1);
        entry->key = g_strdup(key);
        entry->value = g_bytes_ref(value);
        entry->link.data = entry;
        g_hash_table_insert(cache->entries, entry->key, entry);
        g_queue_push_head_link(&cache->order, &entry->link);
        cache->bytes += size;
    }
    g_mutex_unlock(&cache->lock);
}
