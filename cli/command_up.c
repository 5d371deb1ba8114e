/* SPDX-License-Identifier: Apache-2.0 */
/* grisaille up: everything on this machine. Private Redis and MongoDB, a scheduler, workers, the API; restarts what dies;
 * Ctrl-C drains and stops all. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grisaille/clock.h>
#include <limits.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "children.h"
#include "cli.h"
#include "mongo_replica.h"
#include "redact.h"

enum { START_TIMEOUT_MS = 60000, DRAIN_TIMEOUT_MS = 75000, SERVICE_TIMEOUT_MS = 30000, METRICS_MAX = 40 };

struct up {
    struct gri_cli *cli;
    char dir[PATH_MAX - 600];
    char binary[PATH_MAX];
    char config[PATH_MAX];
    char redis_url[300], mongo_uri[300]; /* of the private services, or the configured ones as they may be shown */
    char api[320];
    bool services;
    int redis_port, mongo_port;
    int metrics[METRICS_MAX];
    size_t metrics_count;
    size_t first_daemon; /* children before it are the services */
    bool has_terminal;
    int hangups;         /* of those that came, how many were obeyed */
    int64_t look_ms;     /* when to look at the configuration's files again */
    uint64_t seen, last; /* their stamps: of what holds; of the latest look */
    struct gri_children children;
};

static volatile sig_atomic_t stopping, hung_up;

static void on_stop(int signal) {
    (void)signal;
    stopping = stopping + 1;
}

static void on_hangup(int signal) {
    (void)signal;
    hung_up = hung_up + 1;
}

/* The wanted port when nobody listens there, else a free one. */
static int pick_port(int wanted) {
    for (int port = wanted;; port = 0) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;
        struct sockaddr_in at = {
            .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t len = sizeof at;
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
        bool bound =
            fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof at) == 0 && getsockname(fd, (struct sockaddr *)&at, &len) == 0;
        if (fd >= 0) close(fd);
        if (bound) return ntohs(at.sin_port);
        if (port == 0) return 0;
    }
}

static enum gri_status make_dir(const char *path, struct gri_error *error) {
    if (mkdir(path, 0755) == 0 || errno == EEXIST) return GRI_OK;
    return gri_fail(error, GRI_R_io, "can't make the folder %s: %s", path, strerror(errno));
}

static enum gri_status make_dirs(struct up *up, struct gri_error *error) {
    static const char *const below[] = {"", "/redis", "/mongo", "/logs", "/prometheus"};
    const char *asked = gri_cli_option(up->cli, "data");
    if (!asked) asked = "grisaille-data";
    enum gri_status status = make_dir(asked, error);
    if (status != GRI_OK) return status;
    char real[PATH_MAX];
    if (!realpath(asked, real) || !gri_copy(up->dir, sizeof up->dir, real))
        return gri_fail(error, GRI_R_io, "can't use the folder %s", asked);
    for (size_t i = 1; status == GRI_OK && i < sizeof below / sizeof below[0]; i++) {
        char path[PATH_MAX];
        (void)gri_format(path, sizeof path, "%s%s", up->dir, below[i]);
        status = make_dir(path, error);
    }
    return status;
}

static void text(char *out, size_t size, const char *format, const char *a) {
    (void)gri_format(out, size, "%s%s", a, format);
}

/* mongod: $GRISAILLE_MONGOD, PATH, or .tools/mongod beside the build folder of this executable (what tools/setup fetched). */
static void find_mongod(const struct up *up, char out[PATH_MAX]) {
    const char *given = getenv("GRISAILLE_MONGOD");
    (void)gri_copy(out, PATH_MAX, given && *given ? given : "mongod");
    if (given && *given) return;
    char folder[PATH_MAX];
    (void)gri_copy(folder, sizeof folder, up->binary);
    for (int level = 0; level < 2; level++) {
        char *slash = strrchr(folder, '/');
        if (!slash) return;
        *slash = '\0';
    }
    char candidate[PATH_MAX];
    if (gri_format(candidate, sizeof candidate, "%s/.tools/mongod", folder) && access(candidate, X_OK) == 0)
        (void)gri_copy(out, PATH_MAX, candidate);
}

static void add_redis(struct up *up, const char *logs) {
    char port[16], dir[PATH_MAX];
    const char *server = getenv("GRISAILLE_REDIS_SERVER");
    (void)gri_format(port, sizeof port, "%d", up->redis_port);
    text(dir, sizeof dir, "/redis", up->dir);
    const char *args[] = {server && *server ? server : "redis-server",
                          "--port",
                          port,
                          "--bind",
                          "127.0.0.1",
                          "--dir",
                          dir,
                          "--appendonly",
                          "yes",
                          "--maxmemory-policy",
                          "noeviction",
                          "--save",
                          "",
                          NULL};
    gri_children_add(&up->children, "redis", logs, args);
}

static void add_mongo(struct up *up, const char *logs) {
    char port[16], dir[PATH_MAX], mongod[PATH_MAX];
    (void)gri_format(port, sizeof port, "%d", up->mongo_port);
    text(dir, sizeof dir, "/mongo", up->dir);
    find_mongod(up, mongod);
    const char *args[] = {mongod,
                          "--port",
                          port,
                          "--bind_ip",
                          "127.0.0.1",
                          "--dbpath",
                          dir,
                          "--replSet",
                          "grisaille",
                          "--wiredTigerCacheSizeGB",
                          "0.5",
                          "--setParameter",
                          "diagnosticDataCollectionEnabled=false",
                          NULL};
    gri_children_add(&up->children, "mongo", logs, args);
}

/* Starts the private services and waits until MongoDB is primary. */
static enum gri_status start_services(struct up *up, const char *logs, struct gri_error *error) {
    char uri[200], member[64];
    add_redis(up, logs);
    add_mongo(up, logs);
    for (size_t i = 0; i < up->children.count; i++) {
        enum gri_status status = gri_child_start(&up->children.list[i], error);
        if (status != GRI_OK) return status;
    }
    fprintf(stderr, "grisaille up: starting Redis and MongoDB under %s\n", up->dir);
    (void)gri_format(uri, sizeof uri, "mongodb://127.0.0.1:%d/?directConnection=true&serverSelectionTimeoutMS=1000",
                     up->mongo_port);
    (void)gri_format(member, sizeof member, "127.0.0.1:%d", up->mongo_port);
    /* In short steps, so that a service that can't start is told at once, not after the whole wait. */
    for (int64_t end = gri_clock_ms() + START_TIMEOUT_MS; !stopping;) {
        if (gri_mongo_initiate(uri, "grisaille", member, 1500, error) == GRI_OK) return GRI_OK;
        for (size_t i = 0; i < up->children.count; i++) {
            struct gri_child *child = &up->children.list[i];
            if (gri_child_runs(child)) continue;
            gri_child_tail(child);
            return gri_fail(error, GRI_R_unavailable, "%s could not be started; its log is above", child->name);
        }
        if (gri_clock_ms() > end) return error->status;
    }
    return gri_fail(error, GRI_R_unavailable, "stopped while starting");
}

/* Puts value at "section.name" of the nested object. */
static void set_nested(struct gri_json *root, const char *key, struct gri_json *value) {
    const char *dot = strchr(key, '.');
    char section[64];
    if (!dot) {
        gri_json_set(root, key, value);
        return;
    }
    (void)gri_format(section, sizeof section, "%.*s", (int)(dot - key), key);
    const struct gri_json *there = gri_json_get(root, section);
    struct gri_json *inner = there ? gri_json_copy(there) : gri_json_object();
    gri_json_set(inner, dot + 1, value);
    gri_json_set(root, section, inner);
}

/* The configuration in force with the addresses chosen here, so that every other command judges, fetches and finds as the daemons
 * do. Configured secrets stay where they stand. */
static struct gri_json *effective_config(const struct up *up) {
    struct gri_json *root = gri_json_object(), *rows = gri_config_describe(up->cli->config);
    for (size_t i = 0; i < gri_json_count(rows); i++) {
        const struct gri_json *row = gri_json_at(rows, i), *value = gri_json_get(row, "value");
        const char *key = gri_json_str(row, "key", "");
        const struct gri_option *option = gri_option_find(key);
        bool hidden = option->type == GRI_OPTION_secret || option->type == GRI_OPTION_uri;
        if (hidden || strcmp(gri_json_str(row, "source", ""), "default") == 0 || strcmp(key, "metrics.listen") == 0) continue;
        if (gri_json_kind(value) != GRI_JSON_NULL) set_nested(root, key, gri_json_copy(value));
    }
    gri_json_free(rows);
    set_nested(root, "api.listen", gri_json_string(up->api));
    set_nested(root, "redis.url", gri_json_string(up->redis_url));
    set_nested(root, "mongo.uri", gri_json_string(up->mongo_uri));
    return root;
}

static enum gri_status write_config(struct up *up, struct gri_error *error) {
    if (!up->services) { /* what was given holds for other commands too; a copy might spread a password */
        const char *file = gri_config_file(up->cli->config);
        (void)gri_copy(up->config, sizeof up->config, file ? file : "");
        return GRI_OK;
    }
    text(up->config, sizeof up->config, "/grisaille.yaml", up->dir);
    char part[PATH_MAX + 8];
    (void)gri_format(part, sizeof part, "%s.part", up->config);
    FILE *out = fopen(part, "w");
    if (!out) return gri_fail(error, GRI_R_io, "can't write %s: %s", part, strerror(errno));
    struct gri_json *config = effective_config(up);
    struct gri_bytes body; /* JSON is YAML too */
    gri_bytes_init(&body, 0);
    enum gri_status status = gri_json_pretty(config, &body, error);
    fprintf(out, "# Written by `grisaille up` at its start: export GRISAILLE_CONFIG=%s\n%s\n", up->config, gri_bytes_text(&body));
    gri_bytes_clear(&body);
    gri_json_free(config);
    if (fclose(out) != 0 || rename(part, up->config) != 0)
        return gri_fail(error, GRI_R_io, "can't write %s: %s", up->config, strerror(errno));
    return status;
}

/* Prometheus' file_sd list of this machine's daemons. */
static enum gri_status write_targets(struct up *up, struct gri_error *error) {
    char path[PATH_MAX];
    text(path, sizeof path, "/prometheus/targets.json", up->dir);
    FILE *out = fopen(path, "w");
    if (!out) return gri_fail(error, GRI_R_io, "can't write %s: %s", path, strerror(errno));
    fputs("[{\"targets\":[", out);
    for (size_t i = 0; i < up->metrics_count; i++)
        fprintf(out, "%s\"127.0.0.1:%d\"", i ? "," : "", up->metrics[i]);
    fprintf(out, ",\"%s\"],\"labels\":{\"job\":\"grisaille\"}}]\n", up->api);
    return fclose(out) == 0 ? GRI_OK : gri_fail(error, GRI_R_io, "can't write %s: %s", path, strerror(errno));
}

static enum gri_status add_daemon(struct up *up, const char *role, const char *name, const char *logs, struct gri_error *error) {
    const char *args[GRI_CHILD_ARGS_MAX + 1] = {up->binary, role};
    char overrides[4][360];
    size_t count = 2, given = 0;
    int port = pick_port(0);
    (void)gri_format(overrides[given++], sizeof overrides[0], "api.listen=%s", up->api);
    (void)gri_format(overrides[given++], sizeof overrides[0], "metrics.listen=127.0.0.1:%d", port);
    if (up->services) { /* configured ones are read by each daemon from where they stand: they may hold passwords */
        (void)gri_format(overrides[given++], sizeof overrides[0], "redis.url=%s", up->redis_url);
        (void)gri_format(overrides[given++], sizeof overrides[0], "mongo.uri=%s", up->mongo_uri);
    }
    up->metrics[up->metrics_count++] = port;
    if (up->cli->config_path) {
        args[count++] = "--config";
        args[count++] = up->cli->config_path;
    }
    if (2 * ((size_t)up->cli->set_count + 4) + count > GRI_CHILD_ARGS_MAX)
        return gri_fail(error, GRI_R_usage, "too many --set; put them into a file and give it with --config");
    for (int i = 0; i < up->cli->set_count; i++) {
        args[count++] = "--set";
        args[count++] = up->cli->sets[i];
    }
    for (size_t i = 0; i < given; i++) {
        args[count++] = "--set";
        args[count++] = overrides[i];
    }
    return gri_child_start(gri_children_add(&up->children, name, logs, args), error);
}

static enum gri_status start_daemons(struct up *up, int64_t workers, const char *logs, struct gri_error *error) {
    up->first_daemon = up->children.count;
    enum gri_status status = add_daemon(up, "scheduler", "scheduler", logs, error);
    for (int64_t i = 1; status == GRI_OK && i <= workers; i++) {
        char name[32];
        (void)gri_format(name, sizeof name, "worker-%lld", (long long)i);
        status = add_daemon(up, "worker", name, logs, error);
    }
    if (status == GRI_OK) status = add_daemon(up, "api", "api", logs, error);
    return status;
}

/* Everything listens: the API answers its socket. */
static bool api_answers(const struct up *up) {
    const char *colon = strrchr(up->api, ':');
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool connected = fd >= 0 && connect(fd, (struct sockaddr *)&at, sizeof at) == 0;
    if (fd >= 0) close(fd);
    return connected;
}

static void announce(const struct up *up) {
    struct gri_json *json = gri_json_object();
    gri_json_set_str(json, "api", up->api);
    gri_json_set_str(json, "redis", up->redis_url);
    gri_json_set_str(json, "mongo", up->mongo_uri);
    gri_json_set_str(json, "config", up->config);
    gri_json_set_str(json, "data", up->dir);
    if (up->cli->json) {
        gri_cli_print_json(json);
    } else {
        printf("api      http://%s/\nredis    %s\nmongo    %s\nlogs     %s/logs/\ntargets  %s/prometheus/targets.json\n\n",
               up->api, up->redis_url, up->mongo_uri, up->dir, up->dir);
        if (up->config[0]) printf("in another terminal:  export GRISAILLE_CONFIG=%s\n", up->config);
        printf("push a catalog:       grisaille push --wait FILE\n");
    }
    fflush(stdout);
    gri_json_free(json);
}

/* To be shown: without its password. */
static void show_uri(char *out, size_t size, const char *uri) {
    struct gri_bytes shown;
    gri_bytes_init(&shown, 0);
    gri_redact_put_uri(&shown, uri);
    (void)gri_copy(out, size, gri_bytes_text(&shown));
    gri_bytes_clear(&shown);
}

static enum gri_status addresses(struct up *up, struct gri_error *error) {
    const struct gri_config *config = up->cli->config;
    show_uri(up->redis_url, sizeof up->redis_url, gri_config_text(config, "redis.url"));
    show_uri(up->mongo_uri, sizeof up->mongo_uri, gri_config_text(config, "mongo.uri"));
    if (up->services) {
        up->redis_port = pick_port(6379);
        up->mongo_port = pick_port(27017);
        (void)gri_format(up->redis_url, sizeof up->redis_url, "redis://127.0.0.1:%d/0", up->redis_port);
        (void)gri_format(up->mongo_uri, sizeof up->mongo_uri, "mongodb://127.0.0.1:%d/?replicaSet=grisaille", up->mongo_port);
    }
    const char *listen = gri_config_text(config, "api.listen"), *colon = strrchr(listen, ':');
    if (!colon) return gri_fail(error, GRI_R_config, "api.listen must be host:port, not '%s'", listen);
    int wanted = (int)strtoul(colon + 1, NULL, 10);
    bool local = strncmp(listen, "127.0.0.1:", 10) == 0;
    int port = local ? pick_port(wanted) : wanted;
    (void)gri_format(up->api, sizeof up->api, "%.*s:%d", (int)(colon - listen), listen, port);
    return GRI_OK;
}

/* Is there a terminal that controls this process? Once its window is closed there is none, and SIGHUP meant that. */
static bool terminal_there(void) {
    int fd = open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC);
    if (fd >= 0) close(fd);
    return fd >= 0;
}

static enum gri_status start_all(struct up *up, int64_t workers, struct gri_error *error) {
    char logs[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", up->binary, sizeof up->binary - 1);
    if (len < 0) return gri_fail(error, GRI_R_io, "can't find this executable: %s", strerror(errno));
    up->binary[len] = '\0';
    enum gri_status status = gri_cli_definitions(up->cli, error); /* a wrong configuration is told here, not in six logs */
    up->has_terminal = terminal_there();
    if (status == GRI_OK) up->seen = up->last = gri_config_stamp(up->cli->config);
    if (status == GRI_OK) status = make_dirs(up, error);
    if (status == GRI_OK) status = addresses(up, error);
    text(logs, sizeof logs, "/logs", up->dir);
    if (status == GRI_OK && up->services) status = start_services(up, logs, error);
    if (status == GRI_OK) status = write_config(up, error);
    if (status == GRI_OK) status = start_daemons(up, workers, logs, error);
    if (status == GRI_OK) status = write_targets(up, error);
    return status;
}

/* The daemons read their configuration themselves; here it is that of the other commands, which is written anew. */
static void read_again(struct up *up) {
    struct gri_cli *cli = up->cli;
    struct gri_config *config = NULL;
    struct gri_definitions *definitions = NULL;
    struct gri_error error;
    enum gri_status status = gri_cli_config_again(cli, &config, &error);
    if (status == GRI_OK) gri_config_keep_fixed(config, cli->config);
    if (status == GRI_OK) status = gri_definitions_load(config, cli->transforms, cli->crypto, &definitions, &error);
    gri_definitions_free(definitions);
    up->seen = gri_config_stamp(cli->config);
    if (status == GRI_OK) {
        gri_config_destroy(cli->config);
        cli->config = config;
        up->seen = gri_config_stamp(config);
        status = write_config(up, &error);
    } else {
        gri_config_destroy(config);
    }
    up->last = up->seen;
    if (status != GRI_OK)
        fprintf(stderr, "grisaille up: the configuration stays as it was: %s\n", error.detail);
    else
        fprintf(stderr, "grisaille up: the configuration was read again\n");
}

/* SIGHUP goes on to the daemons; changed files they see for themselves, once these stand still, as we do. */
static void watch_config(struct up *up) {
    int hangups = hung_up;
    int64_t watch_ms = gri_config_int(up->cli->config, "process.watch_ms");
    if (hangups != up->hangups) {
        up->hangups = hangups;
        if (up->has_terminal && !terminal_there()) {
            stopping = stopping + 1;
            return;
        }
        gri_children_signal(&up->children, up->first_daemon, up->children.count, SIGHUP);
        read_again(up);
        return;
    }
    if (watch_ms == 0 || gri_clock_ms() < up->look_ms) return;
    up->look_ms = gri_clock_ms() + watch_ms;
    uint64_t stamp = gri_config_stamp(up->cli->config);
    bool still = stamp == up->last;
    up->last = stamp;
    if (still && stamp != up->seen) read_again(up);
}

static enum gri_exit watch_until_stopped(struct up *up) {
    bool announced = false;
    while (!stopping) {
        gri_children_watch(&up->children);
        watch_config(up);
        if (!announced && api_answers(up)) {
            announce(up);
            announced = true;
        }
        usleep(100 * 1000);
    }
    return GRI_EXIT_DONE;
}

static enum gri_exit run(struct gri_cli *cli) {
    struct up *up = gri_calloc(1, sizeof *up);
    struct gri_error error;
    int64_t workers;
    up->cli = cli;
    up->first_daemon = SIZE_MAX;
    up->services = !gri_cli_flag(cli, "no-services");
    if (!gri_cli_number(cli, "workers", 1, 32, 2, &workers)) {
        free(up);
        return GRI_EXIT_USAGE;
    }
    struct sigaction action = {.sa_handler = on_stop};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    action.sa_handler = on_hangup;
    sigaction(SIGHUP, &action, NULL);
    enum gri_exit status = start_all(up, workers, &error) == GRI_OK ? watch_until_stopped(up) : gri_cli_fail(cli, &error);
    if (up->children.count > 0) fprintf(stderr, "grisaille up: draining and stopping\n");
    size_t daemons = up->first_daemon < up->children.count ? up->first_daemon : up->children.count;
    bool clean = gri_children_stop(&up->children, daemons, up->children.count, DRAIN_TIMEOUT_MS);
    gri_children_stop(&up->children, 0, up->children.count, SERVICE_TIMEOUT_MS);
    if (!clean && status == GRI_EXIT_DONE) {
        gri_cli_say(cli, "a daemon did not drain cleanly; its log tells why; what it had in hand is taken up at the next start");
        status = GRI_EXIT_FAILED;
    }
    gri_children_clear(&up->children);
    free(up);
    return status;
}

static const struct gri_cli_option options[] = {
    {.name = "workers", .arg = "N", .help = "worker processes (2)"},
    {.name = "data",
     .arg = "DIR",
     .help = "where data, logs and grisaille.yaml live (./grisaille-data); nothing in it is ever removed"},
    {.name = "no-services", .help = "uses the configured redis.url and mongo.uri instead of starting its own"},
    {.name = NULL},
};

const struct gri_command gri_command_up = {
    .name = "up",
    .summary = "everything on this machine: Redis, MongoDB, scheduler, workers, API; restarts what dies",
    .operands = "",
    .options = options,
    .run = run};
