/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration file: YAML by libyaml's document API, which keeps line numbers (config_internal.h).
 *
 * A plain scalar of a tree gets its type by YAML 1.2's core schema (chapter 10.3.2); a quoted one is text. */
#include "config_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

enum { FILE_MAX = 1024 * 1024, MAX_NODES = 20000, MAX_DEPTH = 32, PATH_LENGTH = 512 };

/* A document, checked as a whole before anything of it is used. */
struct document {
    yaml_document_t yaml;
    const char *name; /* of the file; NULL for text from elsewhere */
    const char *source;
    bool *seen; /* one a node: a second visit means an alias */
    size_t nodes;
};

static int line_of(const yaml_node_t *node) {
    return (int)node->start_mark.line + 1;
}

/* gri_config_source's text for a line of the document. */
static void describe_line(const struct document *document, int line, char *out, size_t size) {
    if (document->name) {
        gri_format(out, size, "file:%s:%d", document->name, line);
    } else {
        gri_copy(out, size, document->source);
    }
}

static enum gri_status refuse(const struct document *document, const yaml_node_t *node, const char *what,
                              struct gri_error *error) {
    char source[PATH_LENGTH];
    describe_line(document, line_of(node), source, sizeof source);
    return gri_config_fail(error, source, "%s", what);
}

static const char *scalar_text(const yaml_node_t *node) {
    return (const char *)node->data.scalar.value;
}

static bool whole_text(const yaml_node_t *node) {
    return strlen(scalar_text(node)) == node->data.scalar.length;
}

static enum gri_status check_keys(struct document *document, const yaml_node_t *map, struct gri_error *error) {
    const yaml_node_pair_t *first = map->data.mapping.pairs.start, *end = map->data.mapping.pairs.top;
    for (const yaml_node_pair_t *pair = first; pair < end; pair++) {
        const yaml_node_t *key = yaml_document_get_node(&document->yaml, pair->key);
        if (key->type != YAML_SCALAR_NODE || !whole_text(key)) return refuse(document, key, "a key must be text", error);
        if (pair - first >= 2000) return refuse(document, key, "over 2000 keys in one map", error);
        for (const yaml_node_pair_t *other = first; other < pair; other++) {
            const yaml_node_t *earlier = yaml_document_get_node(&document->yaml, other->key);
            if (strcmp(scalar_text(earlier), scalar_text(key)) != 0) continue;
            char what[200];
            gri_format(what, sizeof what, "key \"%.80s\" is given twice (first in line %d)", scalar_text(key), line_of(earlier));
            return refuse(document, key, what, error);
        }
    }
    return GRI_OK;
}

/* Depth, number, tags, aliases, keys of the node and all below it. Bounded: an alias ends it. */
static enum gri_status check_node(struct document *document, int index, int depth, struct gri_error *error) {
    const yaml_node_t *node = yaml_document_get_node(&document->yaml, index);
    static const char *const TAGS[] = {YAML_STR_TAG, YAML_SEQ_TAG, YAML_MAP_TAG};
    enum gri_status status = GRI_OK;
    if (depth > MAX_DEPTH) return refuse(document, node, "nested too deep (32 levels are allowed)", error);
    if (document->seen[index])
        return refuse(document, node, "an anchor (&) with aliases (*) is not allowed; write the text twice", error);
    document->seen[index] = true;
    if (++document->nodes > MAX_NODES) return refuse(document, node, "more than 20000 values", error);
    size_t known = 0;
    while (known < 3 && strcmp((const char *)node->tag, TAGS[known]) != 0)
        known++;
    if (known == 3) return refuse(document, node, "tags (!) are not allowed", error);
    if (node->type == YAML_SEQUENCE_NODE) {
        for (const yaml_node_item_t *item = node->data.sequence.items.start;
             item < node->data.sequence.items.top && status == GRI_OK; item++) {
            status = check_node(document, *item, depth + 1, error);
        }
    } else if (node->type == YAML_MAPPING_NODE) {
        status = check_keys(document, node, error);
        for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
             pair < node->data.mapping.pairs.top && status == GRI_OK; pair++) {
            status = check_node(document, pair->key, depth + 1, error);
            if (status == GRI_OK) status = check_node(document, pair->value, depth + 1, error);
        }
    }
    return status;
}

static enum gri_status parse_problem(const struct document *document, const yaml_parser_t *parser, struct gri_error *error) {
    char source[PATH_LENGTH];
    bool marked =
        parser->error == YAML_SCANNER_ERROR || parser->error == YAML_PARSER_ERROR || parser->error == YAML_COMPOSER_ERROR;
    describe_line(document, marked ? (int)parser->problem_mark.line + 1 : 1, source, sizeof source);
    return gri_config_fail(error, source, "not valid YAML: %s%s%s", parser->problem ? parser->problem : "unknown problem",
                           parser->context ? ", " : "", parser->context ? parser->context : "");
}

/* Loads and checks one document; *root is NULL when the text has none. document_clear is due even on failure. */
static enum gri_status document_load(struct document *document, struct gri_slice text, yaml_node_t **root,
                                     struct gri_error *error) {
    yaml_parser_t parser;
    yaml_document_t second;
    enum gri_status status = GRI_OK;
    *root = NULL;
    GRI_ASSERT(yaml_parser_initialize(&parser));
    yaml_parser_set_input_string(&parser, text.data, text.len);
    if (!yaml_parser_load(&parser, &document->yaml)) {
        memset(&document->yaml, 0, sizeof document->yaml);
        status = parse_problem(document, &parser, error);
        goto out;
    }
    *root = yaml_document_get_root_node(&document->yaml);
    if (!*root) goto out;
    if (!yaml_parser_load(&parser, &second)) {
        status = parse_problem(document, &parser, error);
        goto out;
    }
    yaml_node_t *more = yaml_document_get_root_node(&second);
    if (more) status = refuse(document, more, "a second document begins here; one is allowed", error);
    yaml_document_delete(&second);
    if (status != GRI_OK) goto out;
    document->seen = gri_calloc((size_t)(document->yaml.nodes.top - document->yaml.nodes.start) + 1, sizeof *document->seen);
    status = check_node(document, 1, 0, error);
out:
    yaml_parser_delete(&parser);
    return status;
}

static void document_clear(struct document *document) {
    yaml_document_delete(&document->yaml);
    free(document->seen);
}

static bool one_of(const char *text, const char *const *words) {
    while (*words && strcmp(*words, text) != 0)
        words++;
    return *words != NULL;
}

static size_t digits(const char *text, const char *set) {
    return strspn(text, set);
}

/* [-+]?[0-9]+ | 0o[0-7]+ | 0x[0-9a-fA-F]+, where it fits 64 bits. */
static bool core_integer(const char *text, int64_t *value) {
    bool octal = strncmp(text, "0o", 2) == 0, hex = strncmp(text, "0x", 2) == 0;
    const char *start = octal || hex ? text + 2 : text + (text[0] == '-' || text[0] == '+');
    const char *set = octal ? "01234567" : hex ? "0123456789abcdefABCDEF" : "0123456789";
    if (*start == '\0' || start[digits(start, set)] != '\0') return false;
    char *end = NULL;
    errno = 0;
    *value = strtoll(octal || hex ? start : text, &end, octal ? 8 : hex ? 16 : 10);
    return errno == 0;
}

/* [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)? */
static bool core_real(const char *text, double *value) {
    const char *at = text + (text[0] == '-' || text[0] == '+');
    size_t whole = digits(at, "0123456789"), fraction = 0;
    at += whole;
    if (*at == '.') {
        fraction = digits(at + 1, "0123456789");
        at += 1 + fraction;
    }
    if (whole + fraction == 0) return false;
    if (*at == 'e' || *at == 'E') {
        at += 1 + (at[1] == '-' || at[1] == '+');
        size_t exponent = digits(at, "0123456789");
        if (exponent == 0) return false;
        at += exponent;
    }
    if (*at != '\0') return false;
    *value = strtod(text, NULL);
    return true;
}

static struct gri_json *scalar_json(const yaml_node_t *node) {
    static const char *const NULLS[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const TRUES[] = {"true", "True", "TRUE", NULL};
    static const char *const FALSES[] = {"false", "False", "FALSE", NULL};
    const char *text = scalar_text(node);
    int64_t integer = 0;
    double real = 0;
    if (node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE) return gri_json_string_n(text, node->data.scalar.length);
    if (one_of(text, NULLS)) return gri_json_null();
    if (one_of(text, TRUES)) return gri_json_bool(true);
    if (one_of(text, FALSES)) return gri_json_bool(false);
    if (core_integer(text, &integer)) return gri_json_int(integer);
    if (core_real(text, &real)) return gri_json_real(real);
    return gri_json_string_n(text, node->data.scalar.length);
}

void gri_config_lines_add(struct gri_config_lines *lines, const char *path, int line) {
    if (lines->count == lines->cap) {
        size_t cap = lines->cap ? lines->cap * 2 : 64;
        struct gri_config_line *items = gri_calloc(cap, sizeof *items);
        if (lines->count) memcpy(items, lines->items, lines->count * sizeof *items);
        free(lines->items);
        lines->items = items;
        lines->cap = cap;
    }
    lines->items[lines->count++] = (struct gri_config_line){.path = gri_strdup(path), .line = line};
}

void gri_config_lines_clear(struct gri_config_lines *lines) {
    for (size_t i = 0; i < lines->count; i++)
        free(lines->items[i].path);
    free(lines->items);
    *lines = (struct gri_config_lines){0};
}

/* The node and all below it; `path` is its place, which begins in `line` (of its key, where it has
 * one) and is noted where `lines` is given. Depth was checked. */
static struct gri_json *to_json(struct document *document, int index, const char *path, int line,
                                struct gri_config_lines *lines) {
    yaml_document_t *yaml = &document->yaml;
    const yaml_node_t *node = yaml_document_get_node(yaml, index);
    char below[PATH_LENGTH];
    if (lines) gri_config_lines_add(lines, path, line);
    if (node->type == YAML_SCALAR_NODE) return scalar_json(node);
    if (node->type == YAML_SEQUENCE_NODE) {
        struct gri_json *array = gri_json_array();
        size_t n = 0;
        for (const yaml_node_item_t *item = node->data.sequence.items.start; item < node->data.sequence.items.top; item++) {
            gri_format(below, sizeof below, "%s[%zu]", path, n++);
            gri_json_append(array, to_json(document, *item, below, line_of(yaml_document_get_node(yaml, *item)), lines));
        }
        return array;
    }
    struct gri_json *object = gri_json_object();
    for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top; pair++) {
        const yaml_node_t *key = yaml_document_get_node(yaml, pair->key);
        gri_format(below, sizeof below, "%s.%s", path, scalar_text(key));
        gri_json_set(object, scalar_text(key), to_json(document, pair->value, below, line_of(key), lines));
    }
    return object;
}

/* A list's items as the texts that stand in the file. */
static enum gri_status assign_sequence(struct gri_config *config, const struct gri_config_place *place, struct document *document,
                                       const yaml_node_t *node, struct gri_error *error) {
    struct gri_json *list = gri_json_array();
    for (const yaml_node_item_t *item = node->data.sequence.items.start; item < node->data.sequence.items.top; item++) {
        const yaml_node_t *value = yaml_document_get_node(&document->yaml, *item);
        if (value->type != YAML_SCALAR_NODE || !whole_text(value)) {
            gri_json_free(list);
            return refuse(document, value, "a list of plain values is wanted", error);
        }
        gri_json_append(list, gri_json_string(scalar_text(value)));
    }
    return gri_config_assign_list(config, place, list, error);
}

static enum gri_status assign_node(struct gri_config *config, const struct gri_config_place *place, struct document *document,
                                   int index, struct gri_error *error) {
    const yaml_node_t *node = yaml_document_get_node(&document->yaml, index);
    enum gri_option_type type = place->option->type;
    if (type == GRI_OPTION_tree) {
        struct gri_config_lines lines = {0};
        struct gri_json *tree = to_json(document, index, place->option->key, line_of(node), &lines);
        enum gri_status status = gri_config_assign_tree(config, place, tree, &lines, error);
        gri_config_lines_clear(&lines);
        return status;
    }
    if (node->type == YAML_SEQUENCE_NODE && (type == GRI_OPTION_texts || type == GRI_OPTION_integers)) {
        return assign_sequence(config, place, document, node, error);
    }
    if (node->type != YAML_SCALAR_NODE || !whole_text(node)) {
        return gri_config_fail(error, place->source, "%s must be one value of type %s", place->option->key,
                               gri_option_type_name(type));
    }
    return gri_config_assign_text(config, place, scalar_text(node), error);
}

/* Does an option's key begin with "path."? */
static bool is_section(const char *path) {
    size_t count = 0, len = strlen(path);
    const struct gri_option *options = gri_options(&count);
    for (size_t i = 0; i < count; i++) {
        if (strncmp(options[i].key, path, len) == 0 && options[i].key[len] == '.') return true;
    }
    return false;
}

static enum gri_status assign_map(struct gri_config *config, struct document *document, const yaml_node_t *map,
                                  const char *prefix, struct gri_error *error);

static enum gri_status assign_pair(struct gri_config *config, struct document *document, const yaml_node_pair_t *pair,
                                   const char *prefix, struct gri_error *error) {
    const yaml_node_t *key = yaml_document_get_node(&document->yaml, pair->key);
    const yaml_node_t *value = yaml_document_get_node(&document->yaml, pair->value);
    char path[PATH_LENGTH], source[PATH_LENGTH];
    bool from_file = false;
    describe_line(document, line_of(key), source, sizeof source);
    gri_format(path, sizeof path, "%s%s%.200s", prefix, prefix[0] ? "." : "", scalar_text(key));
    const struct gri_option *option = gri_config_key(path, &from_file);
    struct gri_config_place place = {option, GRI_LAYER_FILE, source};
    if (option && from_file) {
        if (value->type != YAML_SCALAR_NODE || !whole_text(value))
            return gri_config_fail(error, source, "%s must name a file", path);
        return gri_config_assign_file(config, &place, scalar_text(value), error);
    }
    if (option) return assign_node(config, &place, document, pair->value, error);
    if (!is_section(path)) return gri_config_unknown(error, source, "key", path);
    if (value->type == YAML_MAPPING_NODE) return assign_map(config, document, value, path, error);
    /* A section whose keys are all commented out. */
    if (value->type == YAML_SCALAR_NODE && value->data.scalar.length == 0) return GRI_OK;
    return gri_config_fail(error, source, "%s is a section: keys are wanted under it", path);
}

/* Recursion ends: only sections have maps inside, and an option's key has few dots. */
static enum gri_status assign_map(struct gri_config *config, struct document *document, const yaml_node_t *map,
                                  const char *prefix, struct gri_error *error) {
    enum gri_status status = GRI_OK;
    for (const yaml_node_pair_t *pair = map->data.mapping.pairs.start; pair < map->data.mapping.pairs.top && status == GRI_OK;
         pair++) {
        status = assign_pair(config, document, pair, prefix, error);
    }
    return status;
}

enum gri_status gri_config_read_yaml(struct gri_config *config, const char *path, struct gri_error *error) {
    struct document document = {.name = path};
    struct gri_bytes text;
    yaml_node_t *root = NULL;
    gri_bytes_init(&text, FILE_MAX + 1);
    enum gri_status status = gri_config_read_file(path, FILE_MAX, &text, error);
    if (status != GRI_OK) goto out;
    status = document_load(&document, gri_bytes_slice(&text), &root, error);
    if (status != GRI_OK || !root) goto out;
    if (root->type == YAML_SCALAR_NODE && root->data.scalar.length == 0) goto out;
    if (root->type != YAML_MAPPING_NODE) {
        status = refuse(&document, root, "keys and values are wanted", error);
        goto out;
    }
    status = assign_map(config, &document, root, "", error);
out:
    document_clear(&document);
    gri_bytes_clear(&text);
    return status;
}

enum gri_status gri_config_parse_tree(const struct gri_config_place *place, struct gri_slice text, struct gri_json **tree,
                                      struct gri_error *error) {
    struct document document = {.source = place->source};
    yaml_node_t *root = NULL;
    *tree = NULL;
    enum gri_status status = document_load(&document, text, &root, error);
    if (status == GRI_OK) *tree = root ? to_json(&document, 1, place->option->key, 0, NULL) : gri_json_null();
    document_clear(&document);
    return status;
}
