/* SPDX-License-Identifier: Apache-2.0 */
/* The web page's files, put into the program by the build (web/, tools/embed-page). */
#ifndef GRI_API_PAGE_FILES_H
#define GRI_API_PAGE_FILES_H

#include <stddef.h>

struct gri_page_file {
    const char *name; /* "app.js" */
    const char *type; /* its content type */
    const char *etag; /* quoted; of its bytes */
    const unsigned char *data;
    size_t size;
};

extern const struct gri_page_file gri_page_files[];
extern const size_t gri_page_file_count;

#endif
