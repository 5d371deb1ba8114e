/* SPDX-License-Identifier: Apache-2.0 */
/* A set of hashes with a file behind it. */
#include "export_seen.h"

#include <grisaille/bytes.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FIRST_CAP = 4096, READ_MANY = 8192 };

static uint64_t hash_of(const char *id) {
    uint64_t hash = gri_hash_text(id);
    return hash ? hash : 1;
}

static bool add_slot(struct gri_export_seen *seen, uint64_t hash) {
    for (size_t i = hash & (seen->cap - 1);; i = (i + 1) & (seen->cap - 1)) {
        if (seen->slots[i] == hash) return false;
        if (seen->slots[i] == 0) {
            seen->slots[i] = hash;
            seen->count++;
            return true;
        }
    }
}

static bool add_hash(struct gri_export_seen *seen, uint64_t hash) {
    if (2 * (seen->count + 1) > seen->cap) {
        struct gri_export_seen larger = *seen;
        larger.cap = seen->cap ? seen->cap * 2 : FIRST_CAP;
        larger.count = 0;
        larger.slots = gri_calloc(larger.cap, sizeof *larger.slots);
        for (size_t i = 0; i < seen->cap; i++)
            if (seen->slots[i]) (void)add_slot(&larger, seen->slots[i]);
        free(seen->slots);
        *seen = larger;
    }
    return add_slot(seen, hash);
}

bool gri_export_seen_add(struct gri_export_seen *seen, const char *id) {
    uint64_t hash = hash_of(id);
    if (!add_hash(seen, hash)) return false;
    if (seen->fd < 0) return true;
    if (seen->fresh_count == seen->fresh_cap) {
        seen->fresh_cap = seen->fresh_cap ? seen->fresh_cap * 2 : FIRST_CAP;
        seen->fresh = realloc(seen->fresh, seen->fresh_cap * sizeof *seen->fresh);
        GRI_ASSERT(seen->fresh);
    }
    seen->fresh[seen->fresh_count++] = hash;
    return true;
}

static enum gri_status read_known(struct gri_export_seen *seen, const char *path, int64_t count, struct gri_error *error) {
    uint64_t *part = gri_calloc(READ_MANY, sizeof *part);
    while (count > 0) {
        size_t want = count < READ_MANY ? (size_t)count : READ_MANY;
        ssize_t got = read(seen->fd, part, want * sizeof *part);
        if (got <= 0 || (size_t)got % sizeof *part != 0) break;
        for (size_t i = 0; i < (size_t)got / sizeof *part; i++)
            (void)add_hash(seen, part[i] ? part[i] : 1);
        count -= got / (ssize_t)sizeof *part;
    }
    free(part);
    if (count == 0) return GRI_OK;
    return gri_fail(error, GRI_R_conflict,
                    "%.300s is shorter than the export's state says; remove it, the state and the part to begin anew", path);
}

enum gri_status gri_export_seen_open(struct gri_export_seen *seen, const char *path, int64_t count, struct gri_error *error) {
    *seen = (struct gri_export_seen){.fd = -1};
    if (!path) return GRI_OK;
    seen->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (seen->fd < 0) return gri_fail(error, GRI_R_io, "%.300s: %s", path, strerror(errno));
    off_t length = (off_t)(count * (int64_t)sizeof(uint64_t));
    enum gri_status status = read_known(seen, path, count, error);
    if (status == GRI_OK && (ftruncate(seen->fd, length) != 0 || lseek(seen->fd, length, SEEK_SET) != length))
        status = gri_fail(error, GRI_R_io, "%.300s: %s", path, strerror(errno));
    return status;
}

enum gri_status gri_export_seen_save(struct gri_export_seen *seen, struct gri_error *error) {
    const char *at = (const char *)seen->fresh;
    size_t left = seen->fresh_count * sizeof *seen->fresh;
    if (seen->fd < 0) return GRI_OK;
    while (left > 0) {
        ssize_t put = write(seen->fd, at, left);
        if (put < 0 && errno == EINTR) continue;
        if (put <= 0) return gri_fail(error, GRI_R_io, "the list of what was exported can't be written: %s", strerror(errno));
        at += put;
        left -= (size_t)put;
    }
    seen->fresh_count = 0;
    if (fsync(seen->fd) != 0)
        return gri_fail(error, GRI_R_io, "the list of what was exported can't be written: %s", strerror(errno));
    return GRI_OK;
}

void gri_export_seen_clear(struct gri_export_seen *seen) {
    free(seen->slots);
    free(seen->fresh);
    if (seen->fd >= 0) close(seen->fd);
    *seen = (struct gri_export_seen){.fd = -1};
}
