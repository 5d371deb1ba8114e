/* SPDX-License-Identifier: Apache-2.0 */
/* The web page: a few static files that are in the program. They hold no data and need no token; what the page shows it asks of
 * the API. */
#include <string.h>

#include "api_internal.h"
#include "page_files.h"

/* Nothing from elsewhere, no inline script or style, no frame around it; pictures come as blobs, for they need the token. */
static const char POLICY[] = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
                             "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

static const struct gri_page_file *find(const char *name) {
    for (size_t i = 0; i < gri_page_file_count; i++)
        if (strcmp(gri_page_files[i].name, name) == 0) return &gri_page_files[i];
    return NULL;
}

void gri_api_get_page(struct gri_api_call *call) {
    struct gri_api_reply *reply = call->reply;
    const struct gri_page_file *file = find(*call->segment ? call->segment : "index.html");
    struct gri_error error;
    if (!file) {
        gri_api_problem_of(reply, GRI_R_not_found, "the page has no such file");
        return;
    }
    gri_api_header(reply, "ETag", file->etag);
    gri_api_header(reply, "Cache-Control", "no-cache");
    gri_api_header(reply, "Content-Security-Policy", POLICY);
    reply->content_type = file->type;
    const char *known = call->request->if_none_match;
    reply->status = known && strstr(known, file->etag) ? 304 : 200;
    if (reply->status == 200 && gri_bytes_append(&reply->body, file->data, file->size, &error) != GRI_OK)
        gri_api_problem(reply, &error, NULL);
}
