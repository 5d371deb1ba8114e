/* SPDX-License-Identifier: Apache-2.0 */
/* Near duplicates: by a stored image, or by a perceptual hash. */
#include <string.h>

#include "api_internal.h"

enum { WITHIN_MAX = 11, WITHIN_DEFAULT = 6 };

static void reply_similar(struct gri_api_call *call, const char *phash) {
    struct gri_archive *archive = call->api->options.archive;
    int64_t within, limit;
    struct gri_json *images;
    struct gri_error error;
    if (!gri_api_query_int(call, "within", 0, WITHIN_MAX, WITHIN_DEFAULT, &within) ||
        !gri_api_query_int(call, "limit", 1, GRI_API_PAGE_MAX, GRI_API_PAGE_DEFAULT, &limit))
        return;
    if (archive->ops->steering->similar(archive, phash, (int)within, limit, &images, &error) != GRI_OK) {
        gri_api_problem(call->reply, &error, NULL);
        return;
    }
    struct gri_json *json = gri_json_object();
    gri_json_set_str(json, "phash", phash);
    gri_json_set_int(json, "within", within);
    gri_json_set(json, "images", images);
    gri_api_reply_json(call->reply, 200, json);
}

void gri_api_get_similar(struct gri_api_call *call) {
    struct gri_json *images = gri_api_find_images(call);
    char phash[24] = "";
    if (!images) return;
    for (size_t i = 0; !phash[0] && i < gri_json_count(images); i++)
        (void)gri_copy(phash, sizeof phash, gri_json_str(gri_json_at(images, i), "phash", ""));
    gri_json_free(images);
    if (phash[0])
        reply_similar(call, phash);
    else
        gri_api_problem_of(
            call->reply, GRI_R_not_found,
            "this image has no perceptual hash: it is of one level all over, taken down, or was stored by an older version");
}

void gri_api_get_similar_to(struct gri_api_call *call) {
    const char *phash = gri_api_query(call, "phash");
    if (phash && strlen(phash) == 16 && strspn(phash, "0123456789abcdef") == 16)
        reply_similar(call, phash);
    else
        gri_api_problem_of(call->reply, GRI_R_bad_request,
                           "phash: 16 lower-case hexadecimal digits; `grisaille similar FILE` makes them");
}
