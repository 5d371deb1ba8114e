/* SPDX-License-Identifier: Apache-2.0 */
/* The receipt and the progress bar. */
#include "receipt.h"

#include <grisaille/clock.h>
#include <string.h>
#include <unistd.h>

enum { POLL_MS = 500, RATE_WINDOW_MS = 10000, AWAY_MS = 60000 };

static int64_t count_of(const struct gri_json *catalog, const char *name) {
    return gri_json_get_int(gri_json_get(catalog, "counts"), name, 0);
}

bool gri_receipt_adds_up(const struct gri_json *catalog) {
    const struct gri_json *counts = gri_json_get(catalog, "counts");
    if (gri_json_kind(gri_json_get(counts, "duplicate")) == GRI_JSON_NULL) return false;
    int64_t accepted = count_of(catalog, "accepted");
    return count_of(catalog, "lines") ==
               count_of(catalog, "blank") + accepted + count_of(catalog, "duplicate") + count_of(catalog, "invalid") &&
           accepted == count_of(catalog, "stored") + count_of(catalog, "duplicate_content") + count_of(catalog, "dead") +
                           count_of(catalog, "pending");
}

/* Of a push with --refresh, what it asked for anew. */
static void print_refreshed(FILE *out, const struct gri_json *refreshed) {
    static const char *const rows[][2] = {{"unchanged", "asked for anew, and the same as before"},
                                          {"changed", "asked for anew: another picture, stored beside the old one"},
                                          {"failed", "asked for anew in vain: the old picture stays"},
                                          {"pending", "asked for anew, not finished"}};
    for (size_t i = 0; refreshed && i < sizeof rows / sizeof rows[0]; i++) {
        char label[32], number[32];
        (void)gri_format(label, sizeof label, "%s%s", i == 3 ? "refresh " : "", rows[i][0]);
        fprintf(out, "  %-22s %12s  %s\n", label, gri_cli_count(gri_json_get_int(refreshed, rows[i][0], 0), number), rows[i][1]);
    }
}

void gri_receipt_print(FILE *out, const struct gri_json *catalog) {
    static const struct {
        const char *name, *indent, *help;
    } rows[] = {{"lines", "", "in the catalog"},
                {"blank", "  ", "empty or comment"},
                {"invalid", "  ", "no URL that may be fetched"},
                {"duplicate", "  ", "asked for before, here or in another catalog"},
                {"accepted", "  ", "distinct new URLs"},
                {"stored", "    ", "new images"},
                {"duplicate_content", "    ", "pictures that were stored already"},
                {"dead", "    ", "failed for good"},
                {"pending", "    ", "not finished"}};
    const struct gri_json *counts = gri_json_get(catalog, "counts");
    fprintf(out, "catalog %s  %s  %s\n", gri_json_str(catalog, "id", ""), gri_json_str(catalog, "state", ""),
            gri_json_str(catalog, "name", ""));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char label[32], number[32];
        (void)gri_format(label, sizeof label, "%s%s", rows[i].indent, rows[i].name);
        bool known = gri_json_kind(gri_json_get(counts, rows[i].name)) == GRI_JSON_INT;
        fprintf(out, "  %-22s %12s  %s\n", label, known ? gri_cli_count(count_of(catalog, rows[i].name), number) : "?",
                rows[i].help);
    }
    print_refreshed(out, gri_json_get(counts, "refreshed"));
    if (strcmp(gri_json_str(catalog, "state", ""), "finished") == 0)
        fprintf(out, "  %s\n",
                gri_receipt_adds_up(catalog) ? "the numbers add up: lines = blank + invalid + duplicate + accepted; accepted = "
                                               "stored + duplicate_content + dead"
                                             : "THE NUMBERS DO NOT ADD UP; please report it with this receipt");
}

static int64_t finished_of(const struct gri_json *catalog) {
    return count_of(catalog, "stored") + count_of(catalog, "duplicate_content") + count_of(catalog, "dead");
}

/* All lines that have a fate by now, and all there are: what the bar shows. */
static void lines_done(const struct gri_json *catalog, int64_t *done, int64_t *all) {
    const struct gri_json *counts = gri_json_get(catalog, "counts");
    bool admitted = gri_json_kind(gri_json_get(counts, "duplicate")) == GRI_JSON_INT;
    *all = count_of(catalog, "lines");
    *done = finished_of(catalog);
    if (admitted) *done += count_of(catalog, "blank") + count_of(catalog, "duplicate") + count_of(catalog, "invalid");
}

double gri_progress_speed(const struct gri_progress *progress) {
    if (progress->count < 2) return 0;
    size_t last = progress->count - 1, from = last;
    while (from > 0 && progress->at_ms[last] - progress->at_ms[from] < RATE_WINDOW_MS)
        from--;
    int64_t span = progress->at_ms[last] - progress->at_ms[from];
    return span > 0 ? (double)(progress->done[last] - progress->done[from]) * 1000.0 / (double)span : 0;
}

void gri_progress_rate(const struct gri_progress *progress, const struct gri_json *catalog, double *per_second,
                       int64_t *left_ms) {
    *per_second = gri_progress_speed(progress);
    *left_ms = -1;
    /* Before all is admitted the duplicates to come are unknown: every line left is taken for work. */
    int64_t done, all;
    lines_done(catalog, &done, &all);
    if (*per_second > 0) *left_ms = (int64_t)((double)(all - done) * 1000.0 / *per_second);
}

void gri_progress_note(struct gri_progress *progress, int64_t now_ms, int64_t done) {
    size_t max = sizeof progress->at_ms / sizeof progress->at_ms[0];
    if (progress->count == max) {
        memmove(progress->at_ms, progress->at_ms + 1, (max - 1) * sizeof progress->at_ms[0]);
        memmove(progress->done, progress->done + 1, (max - 1) * sizeof progress->done[0]);
        progress->count--;
    }
    progress->at_ms[progress->count] = now_ms;
    progress->done[progress->count++] = done;
}

void gri_progress_draw(struct gri_progress *progress, const struct gri_json *catalog, int64_t now_ms) {
    int64_t done, all, left;
    double rate;
    gri_progress_note(progress, now_ms, finished_of(catalog));
    lines_done(catalog, &done, &all);
    if (!isatty(STDERR_FILENO)) return;
    gri_progress_rate(progress, catalog, &rate, &left);
    char bar[31], lines[32], total[32], time_left[32] = "";
    size_t filled = all > 0 ? (size_t)(30 * (done < all ? done : all) / all) : 30;
    for (size_t i = 0; i < 30; i++)
        bar[i] = i < filled ? '#' : '.';
    bar[30] = '\0';
    if (left >= 0) gri_cli_duration(left, time_left);
    fprintf(stderr, "\r[%s] %s of %s lines, %.1f images/s%s%s, %lld dead\033[K", bar, gri_cli_count(done, lines),
            gri_cli_count(all, total), rate, left >= 0 ? ", about " : "", time_left, (long long)count_of(catalog, "dead"));
    fflush(stderr);
}

void gri_progress_end(void) {
    if (isatty(STDERR_FILENO)) fputs("\r\033[K", stderr);
}

enum gri_status gri_receipt_wait(struct gri_cli *cli, const char *id, struct gri_json **catalog, struct gri_error *error) {
    struct gri_progress progress = {.count = 0};
    char path[64];
    (void)gri_format(path, sizeof path, "/v1/catalogs/%s", id);
    for (int64_t answered = 0;;) {
        enum gri_status status = gri_cli_get(cli, path, NULL, catalog, error);
        /* A MongoDB that was there may change its primary: waited for a while. */
        if (status == GRI_RETRY && answered && gri_clock_ms() - answered < AWAY_MS) {
            usleep(POLL_MS * 1000);
            continue;
        }
        if (status != GRI_OK) return status;
        answered = gri_clock_ms();
        const char *state = gri_json_str(*catalog, "state", "");
        if (strcmp(state, "finished") == 0 || (strcmp(state, "cancelled") == 0 && count_of(*catalog, "pending") == 0)) {
            gri_progress_end();
            return GRI_OK;
        }
        gri_progress_draw(&progress, *catalog, gri_clock_ms());
        gri_json_free(*catalog);
        *catalog = NULL;
        usleep(POLL_MS * 1000);
    }
}
