/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of the API, page by page, and the queries that commands make of their options. */
#include "cli.h"

enum { PAGE_ROWS = 1000 };

void gri_cli_query(struct gri_cli *cli, const char *const *names, const char *const *extra,
                   const char *query[GRI_CLI_QUERY_MAX]) {
    size_t count = 0;
    for (; names && *names; names++) {
        GRI_ASSERT(count + 3 <= GRI_CLI_QUERY_MAX);
        query[count++] = *names;
        query[count++] = gri_cli_option(cli, *names);
    }
    for (; extra && *extra; extra += 2) {
        GRI_ASSERT(count + 3 <= GRI_CLI_QUERY_MAX);
        query[count++] = extra[0];
        query[count++] = extra[1];
    }
    query[count] = NULL;
}

enum gri_status gri_cli_pages(struct gri_cli *cli, const char *path, const char *const *names, const char *const *extra,
                              const char *list, int64_t limit, void (*visit)(const struct gri_json *row, void *arg), void *arg,
                              struct gri_error *error) {
    const char *query[GRI_CLI_QUERY_MAX];
    char cursor[GRI_IMAGE_ID_MAX + 32] = "", rows[24];
    bool bounded = limit > 0;
    do {
        size_t count = 0;
        struct gri_json *page;
        gri_cli_query(cli, names, extra, query);
        while (query[count])
            count += 2;
        GRI_ASSERT(count + 5 <= GRI_CLI_QUERY_MAX);
        (void)gri_format(rows, sizeof rows, "%lld", (long long)(bounded && limit < PAGE_ROWS ? limit : PAGE_ROWS));
        query[count++] = "limit";
        query[count++] = rows;
        query[count++] = "cursor";
        query[count++] = *cursor ? cursor : NULL;
        query[count] = NULL;
        enum gri_status status = gri_cli_get(cli, path, query, &page, error);
        if (status != GRI_OK) return status;
        const struct gri_json *items = gri_json_get(page, list);
        for (size_t i = 0; i < gri_json_count(items); i++)
            visit(gri_json_at(items, i), arg);
        limit -= (int64_t)gri_json_count(items);
        (void)gri_copy(cursor, sizeof cursor, gri_json_str(page, "next", ""));
        gri_json_free(page);
    } while (*cursor && (!bounded || limit > 0));
    return GRI_OK;
}
