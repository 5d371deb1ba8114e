/* SPDX-License-Identifier: Apache-2.0 */
/* grisaille scrub: walks the images by _id, recomputes every sum, marks what is damaged, repairs it where asked. The position
 * is kept in MongoDB, so that the next one goes on where this one stopped. */
#include <errno.h>
#include <grisaille/clock.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "mongo_client.h"
#include "scrub_check.h"
#include "scrub_repair.h"

enum { PAGE = 500, SAVE_MS = 2000, SHOW_MS = 250, LISTED_MAX = 1000, AWAY_TRIES = 5, AWAY_PAUSE_MS = 1000 };

struct scrub {
    struct gri_cli *cli;
    struct gri_archive *archive;
    struct gri_scrub_checker checker;
    struct gri_scrub_repair *repair;
    char by[GRI_NAME_MAX];
    const char *walk; /* "all" or "sample" */
    double rate, percent;
    char position[GRI_IMAGE_ID_MAX];
    int64_t counts[GRI_SCRUB_RESULTS], unsaved[GRI_SCRUB_RESULTS];
    int64_t seen, total; /* ids passed; images in all, as far as it is known */
    int64_t began_ms, saved_ms, shown_ms, next_ms;
    double owed_ms; /* of the rate: fractions of a ms */
    bool bar, finished;
    struct gri_json *listed;
};

static volatile sig_atomic_t stopping;

static void on_stop(int number) {
    (void)number;
    stopping = 1;
}

/* Ends early when the command is to stop. */
static void pause_ms(int64_t ms) {
    struct timespec rest = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    while (!stopping && ms > 0 && nanosleep(&rest, &rest) != 0 && errno == EINTR) {}
}

/* --- progress -------------------------------------------------------------------------------------------------------- */

static void show(struct scrub *scrub, bool last) {
    enum { WIDTH = 30 };
    char seen[32], corrupt[32], bar[WIDTH + 1], left[32] = "?";
    int64_t now = gri_clock_ms();
    if (!scrub->bar || (!last && now - scrub->shown_ms < SHOW_MS)) return;
    scrub->shown_ms = now;
    int64_t total = scrub->total > scrub->seen ? scrub->total : scrub->seen;
    double share = total > 0 ? (double)scrub->seen / (double)total : 1;
    for (int i = 0; i < WIDTH; i++)
        bar[i] = i < (int)(share * WIDTH) ? '#' : '.';
    bar[WIDTH] = '\0';
    if (scrub->seen > 0)
        (void)gri_cli_duration((int64_t)((double)(now - scrub->began_ms) / (double)scrub->seen * (double)(total - scrub->seen)),
                               left);
    fprintf(stderr, "\r[%s] %3d %%  %s images, %s corrupt, %s left \033[K%s", bar, (int)(share * 100),
            gri_cli_count(scrub->seen, seen), gri_cli_count(scrub->counts[GRI_SCRUB_CORRUPT], corrupt), last ? "0 s" : left,
            last ? "\n" : "");
    fflush(stderr);
}

static void list(struct scrub *scrub, const char *id, const char *what, const struct gri_scrub_outcome *outcome) {
    if (!scrub->cli->json) {
        if (scrub->bar) fputs("\r\033[K", stderr);
        printf("%-8s %s%s%s\n", what, id, outcome->detail[0] ? ": " : "", outcome->detail);
        return;
    }
    if (gri_json_count(scrub->listed) >= LISTED_MAX) return;
    struct gri_json *row = gri_json_object();
    gri_json_set_str(row, "id", id);
    gri_json_set_str(row, "result", what);
    gri_json_set_str(row, "stage", outcome->stage == GRI_SUM_SOUND ? NULL : gri_image_sum_name(outcome->stage));
    gri_json_set_str(row, "detail", outcome->detail);
    gri_json_append(scrub->listed, row);
}

/* --- the walk -------------------------------------------------------------------------------------------------------- */

static void count(struct scrub *scrub, enum gri_scrub_result result) {
    scrub->counts[result]++;
    scrub->unsaved[result]++;
}

static void take_outcome(struct scrub *scrub, const char *id, const struct gri_scrub_outcome *outcome) {
    if (outcome->gone) return;
    if (outcome->removed) {
        count(scrub, GRI_SCRUB_REMOVED);
        return;
    }
    count(scrub, outcome->stage == GRI_SUM_SOUND ? GRI_SCRUB_SOUND : GRI_SCRUB_CORRUPT);
    if (outcome->healed) count(scrub, GRI_SCRUB_HEALED);
    if (outcome->stage != GRI_SUM_SOUND || outcome->healed) list(scrub, id, outcome->healed ? "healed" : "corrupt", outcome);
    if (outcome->link == GRI_LINK_ADOPTED || outcome->link == GRI_LINK_ORPHAN) {
        bool adopted = outcome->link == GRI_LINK_ADOPTED;
        count(scrub, adopted ? GRI_SCRUB_ADOPTED : GRI_SCRUB_ORPHAN);
        list(scrub, id, adopted ? "adopted" : "orphan", outcome);
    }
}

static enum gri_status save(struct scrub *scrub, bool force, struct gri_error *error) {
    int64_t now = gri_clock_ms();
    if (!force && now - scrub->saved_ms < SAVE_MS) return GRI_OK;
    enum gri_status status =
        scrub->archive->ops->scrub->save(scrub->archive, scrub->walk, scrub->position, scrub->finished, scrub->unsaved, error);
    if (status != GRI_OK) return status;
    memset(scrub->unsaved, 0, sizeof scrub->unsaved);
    scrub->saved_ms = now;
    return GRI_OK;
}

static bool is_chosen(const struct scrub *scrub) {
    uint32_t number;
    if (scrub->percent >= 100) return true;
    scrub->cli->crypto->random_bytes(&number, sizeof number);
    return (double)number / 4294967296.0 * 100 < scrub->percent;
}

static void keep_rate(struct scrub *scrub) {
    if (scrub->rate <= 0) return;
    int64_t now = gri_clock_ms();
    if (scrub->next_ms > now) pause_ms(scrub->next_ms - now);
    if (scrub->next_ms < now) scrub->next_ms = now; /* what was not used is not made up for */
    scrub->owed_ms += 1000 / scrub->rate;
    scrub->next_ms += (int64_t)scrub->owed_ms;
    scrub->owed_ms -= (double)(int64_t)scrub->owed_ms;
}

/* A short absence of MongoDB is waited out; after a longer one the position is where it was saved last. */
static enum gri_status check(struct scrub *scrub, const char *id, struct gri_error *error) {
    struct gri_scrub_outcome outcome;
    enum gri_status status = gri_scrub_check(&scrub->checker, id, &outcome, error);
    for (int i = 1; status == GRI_RETRY && i < AWAY_TRIES && !stopping; i++) {
        pause_ms(AWAY_PAUSE_MS);
        status = gri_scrub_check(&scrub->checker, id, &outcome, error);
    }
    if (status == GRI_OK) take_outcome(scrub, id, &outcome);
    return status;
}

static enum gri_status walk_page(struct scrub *scrub, char (*ids)[GRI_IMAGE_ID_MAX], size_t number, struct gri_error *error) {
    enum gri_status status = GRI_OK;
    for (size_t i = 0; i < number && !stopping && status == GRI_OK; i++) {
        if (is_chosen(scrub)) {
            keep_rate(scrub);
            if (stopping) break;
            status = check(scrub, ids[i], error);
            if (status != GRI_OK) break;
        }
        scrub->seen++;
        (void)gri_copy(scrub->position, sizeof scrub->position, ids[i]);
        status = save(scrub, false, error);
        show(scrub, false);
    }
    return status;
}

static enum gri_status walk(struct scrub *scrub, struct gri_error *error) {
    char(*ids)[GRI_IMAGE_ID_MAX] = gri_calloc(PAGE, sizeof *ids);
    enum gri_status status = GRI_OK;
    size_t number = PAGE;
    while (status == GRI_OK && !stopping && number > 0) {
        status = scrub->archive->ops->scrub->ids(scrub->archive, scrub->position, ids, PAGE, &number, error);
        if (status == GRI_OK) status = walk_page(scrub, ids, number, error);
    }
    free(ids);
    scrub->finished = status == GRI_OK && !stopping;
    struct gri_error ignored;
    enum gri_status saved = save(scrub, true, status == GRI_OK ? error : &ignored);
    show(scrub, true);
    return status == GRI_OK ? saved : status;
}

/* --- the command ----------------------------------------------------------------------------------------------------- */

static void report(const struct scrub *scrub) {
    if (scrub->cli->json) {
        struct gri_json *json = gri_json_object();
        gri_json_set_bool(json, "finished", scrub->finished);
        for (int i = 0; i < GRI_SCRUB_RESULTS; i++)
            gri_json_set_int(json, gri_scrub_result_name((enum gri_scrub_result)i), scrub->counts[i]);
        gri_json_set_str(json, "position", scrub->finished ? NULL : scrub->position);
        gri_json_set(json, "images", gri_json_copy(scrub->listed));
        gri_cli_print_json(json);
        gri_json_free(json);
        return;
    }
    char numbers[GRI_SCRUB_RESULTS][32];
    for (int i = 0; i < GRI_SCRUB_RESULTS; i++)
        (void)gri_cli_count(scrub->counts[i], numbers[i]);
    printf("%s sound, %s corrupt (%s healed), %s taken down; %s without a link adopted, %s orphans\n", numbers[GRI_SCRUB_SOUND],
           numbers[GRI_SCRUB_CORRUPT], numbers[GRI_SCRUB_HEALED], numbers[GRI_SCRUB_REMOVED], numbers[GRI_SCRUB_ADOPTED],
           numbers[GRI_SCRUB_ORPHAN]);
    if (!scrub->finished) printf("stopped before the end; the next scrub goes on from here\n");
}

/* "50", "50/s". */
static bool read_rate(const struct gri_cli *cli, double *rate) {
    const char *text = gri_cli_option(cli, "rate");
    char *end = NULL;
    *rate = 0;
    if (!text) return true;
    *rate = strtod(text, &end);
    if (end != text && (!*end || strcmp(end, "/s") == 0) && *rate > 0 && *rate <= 1e6) return true;
    gri_cli_say(cli, "--rate is a number of images a second, like 50 or 50/s, not '%s'", text);
    return false;
}

static bool read_percent(const struct gri_cli *cli, double *percent) {
    const char *text = gri_cli_option(cli, "sample");
    char *end = NULL;
    *percent = 100;
    if (!text) return true;
    *percent = strtod(text, &end);
    if (end != text && (!*end || strcmp(end, "%") == 0) && *percent > 0 && *percent <= 100) return true;
    gri_cli_say(cli, "--sample is a part of the images in percent, over 0 and up to 100, not '%s'", text);
    return false;
}

static void hear_signals(void) {
    struct sigaction action = {.sa_handler = on_stop};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
}

static enum gri_status begin(struct scrub *scrub, struct gri_error *error) {
    struct gri_cli *cli = scrub->cli;
    struct gri_scrub_progress progress;
    struct gri_json *totals = NULL;
    enum gri_status status = gri_cli_api(cli, error);
    if (status != GRI_OK) return status;
    scrub->archive = gri_mongo_archive(cli->mongo);
    scrub->checker = (struct gri_scrub_checker){.archive = scrub->archive, .crypto = cli->crypto, .by = gri_cli_user(scrub->by)};
    if (gri_cli_flag(cli, "repair")) {
        status = gri_scrub_repair_create(cli, scrub->archive, &scrub->repair, error);
        scrub->checker.remake = gri_scrub_remake;
        scrub->checker.arg = scrub->repair;
    }
    if (status == GRI_OK) status = scrub->archive->ops->scrub->load(scrub->archive, scrub->walk, &progress, error);
    if (status == GRI_OK && !gri_cli_flag(cli, "restart"))
        (void)gri_copy(scrub->position, sizeof scrub->position, progress.position);
    if (status == GRI_OK && scrub->bar) status = scrub->archive->ops->totals(scrub->archive, &totals, error);
    scrub->total = gri_json_get_int(totals, "images", 0);
    gri_json_free(totals);
    if (status == GRI_OK && scrub->position[0] && !cli->json) gri_cli_say(cli, "goes on behind %s", scrub->position);
    return status;
}

static enum gri_exit run(struct gri_cli *cli) {
    struct scrub scrub = {
        .cli = cli, .walk = gri_cli_option(cli, "sample") ? "sample" : "all", .bar = isatty(STDERR_FILENO) == 1};
    struct gri_error error;
    if (!read_rate(cli, &scrub.rate) || !read_percent(cli, &scrub.percent)) return GRI_EXIT_USAGE;
    scrub.listed = gri_json_array();
    enum gri_status status = begin(&scrub, &error);
    hear_signals();
    scrub.began_ms = scrub.saved_ms = scrub.next_ms = gri_clock_ms();
    if (status == GRI_OK) status = walk(&scrub, &error);
    if (status == GRI_OK) report(&scrub);
    bool well = scrub.finished && scrub.counts[GRI_SCRUB_CORRUPT] <= scrub.counts[GRI_SCRUB_HEALED] &&
                scrub.counts[GRI_SCRUB_ORPHAN] == 0;
    gri_scrub_repair_destroy(scrub.repair);
    gri_json_free(scrub.listed);
    if (status != GRI_OK) return gri_cli_fail(cli, &error);
    return well ? GRI_EXIT_DONE : GRI_EXIT_FAILED;
}

static const struct gri_cli_option options[] = {
    {.name = "rate", .arg = "N/s", .help = "at most so many images a second; else as fast as it goes"},
    {.name = "repair", .help = "fetch the sources of damaged images again, and make those anew that still give the same bytes"},
    {.name = "sample", .arg = "PERCENT", .help = "only a random part of the images"},
    {.name = "restart", .help = "from the beginning, not from where the last one stopped"},
    {.name = NULL},
};

const struct gri_command gri_command_scrub = {
    .name = "scrub",
    .summary = "checks stored images against their sums, marks and repairs damage; exit status 1 where some is left",
    .operands = "",
    .options = options,
    .run = run};
