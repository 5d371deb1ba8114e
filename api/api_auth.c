/* SPDX-License-Identifier: Apache-2.0 */
/* Who may do what: bearer tokens, compared in constant time; and without tokens, which browsers to believe.
 */
#include <string.h>
#include <strings.h>

#include "api_internal.h"

void gri_api_stop(struct gri_api *api) {
    atomic_store(&api->stopping, true);
}

/* The token whose digest is this one. Every token is compared, so that time tells nothing of which matched. */
static const struct gri_api_token *find_token(const struct gri_api_call *call, const char *digest) {
    const struct gri_api_settings *settings = call->settings;
    const struct gri_api_token *found = NULL;
    for (size_t i = 0; i < settings->token_count; i++)
        if (call->api->options.crypto->digest_equal(settings->tokens[i].digest, digest)) found = &settings->tokens[i];
    return found;
}

/* "localhost", a name below it, or a numeric address; with or without a port. Any other name may have been made to mean this
 * machine by whoever owns it (DNS rebinding). */
static bool is_local_host(const char *host) {
    if (host[0] == '[') return true;
    size_t len = strcspn(host, ":");
    if (len > 0 && host[len - 1] == '.') len--;
    static const char LOCAL[] = "localhost";
    size_t local = sizeof LOCAL - 1;
    if (len >= local && strncasecmp(host + len - local, LOCAL, local) == 0 && (len == local || host[len - local - 1] == '.'))
        return true;
    return len > 0 && strspn(host, "0123456789.") >= len;
}

/* Whether a page that was served by `host` itself asks: the origin is http(s)://host. */
static bool is_same_origin(const char *origin, const char *host) {
    size_t scheme = strncasecmp(origin, "http://", 7) == 0 ? 7 : strncasecmp(origin, "https://", 8) == 0 ? 8 : 0;
    return scheme > 0 && host && strcasecmp(origin + scheme, host) == 0;
}

/* Without tokens whoever reaches the loopback address may do all, and so could any page in a browser on this machine. With them
 * nothing needs to be refused here: no browser sends a bearer token by itself. */
static bool admit_browser(const struct gri_api_call *call) {
    const struct gri_api_request *request = call->request;
    struct gri_api_reply *reply = call->reply;
    if (request->trusted || call->settings->token_count > 0) return true;
    if (request->host && !is_local_host(request->host)) {
        gri_api_problem_of(reply, GRI_R_forbidden,
                           "without api.tokens only requests to localhost or a numeric address are answered, not to %.100s",
                           request->host);
        return false;
    }
    bool reads = strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0;
    if (!reads && request->origin && !is_same_origin(request->origin, request->host)) {
        gri_api_problem_of(reply, GRI_R_forbidden, "without api.tokens a page of %.100s may change nothing here",
                           request->origin);
        return false;
    }
    return true;
}

bool gri_api_authorize(struct gri_api_call *call, unsigned scope) {
    const struct gri_api_request *request = call->request;
    struct gri_api_reply *reply = call->reply;
    (void)gri_copy(call->by, sizeof call->by, request->trusted && request->by ? request->by : "");
    if (!admit_browser(call)) return false;
    if (request->trusted || scope == GRI_SCOPE_NONE || call->settings->token_count == 0) return true;
    const char *given = request->authorization;
    if (!given || strncasecmp(given, "Bearer ", 7) != 0) {
        gri_api_problem_of(reply, GRI_R_unauthorized, "send the header Authorization: Bearer <token>");
        gri_api_header(reply, "WWW-Authenticate", "Bearer");
        return false;
    }
    char digest[GRI_TOKEN_DIGEST_HEX];
    call->api->options.crypto->token_digest(given + 7 + strspn(given + 7, " "), digest);
    const struct gri_api_token *token = find_token(call, digest);
    if (!token) {
        gri_api_problem_of(reply, GRI_R_unauthorized, "the token is not one of api.tokens");
        gri_api_header(reply, "WWW-Authenticate", "Bearer error=\"invalid_token\"");
        return false;
    }
    if ((token->scopes & (scope | GRI_SCOPE_ADMIN)) == 0) {
        gri_api_problem_of(reply, GRI_R_forbidden, "the token '%s' lacks the scope %s", token->name,
                           scope == GRI_SCOPE_PUSH    ? "push"
                           : scope == GRI_SCOPE_ADMIN ? "admin"
                                                      : "read");
        return false;
    }
    (void)gri_copy(call->by, sizeof call->by, token->name);
    return true;
}
