/* SPDX-License-Identifier: Apache-2.0 */
/* ROBOTS: may this URL be fetched? The cache of the hosts' robots.txt, and the stage that asks it. */
#include "robots.h"
#include "pipeline.h"
#include "robots_rules.h"
#include "worker_state.h"
#include <stdlib.h>
#include <string.h>

enum {
    BUCKETS = 256,
    ORIGIN_MAX = GRI_HOST_MAX + 32,
    SIZE_MAX_ALL = 64 << 20,
    DEFER_SLACK_MS = 500 /* a job that comes back finds the next try over */
};

struct origin {
    struct gri_robots *robots;
    struct origin *next; /* in its bucket */
    char name[ORIGIN_MAX], host[GRI_HOST_MAX];
    char url[ORIGIN_MAX + sizeof "/robots.txt"];
    struct gri_robots_rules *rules;
    int64_t fresh_until_ms, used_ms;
    int failures;           /* in a row: it could not be read */
    struct gri_error error; /* why */
    bool known, out;        /* was it ever answered: that holds until it is answered anew; is it being fetched */
    struct gri_fetch fetch;
    struct gri_slot_list waiters;
};

struct gri_robots {
    struct gri_worker *worker;
    struct origin *buckets[BUCKETS];
    size_t count, size, out;
};

struct gri_robots *gri_robots_create(struct gri_worker *worker) {
    struct gri_robots *robots = gri_calloc(1, sizeof *robots);
    robots->worker = worker;
    return robots;
}

/* Each is fetched again at its next use: it may have something else to say to another agent. */
void gri_robots_reload(struct gri_robots *robots) {
    for (size_t i = 0; i < BUCKETS; i++)
        for (struct origin *origin = robots->buckets[i]; origin != NULL; origin = origin->next)
            origin->fresh_until_ms = 0;
}

static void origin_free(struct origin *origin) {
    if (origin->out) gri_fetch_clear(&origin->fetch);
    gri_robots_rules_free(origin->rules);
    free(origin);
}

void gri_robots_destroy(struct gri_robots *robots) {
    if (robots == NULL) return;
    for (size_t i = 0; i < BUCKETS; i++) {
        while (robots->buckets[i] != NULL) {
            struct origin *origin = robots->buckets[i];
            robots->buckets[i] = origin->next;
            origin_free(origin);
        }
    }
    free(robots);
}

bool gri_robots_idle(const struct gri_robots *robots) {
    return robots->out == 0;
}

/* --- the table ------------------------------------------------------------------------------------------------------------ */

static size_t bucket_of(const char *host) {
    return gri_hash_text(host) % BUCKETS;
}

/* scheme://authority of a canonical URL; the path begins behind it. */
static void origin_of(const char *url, char out[ORIGIN_MAX]) {
    const char *authority = strstr(url, "://");
    size_t len = authority == NULL ? 0 : (size_t)(authority - url) + 3;
    len += strcspn(url + len, "/?#");
    (void)gri_format(out, ORIGIN_MAX, "%.*s", (int)len, url);
}

static void drop(struct gri_robots *robots, struct origin *origin) {
    struct origin **at = &robots->buckets[bucket_of(origin->host)];
    while (*at != origin)
        at = &(*at)->next;
    *at = origin->next;
    robots->count--;
    if (origin->rules != NULL) robots->size -= gri_robots_rules_size(origin->rules);
    origin_free(origin);
}

/* The longest unused go that nobody waits for, but not `kept`. */
static void make_room(struct gri_robots *robots, const struct origin *kept) {
    while (robots->count > GRI_ROBOTS_KEPT || robots->size > SIZE_MAX_ALL) {
        struct origin *oldest = NULL;
        for (size_t i = 0; i < BUCKETS; i++)
            for (struct origin *origin = robots->buckets[i]; origin != NULL; origin = origin->next)
                if (origin != kept && !origin->out && (oldest == NULL || origin->used_ms < oldest->used_ms)) oldest = origin;
        if (oldest == NULL) return;
        drop(robots, oldest);
    }
}

static struct origin *known_of(const struct gri_robots *robots, const char *host, const char *name) {
    struct origin *origin = robots->buckets[bucket_of(host)];
    while (origin != NULL && strcmp(origin->name, name) != 0)
        origin = origin->next;
    return origin;
}

static const char *asked_url(const struct gri_slot *slot) {
    return slot->lead != NULL ? slot->lead : slot->entry.job.url;
}

/* Of what the slot asks for. */
static struct origin *find(struct gri_robots *robots, const struct gri_slot *slot) {
    char host[GRI_HOST_MAX], name[ORIGIN_MAX];
    gri_url_host(asked_url(slot), host);
    origin_of(asked_url(slot), name);
    struct origin *origin = known_of(robots, host, name);
    if (origin == NULL) {
        struct origin **bucket = &robots->buckets[bucket_of(host)];
        origin = gri_calloc(1, sizeof *origin);
        origin->robots = robots;
        gri_copy(origin->name, sizeof origin->name, name);
        gri_copy(origin->host, sizeof origin->host, host);
        (void)gri_format(origin->url, sizeof origin->url, "%s/robots.txt", name);
        origin->next = *bucket;
        *bucket = origin;
        robots->count++;
    }
    origin->used_ms = gri_now_ms(robots->worker->o.loop);
    make_room(robots, origin);
    return origin;
}

int64_t gri_robots_delay_ms(const struct gri_robots *robots, const char *host) {
    int64_t delay_ms = 0;
    if (!robots->worker->o.robots.delay) return 0;
    for (const struct origin *origin = robots->buckets[bucket_of(host)]; origin != NULL; origin = origin->next) {
        if (origin->rules == NULL || strcmp(origin->host, host) != 0) continue;
        int64_t other_ms = gri_robots_rules_delay_ms(origin->rules);
        if (other_ms > delay_ms) delay_ms = other_ms;
    }
    return delay_ms;
}

/* --- what it says ---------------------------------------------------------------------------------------------------------- */

/* The host does not answer for its robots.txt: the job waits, uncharged, while it is younger than jobs get by waiting for others;
 * then it fails like any other try. */
static void put_off(struct gri_slot *slot, const struct origin *origin) {
    struct gri_worker *worker = slot->worker;
    int64_t now = gri_now_ms(worker->o.loop), age_ms = slot->record.age_ms + (now - slot->checked_ms);
    slot->error = origin->error;
    slot->attempt = (struct gri_attempt){.retry_after_ms = -1};
    if (slot->error.reason == GRI_R_robots_unreachable && age_ms <= worker->o.retry.max_age_ms) {
        slot->attempt.deferred = true;
        slot->attempt.defer_ms = origin->fresh_until_ms - now + DEFER_SLACK_MS;
    }
    gri_pipeline_advance(slot, GRI_OUTCOME_FAILED);
}

/* *rule: the line that disallows it. */
static bool allows(const struct origin *origin, const char *url, const char **rule) {
    return origin->rules == NULL || gri_robots_rules_allow(origin->rules, url + strlen(origin->name), rule);
}

static void answer(struct gri_slot *slot, const struct origin *origin) {
    const char *rule = NULL;
    if (!origin->known) {
        put_off(slot, origin);
        return;
    }
    if (allows(origin, asked_url(slot), &rule)) {
        free(slot->lead);
        slot->lead = NULL;
        gri_pipeline_advance(slot, GRI_OUTCOME_NEXT);
        return;
    }
    slot->attempt = (struct gri_attempt){.retry_after_ms = -1};
    (void)gri_fail(&slot->error, GRI_R_robots_disallowed, "%s says: %s", origin->url, rule);
    gri_pipeline_advance(slot, GRI_OUTCOME_FAILED);
}

/* --- fetching it ------------------------------------------------------------------------------------------------------------ */

/* Did the host say something that is no robots.txt (RFC 9309, 2.3.1.3: unavailable), or nothing that can be relied on
 * (2.3.1.4: unreachable)? What the guard refuses is refused for every URL of the host, whose own fetch tells of it. */
static bool is_unreachable(const struct gri_fetch *fetch) {
    enum gri_reason reason = fetch->op.error.reason;
    if (fetch->op.status == GRI_OK || fetch->throttled) return fetch->throttled;
    return reason != GRI_R_empty && reason != GRI_R_http_4xx && reason != GRI_R_redirect_limit &&
           reason != GRI_R_redirect_refused && reason != GRI_R_refused_address && reason != GRI_R_too_large &&
           reason != GRI_R_tls;
}

static void keep_failure(struct origin *origin, int64_t now) {
    struct gri_worker *worker = origin->robots->worker;
    const struct gri_fetch *fetch = &origin->fetch;
    const struct gri_error *cause = &fetch->op.error;
    int64_t pause_ms =
        gri_retry_backoff(worker->o.retry.base_ms, worker->o.retry.max_ms, origin->failures, gri_random(worker->o.loop));
    /* A host that is not there at all is no matter of its robots.txt: the job's own reason, charged, as its own fetch would. */
    bool gone = cause->reason == GRI_R_dns || cause->reason == GRI_R_connect;
    if (fetch->retry_after_ms > pause_ms)
        pause_ms = fetch->retry_after_ms < worker->o.retry.max_after_ms ? fetch->retry_after_ms : worker->o.retry.max_after_ms;
    (void)gri_fail_as(&origin->error, GRI_RETRY, gone ? cause->reason : GRI_R_robots_unreachable, "%s: %s", origin->url,
                      cause->detail);
    if (origin->failures < 30) origin->failures++;
    origin->fresh_until_ms = now + pause_ms;
}

static void keep_answer(struct origin *origin, int64_t now) {
    struct gri_robots *robots = origin->robots;
    if (origin->rules != NULL) robots->size -= gri_robots_rules_size(origin->rules);
    gri_robots_rules_free(origin->rules);
    origin->rules = NULL;
    if (origin->fetch.op.status == GRI_OK) {
        origin->rules = gri_robots_rules_parse(gri_bytes_slice(&origin->fetch.body), robots->worker->o.robots.agent);
        robots->size += gri_robots_rules_size(origin->rules);
    }
    origin->failures = 0;
    origin->known = true;
    origin->fresh_until_ms = now + robots->worker->o.robots.keep_ms;
}

static void fetched(struct gri_op *op) {
    struct gri_fetch *fetch = gri_container_of(op, struct gri_fetch, op);
    struct origin *origin = gri_container_of(fetch, struct origin, fetch);
    struct gri_robots *robots = origin->robots;
    struct gri_slot *slot;
    int64_t now = gri_now_ms(robots->worker->o.loop);
    bool unreachable = is_unreachable(fetch);
    if (unreachable) {
        keep_failure(origin, now);
    } else {
        keep_answer(origin, now);
    }
    gri_worker_metrics_robots(&robots->worker->metrics, unreachable ? "unreachable" : op->status == GRI_OK ? "rules" : "none");
    gri_fetch_clear(fetch);
    origin->out = false;
    robots->out--;
    struct gri_slot_list waiters = origin->waiters;
    origin->waiters = (struct gri_slot_list){0};
    /* Nobody drops the origin meanwhile: that happens in find() alone, where another job or a lost one comes in. */
    while ((slot = gri_slot_list_pop(&waiters)) != NULL)
        answer(slot, origin);
    gri_worker_kick(robots->worker);
}

static void fetch_robots(struct origin *origin) {
    struct gri_fetcher *fetcher = origin->robots->worker->o.fetcher;
    gri_fetch_init(&origin->fetch, origin->url);
    origin->fetch.keep = GRI_ROBOTS_MAX + 1; /* one more: it is seen to be cut */
    origin->fetch.op.done = fetched;
    origin->out = true;
    origin->robots->out++;
    fetcher->ops->fetch(fetcher, &origin->fetch);
}

/* --- the stage ----------------------------------------------------------------------------------------------------------------
 */

bool gri_robots_is_needed(const struct gri_slot *slot) {
    return slot->worker->o.robots.obey;
}

void gri_robots_enter(struct gri_slot *slot) {
    struct origin *origin = find(slot->worker->robots, slot);
    bool fresh = origin->fresh_until_ms > gri_now_ms(slot->worker->o.loop);
    if (!origin->out && fresh) {
        answer(slot, origin);
        return;
    }
    gri_slot_list_push(&origin->waiters, slot);
    if (!origin->out) fetch_robots(origin);
}

/* Once it was asked for this job, what is known will do, however old it has become meanwhile. */
bool gri_robots_may_follow(struct gri_slot *slot, const char *url) {
    const struct gri_worker *worker = slot->worker;
    char host[GRI_HOST_MAX], name[ORIGIN_MAX];
    const char *rule = NULL;
    gri_url_host(url, host);
    origin_of(url, name);
    const struct origin *origin = known_of(worker->robots, host, name);
    bool fresh = origin != NULL && (slot->leads > 0 || origin->fresh_until_ms > gri_now_ms(worker->o.loop));
    if (fresh && origin->known && allows(origin, url, &rule)) return true;
    free(slot->lead);
    slot->lead = gri_strdup(url);
    return false;
}

bool gri_robots_eject(struct gri_slot *slot) {
    struct origin *origin = find(slot->worker->robots, slot);
    return gri_slot_list_remove(&origin->waiters, slot);
}
