/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration: the sources in their order, and the getters (config.h). */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config_internal.h"
#include "redact.h"

enum { VALUE_FILE_MAX = 64 * 1024, SOURCE_MAX = 4200 };

static const char SYSTEM_FILE[] = "/etc/grisaille/grisaille.yaml";
/* Of ours, but no options: where the file is, and what the set-up script looks at. */
static const char *const OTHER_VARIABLES[] = {"GRISAILLE_CONFIG", "GRISAILLE_MONGOD", "GRISAILLE_REDIS_SERVER"};

struct slot {
    struct gri_json *value; /* NULL: a tree that nobody gave */
    char *source;
    enum gri_config_layer layer;
    struct gri_config_lines lines; /* of a tree from the file */
};

struct gri_config {
    struct slot *slots; /* one an option */
    size_t count;
    char *file;
    struct gri_json *files; /* all that were read */
};

static struct slot *slot_of(const struct gri_config *config, const struct gri_option *option) {
    size_t count = 0;
    return &config->slots[option - gri_options(&count)];
}

void gri_config_destroy(struct gri_config *config) {
    if (!config) return;
    for (size_t i = 0; i < config->count; i++) {
        gri_config_lines_clear(&config->slots[i].lines);
        gri_json_free(config->slots[i].value);
        free(config->slots[i].source);
    }
    free(config->slots);
    free(config->file);
    gri_json_free(config->files);
    free(config);
}

static enum gri_status refuse_twice(struct gri_config *config, const struct gri_config_place *place, struct gri_error *error) {
    const struct slot *slot = slot_of(config, place->option);
    if (!slot->source || slot->layer != place->layer || place->layer == GRI_LAYER_SET) return GRI_OK;
    return gri_config_fail(error, place->source, "%s is given twice (also by %.160s)", place->option->key, slot->source);
}

static void fill(struct gri_config *config, const struct gri_config_place *place, struct gri_json *value) {
    struct slot *slot = slot_of(config, place->option);
    gri_config_lines_clear(&slot->lines);
    gri_json_free(slot->value);
    free(slot->source);
    slot->value = value;
    slot->source = gri_strdup(place->source);
    slot->layer = place->layer;
}

enum gri_status gri_config_assign_tree(struct gri_config *config, const struct gri_config_place *place, struct gri_json *tree,
                                       struct gri_config_lines *lines, struct gri_error *error) {
    enum gri_status status = refuse_twice(config, place, error);
    if (status == GRI_OK) status = gri_config_check_tree(place, tree, error);
    if (status != GRI_OK) {
        gri_json_free(tree);
        return status;
    }
    fill(config, place, tree);
    if (lines) {
        slot_of(config, place->option)->lines = *lines;
        *lines = (struct gri_config_lines){0};
    }
    return GRI_OK;
}

enum gri_status gri_config_assign_list(struct gri_config *config, const struct gri_config_place *place, struct gri_json *list,
                                       struct gri_error *error) {
    struct gri_json *value = NULL;
    enum gri_status status = refuse_twice(config, place, error);
    if (status == GRI_OK) status = gri_config_value_list(place, list, &value, error);
    if (status == GRI_OK) fill(config, place, value);
    gri_json_free(list);
    return status;
}

enum gri_status gri_config_assign_text(struct gri_config *config, const struct gri_config_place *place, const char *text,
                                       struct gri_error *error) {
    struct gri_json *value = NULL;
    enum gri_status status = GRI_OK;
    if (place->option->type == GRI_OPTION_tree) {
        status = gri_config_parse_tree(place, gri_slice_of(text), &value, error);
        return status == GRI_OK ? gri_config_assign_tree(config, place, value, NULL, error) : status;
    }
    status = refuse_twice(config, place, error);
    if (status == GRI_OK) status = gri_config_value(place, text, &value, error);
    if (status == GRI_OK) fill(config, place, value);
    return status;
}

enum gri_status gri_config_read_file(const char *path, size_t max, struct gri_bytes *text, struct gri_error *error) {
    enum gri_status status = GRI_OK;
    struct stat info;
    ssize_t n = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return gri_fail(error, GRI_R_config, "%.200s can't be read: %s", path, strerror(errno));
    if (fstat(fd, &info) != 0 || S_ISDIR(info.st_mode)) {
        status = gri_fail(error, GRI_R_config, "%.200s is a folder, not a file", path);
        goto out;
    }
    char block[4096];
    while ((n = read(fd, block, sizeof block)) > 0) {
        if (text->len + (size_t)n > max) {
            status = gri_fail(error, GRI_R_config, "%.200s is over %zu bytes", path, max);
            goto out;
        }
        status = gri_bytes_append(text, block, (size_t)n, error);
        if (status != GRI_OK) goto out;
    }
    if (n < 0) status = gri_fail(error, GRI_R_config, "%.200s can't be read: %s", path, strerror(errno));
out:
    close(fd);
    return status;
}

enum gri_status gri_config_assign_file(struct gri_config *config, const struct gri_config_place *place, const char *path,
                                       struct gri_error *error) {
    struct gri_bytes text;
    gri_bytes_init(&text, VALUE_FILE_MAX + 1);
    gri_json_append(config->files, gri_json_string(path));
    enum gri_status status = gri_config_read_file(path, VALUE_FILE_MAX, &text, error);
    if (status != GRI_OK) {
        struct gri_error why = *error;
        status = gri_config_fail(error, place->source, "%s: %s", place->option->key, why.detail);
    } else if (text.len != strlen(gri_bytes_text(&text))) {
        status = gri_config_fail(error, place->source, "%s: %.200s holds a NUL", place->option->key, path);
    } else {
        if (text.len > 0 && text.data[text.len - 1] == '\n') text.data[--text.len] = '\0';
        if (text.len > 0 && text.data[text.len - 1] == '\r') text.data[--text.len] = '\0';
        status = gri_config_assign_text(config, place, gri_bytes_text(&text), error);
    }
    gri_bytes_clear(&text);
    return status;
}

const struct gri_option *gri_config_key(const char *key, bool *from_file) {
    const struct gri_option *option = gri_option_find(key);
    size_t len = strlen(key);
    *from_file = false;
    if (option || len <= 5 || strcmp(key + len - 5, "_FILE") != 0) return option;
    char base[128];
    if (!gri_format(base, sizeof base, "%.*s", (int)(len - 5), key)) return NULL;
    option = gri_option_find(base);
    *from_file = option != NULL;
    return option;
}

static enum gri_status assign(struct gri_config *config, const struct gri_config_place *place, bool from_file, const char *text,
                              struct gri_error *error) {
    return from_file ? gri_config_assign_file(config, place, text, error) : gri_config_assign_text(config, place, text, error);
}

static enum gri_status load_defaults(struct gri_config *config, struct gri_error *error) {
    size_t count = 0;
    const struct gri_option *options = gri_options(&count);
    enum gri_status status = GRI_OK;
    for (size_t i = 0; i < count && status == GRI_OK; i++) {
        struct gri_config_place place = {&options[i], GRI_LAYER_DEFAULT, "default"};
        if (options[i].type == GRI_OPTION_tree) {
            fill(config, &place, NULL);
        } else {
            status = gri_config_assign_text(config, &place, options[i].otherwise, error);
        }
    }
    return status;
}

/* The value of an environment variable, or NULL. */
static const char *variable(char *const *environment, const char *name) {
    size_t len = strlen(name);
    for (char *const *entry = environment; entry && *entry; entry++) {
        if (strncmp(*entry, name, len) == 0 && (*entry)[len] == '=') return *entry + len + 1;
    }
    return NULL;
}

static enum gri_status load_file(struct gri_config *config, const struct gri_config_sources *sources, struct gri_error *error) {
    const char *path = sources->file ? sources->file : variable(sources->environment, "GRISAILLE_CONFIG");
    if (path && path[0] == '\0') path = NULL;
    if (!path && access(SYSTEM_FILE, F_OK) == 0) path = SYSTEM_FILE;
    if (!path) return GRI_OK;
    config->file = gri_strdup(path);
    gri_json_append(config->files, gri_json_string(path));
    return gri_config_read_yaml(config, path, error);
}

static const struct gri_option *option_of_variable(const char *name, size_t len, bool *from_file) {
    size_t count = 0;
    const struct gri_option *options = gri_options(&count);
    const struct gri_option *by_file = NULL;
    for (size_t i = 0; i < count; i++) {
        char own[GRI_OPTION_ENVIRONMENT_MAX];
        gri_option_environment(&options[i], own);
        size_t n = strlen(own);
        if (strncmp(name, own, n) != 0) continue;
        *from_file = false;
        if (len == n) return &options[i];
        if (len == n + 5 && strncmp(name + n, "_FILE", 5) == 0) by_file = &options[i];
    }
    *from_file = by_file != NULL;
    return by_file;
}

static bool is_other_variable(const char *name, size_t len) {
    for (size_t i = 0; i < sizeof OTHER_VARIABLES / sizeof *OTHER_VARIABLES; i++) {
        if (strlen(OTHER_VARIABLES[i]) == len && memcmp(OTHER_VARIABLES[i], name, len) == 0) return true;
    }
    return false;
}

static enum gri_status load_environment(struct gri_config *config, char *const *environment, struct gri_error *error) {
    for (char *const *entry = environment; entry && *entry; entry++) {
        size_t len = strcspn(*entry, "=");
        if (strncmp(*entry, "GRISAILLE_", 10) != 0 || is_other_variable(*entry, len)) continue;
        char name[128], source[160];
        gri_format(name, sizeof name, "%.*s", (int)(len < 120 ? len : 120), *entry);
        gri_format(source, sizeof source, "environment:%s", name);
        bool from_file = false;
        const struct gri_option *option = option_of_variable(*entry, len, &from_file);
        if (!option) return gri_config_unknown(error, source, "option", name);
        struct gri_config_place place = {option, GRI_LAYER_ENVIRONMENT, source};
        enum gri_status status = assign(config, &place, from_file, (*entry)[len] ? *entry + len + 1 : "", error);
        if (status != GRI_OK) return status;
    }
    return GRI_OK;
}

static enum gri_status load_sets(struct gri_config *config, const struct gri_config_sources *sources, struct gri_error *error) {
    for (size_t i = 0; i < sources->set_count; i++) {
        const char *text = sources->sets[i];
        const char *equals = strchr(text, '=');
        char key[128];
        if (!equals) return gri_config_fail(error, "--set", "\"%.80s\" is not key=value", text);
        bool from_file = false;
        gri_format(key, sizeof key, "%.*s", (int)(equals - text < 120 ? equals - text : 120), text);
        const struct gri_option *option = gri_config_key(key, &from_file);
        if (!option) return gri_config_unknown(error, "--set", "key", key);
        struct gri_config_place place = {option, GRI_LAYER_SET, "--set"};
        enum gri_status status = assign(config, &place, from_file, equals + 1, error);
        if (status != GRI_OK) return status;
    }
    return GRI_OK;
}

/* What no single option's range can say. */
static enum gri_status check_together(const struct gri_config *config, struct gri_error *error) {
    if (gri_config_int(config, "worker.heartbeat_ms") * 2 > gri_config_int(config, "worker.lease_ms")) {
        return gri_fail(error, GRI_R_config, "worker.heartbeat_ms (%s) must be at most half of worker.lease_ms (%s)",
                        gri_config_source(config, "worker.heartbeat_ms"), gri_config_source(config, "worker.lease_ms"));
    }
    if (gri_config_int(config, "retry.base_ms") > gri_config_int(config, "retry.max_ms")) {
        return gri_fail(error, GRI_R_config, "retry.base_ms (%s) must be at most retry.max_ms (%s)",
                        gri_config_source(config, "retry.base_ms"), gri_config_source(config, "retry.max_ms"));
    }
    return GRI_OK;
}

enum gri_status gri_config_load(const struct gri_config_sources *sources, struct gri_config **config, struct gri_error *error) {
    struct gri_config *self = gri_calloc(1, sizeof *self);
    gri_options(&self->count);
    self->slots = gri_calloc(self->count, sizeof *self->slots);
    self->files = gri_json_array();
    enum gri_status status = load_defaults(self, error);
    if (status == GRI_OK) status = load_file(self, sources, error);
    if (status == GRI_OK) status = load_environment(self, sources->environment, error);
    if (status == GRI_OK) status = load_sets(self, sources, error);
    if (status == GRI_OK) status = check_together(self, error);
    if (status != GRI_OK) {
        gri_config_destroy(self);
        self = NULL;
    }
    *config = self;
    return status;
}

static const struct slot *look_up(const struct gri_config *config, const char *key, unsigned types) {
    const struct gri_option *option = gri_option_find(key);
    GRI_ASSERT(option);
    GRI_ASSERT(types & 1u << option->type);
    return slot_of(config, option);
}

enum {
    TEXTS = 1 << GRI_OPTION_text | 1 << GRI_OPTION_secret | 1 << GRI_OPTION_uri | 1 << GRI_OPTION_choice,
    NUMBERS = 1 << GRI_OPTION_integer | 1 << GRI_OPTION_bytes,
    LISTS = 1 << GRI_OPTION_texts | 1 << GRI_OPTION_integers,
    TREES = 1 << GRI_OPTION_tree
};

const char *gri_config_text(const struct gri_config *config, const char *key) {
    return gri_json_text(look_up(config, key, TEXTS)->value, "");
}

int64_t gri_config_int(const struct gri_config *config, const char *key) {
    return gri_json_number(look_up(config, key, NUMBERS)->value, 0);
}

bool gri_config_bool(const struct gri_config *config, const char *key) {
    const struct gri_json *value = look_up(config, key, 1 << GRI_OPTION_boolean)->value;
    return gri_json_flag(value, false);
}

const struct gri_json *gri_config_list(const struct gri_config *config, const char *key) {
    return look_up(config, key, LISTS)->value;
}
const struct gri_json *gri_config_tree(const struct gri_config *config, const char *key) {
    return look_up(config, key, TREES)->value;
}
const char *gri_config_source(const struct gri_config *config, const char *key) {
    return look_up(config, key, UINT32_MAX)->source;
}
const char *gri_config_file(const struct gri_config *config) {
    return config->file;
}
const struct gri_json *gri_config_files(const struct gri_config *config) {
    return config->files;
}

void gri_config_compare(const struct gri_config *before, const struct gri_config *after,
                        void (*visit)(const struct gri_option *option, void *arg), void *arg) {
    size_t count = 0;
    const struct gri_option *options = gri_options(&count);
    for (size_t i = 0; i < count; i++)
        if (!gri_json_equal(before->slots[i].value, after->slots[i].value)) visit(&options[i], arg);
}

void gri_config_keep_fixed(struct gri_config *config, const struct gri_config *from) {
    size_t count = 0;
    const struct gri_option *options = gri_options(&count);
    for (size_t i = 0; i < count; i++) {
        const struct slot *slot = &from->slots[i];
        struct gri_config_place place = {&options[i], slot->layer, slot->source};
        if (!options[i].live) fill(config, &place, slot->value ? gri_json_copy(slot->value) : NULL);
    }
}

/* The slot of the option that `path` is or lies in; NULL if none. */
static const struct slot *slot_around(const struct gri_config *config, const char *path) {
    size_t count = 0;
    const struct gri_option *options = gri_options(&count);
    for (size_t i = 0; i < count; i++) {
        size_t n = strlen(options[i].key);
        if (strncmp(path, options[i].key, n) == 0 && (path[n] == '\0' || path[n] == '.' || path[n] == '['))
            return &config->slots[i];
    }
    return NULL;
}

int gri_config_tree_line(const struct gri_config *config, const char *path) {
    const struct slot *slot = slot_around(config, path);
    int line = 0;
    size_t best = 0;
    for (size_t i = 0; slot && i < slot->lines.count; i++) {
        const struct gri_config_line *item = &slot->lines.items[i];
        size_t n = strlen(item->path);
        if (n > best && strncmp(item->path, path, n) == 0 && (path[n] == '\0' || path[n] == '.' || path[n] == '[')) {
            best = n;
            line = item->line;
        }
    }
    return line;
}

void gri_config_tree_place(const struct gri_config *config, const char *path, char *out, size_t size) {
    const struct slot *slot = slot_around(config, path);
    int line = gri_config_tree_line(config, path);
    if (line > 0) {
        gri_format(out, size, "%s:%d", config->file, line);
    } else {
        gri_copy(out, size, slot ? slot->source : "default");
    }
}

static struct gri_json *shown_value(const struct gri_option *option, const struct slot *slot) {
    if (!slot->value) return gri_json_null();
    if (option->type == GRI_OPTION_secret) return gri_json_string(gri_json_text(slot->value, "")[0] ? "***" : "");
    if (option->type != GRI_OPTION_uri) return gri_json_copy(slot->value);
    struct gri_bytes text;
    gri_bytes_init(&text, 0);
    gri_redact_put_uri(&text, gri_json_text(slot->value, ""));
    struct gri_json *value = gri_json_string(gri_bytes_text(&text));
    gri_bytes_clear(&text);
    return value;
}

struct gri_json *gri_config_describe(const struct gri_config *config) {
    size_t count = 0;
    const struct gri_option *options = gri_options(&count);
    struct gri_json *all = gri_json_array();
    for (size_t i = 0; i < count; i++) {
        struct gri_json *one = gri_json_object();
        gri_json_set_str(one, "key", options[i].key);
        gri_json_set(one, "value", shown_value(&options[i], &config->slots[i]));
        gri_json_set_str(one, "source", config->slots[i].source);
        gri_json_append(all, one);
    }
    return all;
}

struct gri_json *gri_config_options(void) {
    size_t count = 0;
    const struct gri_option *options = gri_options(&count);
    struct gri_json *all = gri_json_array();
    for (size_t i = 0; i < count; i++) {
        char name[GRI_OPTION_ENVIRONMENT_MAX];
        gri_option_environment(&options[i], name);
        struct gri_json *one = gri_json_object();
        gri_json_set_str(one, "key", options[i].key);
        gri_json_set_str(one, "type", gri_option_type_name(options[i].type));
        gri_json_set_str(one, "default", options[i].otherwise);
        gri_json_set_int(one, "min", options[i].min);
        gri_json_set_int(one, "max", options[i].max);
        gri_json_set_str(one, "unit", options[i].unit);
        gri_json_set_str(one, "help", options[i].help);
        gri_json_set_str(one, "environment", name);
        gri_json_set_bool(one, "live", options[i].live);
        gri_json_append(all, one);
    }
    return all;
}
