/* SPDX-License-Identifier: Apache-2.0 */
/* The HTML of a report. */
#include "report_html.h"

#include <inttypes.h>
#include <string.h>

enum { WIDTH = 720, HEIGHT = 160, BARS_MAX = 400 };

static const char STYLE[] =
    ":root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;width:100%}th,td{padding:.2rem .6rem;text-align:right;border-bottom:1px solid #8884}"
    "th:first-child,td.key{text-align:left}svg{width:100%;height:auto}.done{fill:#2a7}.dead{fill:#c43}figure{margin:1rem 0}";

static void put_escaped(FILE *out, const char *text) {
    for (; *text; text++) {
        switch (*text) {
        case '<':
            fputs("&lt;", out);
            break;
        case '>':
            fputs("&gt;", out);
            break;
        case '&':
            fputs("&amp;", out);
            break;
        case '"':
            fputs("&quot;", out);
            break;
        default:
            fputc(*text, out);
        }
    }
}

static int64_t number(const struct gri_json *row, const char *name) {
    return gri_json_get_int(row, name, 0);
}

/* The sums of all rows of each time, in order; how many times there are. */
static size_t sum_by_time(const struct gri_json *rows, const char *times[BARS_MAX], int64_t done[BARS_MAX],
                          int64_t dead[BARS_MAX]) {
    size_t count = 0;
    for (size_t i = 0; i < gri_json_count(rows); i++) {
        const struct gri_json *row = gri_json_at(rows, i);
        const char *at = gri_json_str(row, "at", "");
        size_t k = 0;
        while (k < count && strcmp(times[k], at) != 0)
            k++;
        if (k == BARS_MAX) continue;
        if (k == count) {
            times[count] = at;
            done[count] = dead[count] = 0;
            count++;
        }
        done[k] += number(row, "stored") + number(row, "duplicate_content") + number(row, "unchanged");
        dead[k] += number(row, "dead") + number(row, "refresh_failed");
    }
    return count;
}

static void put_bars(FILE *out, const struct gri_json *rows) {
    const char *times[BARS_MAX];
    int64_t done[BARS_MAX], dead[BARS_MAX], most = 1;
    size_t count = sum_by_time(rows, times, done, dead);
    if (count == 0 || !times[0][0]) return;
    for (size_t i = 0; i < count; i++)
        most = done[i] + dead[i] > most ? done[i] + dead[i] : most;
    double step = (double)WIDTH / (double)count, scale = (double)HEIGHT / (double)most;
    fprintf(
        out,
        "<figure><svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"URLs finished over "
        "time\">\n",
        WIDTH, HEIGHT);
    for (size_t i = 0; i < count; i++) {
        double x = (double)i * step, good = (double)done[i] * scale, bad = (double)dead[i] * scale;
        fprintf(out, "<g><title>%s: %" PRId64 " done, %" PRId64 " dead</title>", times[i], done[i], dead[i]);
        fprintf(out, "<rect class=\"done\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>", x, HEIGHT - good, step * .85,
                good);
        fprintf(out, "<rect class=\"dead\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/></g>\n", x, HEIGHT - good - bad,
                step * .85, bad);
    }
    fprintf(out, "</svg><figcaption>URLs done and dead, from %s to %s; the tallest bar is %" PRId64 "</figcaption></figure>\n",
            times[0], times[count - 1], most);
}

static void put_row(FILE *out, const struct gri_json *row, const char *const *keys, size_t key_count) {
    fputs("<tr>", out);
    for (size_t i = 0; i < key_count; i++) {
        fputs("<td class=\"key\">", out);
        put_escaped(out, gri_json_str(row, keys[i], ""));
        fputs("</td>", out);
    }
    fprintf(out,
            "<td>%" PRId64 "</td><td>%" PRId64 "</td><td>%" PRId64 "</td><td>%" PRId64 "</td><td>%" PRId64 "</td><td>%" PRId64
            "</td><td>%.2f %%</td><td>%.2f %%</td><td>%" PRId64 "</td><td>%" PRId64 "</td></tr>\n",
            number(row, "finished"), number(row, "stored"), number(row, "duplicate_content"), number(row, "unchanged"),
            number(row, "dead"), number(row, "refresh_failed"), gri_json_double(gri_json_get(row, "success"), 0) * 100,
            gri_json_double(gri_json_get(row, "within_objective"), 0) * 100, number(row, "mean_ms"), number(row, "retries"));
}

void gri_report_html(FILE *out, const struct gri_json *report, const char *const *keys, size_t key_count) {
    const struct gri_json *rows = gri_json_get(report, "rows"), *totals = gri_json_get(report, "totals");
    fprintf(out,
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Grisaille: "
            "report</title><style>%s</style></head><body>\n",
            STYLE);
    fprintf(out, "<h1>Grisaille: what was done since %s</h1>\n", gri_json_str(report, "since", ""));
    fprintf(out, "<p>%" PRId64 " URLs finished, %.2f %% of them well. Objective, 99 %% finished within 300 s: %.2f %%, %s.</p>\n",
            number(totals, "finished"), gri_json_double(gri_json_get(totals, "success"), 0) * 100,
            gri_json_double(gri_json_get(totals, "within_objective"), 0) * 100,
            gri_json_get_bool(totals, "objective_met", false) ? "met" : "missed");
    put_bars(out, rows);
    fputs("<table><thead><tr>", out);
    for (size_t i = 0; i < key_count; i++)
        fprintf(out, "<th scope=\"col\">%s</th>", keys[i]);
    fputs("<th scope=\"col\">finished</th><th scope=\"col\">stored</th><th scope=\"col\">same content</th><th "
          "scope=\"col\">unchanged</th><th scope=\"col\">dead</th><th scope=\"col\">refresh failed</th><th "
          "scope=\"col\">success</th><th scope=\"col\">within 300 s</th><th scope=\"col\">mean ms</th><th "
          "scope=\"col\">retries</th></tr></thead>"
          "<tbody>\n",
          out);
    for (size_t i = 0; i < gri_json_count(rows); i++)
        put_row(out, gri_json_at(rows, i), keys, key_count);
    fputs("</tbody></table></body></html>\n", out);
}
