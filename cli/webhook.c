/* SPDX-License-Identifier: Apache-2.0 */
/* The sender of webhooks: take a notice, sign, post, note the outcome. */
#include "webhook.h"

#include <grisaille/clock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "curl_post.h"
#include "retry.h"
#include "threads.h"

enum {
    POLL_MS = 2000,
    AWAY_MS = 5000,        /* MongoDB did not answer */
    CLAIM_SLACK_MS = 5000, /* beside a request's own time: nobody else sends the notice meanwhile */
    PAUSE_MAX_MS = 3600000,
    KEYS_MAX = 4,
    KEY_MIN = 24, /* bytes; the specification's bounds */
    KEY_MAX = 64,
    BODY_MAX = 64 * 1024,
    ID_MAX = GRI_CATALOG_ID_MAX + 32,
    SIGNATURES_MAX = 512
};

static const double SECONDS[] = {0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30};

struct gri_webhook {
    struct gri_task task;
    struct gri_daemon *daemon;
    struct gri_executor *thread;
    struct gri_curl_poster *poster;
    struct gri_timer *timer;
    struct gri_bytes keys[KEYS_MAX]; /* of the secret: one, or several while it is changed */
    size_t key_count;
    int64_t timeout_ms, retry_ms, max_age_ms;
    atomic_bool stopping;
    /* the thread's, until `done` */
    bool found;
    enum gri_status status;
    enum gri_notice_end end;
    struct gri_notice notice;
    struct gri_error error;
    double seconds;
};

/* --- the message -------------------------------------------------------------------------------------------------------------
 */

/* "whsec_<base64>", several separated by spaces or commas. */
static enum gri_status read_secret(struct gri_webhook *webhook, const char *text, struct gri_error *error) {
    static const char PREFIX[] = "whsec_", BETWEEN[] = " ,\t\r\n";
    const struct gri_crypto *crypto = webhook->daemon->cli->crypto;
    for (text += strspn(text, BETWEEN); *text; text += strspn(text, BETWEEN)) {
        size_t len = strcspn(text, BETWEEN), skip = sizeof PREFIX - 1;
        if (webhook->key_count == KEYS_MAX) return gri_fail(error, GRI_R_config, "webhook.secret: over %d secrets", KEYS_MAX);
        struct gri_bytes *key = &webhook->keys[webhook->key_count];
        bool prefixed = len > skip && strncmp(text, PREFIX, skip) == 0;
        struct gri_slice base64 = {(const uint8_t *)text + skip, len - skip};
        gri_bytes_init(key, 1024);
        if (!prefixed || crypto->base64_decode(base64, key, error) != GRI_OK || key->len < KEY_MIN || key->len > KEY_MAX) {
            gri_bytes_clear(key);
            return gri_fail(
                error, GRI_R_config,
                "webhook.secret: write whsec_ and %d to %d random bytes in base64: echo whsec_$(openssl rand -base64 32)",
                KEY_MIN, KEY_MAX);
        }
        webhook->key_count++;
        text += len;
    }
    if (webhook->key_count > 0) return GRI_OK;
    return gri_fail(error, GRI_R_config,
                    "webhook.url needs webhook.secret (or webhook.secret_FILE), by which a receiver knows us");
}

/* webhook-signature: "v1,<base64 of HMAC-SHA-256 over id.timestamp.body>" for each key, separated by spaces. */
static void sign(const struct gri_webhook *webhook, const char *id, int64_t timestamp, struct gri_slice body, char *out,
                 size_t size) {
    const struct gri_crypto *crypto = webhook->daemon->cli->crypto;
    struct gri_error error;
    struct gri_bytes text, line;
    char head[ID_MAX + 32];
    (void)gri_format(head, sizeof head, "%s.%lld.", id, (long long)timestamp);
    gri_bytes_init(&text, BODY_MAX + sizeof head);
    gri_bytes_init(&line, SIGNATURES_MAX);
    gri_bytes_put(&text, head);
    enum gri_status status = gri_bytes_append(&text, body.data, body.len, &error);
    gri_bytes_put(&line, "webhook-signature:");
    for (size_t i = 0; status == GRI_OK && i < webhook->key_count; i++) {
        uint8_t mac[GRI_HMAC_BYTES];
        crypto->hmac_sha256(gri_bytes_slice(&webhook->keys[i]), gri_bytes_slice(&text), mac);
        gri_bytes_put(&line, " v1,");
        status = crypto->base64_encode((struct gri_slice){mac, sizeof mac}, &line, &error);
    }
    GRI_ASSERT(status == GRI_OK); /* the bounds above hold all of it */
    (void)gri_format(out, size, "%.*s", (int)line.len, (const char *)line.data);
    gri_bytes_clear(&line);
    gri_bytes_clear(&text);
}

static enum gri_status write_body(struct gri_notice *notice, struct gri_bytes *body, struct gri_error *error) {
    struct gri_json *message = gri_json_object();
    gri_json_remove(notice->body, "notice");
    gri_json_set_str(message, "type", "catalog.finished");
    gri_json_set_str(message, "timestamp", gri_json_str(notice->body, "finished_at", ""));
    gri_json_set(message, "data", notice->body);
    notice->body = NULL;
    enum gri_status status = gri_json_write(message, false, body, error);
    gri_json_free(message);
    return status;
}

/* --- one notice, on the thread ------------------------------------------------------------------------------------------------
 */

static enum gri_status post(struct gri_webhook *webhook, struct gri_slice body, int *http_status, int64_t *after_ms) {
    char id[ID_MAX], id_line[ID_MAX + 16], time_line[64], signature_line[SIGNATURES_MAX];
    int64_t timestamp = (int64_t)time(NULL), began_ms = gri_clock_ms();
    (void)gri_format(id, sizeof id, "msg_%s_%lld", webhook->notice.catalog, (long long)webhook->notice.number);
    (void)gri_format(id_line, sizeof id_line, "webhook-id: %s", id);
    (void)gri_format(time_line, sizeof time_line, "webhook-timestamp: %lld", (long long)timestamp);
    sign(webhook, id, timestamp, body, signature_line, sizeof signature_line);
    const char *const headers[] = {"Content-Type: application/json", "Expect:", id_line, time_line, signature_line};
    enum gri_status status = gri_curl_poster_send(webhook->poster, headers, sizeof headers / sizeof headers[0], body, http_status,
                                                  after_ms, &webhook->error);
    webhook->seconds = (double)(gri_clock_ms() - began_ms) / 1000;
    return status;
}

/* Any 2xx is an acceptance; 410 says that nobody will ever listen there. */
static void judge(struct gri_webhook *webhook, enum gri_status posted, int http_status, int64_t after_ms, int64_t *again_ms) {
    struct gri_notice *notice = &webhook->notice;
    uint64_t random;
    webhook->daemon->cli->crypto->random_bytes(&random, sizeof random);
    int tries = notice->attempts < 30 ? (int)notice->attempts - 1 : 30;
    *again_ms = gri_retry_backoff(webhook->retry_ms, PAUSE_MAX_MS, tries, random);
    if (posted == GRI_OK && http_status >= 200 && http_status < 300) {
        webhook->end = GRI_NOTICE_SENT;
        webhook->error.detail[0] = '\0';
        return;
    }
    if (posted == GRI_OK)
        (void)gri_fail_as(&webhook->error, GRI_RETRY, http_status >= 500 ? GRI_R_http_5xx : GRI_R_http_4xx,
                          "webhook.url answered %d", http_status);
    if (posted == GRI_OK && after_ms > *again_ms) *again_ms = after_ms < PAUSE_MAX_MS ? after_ms : PAUSE_MAX_MS;
    bool over = notice->age_ms + *again_ms > webhook->max_age_ms || (posted == GRI_OK && http_status == 410);
    webhook->end = over ? GRI_NOTICE_GIVEN_UP : GRI_NOTICE_AGAIN;
}

static void work(struct gri_task *task) {
    struct gri_webhook *webhook = gri_container_of(task, struct gri_webhook, task);
    struct gri_archive *archive = gri_mongo_archive(webhook->daemon->mongo);
    const struct gri_notice_ops *notices = archive->ops->notices;
    struct gri_bytes body;
    struct gri_error error;
    int http_status = 0;
    int64_t after_ms = -1, again_ms = 0;
    webhook->status =
        notices->take(archive, webhook->timeout_ms + CLAIM_SLACK_MS, &webhook->notice, &webhook->found, &webhook->error);
    if (webhook->status != GRI_OK || !webhook->found) return;
    gri_bytes_init(&body, BODY_MAX);
    enum gri_status posted = write_body(&webhook->notice, &body, &webhook->error);
    if (posted == GRI_OK) posted = post(webhook, gri_bytes_slice(&body), &http_status, &after_ms);
    judge(webhook, posted, http_status, after_ms, &again_ms);
    gri_bytes_clear(&body);
    /* Where this can't be noted, the claim runs out and the notice is sent again. */
    webhook->status = notices->settle(archive, &webhook->notice, webhook->end, again_ms, webhook->error.detail, &error);
    if (webhook->status != GRI_OK) webhook->error = error;
}

/* --- the loop's side
 * ------------------------------------------------------------------------------------------------------------ */

static void count(struct gri_webhook *webhook) {
    static const char *const OUTCOMES[] = {[GRI_NOTICE_SENT] = "outcome=\"delivered\"",
                                           [GRI_NOTICE_AGAIN] = "outcome=\"failed\"",
                                           [GRI_NOTICE_GIVEN_UP] = "outcome=\"given_up\""};
    struct gri_metrics *metrics = webhook->daemon->metrics;
    gri_counter_add(gri_metrics_counter(metrics, "grisaille_webhooks_total", "Requests to webhook.url, by what became of them",
                                        OUTCOMES[webhook->end]),
                    1);
    gri_histogram_observe(gri_metrics_histogram(metrics, "grisaille_webhook_seconds", "One request to webhook.url", "", SECONDS,
                                                sizeof SECONDS / sizeof SECONDS[0]),
                          webhook->seconds);
}

static void tell(struct gri_webhook *webhook) {
    static const char *const EVENTS[] = {"webhook_delivered", "webhook_failed", "webhook_given_up"};
    static const enum gri_level LEVELS[] = {GRI_INFO, GRI_WARN, GRI_ERROR};
    gri_log(webhook->daemon->log, LEVELS[webhook->end], EVENTS[webhook->end], GRI_TEXT("catalog", webhook->notice.catalog),
            GRI_NUM("attempt", webhook->notice.attempts),
            GRI_TEXT("reason", gri_reason_name(webhook->end == GRI_NOTICE_SENT ? GRI_R_none : webhook->error.reason)),
            GRI_TEXT("detail", webhook->error.detail));
}

static void look(void *arg) {
    struct gri_webhook *webhook = arg;
    webhook->timer = NULL;
    bool taken = gri_submit(webhook->thread, &webhook->task);
    GRI_ASSERT(taken); /* it is the only task */
}

static void looked(struct gri_task *task) {
    struct gri_webhook *webhook = gri_container_of(task, struct gri_webhook, task);
    if (webhook->found) {
        count(webhook);
        tell(webhook);
    }
    if (webhook->status != GRI_OK) gri_log_error(webhook->daemon->log, GRI_WARN, "webhook_unsettled", &webhook->error);
    if (atomic_load(&webhook->stopping)) return;
    int64_t pause_ms = webhook->status != GRI_OK ? AWAY_MS : webhook->found ? 0 : POLL_MS;
    webhook->timer = gri_timer_start(webhook->daemon->loop, pause_ms, look, webhook);
}

static bool is_stopping(void *arg) {
    struct gri_webhook *webhook = arg;
    return atomic_load(&webhook->stopping);
}

enum gri_status gri_webhook_start(struct gri_daemon *daemon, struct gri_webhook **out, struct gri_error *error) {
    const struct gri_config *config = daemon->config;
    const char *url = gri_config_text(config, "webhook.url");
    *out = NULL;
    if (!*url) return GRI_OK;
    struct gri_webhook *webhook = gri_calloc(1, sizeof *webhook);
    webhook->task = (struct gri_task){.work = work, .done = looked};
    webhook->daemon = daemon;
    webhook->timeout_ms = gri_config_int(config, "webhook.timeout_ms");
    webhook->retry_ms = gri_config_int(config, "webhook.retry_ms");
    webhook->max_age_ms = gri_config_int(config, "webhook.max_age") * 1000;
    atomic_init(&webhook->stopping, false);
    struct gri_curl_post_options options = {.url = url,
                                            .ca_file = gri_config_text(config, "webhook.ca_file"),
                                            .user_agent = "grisaille/" GRI_VERSION,
                                            .timeout_ms = webhook->timeout_ms,
                                            .stop = is_stopping,
                                            .arg = webhook};
    enum gri_status status = read_secret(webhook, gri_config_text(config, "webhook.secret"), error);
    if (status == GRI_OK) status = gri_curl_poster_create(&options, &webhook->poster, error);
    if (status != GRI_OK) {
        gri_webhook_destroy(webhook);
        return status;
    }
    webhook->thread = gri_threads_create(daemon->loop, "webhook", 1, 1, NULL, NULL);
    webhook->timer = gri_timer_start(daemon->loop, POLL_MS, look, webhook);
    *out = webhook;
    return GRI_OK;
}

void gri_webhook_stop(struct gri_webhook *webhook) {
    if (!webhook) return;
    atomic_store(&webhook->stopping, true);
    gri_timer_stop(webhook->daemon->loop, webhook->timer);
    webhook->timer = NULL;
}

void gri_webhook_destroy(struct gri_webhook *webhook) {
    if (!webhook) return;
    gri_webhook_stop(webhook);
    gri_threads_destroy(webhook->thread);
    gri_curl_poster_destroy(webhook->poster);
    gri_json_free(webhook->notice.body);
    for (size_t i = 0; i < webhook->key_count; i++)
        gri_bytes_clear(&webhook->keys[i]);
    free(webhook);
}
