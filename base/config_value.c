/* SPDX-License-Identifier: Apache-2.0 */
/* From text to the values of options: types, ranges, and the errors that tell of them (config_internal.h). */
#include "config_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "utf8.h"

enum { SHOWN_MAX = 60 };

enum gri_status gri_config_fail(struct gri_error *error, const char *source, const char *format, ...) {
    char text[sizeof error->detail];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (strncmp(source, "file:", 5) == 0) return gri_fail(error, GRI_R_config, "%s: %s", source + 5, text);
    if (strncmp(source, "environment:", 12) == 0)
        return gri_fail(error, GRI_R_config, "environment variable %s: %s", source + 12, text);
    return gri_fail(error, GRI_R_config, "%s: %s", source, text);
}

enum gri_status gri_config_unknown(struct gri_error *error, const char *source, const char *what, const char *name) {
    const struct gri_option *nearest = gri_option_nearest(name);
    char variable[GRI_OPTION_ENVIRONMENT_MAX] = "";
    const char *suggestion = nearest ? nearest->key : "";
    if (nearest && strncmp(name, "GRISAILLE_", 10) == 0) {
        gri_option_environment(nearest, variable);
        suggestion = variable;
    }
    return gri_config_fail(error, source, "unknown %s \"%.80s\"%s%s%s", what, name, nearest ? "; did you mean " : "", suggestion,
                           nearest ? "?" : "; `grisaille config` lists them");
}

static bool hidden(const struct gri_option *option) {
    return option->type == GRI_OPTION_secret || option->type == GRI_OPTION_uri;
}

/* The value as an error may show it. */
static void show(const struct gri_option *option, const char *text, char out[SHOWN_MAX + 3]) {
    if (hidden(option)) {
        gri_copy(out, SHOWN_MAX + 3, "***");
    } else {
        gri_format(out, SHOWN_MAX + 3, "\"%.*s\"", SHOWN_MAX - 20, text);
    }
}

static enum gri_status wrong(const struct gri_config_place *place, const char *text, const char *allowed,
                             struct gri_error *error) {
    char shown[SHOWN_MAX + 3];
    show(place->option, text, shown);
    return gri_config_fail(error, place->source, "%s is %s; allowed: %s", place->option->key, shown, allowed);
}

static bool read_integer(const char *text, int64_t *value, const char **end) {
    char *stop = NULL;
    if (text[0] != '-' && text[0] != '+' && (text[0] < '0' || text[0] > '9')) return false;
    errno = 0;
    long long number = strtoll(text, &stop, 10);
    *value = number;
    *end = stop;
    return stop != text && errno == 0;
}

static bool scale_bytes(int64_t *value, const char *suffix) {
    static const char *const UNITS[] = {"", "KiB", "MiB", "GiB", "TiB"};
    for (int i = 0; i < (int)(sizeof UNITS / sizeof *UNITS); i++) {
        if (strcmp(suffix, UNITS[i]) != 0) continue;
        return !__builtin_mul_overflow(*value, INT64_C(1) << (10 * i), value);
    }
    return false;
}

static enum gri_status number_value(const struct gri_config_place *place, const char *text, struct gri_json **value,
                                    struct gri_error *error) {
    const struct gri_option *option = place->option;
    bool bytes = option->type == GRI_OPTION_bytes;
    char allowed[160];
    gri_format(allowed, sizeof allowed, "%s %" PRId64 " to %" PRId64 "%s%s%s", bytes ? "a size," : "an integer,", option->min,
               option->max, option->unit[0] ? " " : "", option->unit, bytes ? " (KiB, MiB, GiB, TiB may follow)" : "");
    int64_t number = 0;
    const char *end = NULL;
    bool good = read_integer(text, &number, &end) && (bytes ? scale_bytes(&number, end) : *end == '\0');
    if (!good || number < option->min || number > option->max) return wrong(place, text, allowed, error);
    *value = gri_json_int(number);
    return GRI_OK;
}

static enum gri_status text_value(const struct gri_config_place *place, const char *text, struct gri_json **value,
                                  struct gri_error *error) {
    size_t len = strlen(text);
    if (!gri_utf8_valid(gri_slice_of(text))) return wrong(place, "", "UTF-8 text", error);
    if (len < (size_t)place->option->min || len > (size_t)place->option->max) {
        char allowed[80];
        gri_format(allowed, sizeof allowed, "text of %" PRId64 " to %" PRId64 " bytes", place->option->min, place->option->max);
        return wrong(place, text, allowed, error);
    }
    *value = gri_json_string(text);
    return GRI_OK;
}

static enum gri_status choice_value(const struct gri_config_place *place, const char *text, struct gri_json **value,
                                    struct gri_error *error) {
    size_t len = strlen(text);
    for (const char *word = place->option->unit; *word;) {
        size_t n = strcspn(word, "|");
        if (n == len && memcmp(word, text, n) == 0) {
            *value = gri_json_string(text);
            return GRI_OK;
        }
        word += n + (word[n] == '|');
    }
    return wrong(place, text, place->option->unit, error);
}

static enum gri_status boolean_value(const struct gri_config_place *place, const char *text, struct gri_json **value,
                                     struct gri_error *error) {
    bool yes = strcmp(text, "true") == 0;
    if (!yes && strcmp(text, "false") != 0) return wrong(place, text, "true or false", error);
    *value = gri_json_bool(yes);
    return GRI_OK;
}

enum gri_status gri_config_value_list(const struct gri_config_place *place, const struct gri_json *items, struct gri_json **value,
                                      struct gri_error *error) {
    size_t count = gri_json_count(items);
    bool integers = place->option->type == GRI_OPTION_integers;
    int64_t most = integers ? 100 : place->option->max;
    if (count > (size_t)most)
        return gri_config_fail(error, place->source, "%s has %zu items; allowed: %" PRId64, place->option->key, count, most);
    struct gri_json *list = gri_json_array();
    enum gri_status status = GRI_OK;
    for (size_t i = 0; i < count && status == GRI_OK; i++) {
        const char *text = gri_json_text(gri_json_at(items, i), "");
        struct gri_json *item = NULL;
        if (integers) {
            status = number_value(place, text, &item, error);
        } else if (text[0] == '\0' || strlen(text) > 4096 || !gri_utf8_valid(gri_slice_of(text))) {
            status = wrong(place, text, "items of 1 to 4096 bytes", error);
        } else {
            item = gri_json_string(text);
        }
        if (item) gri_json_append(list, item);
    }
    if (status == GRI_OK) {
        *value = list;
    } else {
        gri_json_free(list);
    }
    return status;
}

static enum gri_status list_value(const struct gri_config_place *place, const char *text, struct gri_json **value,
                                  struct gri_error *error) {
    struct gri_json *items = gri_json_array();
    while (*text) {
        text += strspn(text, " ");
        size_t len = strcspn(text, ","), kept = len;
        while (kept > 0 && text[kept - 1] == ' ')
            kept--;
        gri_json_append(items, gri_json_string_n(text, kept));
        text += len + (text[len] == ',');
    }
    enum gri_status status = gri_config_value_list(place, items, value, error);
    gri_json_free(items);
    return status;
}

enum gri_status gri_config_value(const struct gri_config_place *place, const char *text, struct gri_json **value,
                                 struct gri_error *error) {
    switch (place->option->type) {
    case GRI_OPTION_text:
    case GRI_OPTION_secret:
    case GRI_OPTION_uri:
        return text_value(place, text, value, error);
    case GRI_OPTION_choice:
        return choice_value(place, text, value, error);
    case GRI_OPTION_integer:
    case GRI_OPTION_bytes:
        return number_value(place, text, value, error);
    case GRI_OPTION_boolean:
        return boolean_value(place, text, value, error);
    case GRI_OPTION_texts:
    case GRI_OPTION_integers:
        return list_value(place, text, value, error);
    case GRI_OPTION_tree:
        break;
    }
    gri_assert_failed("a tree is no text", __FILE__, __LINE__);
}

enum gri_status gri_config_check_tree(const struct gri_config_place *place, const struct gri_json *tree,
                                      struct gri_error *error) {
    bool map = strcmp(place->option->unit, "map") == 0;
    if (gri_json_kind(tree) != (map ? GRI_JSON_OBJECT : GRI_JSON_ARRAY)) {
        return gri_config_fail(error, place->source, "%s must be a %s", place->option->key, place->option->unit);
    }
    if (gri_json_count(tree) > (size_t)place->option->max) {
        return gri_config_fail(error, place->source, "%s has %zu entries; allowed: %" PRId64, place->option->key,
                               gri_json_count(tree), place->option->max);
    }
    return GRI_OK;
}
