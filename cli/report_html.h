/* SPDX-License-Identifier: Apache-2.0 */
/* A report as one HTML file: a table, bars over time, no outside resource. */
#ifndef GRI_REPORT_HTML_H
#define GRI_REPORT_HTML_H

#include <stdio.h>

#include <grisaille/json.h>

/* `report`: {"since", "by", "rows": […], "totals": {…}}, as `grisaille report --format json` prints it. */
void gri_report_html(FILE *out, const struct gri_json *report, const char *const *keys, size_t key_count);

#endif
