/* SPDX-License-Identifier: Apache-2.0 */
/* Single values in and out of BSON documents. */
#include "mongo_session.h"

#include <stdlib.h>
#include <string.h>

static bool find(const bson_t *document, const char *path, bson_iter_t *at) {
    bson_iter_t top;
    return bson_iter_init(&top, document) && bson_iter_find_descendant(&top, path, at);
}

const char *gri_mongo_text(const bson_t *document, const char *path) {
    bson_iter_t at;
    return find(document, path, &at) && BSON_ITER_HOLDS_UTF8(&at) ? bson_iter_utf8(&at, NULL) : "";
}

int64_t gri_mongo_number(const bson_t *document, const char *path, int64_t otherwise) {
    bson_iter_t at;
    if (!find(document, path, &at)) return otherwise;
    if (BSON_ITER_HOLDS_DATE_TIME(&at)) return bson_iter_date_time(&at);
    if (BSON_ITER_HOLDS_NUMBER(&at)) return bson_iter_as_int64(&at);
    return otherwise;
}

bool gri_mongo_truth(const bson_t *document, const char *path) {
    bson_iter_t at;
    return find(document, path, &at) && BSON_ITER_HOLDS_BOOL(&at) && bson_iter_bool(&at);
}

bool gri_mongo_has(const bson_t *document, const char *path) {
    bson_iter_t at;
    return find(document, path, &at) && !BSON_ITER_HOLDS_NULL(&at);
}

void gri_mongo_append_any(bson_t *document, const char *key, struct gri_slice bytes) {
    GRI_ASSERT(bytes.len <= INT32_MAX);
    const char *text = bytes.len ? (const char *)bytes.data : "";
    /* No NUL inside: many readers of BSON strings stop there. */
    if (bson_utf8_validate(text, bytes.len, false)) {
        bson_append_utf8(document, key, -1, text, (int)bytes.len);
    } else {
        bson_append_binary(document, key, -1, BSON_SUBTYPE_BINARY, bytes.data, (uint32_t)bytes.len);
    }
}

char *gri_mongo_clean(const char *text) {
    char *clean = gri_strdup(text);
    if (bson_utf8_validate(clean, strlen(clean), false)) return clean;
    for (char *c = clean; *c; c++) {
        if ((unsigned char)*c >= 0x80) *c = '?';
    }
    return clean;
}

void gri_mongo_append_text(bson_t *document, const char *key, const char *text) {
    size_t len = strlen(text);
    if (bson_utf8_validate(text, len, false)) {
        bson_append_utf8(document, key, -1, text, (int)len);
        return;
    }
    char *clean = gri_mongo_clean(text);
    bson_append_utf8(document, key, -1, clean, (int)len);
    free(clean);
}

struct gri_slice gri_mongo_bytes(const bson_t *document, const char *path) {
    bson_iter_t at;
    uint32_t len = 0;
    const uint8_t *data = NULL;
    if (!find(document, path, &at)) return (struct gri_slice){0};
    if (BSON_ITER_HOLDS_UTF8(&at)) {
        const char *text = bson_iter_utf8(&at, &len);
        return (struct gri_slice){(const uint8_t *)text, len};
    }
    if (BSON_ITER_HOLDS_BINARY(&at)) bson_iter_binary(&at, NULL, &len, &data);
    return (struct gri_slice){data, len};
}

void gri_mongo_append_texts(bson_t *document, const char *key, const char *texts, size_t stride, size_t count) {
    bson_t condition, array;
    bson_append_document_begin(document, key, -1, &condition);
    bson_append_array_begin(&condition, "$in", 3, &array);
    for (size_t i = 0; i < count; i++) {
        char buffer[16];
        const char *index;
        size_t len = bson_uint32_to_string((uint32_t)i, &index, buffer, sizeof buffer);
        bson_append_utf8(&array, index, (int)len, texts + i * stride, -1);
    }
    bson_append_array_end(&condition, &array);
    bson_append_document_end(document, &condition);
}

enum gri_catalog_state gri_mongo_catalog_state(const char *name) {
    for (int state = GRI_CATALOG_RUNNING; state <= GRI_CATALOG_DELETING; state++) {
        if (strcmp(gri_catalog_state_name((enum gri_catalog_state)state), name) == 0) return (enum gri_catalog_state)state;
    }
    return GRI_CATALOG_DELETING; /* a state of a later version: nothing of it may be admitted */
}

enum gri_url_state gri_mongo_url_state(const char *name) {
    for (int state = GRI_URL_QUEUED; state <= GRI_URL_DEAD; state++) {
        if (strcmp(gri_url_state_name((enum gri_url_state)state), name) == 0) return (enum gri_url_state)state;
    }
    return GRI_URL_ABSENT;
}
