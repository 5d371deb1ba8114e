/* SPDX-License-Identifier: Apache-2.0 */
/* grisaille report: numbers for people, from the roll-ups: throughput, success, the objective, hosts, reasons. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "report_html.h"

enum { KEYS_MAX = 6 };

struct report {
    struct gri_cli *cli;
    const char *keys[KEYS_MAX]; /* of a row: "at", "host", … */
    size_t key_count;
    char by[120]; /* as the API is asked */
};

/* --- from the API's rows (one an outcome) to the report's (one a key)
 * ------------------------------------------------------------- */

static bool same_key(const struct report *report, const struct gri_json *a, const struct gri_json *b) {
    for (size_t i = 0; i < report->key_count; i++)
        if (strcmp(gri_json_str(a, report->keys[i], ""), gri_json_str(b, report->keys[i], "")) != 0) return false;
    return true;
}

struct sums {
    int64_t stored, duplicate_content, unchanged, dead, refresh_failed, retries, within, total_ms, ms, bytes;
};

static void add(struct sums *sums, const struct gri_json *row) {
    const char *outcome = gri_json_str(row, "outcome", "");
    int64_t count = gri_json_get_int(row, "count", 0);
    if (strcmp(outcome, "retry") == 0) {
        sums->retries += count;
        return;
    }
    *(strcmp(outcome, "stored") == 0           ? &sums->stored
      : strcmp(outcome, "dead") == 0           ? &sums->dead
      : strcmp(outcome, "unchanged") == 0      ? &sums->unchanged
      : strcmp(outcome, "refresh_failed") == 0 ? &sums->refresh_failed
                                               : &sums->duplicate_content) += count;
    sums->within += gri_json_get_int(row, "within", 0);
    sums->total_ms += gri_json_get_int(row, "total_ms", 0);
    sums->ms += gri_json_get_int(row, "ms", 0);
    sums->bytes += gri_json_get_int(row, "bytes", 0);
}

static void set_sums(struct gri_json *to, const struct sums *sums) {
    int64_t failed = sums->dead + sums->refresh_failed;
    int64_t finished = sums->stored + sums->duplicate_content + sums->unchanged + failed;
    double part = finished ? 1.0 / (double)finished : 0;
    gri_json_set_int(to, "finished", finished);
    gri_json_set_int(to, "stored", sums->stored);
    gri_json_set_int(to, "duplicate_content", sums->duplicate_content);
    gri_json_set_int(to, "unchanged", sums->unchanged);
    gri_json_set_int(to, "dead", sums->dead);
    gri_json_set_int(to, "refresh_failed", sums->refresh_failed);
    gri_json_set_int(to, "retries", sums->retries);
    gri_json_set_int(to, "bytes", sums->bytes);
    gri_json_set(to, "success", gri_json_real((double)(finished - failed) * part));
    gri_json_set(to, "within_objective", gri_json_real((double)sums->within * part));
    gri_json_set_int(to, "mean_ms", finished ? sums->total_ms / finished : 0);
    gri_json_set_int(to, "mean_work_ms", finished ? sums->ms / finished : 0);
}

/* The API sorts by key before outcome only where the outcome stands last, which is how it is asked. */
static struct gri_json *fold(const struct report *report, const struct gri_json *rows, struct sums *all) {
    struct gri_json *folded = gri_json_array();
    for (size_t i = 0; i < gri_json_count(rows);) {
        const struct gri_json *first = gri_json_at(rows, i);
        struct gri_json *row = gri_json_object();
        struct sums sums = {0};
        for (; i < gri_json_count(rows) && same_key(report, first, gri_json_at(rows, i)); i++) {
            add(&sums, gri_json_at(rows, i));
            add(all, gri_json_at(rows, i));
        }
        for (size_t k = 0; k < report->key_count; k++)
            gri_json_set_str(row, report->keys[k], gri_json_str(first, report->keys[k], ""));
        set_sums(row, &sums);
        gri_json_append(folded, row);
    }
    return folded;
}

/* --- output ----------------------------------------------------------------------------------------------------------------- */

static void print_text(const struct report *report, const struct gri_json *json) {
    const struct gri_json *rows = gri_json_get(json, "rows"), *totals = gri_json_get(json, "totals");
    for (size_t k = 0; k < report->key_count; k++)
        printf("%-26s", report->keys[k]);
    printf("%12s %12s %10s %10s %9s %9s %10s\n", "finished", "stored", "dead", "retries", "success", "in 300 s", "mean ms");
    for (size_t i = 0; i < gri_json_count(rows); i++) {
        const struct gri_json *row = gri_json_at(rows, i);
        char finished[32], stored[32], dead[32], retries[32];
        for (size_t k = 0; k < report->key_count; k++)
            printf("%-26s", gri_json_str(row, report->keys[k], ""));
        printf("%12s %12s %10s %10s %7.2f %% %7.2f %% %10lld\n", gri_cli_count(gri_json_get_int(row, "finished", 0), finished),
               gri_cli_count(gri_json_get_int(row, "stored", 0), stored), gri_cli_count(gri_json_get_int(row, "dead", 0), dead),
               gri_cli_count(gri_json_get_int(row, "retries", 0), retries),
               gri_json_double(gri_json_get(row, "success"), 0) * 100,
               gri_json_double(gri_json_get(row, "within_objective"), 0) * 100, (long long)gri_json_get_int(row, "mean_ms", 0));
    }
    printf("objective, 99 %% finished within 300 s: %.2f %%, %s\n",
           gri_json_double(gri_json_get(totals, "within_objective"), 0) * 100,
           gri_json_get_bool(totals, "objective_met", false) ? "met" : "missed");
}

static void print_csv(const struct report *report, const struct gri_json *json) {
    static const char *const numbers[] = {"finished", "stored", "duplicate_content", "unchanged",   "dead", "refresh_failed",
                                          "retries",  "bytes",  "mean_ms",           "mean_work_ms"};
    const struct gri_json *rows = gri_json_get(json, "rows");
    struct gri_bytes line;
    gri_bytes_init(&line, 0);
    for (size_t k = 0; k < report->key_count; k++)
        gri_bytes_printf(&line, "%s,", report->keys[k]);
    for (size_t n = 0; n < sizeof numbers / sizeof numbers[0]; n++)
        gri_bytes_printf(&line, "%s,", numbers[n]);
    gri_bytes_put(&line, "success,within_objective\r\n");
    for (size_t i = 0; i < gri_json_count(rows); i++) {
        const struct gri_json *row = gri_json_at(rows, i);
        for (size_t k = 0; k < report->key_count; k++) {
            gri_bytes_put_csv(&line, gri_json_str(row, report->keys[k], ""));
            gri_bytes_put(&line, ",");
        }
        for (size_t n = 0; n < sizeof numbers / sizeof numbers[0]; n++)
            gri_bytes_printf(&line, "%lld,", (long long)gri_json_get_int(row, numbers[n], 0));
        gri_bytes_printf(&line, "%.6f,%.6f\r\n", gri_json_double(gri_json_get(row, "success"), 0),
                         gri_json_double(gri_json_get(row, "within_objective"), 0));
        fputs(gri_bytes_text(&line), stdout);
        gri_bytes_reset(&line);
    }
    fputs(gri_bytes_text(&line), stdout); /* a table without rows still has its head */
    gri_bytes_clear(&line);
}

/* --- the command ---------------------------------------------------------------------------------------------------------------
 */

/* "day,host" → the API's keys and the names they have in a row. */
static bool read_keys(struct report *report, const char *by) {
    static const char *const known[][2] = {{"hour", "at"},           {"day", "at"},       {"week", "at"}, {"host", "host"},
                                           {"pipeline", "pipeline"}, {"reason", "reason"}};
    (void)gri_copy(report->by, sizeof report->by, "");
    for (const char *word = by; *word; word += strspn(word, ",")) {
        size_t len = strcspn(word, ","), k = 0, used = strlen(report->by), kinds = sizeof known / sizeof known[0];
        while (k < kinds && (strlen(known[k][0]) != len || strncmp(known[k][0], word, len) != 0))
            k++;
        bool twice = false;
        for (size_t i = 0; k < kinds && i < report->key_count; i++)
            twice = twice || strcmp(report->keys[i], known[k][1]) == 0;
        if (k == kinds || twice) {
            gri_cli_say(report->cli, "--by is a list of one of hour, day, week, and host, pipeline, reason, separated by commas");
            return false;
        }
        report->keys[report->key_count++] = known[k][1];
        (void)gri_format(report->by + used, sizeof report->by - used, "%.*s,", (int)len, word);
        word += len;
    }
    size_t used = strlen(report->by);
    (void)gri_format(report->by + used, sizeof report->by - used, "outcome");
    return true;
}

static enum gri_status make(struct report *report, const char *since, struct gri_json **out, struct gri_error *error) {
    struct gri_json *answer;
    struct sums all = {0};
    const char *query[] = {"by", report->by, "since", since, "until", gri_cli_option(report->cli, "until"), NULL};
    enum gri_status status = gri_cli_get(report->cli, "/v1/stats", query, &answer, error);
    if (status != GRI_OK) return status;
    struct gri_json *json = gri_json_object(), *totals = gri_json_object();
    gri_json_set_str(json, "since", since);
    gri_json_set(json, "rows", fold(report, gri_json_get(answer, "rows"), &all));
    set_sums(totals, &all);
    gri_json_set_bool(totals, "objective_met", gri_json_double(gri_json_get(totals, "within_objective"), 0) >= 0.99);
    gri_json_set(json, "totals", totals);
    gri_json_free(answer);
    *out = json;
    return GRI_OK;
}

static enum gri_exit run(struct gri_cli *cli) {
    const char *since = gri_cli_option(cli, "since"), *by = gri_cli_option(cli, "by"), *format = gri_cli_option(cli, "format");
    struct report report = {.cli = cli};
    struct gri_json *json;
    struct gri_error error;
    if (!format) format = cli->json ? "json" : "text";
    if (strcmp(format, "text") != 0 && strcmp(format, "csv") != 0 && strcmp(format, "json") != 0 && strcmp(format, "html") != 0) {
        gri_cli_say(cli, "--format is text, csv, json or html, not '%s'", format);
        return GRI_EXIT_USAGE;
    }
    if (!read_keys(&report, by ? by : "day")) return GRI_EXIT_USAGE;
    if (make(&report, since ? since : "30d", &json, &error) != GRI_OK) return gri_cli_fail(cli, &error);
    if (strcmp(format, "json") == 0)
        gri_cli_print_json(json);
    else if (strcmp(format, "csv") == 0)
        print_csv(&report, json);
    else if (strcmp(format, "html") == 0)
        gri_report_html(stdout, json, report.keys, report.key_count);
    else
        print_text(&report, json);
    gri_json_free(json);
    return GRI_EXIT_DONE;
}

static const struct gri_cli_option options[] = {
    {.name = "since", .arg = "T", .help = "from when on: 30d, 36h ago; 2026-11-21, 2026-11-21T09:00:00Z, Unix seconds (30d)"},
    {.name = "until", .arg = "T", .help = "before"},
    {.name = "by", .arg = "LIST", .help = "one of hour, day, week, and host, pipeline, reason; separated by commas (day)"},
    {.name = "format", .arg = "FORMAT", .help = "text, csv, json or html (one file, with plots)"},
    {.name = NULL},
};

const struct gri_command gri_command_report = {.name = "report",
                                               .summary =
                                                   "throughput, success, the objective, errors: by time, host, pipeline, reason",
                                               .operands = "",
                                               .options = options,
                                               .run = run};
