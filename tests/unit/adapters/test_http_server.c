/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP server over loopback, spoken to by raw sockets: what a client sends is what the handler gets, and the answer
 * arrives, also where a request is refused, cut or slow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <grisaille/http.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* --- a handler that echoes ------------------------------------------------------------------------------------------ */

struct world {
    struct gri_http_server *server;
    int port;
    atomic_int begun, done, last_status, unsent;
    atomic_bool entered, release; /* of /slow */
    atomic_long received;
};

struct upload {
    size_t bytes;
    struct gri_bytes text;
};

static bool begin(void *arg, struct gri_http_request *request, struct gri_http_response *response) {
    struct world *world = arg;
    atomic_fetch_add(&world->begun, 1);
    struct upload *upload = gri_calloc(1, sizeof *upload);
    gri_bytes_init(&upload->text, 1000);
    request->state = upload;
    if (strcmp(request->path, "/large") == 0) request->max_body = INT64_MAX;
    if (strcmp(request->path, "/refused") != 0) return true;
    response->status = 403;
    gri_bytes_put(&response->body, "refused at once");
    return false;
}

static bool data(void *arg, struct gri_http_request *request, struct gri_slice part, struct gri_http_response *response) {
    struct world *world = arg;
    struct upload *upload = request->state;
    upload->bytes += part.len;
    atomic_fetch_add(&world->received, (long)part.len);
    if (part.len <= 1000 - upload->text.len) gri_bytes_put_slice(&upload->text, part);
    if (strcmp(request->path, "/large") != 0 || upload->bytes < 100000) return true;
    response->status = 413;
    gri_http_add_header(response, "Content-Type", "text/plain");
    gri_bytes_put(&response->body, "refused midway");
    return false;
}

static bool more(void *stream, struct gri_bytes *out, bool *failed) {
    int *left = stream;
    if (*left < 0) {
        *failed = true;
        return false;
    }
    gri_bytes_printf(out, "part %d\n", *left);
    return --*left > 0;
}

static bool endless(void *stream, struct gri_bytes *out, bool *failed) {
    static const uint8_t block[65536];
    (void)stream, (void)failed;
    gri_bytes_put_slice(out, (struct gri_slice){block, sizeof block});
    return true;
}

static void finish(void *arg, struct gri_http_request *request, struct gri_http_response *response) {
    struct world *world = arg;
    struct upload *upload = request->state;
    if (strcmp(request->path, "/stream") == 0 || strcmp(request->path, "/broken") == 0) {
        int *left = gri_alloc(sizeof *left);
        *left = strcmp(request->path, "/broken") == 0 ? -1 : 3;
        gri_bytes_put(&response->body, "first\n");
        response->more = more;
        response->stream = left;
        response->stream_free = free;
        if (gri_http_query(request, "length")) response->length = 27;
        return;
    }
    if (strcmp(request->path, "/endless") == 0) {
        response->more = endless;
        return;
    }
    if (strcmp(request->path, "/slow") == 0) {
        atomic_store(&world->entered, true);
        while (!atomic_load(&world->release))
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    gri_http_add_header(response, "X-Test", "yes");
    gri_http_add_header(response, "X-Bad", "a\r\nX-Injected: b");
    const char *name = gri_http_header(request, "x-name"), *q = gri_http_query(request, "q");
    gri_bytes_printf(&response->body, "%s %s q=%s name=%s peer=%s head=%d body=%zu:%s", request->method, request->path,
                     q ? q : "-", name ? name : "-", request->peer, request->head, upload->bytes, gri_bytes_text(&upload->text));
}

static void done(void *arg, struct gri_http_request *request, int status, bool sent, double seconds) {
    struct world *world = arg;
    struct upload *upload = request->state;
    assert_true(seconds >= 0 && seconds < 60);
    gri_bytes_clear(&upload->text);
    free(upload);
    atomic_store(&world->last_status, status);
    if (!sent) atomic_fetch_add(&world->unsent, 1);
    atomic_fetch_add(&world->done, 1);
}

static struct gri_http_options options_of(struct world *world) {
    return (struct gri_http_options){
        .listen = "127.0.0.1:0",
        .loopback_only = true,
        .connections = 16,
        .idle_seconds = 2,
        .max_body = 5000,
        .handler = {.arg = world, .begin = begin, .data = data, .finish = finish, .done = done},
    };
}

static int set_up(void **state) {
    struct world *world = gri_calloc(1, sizeof *world);
    struct gri_http_options options = options_of(world);
    struct gri_error error;
    *state = world;
    if (gri_http_server_start(&options, &world->server, &error) != GRI_OK) return -1;
    const char *address = gri_http_server_address(world->server);
    world->port = (int)strtol(strrchr(address, ':') + 1, NULL, 10);
    return strncmp(address, "127.0.0.1:", 10) != 0 || world->port == 0;
}

static int tear_down(void **state) {
    struct world *world = *state;
    gri_http_server_stop(world->server, 1000);
    int left = atomic_load(&world->begun) - atomic_load(&world->done);
    free(world);
    return left;
}

/* --- a client that says exactly what it is told --------------------------------------------------------------------- */

static int connect_to(int port) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval limit = {.tv_sec = 10};
    assert_true(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (connect(fd, (struct sockaddr *)&at, sizeof at) == 0) return fd;
    close(fd);
    return -1;
}

/* False when the server no longer takes it. */
static bool say(int fd, const char *text, size_t len) {
    while (len > 0) {
        ssize_t n = send(fd, text, len, MSG_NOSIGNAL);
        if (n <= 0) return false;
        text += n;
        len -= (size_t)n;
    }
    return true;
}

/* All until the connection ends. */
static void hear(int fd, struct gri_bytes *answer) {
    char block[4096];
    ssize_t n;
    while ((n = recv(fd, block, sizeof block, 0)) > 0)
        gri_bytes_put_slice(answer, (struct gri_slice){(uint8_t *)block, (size_t)n});
}

/* One request on a connection of its own; what it says must hold all of `parts`. */
static void expect(struct world *world, const char *request, const char *const *parts) {
    struct gri_bytes answer;
    gri_bytes_init(&answer, 1 << 20);
    int fd = connect_to(world->port);
    assert_true(fd >= 0);
    assert_true(say(fd, request, strlen(request)));
    hear(fd, &answer);
    close(fd);
    for (; *parts; parts++) {
        if (!strstr(gri_bytes_text(&answer), *parts)) fail_msg("\"%s\" is not in: %s", *parts, gri_bytes_text(&answer));
    }
    gri_bytes_clear(&answer);
}
#define EXPECT(world, request, ...) expect(world, request, (const char *const[]){__VA_ARGS__, NULL})
#define END " HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"

static void wait_done(struct world *world, int count) {
    for (int i = 0; i < 5000 && atomic_load(&world->done) < count; i++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    assert_int_equal(atomic_load(&world->done), count);
}

static void a_request_arrives_decoded_and_its_answer_comes_back(void **state) {
    EXPECT(*state, "GET /a%20b/%C3%A9?x=1&q=1%2B1+2%26&q=3 HTTP/1.1\r\nHost: h\r\nX-NAME: v\r\nConnection: close\r\n\r\n",
           "HTTP/1.1 200 OK\r\n", "X-Test: yes\r\n", "GET /a b/\xc3\xa9 q=1+1 2& name=v peer=127.0.0.1 head=0 body=0:");
    EXPECT(*state, "GET http://h:80/p?q" END, "GET /p q= name");
    EXPECT(*state, "GET http://h?q=r" END, "GET / q=r name");
    wait_done(*state, 3);
}

static void bad_targets_are_refused_without_the_handler(void **state) {
    const char *bad[] = {"GET /a%00b" END, "GET /a?x=%00" END, "GET /a%2" END, "GET /a%zz" END,
                         "GET /?%" END,    "GET nopath" END,   "OPTIONS *" END};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        EXPECT(*state, bad[i], "HTTP/1.1 400 ", "application/problem+json", "\"reason\":\"bad_request\"");
    }
    struct gri_bytes many;
    gri_bytes_init(&many, 0);
    gri_bytes_put(&many, "GET /?");
    for (int i = 0; i < 65; i++)
        gri_bytes_printf(&many, "a%d=b&", i);
    gri_bytes_put(&many, END);
    EXPECT(*state, gri_bytes_text(&many), "HTTP/1.1 400 ");
    gri_bytes_clear(&many);
    assert_int_equal(atomic_load(&((struct world *)*state)->begun), 0);
}

static void a_header_with_a_line_break_is_not_sent(void **state) {
    struct gri_bytes answer;
    struct world *world = *state;
    gri_bytes_init(&answer, 0);
    int fd = connect_to(world->port);
    assert_true(say(fd, "GET /" END, strlen("GET /" END)));
    hear(fd, &answer);
    close(fd);
    assert_non_null(strstr(gri_bytes_text(&answer), "X-Test"));
    assert_null(strstr(gri_bytes_text(&answer), "X-Injected"));
    gri_bytes_clear(&answer);
}

static void head_gives_the_headers_of_get_and_no_body(void **state) {
    struct gri_bytes answer;
    struct world *world = *state;
    gri_bytes_init(&answer, 0);
    int fd = connect_to(world->port);
    assert_true(say(fd, "HEAD /x" END, strlen("HEAD /x" END)));
    hear(fd, &answer);
    close(fd);
    assert_non_null(strstr(gri_bytes_text(&answer), "200 OK"));
    assert_non_null(strstr(gri_bytes_text(&answer), "Content-Length: "));
    assert_null(strstr(gri_bytes_text(&answer), "Content-Length: 0\r\n"));
    assert_null(strstr(gri_bytes_text(&answer), "GET /x"));
    gri_bytes_clear(&answer);
}

static void bodies_arrive_whole_plain_or_in_chunks(void **state) {
    EXPECT(*state, "POST /p HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello", "POST /p q=- name=-",
           "body=5:hello");
    EXPECT(
        *state,
        "POST /p HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
        "body=5:hello");
    wait_done(*state, 2);
}

static void a_body_over_the_maximum_is_answered_413(void **state) {
    EXPECT(*state, "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 50000000\r\n\r\nhello", "HTTP/1.1 413 ", "body_too_large");
    EXPECT(*state, "POST /p HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nConnection: close\r\nContent-Length: 6000\r\n\r\n",
           "HTTP/1.1 413 ");
    struct gri_bytes text;
    gri_bytes_init(&text, 0);
    gri_bytes_put(&text, "POST /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 100; i++)
        gri_bytes_printf(&text, "64\r\n%0100d\r\n", i);
    EXPECT(*state, gri_bytes_text(&text), "HTTP/1.1 413 ", "body_too_large");
    gri_bytes_clear(&text);
    wait_done(*state, 3);
}

static void a_refusal_before_a_short_body_keeps_the_connection(void **state) {
    EXPECT(*state, "POST /refused HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhelloGET /next" END, "HTTP/1.1 403 ",
           "refused at once", "HTTP/1.1 200 OK", "GET /next");
    wait_done(*state, 2);
}

struct flood {
    int fd;
    size_t sent;
};

static void *flood(void *arg) {
    struct flood *flood = arg;
    static char zeros[65536];
    while (flood->sent < (size_t)1 << 30 && say(flood->fd, zeros, sizeof zeros))
        flood->sent += sizeof zeros;
    return NULL;
}

static void a_refusal_midway_reaches_a_client_that_keeps_sending(void **state) {
    struct world *world = *state;
    struct gri_bytes answer;
    pthread_t thread;
    gri_bytes_init(&answer, 0);
    struct flood client = {.fd = connect_to(world->port)};
    const char *head = "POST /large HTTP/1.1\r\nHost: h\r\nContent-Length: 1073741824\r\n\r\n";
    assert_true(say(client.fd, head, strlen(head)));
    assert_int_equal(pthread_create(&thread, NULL, flood, &client), 0);
    hear(client.fd, &answer);
    assert_non_null(strstr(gri_bytes_text(&answer), "HTTP/1.1 413 "));
    assert_non_null(strstr(gri_bytes_text(&answer), "\r\n\r\nrefused midway"));
    assert_non_null(strstr(gri_bytes_text(&answer), "Content-Type: text/plain\r\n"));
    pthread_join(thread, NULL);
    close(client.fd);
    assert_true(client.sent < (size_t)1 << 28);
    wait_done(world, 1);
    assert_int_equal(atomic_load(&world->last_status), 413);
    assert_int_equal(atomic_load(&world->unsent), 0);
    assert_true(atomic_load(&world->received) < 400000);
    gri_bytes_clear(&answer);
}

static void long_answers_are_streamed(void **state) {
    EXPECT(*state, "GET /stream" END, "Transfer-Encoding: chunked\r\n", "first\n", "part 3\n", "part 1\n", "\r\n0\r\n\r\n");
    EXPECT(*state, "GET /stream?length=1" END, "Content-Length: 27\r\n", "\r\n\r\nfirst\npart 3\npart 2\npart 1\n");
    wait_done(*state, 2);
}

static void a_stream_that_fails_cuts_the_connection(void **state) {
    struct world *world = *state;
    struct gri_bytes answer;
    gri_bytes_init(&answer, 0);
    int fd = connect_to(world->port);
    assert_true(say(fd, "GET /broken" END, strlen("GET /broken" END)));
    hear(fd, &answer);
    close(fd);
    assert_null(strstr(gri_bytes_text(&answer), "\r\n0\r\n\r\n"));
    wait_done(world, 1);
    assert_int_equal(atomic_load(&world->unsent), 1);
    gri_bytes_clear(&answer);
}

static void headers_over_our_bound_are_a_problem_document(void **state) {
    struct gri_bytes text;
    gri_bytes_init(&text, 0);
    gri_bytes_put(&text, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n");
    for (int i = 0; i < 400; i++)
        gri_bytes_printf(&text, "X-%d: %0100d\r\n", i, i);
    gri_bytes_put(&text, "\r\n");
    EXPECT(*state, gri_bytes_text(&text), "HTTP/1.1 431 ", "application/problem+json", "\"reason\":\"headers_too_large\"");
    gri_bytes_clear(&text);
    assert_int_equal(atomic_load(&((struct world *)*state)->begun), 0);
}

static void every_answer_has_the_headers_against_browsers(void **state) {
    static const char *const asked[] = {"GET /" END, "GET /stream" END, "GET /a%00b" END, "GET /refused" END,
                                        "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 50000000\r\n\r\nhello"};
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        EXPECT(*state, asked[i], "Content-Security-Policy: default-src 'none'", "X-Content-Type-Options: nosniff",
               "Referrer-Policy: no-referrer", "X-Frame-Options: DENY", "Cross-Origin-Resource-Policy: same-origin");
    }
}

/* A byte now and then is not silence, but it is no progress either. `head`: what is sent at once; then `drip` again and again. */
static void expect_stalling_client_is_ended(struct world *world, const char *head, const char *drip) {
    struct timeval brief = {.tv_usec = 100000};
    int fd = connect_to(world->port);
    time_t before = time(NULL);
    char byte;
    assert_true(say(fd, head, strlen(head)));
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &brief, sizeof brief);
    while (time(NULL) - before < 30) {
        (void)say(fd, drip, strlen(drip));
        ssize_t n = recv(fd, &byte, 1, 0);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK)) break;
    }
    assert_true(time(NULL) - before < 20);
    close(fd);
}

static void a_client_that_drips_is_ended(void **state) {
    struct world *world = *state;
    expect_stalling_client_is_ended(world, "GET / HTTP/1.1\r\nHost: h\r\n", "X: y\r\n");
    expect_stalling_client_is_ended(world, "POST /large HTTP/1.1\r\nHost: h\r\nContent-Length: 90000\r\n\r\n", "x");
    wait_done(world, 1);
    assert_int_equal(atomic_load(&world->unsent), 1);
    EXPECT(world, "GET /still" END, "GET /still");
}

static void a_client_that_reads_a_large_answer_too_slowly_is_ended(void **state) {
    struct world *world = *state;
    int small = 4096, fd = connect_to(world->port);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    assert_true(say(fd, "GET /endless" END, strlen("GET /endless" END)));
    time_t before = time(NULL);
    char byte;
    while (atomic_load(&world->done) == 0 && time(NULL) - before < 30) {
        (void)recv(fd, &byte, 1, MSG_DONTWAIT);
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    }
    wait_done(world, 1);
    assert_int_equal(atomic_load(&world->unsent), 1);
    close(fd);
}

static void idle_connections_make_room_for_a_new_one(void **state) {
    struct world *world = *state;
    int idle[64];
    for (size_t i = 0; i < 64; i++) {
        idle[i] = connect_to(world->port);
        assert_true(idle[i] >= 0);
        (void)say(idle[i], "GET / HT", 8);
        if (i % 16 == 15) EXPECT(world, "GET /new" END, "GET /new");
    }
    for (size_t i = 0; i < 64; i++)
        close(idle[i]);
}

static void headers_over_the_bound_are_refused(void **state) {
    struct gri_bytes text;
    gri_bytes_init(&text, 0);
    gri_bytes_put(&text, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n");
    for (int i = 0; i < 3000; i++)
        gri_bytes_printf(&text, "X-%d: %0100d\r\n", i, i);
    struct world *world = *state;
    struct gri_bytes answer;
    gri_bytes_init(&answer, 0);
    int fd = connect_to(world->port);
    (void)say(fd, gri_bytes_text(&text), text.len);
    hear(fd, &answer);
    close(fd);
    assert_null(strstr(gri_bytes_text(&answer), "200 OK"));
    assert_int_equal(atomic_load(&world->begun), atomic_load(&world->done));
    gri_bytes_clear(&answer);
    gri_bytes_clear(&text);
    EXPECT(*state, "GET /still" END, "GET /still");
}

static void a_client_that_goes_away_is_cleaned_up(void **state) {
    struct world *world = *state;
    int fd = connect_to(world->port);
    const char *head = "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nonly this";
    assert_true(say(fd, head, strlen(head)));
    for (int i = 0; i < 2000 && atomic_load(&world->begun) == 0; i++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    close(fd);
    wait_done(world, 1);
    assert_int_equal(atomic_load(&world->unsent), 1);
    assert_int_equal(atomic_load(&world->last_status), 0);
}

static void a_silent_client_is_closed(void **state) {
    struct world *world = *state;
    struct gri_bytes answer;
    gri_bytes_init(&answer, 0);
    int fd = connect_to(world->port);
    assert_true(say(fd, "GET / HTTP/1.1\r\n", 16));
    time_t before = time(NULL);
    hear(fd, &answer);
    assert_true(time(NULL) - before < 8);
    close(fd);
    gri_bytes_clear(&answer);
}

static void *stop(void *arg) {
    struct world *world = arg;
    gri_http_server_stop(world->server, 8000);
    world->server = NULL;
    return NULL;
}

static void stop_lets_a_running_request_finish_and_takes_no_more(void **state) {
    struct world *world = *state;
    struct gri_bytes answer;
    pthread_t thread;
    gri_bytes_init(&answer, 0);
    int fd = connect_to(world->port), refused = -1;
    const char *request = "GET /slow HTTP/1.1\r\nHost: h\r\n\r\n";
    assert_true(say(fd, request, strlen(request)));
    for (int i = 0; i < 5000 && !atomic_load(&world->entered); i++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    assert_int_equal(pthread_create(&thread, NULL, stop, world), 0);
    for (int i = 0; i < 2000; i++) {
        refused = connect_to(world->port);
        if (refused < 0) break;
        close(refused);
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    assert_true(refused < 0);
    assert_int_equal(atomic_load(&world->done), 0);
    atomic_store(&world->release, true);
    hear(fd, &answer);
    pthread_join(thread, NULL);
    close(fd);
    assert_non_null(strstr(gri_bytes_text(&answer), "GET /slow"));
    assert_non_null(strstr(gri_bytes_text(&answer), "Connection: close"));
    assert_int_equal(atomic_load(&world->done), 1);
    gri_bytes_clear(&answer);
}

static void check_refused_address(struct world *world, const char *listen_at, enum gri_reason reason) {
    struct gri_http_options options = options_of(world);
    struct gri_http_server *server = NULL;
    struct gri_error error;
    options.listen = listen_at;
    assert_int_equal(gri_http_server_start(&options, &server, &error), GRI_FATAL);
    assert_int_equal(error.reason, reason);
    assert_null(server);
}

static void impossible_addresses_are_refused(void **state) {
    struct world *world = *state;
    const char *bad[] = {"", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536", "::1:80", "[::1:80", "0.0.0.0:0", ":0"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        check_refused_address(world, bad[i], GRI_R_config);
    check_refused_address(world, gri_http_server_address(world->server), GRI_R_io);
}

#define SERVED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        SERVED(a_request_arrives_decoded_and_its_answer_comes_back),
        SERVED(bad_targets_are_refused_without_the_handler),
        SERVED(a_header_with_a_line_break_is_not_sent),
        SERVED(head_gives_the_headers_of_get_and_no_body),
        SERVED(bodies_arrive_whole_plain_or_in_chunks),
        SERVED(a_body_over_the_maximum_is_answered_413),
        SERVED(a_refusal_before_a_short_body_keeps_the_connection),
        SERVED(a_refusal_midway_reaches_a_client_that_keeps_sending),
        SERVED(long_answers_are_streamed),
        SERVED(a_stream_that_fails_cuts_the_connection),
        SERVED(headers_over_the_bound_are_refused),
        SERVED(headers_over_our_bound_are_a_problem_document),
        SERVED(every_answer_has_the_headers_against_browsers),
        SERVED(a_client_that_drips_is_ended),
        SERVED(a_client_that_reads_a_large_answer_too_slowly_is_ended),
        SERVED(idle_connections_make_room_for_a_new_one),
        SERVED(a_client_that_goes_away_is_cleaned_up),
        SERVED(a_silent_client_is_closed),
        SERVED(stop_lets_a_running_request_finish_and_takes_no_more),
        SERVED(impossible_addresses_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
