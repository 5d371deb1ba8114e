/* SPDX-License-Identifier: Apache-2.0 */
/* The fakes' common ground: virtual loop, executor, codec, crypto, and the world that holds them. */
#include "worker_fakes.h"
#include "worker_fake_ports.h"
#include <stdlib.h>
#include <string.h>

#define PIPELINE "gray@0123456789ab"

/* --- loop --------------------------------------------------------------------------------------------------------------- */

struct fake_timer {
    struct fake_timer *next;
    int64_t at;
    uint64_t serial;
    void (*fire)(void *arg);
    void *arg;
};

static struct world *of_loop(struct gri_loop *loop) {
    return gri_container_of(loop, struct world, loop);
}
static int64_t now_ms(struct gri_loop *loop) {
    return of_loop(loop)->now;
}
static int64_t wall_ms(struct gri_loop *loop) {
    return of_loop(loop)->now + 1700000000000;
}

static uint64_t random64(struct gri_loop *loop) {
    struct world *world = of_loop(loop);
    world->seed ^= world->seed << 13;
    world->seed ^= world->seed >> 7;
    world->seed ^= world->seed << 17;
    return world->seed;
}

static struct gri_timer *timer_start(struct gri_loop *loop, int64_t after_ms, void (*fire)(void *), void *arg) {
    struct world *world = of_loop(loop);
    struct fake_timer *timer = gri_calloc(1, sizeof *timer);
    *timer = (struct fake_timer){.at = world->now + after_ms, .serial = world->timer_serial++, .fire = fire, .arg = arg};
    struct fake_timer **at = &world->timers;
    while (*at != NULL && ((*at)->at < timer->at || ((*at)->at == timer->at && (*at)->serial < timer->serial)))
        at = &(*at)->next;
    timer->next = *at;
    *at = timer;
    return (struct gri_timer *)(void *)timer;
}

static void timer_stop(struct gri_loop *loop, struct gri_timer *handle) {
    struct fake_timer *timer = (struct fake_timer *)(void *)handle;
    if (timer == NULL) return;
    struct fake_timer **at = &of_loop(loop)->timers;
    while (*at != timer) {
        GRI_ASSERT(*at != NULL); /* stopped twice, or after it fired */
        at = &(*at)->next;
    }
    *at = timer->next;
    free(timer);
}

struct fake_post {
    struct fake_post *next;
    void (*run)(void *arg);
    void *arg;
};

/* The one thing that other threads may call. */
static void post(struct gri_loop *loop, void (*run)(void *), void *arg) {
    struct world *world = of_loop(loop);
    struct fake_post *item = gri_calloc(1, sizeof *item);
    *item = (struct fake_post){.run = run, .arg = arg};
    pthread_mutex_lock(&world->post_lock);
    struct fake_post **at = &world->posts;
    while (*at != NULL)
        at = &(*at)->next;
    *at = item;
    pthread_mutex_unlock(&world->post_lock);
}

static void run_posts(struct world *world) {
    for (;;) {
        pthread_mutex_lock(&world->post_lock);
        struct fake_post *item = world->posts;
        if (item != NULL) world->posts = item->next;
        pthread_mutex_unlock(&world->post_lock);
        if (item == NULL) return;
        item->run(item->arg);
        free(item);
    }
}

static const struct gri_loop_ops loop_ops = {now_ms, wall_ms, random64, timer_start, timer_stop, post};

void world_run(struct world *world, int64_t ms) {
    int64_t until = world->now + ms;
    run_posts(world);
    while (world->timers != NULL && world->timers->at <= until) {
        struct fake_timer *timer = world->timers;
        world->timers = timer->next;
        if (timer->at > world->now) world->now = timer->at;
        timer->fire(timer->arg);
        free(timer);
    }
    if (until > world->now) world->now = until;
}

bool world_settle(struct world *world, int64_t ms) {
    for (int64_t i = 0; i < ms; i += 10) {
        if (world->acked == world->entry_count) return true;
        world_run(world, 10);
    }
    return world->acked == world->entry_count;
}

/* --- executor ------------------------------------------------------------------------------------------------------------- */

static void task_end(void *arg) {
    struct gri_task *task = arg;
    task->work(task);
    task->done(task);
}

static bool submit(struct gri_executor *executor, struct gri_task *task) {
    struct world *world = gri_container_of(executor, struct world, cpu);
    if (world->cpu_full) return false;
    if (world->threads != NULL) return gri_submit(world->threads, task);
    timer_start(&world->loop, 1, task_end, task);
    return true;
}

/* --- codec ---------------------------------------------------------------------------------------------------------------- */

static enum gri_status compile(struct gri_codec *codec, struct gri_slice definition, struct gri_plan **plan,
                               struct gri_error *error) {
    struct world *world = gri_container_of(codec, struct world, codec);
    if (definition.len == 0) return gri_fail(error, GRI_R_transform, "an empty definition");
    if (world->codec_is_older) return gri_fail_as(error, GRI_PERMANENT, GRI_R_config, "there is no parameter later");
    *plan = gri_calloc(1, 1);
    return GRI_OK;
}

static void plan_free(struct gri_codec *codec, struct gri_plan *plan) {
    (void)codec;
    free(plan);
}

static const char *const output_names[GRI_OUTPUTS_MAX] = {"output0", "output1", "output2"};

static void make_output(const char *name, struct gri_slice source, struct gri_picture *out) {
    *out = (struct gri_picture){.width = 2, .height = 1, .source_width = 4, .source_height = 3, .note = "odd", .decodes = 1};
    gri_copy(out->name, sizeof out->name, name);
    gri_copy(out->content_type, sizeof out->content_type, "image/jpeg");
    gri_copy(out->source_type, sizeof out->source_type, "image/png");
    gri_bytes_init(&out->output, 0);
    gri_bytes_put(&out->output, name[0] ? name : "gray");
    gri_bytes_put(&out->output, ":");
    gri_bytes_put_slice(&out->output, source);
}

static enum gri_status run(struct gri_codec *codec, const struct gri_plan *plan, struct gri_slice source, struct gri_picture *out,
                           struct gri_error *error) {
    struct world *world = gri_container_of(codec, struct world, codec);
    GRI_ASSERT(plan != NULL);
    atomic_fetch_add(&world->runs, 1);
    if (world->codec_ms > 0) world_run(world, world->codec_ms);
    if (world->codec_error.status != GRI_OK) {
        *error = world->codec_error;
        return error->status;
    }
    make_output(world->outputs > 0 ? output_names[0] : "", source, out);
    for (size_t i = 1; i < (world->outputs_made > 0 ? world->outputs_made : world->outputs); i++, out = out->next) {
        out->next = gri_calloc(1, sizeof *out->next);
        make_output(output_names[i], source, out->next);
    }
    return GRI_OK;
}

static size_t outputs(struct gri_codec *codec, const struct gri_plan *plan, const char *names[GRI_OUTPUTS_MAX]) {
    const struct world *world = gri_container_of(codec, struct world, codec);
    GRI_ASSERT(plan != NULL);
    names[0] = "";
    for (size_t i = 0; i < world->outputs; i++)
        names[i] = output_names[i];
    return world->outputs > 0 ? world->outputs : 1;
}

static const char *version(struct gri_codec *codec) {
    (void)codec;
    return "toy 1";
}

static const struct gri_codec_ops codec_ops = {compile, plan_free, run, version, outputs};

/* --- crypto --------------------------------------------------------------------------------------------------------------- */

/* Not SHA-256: 64 digits that differ where the bytes do. */
void fake_sha256_hex(struct gri_slice bytes, char out[GRI_SHA256_HEX]) {
    uint64_t hash = gri_hash(GRI_HASH_START, bytes.data, bytes.len);
    for (int i = 0; i < 4; i++, hash = hash * 6364136223846793005u + 1442695040888963407u)
        gri_format(out + 16 * i, 17, "%016llx", (unsigned long long)hash);
}

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static enum gri_status base64_encode(struct gri_slice bytes, struct gri_bytes *out, struct gri_error *error) {
    for (size_t i = 0; i < bytes.len; i += 3) {
        uint32_t word = 0;
        for (size_t k = 0; k < 3; k++)
            word = word << 8 | (i + k < bytes.len ? bytes.data[i + k] : 0u);
        char four[4] = {digits[word >> 18 & 63], digits[word >> 12 & 63], i + 1 < bytes.len ? digits[word >> 6 & 63] : '=',
                        i + 2 < bytes.len ? digits[word & 63] : '='};
        if (gri_bytes_append(out, four, 4, error) != GRI_OK) return error->status;
    }
    return GRI_OK;
}

static enum gri_status base64_decode(struct gri_slice text, struct gri_bytes *out, struct gri_error *error) {
    for (size_t i = 0; i + 3 < text.len; i += 4) {
        uint32_t word = 0;
        size_t pads = 0;
        for (size_t k = 0; k < 4; k++) {
            const char *at = text.data[i + k] == '=' ? NULL : strchr(digits, text.data[i + k]);
            pads += at == NULL;
            word = word << 6 | (at == NULL ? 0u : (uint32_t)(at - digits));
        }
        uint8_t three[3] = {(uint8_t)(word >> 16), (uint8_t)(word >> 8), (uint8_t)word};
        if (gri_bytes_append(out, three, 3 - pads, error) != GRI_OK) return error->status;
    }
    return GRI_OK;
}

static const struct gri_crypto crypto = {
    .sha256_hex = fake_sha256_hex, .base64_encode = base64_encode, .base64_decode = base64_decode};

/* --- world ---------------------------------------------------------------------------------------------------------------- */

static void on_fatal(void *hooks, const struct gri_error *error) {
    (void)error;
    ((struct world *)hooks)->fatal = true;
}

static void on_hung(void *hooks, const char *key) {
    (void)key;
    ((struct world *)hooks)->hung = true;
}

static void on_limit(void *hooks, const char *host, int *concurrency, double *per_second, char name[GRI_NAME_MAX]) {
    struct world *world = hooks;
    if (world->host_concurrency > 0) *concurrency = world->host_concurrency;
    *per_second = world->per_second;
    if (strcmp(host, "named.test") == 0) gri_copy(name, GRI_NAME_MAX, "named");
}

/* Real threads, for the tests that want them. */
void world_use_threads(struct world *world, struct gri_executor *threads) {
    world->threads = threads;
}

struct world *world_create_with(const struct gri_worker_options *extra) {
    struct world *world = gri_calloc(1, sizeof *world);
    world->now = 1000;
    pthread_mutex_init(&world->post_lock, NULL);
    world->seed = 88172645463325252u;
    world->fetch_ms = 10;
    world->loop.ops = &loop_ops;
    world->cpu.submit = submit;
    world->codec.ops = &codec_ops;
    fake_ports_init(world);
    struct gri_worker_options options = *extra;
    options.name = "w1";
    options.version = "grisaille test";
    options.loop = &world->loop;
    options.stream = &world->stream;
    options.ledger = &world->ledger;
    options.store = &world->store;
    options.fetcher = &world->fetcher;
    options.codec = &world->codec;
    options.crypto = &crypto;
    options.cpu = &world->cpu;
    options.hooks = world;
    options.limit = on_limit;
    options.fatal = on_fatal;
    options.hung = on_hung;
    world->worker = gri_worker_create(&options);
    gri_worker_start(world->worker);
    world_say(world, GRI_STREAM_UP);
    return world;
}

struct world *world_create(size_t slots) {
    return world_create_with(&(struct gri_worker_options){.slots = slots > 0 ? slots : 8});
}

static void drop_pending(void *arg) {
    (void)arg;
}

void world_destroy(struct world *world) {
    /* Crash: the ports call nothing any more. Timers of the worker are stopped by it; the rest are the fakes' own. */
    fake_ports_abandon(world);
    gri_worker_destroy(world->worker);
    while (world->timers != NULL) {
        struct fake_timer *timer = world->timers;
        world->timers = timer->next;
        timer->fire = drop_pending;
        free(timer);
    }
    run_posts(world);
    pthread_mutex_destroy(&world->post_lock);
    free(world);
}

void world_again(struct world *world, size_t index) {
    struct fake_entry *entry = &world->entries[index];
    struct gri_url_record *record = &world->records[index].record;
    GRI_ASSERT(entry->acked);
    record->state = GRI_URL_QUEUED;
    entry->run = ++record->run;
    gri_format(entry->id, sizeof entry->id, "%lld-%zu", (long long)entry->run, index);
    entry->read = entry->acked = false;
    world->acked--;
    fake_stream_feed(world);
}

size_t world_put(struct world *world, const char *url) {
    size_t index = world->entry_count;
    GRI_ASSERT(index < FAKE_MAX && index == world->record_count);
    struct fake_entry *entry = &world->entries[world->entry_count++];
    struct fake_record *record = &world->records[world->record_count++];
    gri_copy(entry->url, sizeof entry->url, url);
    char sum[GRI_SHA256_HEX];
    fake_sha256_hex(gri_slice_of(url), sum);
    gri_format(entry->key, sizeof entry->key, "%s:gray", sum);
    gri_format(entry->id, sizeof entry->id, "1-%zu", index);
    gri_copy(entry->pipeline, sizeof entry->pipeline, PIPELINE);
    entry->run = 1;
    entry->deliveries = world->deliveries > 0 ? world->deliveries : 1;
    gri_copy(record->key, sizeof record->key, entry->key);
    record->record = (struct gri_url_record){.state = GRI_URL_QUEUED, .run = 1};
    gri_copy(record->record.pipeline, sizeof record->record.pipeline, PIPELINE);
    fake_stream_feed(world);
    return index;
}

struct fake_record *world_record(struct world *world, size_t index) {
    return &world->records[index];
}

void world_say(struct world *world, enum gri_stream_state state) {
    world->stream.changed(world->stream.changed_arg, state);
}

int world_when(const struct world *world, const char *text) {
    const char *at = strstr(world->trace, text);
    return at == NULL ? -1 : (int)(at - world->trace);
}

int world_count(const struct world *world, const char *text) {
    int count = 0;
    for (const char *at = world->trace; (at = strstr(at, text)) != NULL; at += strlen(text))
        count++;
    return count;
}

void world_image_id(const char *source, char id[GRI_IMAGE_ID_MAX]) {
    char sum[GRI_SHA256_HEX];
    fake_sha256_hex(gri_slice_of(source), sum);
    gri_format(id, GRI_IMAGE_ID_MAX, "%s:%s", sum, PIPELINE);
}

void world_add_image(struct world *world, const char *id, const char *job, bool removed) {
    struct fake_image *image = &world->images[world->image_count++];
    gri_copy(image->id, sizeof image->id, id);
    gri_copy(image->job, sizeof image->job, job);
    image->removed = removed;
}
