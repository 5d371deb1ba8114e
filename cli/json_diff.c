/* SPDX-License-Identifier: Apache-2.0 */
/* What differs between two JSON values. */
#include "json_diff.h"

#include <string.h>

enum { DEPTH_MAX = 32, PATH_SIZE = 400 };

struct walk {
    struct gri_json *changes;
    const struct gri_json *before, *after; /* the two objects that are gone through */
    const char *path;
    int depth;
};

static void compare(struct gri_json *changes, const char *path, const struct gri_json *before, const struct gri_json *after,
                    int depth);

static void note(struct gri_json *changes, const char *path, const struct gri_json *before, const struct gri_json *after) {
    struct gri_json *row = gri_json_object();
    gri_json_set_str(row, "path", path);
    gri_json_set(row, "before", before ? gri_json_copy(before) : gri_json_null());
    gri_json_set(row, "after", after ? gri_json_copy(after) : gri_json_null());
    gri_json_append(changes, row);
}

static void compare_member(const struct walk *walk, const char *key) {
    char path[PATH_SIZE];
    (void)gri_format(path, sizeof path, "%s%s%s", walk->path, walk->path[0] ? "." : "", key);
    compare(walk->changes, path, gri_json_get(walk->before, key), gri_json_get(walk->after, key), walk->depth + 1);
}

static void member_of_before(const char *key, const struct gri_json *value, void *arg) {
    (void)value;
    compare_member(arg, key);
}

static void member_of_after(const char *key, const struct gri_json *value, void *arg) {
    const struct walk *walk = arg;
    (void)value;
    if (!gri_json_get(walk->before, key)) compare_member(walk, key);
}

static void compare_lists(struct gri_json *changes, const char *path, const struct gri_json *before, const struct gri_json *after,
                          int depth) {
    size_t old = gri_json_count(before), new = gri_json_count(after);
    for (size_t i = 0; i < (old > new ? old : new); i++) {
        char item[PATH_SIZE];
        (void)gri_format(item, sizeof item, "%s[%zu]", path, i);
        compare(changes, item, i < old ? gri_json_at(before, i) : NULL, i < new ? gri_json_at(after, i) : NULL, depth + 1);
    }
}

/* Recursion ends at DEPTH_MAX, past what a configuration may have. */
static void compare(struct gri_json *changes, const char *path, const struct gri_json *before, const struct gri_json *after,
                    int depth) {
    if (gri_json_equal(before, after)) return;
    enum gri_json_kind kind = gri_json_kind(before);
    if (kind != gri_json_kind(after) || depth >= DEPTH_MAX) {
        note(changes, path, before, after);
    } else if (kind == GRI_JSON_OBJECT) {
        struct walk walk = {changes, before, after, path, depth};
        gri_json_each(before, member_of_before, &walk);
        gri_json_each(after, member_of_after, &walk);
    } else if (kind == GRI_JSON_ARRAY) {
        compare_lists(changes, path, before, after, depth);
    } else {
        note(changes, path, before, after);
    }
}

struct gri_json *gri_json_diff(const struct gri_json *before, const struct gri_json *after) {
    struct gri_json *changes = gri_json_array();
    compare(changes, "", before, after, 0);
    return changes;
}
