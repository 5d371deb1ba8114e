/* SPDX-License-Identifier: Apache-2.0 */
/* GET /openapi.json: OpenAPI 3.1, made from the route table, so that it can't tell of routes that aren't there. */
#include <ctype.h>
#include <string.h>

#include "api_internal.h"

/* What is known of a parameter by its name; those that are not here are any text. */
static const struct parameter {
    const char *name, *type, *pattern, *help, *choices; /* choices: separated by blanks */
    int64_t minimum, maximum;                           /* integers */
} PARAMETERS[] = {
    {"limit", "integer", NULL, "rows of a page, at most", NULL, 1, GRI_API_PAGE_MAX},
    {"within", "integer", NULL, "bits of 64 that may differ", NULL, 0, 11},
    {"refresh", "boolean", NULL, "URLs of it that are done are fetched anew, unless their host says that nothing has changed",
     NULL, 0, 0},
    {"retry_dead", "boolean", NULL, "dead URLs of it get another life", NULL, 0, 0},
    {"rising", "boolean", NULL, "oldest first, from `since` or now on; `next` is always given", NULL, 0, 0},
    {"follow", "boolean", NULL, "a stream that does not end: one event a line, an empty line now and then", NULL, 0, 0},
    {"all", "boolean", NULL, "without any filter", NULL, 0, 0},
    {"sha256", "string", "^[0-9a-fA-F]{8,64}$", "a source, output or base64 sum, or the beginning of one", NULL, 0, 0},
    {"id", "string", "^[0-9a-f]{24}$", "a catalog", NULL, 0, 0},
    {"event", "string", NULL, "an event's name (query), or its id of 24 hexadecimal digits (path)", NULL, 0, 0},
    {"host", "string", "^[a-zA-Z0-9._:\\[\\]-]{1,255}$", "a host as it stands in a canonical URL", NULL, 0, 0},
    {"phash", "string", "^[0-9a-f]{16}$", "a perceptual hash", NULL, 0, 0},
    {"since", "string", NULL, "at or after: RFC 3339 in UTC, a date, Unix seconds, or an age such as 15m, 36h, 14d, 2w", NULL, 0,
     0},
    {"until", "string", NULL, "before; as since", NULL, 0, 0},
    {"cursor", "string", NULL, "`next` of the page before", NULL, 0, 0},
    {"match", "string", NULL, "a regular expression (PCRE) over `detail`", NULL, 0, 0},
    {"level", "string", NULL, NULL, "debug info warn error", 0, 0},
    {"outcome", "string", NULL, NULL,
     "blank invalid stored duplicate_content duplicate dead pending cancelled removed unchanged changed refresh_failed", 0, 0},
    {"by", "string", "^[a-z]+(,[a-z]+)*$", "minute, hour, day or week, and host, pipeline, outcome, reason; separated by commas",
     NULL, 0, 0},
    {"url", "string", NULL, "as it would stand in a catalog", NULL, 0, 0},
};

static void add_choices(struct gri_json *schema, const char *choices) {
    struct gri_json *list = gri_json_array();
    for (const char *word = choices; *word; word += strspn(word, " ")) {
        size_t len = strcspn(word, " ");
        gri_json_append(list, gri_json_string_n(word, len));
        word += len;
    }
    gri_json_set(schema, "enum", list);
}

/* The reasons there are, for `reason` as a filter (a takedown's is any text). */
static void add_reasons(struct gri_json *schema) {
    struct gri_json *list = gri_json_array();
    for (int reason = GRI_R_none; reason < GRI_REASON_COUNT; reason++)
        gri_json_append(list, gri_json_string(gri_reason_name((enum gri_reason)reason)));
    gri_json_set(schema, "enum", list);
}

static struct gri_json *schema_of(const struct gri_api_route *route, const char *name, bool path, const char **help) {
    struct gri_json *schema = gri_json_object();
    const struct parameter *known = NULL;
    for (size_t i = 0; i < sizeof PARAMETERS / sizeof PARAMETERS[0]; i++)
        if (strcmp(PARAMETERS[i].name, name) == 0) known = &PARAMETERS[i];
    gri_json_set_str(schema, "type", known ? known->type : "string");
    *help = known ? known->help : NULL;
    if (known && strcmp(known->type, "integer") == 0) {
        gri_json_set_int(schema, "minimum", known->minimum);
        gri_json_set_int(schema, "maximum", known->maximum);
    }
    if (known && known->pattern && (path || strcmp(name, "host") != 0)) gri_json_set_str(schema, "pattern", known->pattern);
    if (known && known->choices) add_choices(schema, known->choices);
    if (strcmp(name, "reason") == 0 && strcmp(route->method, "DELETE") != 0) add_reasons(schema);
    return schema;
}

static bool is_required(const struct gri_api_route *route, const char *name) {
    return strcmp(name, "url") == 0 || strcmp(name, "phash") == 0 ||
           (strcmp(name, "reason") == 0 && strcmp(route->method, "DELETE") == 0);
}

static struct gri_json *parameter(const struct gri_api_route *route, const char *name, bool path) {
    struct gri_json *json = gri_json_object();
    const char *help;
    gri_json_set_str(json, "name", name);
    gri_json_set_str(json, "in", path ? "path" : "query");
    gri_json_set_bool(json, "required", path || is_required(route, name));
    gri_json_set(json, "schema", schema_of(route, name, path, &help));
    if (help) gri_json_set_str(json, "description", help);
    return json;
}

static struct gri_json *parameters(const struct gri_api_route *route) {
    struct gri_json *list = gri_json_array();
    char name[32];
    const char *brace = strchr(route->pattern, '{');
    if (brace) {
        (void)gri_format(name, sizeof name, "%.*s", (int)strcspn(brace + 1, "}"), brace + 1);
        gri_json_append(list, parameter(route, name, true));
    }
    for (const char *p = route->query; *p; p += strspn(p, " ")) {
        size_t len = strcspn(p, " ");
        (void)gri_format(name, sizeof name, "%.*s", (int)len, p);
        gri_json_append(list, parameter(route, name, false));
        p += len;
    }
    return list;
}

/* {"<type>": {"schema": …}} for each of the types, separated by blanks. */
static struct gri_json *content_of(const char *types, const char *schema) {
    struct gri_json *content = gri_json_object();
    for (const char *word = types; *word; word += strspn(word, " ")) {
        size_t len = strcspn(word, " ");
        char type[64];
        struct gri_json *media = gri_json_object(), *reference = gri_json_object();
        (void)gri_format(type, sizeof type, "%.*s", (int)len, word);
        if (schema && strstr(type, "json") && !strstr(type, "ndjson")) gri_json_set_str(reference, "$ref", schema);
        gri_json_set(media, "schema", reference);
        gri_json_set(content, type, media);
        word += len;
    }
    return content;
}

static void add_response(struct gri_json *responses, const char *status, const char *description, const char *types,
                         const char *schema) {
    struct gri_json *response = gri_json_object();
    gri_json_set_str(response, "description", description);
    if (types) gri_json_set(response, "content", content_of(types, schema));
    gri_json_set(responses, status, response);
}

/* What a route answers with, where it is not JSON alone. */
static const char *types_of(const struct gri_api_route *route) {
    static const struct {
        const char *end, *types;
    } known[] = {{"/lines", "application/json application/x-ndjson text/csv"},
                 {"/raw", "application/octet-stream text/plain"},
                 {"/content", "image/jpeg image/png image/webp image/gif application/octet-stream"},
                 {"/base64", "text/plain"},
                 {"/body", "application/octet-stream"},
                 {"/v1/events", "application/json application/x-ndjson"},
                 {"/metrics", "text/plain"},
                 {"/page/{file}", "text/html text/css text/javascript image/svg+xml"}};
    if (strcmp(route->pattern, "/") == 0) return "text/html";
    size_t len = strlen(route->pattern);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        size_t end = strlen(known[i].end);
        if (len >= end && strcmp(route->pattern + len - end, known[i].end) == 0) return known[i].types;
    }
    return "application/json";
}

static void add_body(struct gri_json *operation) {
    struct gri_json *body = gri_json_object();
    gri_json_set_str(body, "description", "the catalog: text, one URL a line");
    gri_json_set(body, "content", content_of("text/plain", NULL));
    gri_json_set(operation, "requestBody", body);
}

static struct gri_json *operation(const struct gri_api_route *route) {
    struct gri_json *json = gri_json_object(), *responses = gri_json_object();
    gri_json_set_str(json, "summary", route->summary);
    gri_json_set(json, "parameters", parameters(route));
    bool push = strcmp(route->method, "POST") == 0 && strcmp(route->pattern, "/v1/catalogs") == 0;
    bool begins = strcmp(route->method, "POST") == 0 && strcmp(route->pattern, "/v1/reprocess") == 0;
    bool partial = strstr(route->pattern, "/content") || strstr(route->pattern, "/base64");
    if (push) add_body(json);
    if (push || begins || strcmp(route->method, "DELETE") == 0)
        add_response(responses, "202", "taken, and on its way", "application/json", NULL);
    if (partial) add_response(responses, "206", "the range that was asked for", types_of(route), NULL);
    if (partial) add_response(responses, "304", "what you have is what there is", NULL, NULL);
    if (strcmp(route->pattern, "/healthz") == 0 || strcmp(route->pattern, "/readyz") == 0)
        add_response(responses, "503", "not now", "application/json", NULL);
    add_response(responses, "200", "the answer", types_of(route), NULL);
    add_response(responses, "default", "a problem (RFC 9457) with a reason", "application/problem+json",
                 "#/components/schemas/Problem");
    gri_json_set(json, "responses", responses);
    struct gri_json *security = gri_json_array();
    if (route->scope != GRI_SCOPE_NONE) {
        struct gri_json *bearer = gri_json_object();
        gri_json_set(bearer, "token", gri_json_array());
        gri_json_append(security, bearer);
    }
    gri_json_set(json, "security", security);
    return json;
}

static struct gri_json *method_key(struct gri_json *path, const struct gri_api_route *route) {
    char method[8];
    size_t i = 0;
    for (; route->method[i] && i < sizeof method - 1; i++)
        method[i] = (char)tolower((unsigned char)route->method[i]);
    method[i] = '\0';
    gri_json_set(path, method, operation(route));
    return path;
}

/* One path item: all routes of the same pattern (they stand together or apart in the table). */
static struct gri_json *path_item(const struct gri_api_route *routes, size_t count, const char *pattern) {
    struct gri_json *path = gri_json_object();
    for (size_t i = 0; i < count; i++)
        if (strcmp(routes[i].pattern, pattern) == 0) method_key(path, &routes[i]);
    return path;
}

static struct gri_json *problem_schema(void) {
    static const char *const texts[] = {"type", "title", "detail", "reason"};
    struct gri_json *schemas = gri_json_object(), *problem = gri_json_object(), *properties = gri_json_object(),
                    *status = gri_json_object(), *required = gri_json_array();
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct gri_json *text = gri_json_object();
        gri_json_set_str(text, "type", "string");
        gri_json_set(properties, texts[i], text);
        gri_json_append(required, gri_json_string(texts[i]));
    }
    gri_json_set_str(status, "type", "integer");
    gri_json_set(properties, "status", status);
    gri_json_append(required, gri_json_string("status"));
    gri_json_set_str(problem, "type", "object");
    gri_json_set(problem, "properties", properties);
    gri_json_set(problem, "required", required);
    gri_json_set(schemas, "Problem", problem);
    return schemas;
}

void gri_api_get_openapi(struct gri_api_call *call) {
    size_t count;
    const struct gri_api_route *routes = gri_api_routes(&count);
    struct gri_json *json = gri_json_object(), *info = gri_json_object(), *paths = gri_json_object();
    gri_json_set_str(json, "openapi", "3.1.0");
    gri_json_set_str(info, "title", "Grisaille");
    gri_json_set_str(info, "version", call->api->options.version);
    gri_json_set_str(info, "description", "Catalogs of image URLs in, verified gray images out.");
    gri_json_set(json, "info", info);
    for (size_t i = 0; i < count; i++)
        if (!gri_json_get(paths, routes[i].pattern))
            gri_json_set(paths, routes[i].pattern, path_item(routes, count, routes[i].pattern));
    gri_json_set(json, "paths", paths);
    struct gri_json *components = gri_json_object(), *schemes = gri_json_object(), *token = gri_json_object();
    gri_json_set_str(token, "type", "http");
    gri_json_set_str(token, "scheme", "bearer");
    gri_json_set(schemes, "token", token);
    gri_json_set(components, "securitySchemes", schemes);
    gri_json_set(components, "schemas", problem_schema());
    gri_json_set(json, "components", components);
    gri_api_reply_json(call->reply, 200, json);
}
