/* SPDX-License-Identifier: Apache-2.0 */
/* GET /openapi.json: OpenAPI 3.1, made from the route table, so that it can't tell of routes that aren't there. */
#include <ctype.h>
#include <string.h>

#include "api_internal.h"

static struct gri_json *parameter(const char *name, const char *in, bool required) {
    struct gri_json *json = gri_json_object(), *schema = gri_json_object();
    gri_json_set_str(json, "name", name);
    gri_json_set_str(json, "in", in);
    gri_json_set_bool(json, "required", required);
    gri_json_set_str(schema, "type",
                     strcmp(name, "limit") == 0        ? "integer"
                     : strcmp(name, "retry_dead") == 0 ? "boolean"
                                                       : "string");
    if (strcmp(name, "limit") == 0) {
        gri_json_set_int(schema, "minimum", 1);
        gri_json_set_int(schema, "maximum", GRI_API_PAGE_MAX);
    }
    if (strcmp(name, "sha256") == 0) gri_json_set_str(schema, "pattern", "^[0-9a-fA-F]{64}$");
    if (strcmp(name, "id") == 0) gri_json_set_str(schema, "pattern", "^[0-9a-f]{24}$");
    gri_json_set(json, "schema", schema);
    return json;
}

static struct gri_json *parameters(const struct gri_api_route *route) {
    struct gri_json *list = gri_json_array();
    char name[32];
    const char *brace = strchr(route->pattern, '{');
    if (brace) {
        (void)gri_format(name, sizeof name, "%.*s", (int)strcspn(brace + 1, "}"), brace + 1);
        gri_json_append(list, parameter(name, "path", true));
    }
    for (const char *p = route->query; *p; p += strspn(p, " ")) {
        size_t len = strcspn(p, " ");
        (void)gri_format(name, sizeof name, "%.*s", (int)len, p);
        gri_json_append(list, parameter(name, "query", strcmp(name, "url") == 0));
        p += len;
    }
    return list;
}

static void add_response(struct gri_json *responses, const char *status, const char *description) {
    struct gri_json *response = gri_json_object();
    gri_json_set_str(response, "description", description);
    gri_json_set(responses, status, response);
}

static struct gri_json *operation(const struct gri_api_route *route) {
    struct gri_json *json = gri_json_object(), *responses = gri_json_object();
    gri_json_set_str(json, "summary", route->summary);
    gri_json_set(json, "parameters", parameters(route));
    if (strcmp(route->method, "POST") == 0) add_response(responses, "202", "durable; counting begins");
    add_response(responses, "200", "the answer");
    add_response(responses, "default", "a problem (RFC 9457) with a reason");
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
    gri_json_set(json, "components", components);
    gri_api_reply_json(call->reply, 200, json);
}
