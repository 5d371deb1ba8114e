/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP and OP_MSG with nothing around them (wire.h). */
#include "wire.h"

#include <arpa/inet.h>
#include <bson/bson.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { OP_MSG = 2013, HEADER = 16, ANSWER_MAX = 48 * 1024 * 1024, READ_AT_ONCE = 256 * 1024 };

_Noreturn void wire_die(const char *what) {
    (void)fprintf(stderr, "%s\n", what);
    exit(1);
}

int wire_connect(int port) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0) wire_die("can't connect");
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

static void receive(int fd, void *data, size_t len) {
    for (size_t at = 0; at < len;) {
        ssize_t got = recv(fd, (char *)data + at, len - at, MSG_WAITALL);
        if (got <= 0) wire_die("the connection broke");
        at += (size_t)got;
    }
}

static size_t content_length(const char *headers, size_t len) {
    const char *found = memmem(headers, len, "Content-Length: ", 16);
    if (!found || len < 12 || memcmp(headers + 9, "200", 3) != 0) wire_die("the origin did not answer 200 with a length");
    return (size_t)strtoul(found + 16, NULL, 10);
}

struct gri_slice wire_get(int fd, int port, const char *path, struct gri_bytes *buffer) {
    char request[512];
    struct gri_error error;
    if (!gri_format(request, sizeof request, "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n", path, port))
        wire_die("the path is too long");
    if (send(fd, request, strlen(request), MSG_NOSIGNAL) != (ssize_t)strlen(request)) wire_die("can't send");
    gri_bytes_reset(buffer);
    if (gri_bytes_reserve(buffer, READ_AT_ONCE, &error) != GRI_OK) wire_die(error.detail);
    const char *end = NULL;
    while (!end) {
        ssize_t got = recv(fd, buffer->data + buffer->len, READ_AT_ONCE - buffer->len, 0);
        if (got <= 0) wire_die("the origin closed the connection");
        buffer->len += (size_t)got;
        end = memmem(buffer->data, buffer->len, "\r\n\r\n", 4);
    }
    size_t head = (size_t)(end + 4 - (const char *)buffer->data), body = content_length((const char *)buffer->data, head);
    if (gri_bytes_reserve(buffer, head + body - buffer->len, &error) != GRI_OK) wire_die(error.detail);
    receive(fd, buffer->data + buffer->len, head + body - buffer->len);
    return (struct gri_slice){buffer->data + head, body};
}

/* {ok: 1, n: count}, or it did not work. */
static void read_answer(int fd, size_t count) {
    int32_t header[4];
    bson_t answer;
    bson_iter_t at;
    receive(fd, header, sizeof header);
    size_t len = (size_t)header[0] - HEADER;
    if (len > ANSWER_MAX) wire_die("mongod's answer is too long");
    uint8_t *body = gri_alloc(len);
    receive(fd, body, len);
    if (len < 6 || !bson_init_static(&answer, body + 5, len - 5)) wire_die("mongod's answer is no document");
    bool good = bson_iter_init_find(&at, &answer, "n") && (size_t)bson_iter_as_int64(&at) == count &&
                !bson_iter_init_find(&at, &answer, "writeConcernError");
    if (!good) wire_die("mongod did not take every document");
    free(body);
}

void wire_insert(int fd, const char *database, const char *collection, struct gri_slice documents, size_t count) {
    bson_t *command = BCON_NEW("insert", collection, "ordered", BCON_BOOL(false), "writeConcern", "{", "w", "majority", "j",
                               BCON_BOOL(true), "}", "$db", database);
    /* message length, request id, response to, operation, flags; section 0: the command; section 1: a sequence named documents */
    static const char name[] = "documents";
    uint8_t head[HEADER + 5], sequence[5 + sizeof name];
    uint32_t section = (uint32_t)(4 + sizeof name + documents.len);
    uint32_t numbers[5] = {(uint32_t)(sizeof head + command->len + 1 + section), 1, 0, OP_MSG, 0};
    memcpy(head, numbers, sizeof numbers);
    head[HEADER + 4] = 0;
    sequence[0] = 1;
    memcpy(sequence + 1, &section, 4);
    memcpy(sequence + 5, name, sizeof name);
    struct iovec parts[] = {{head, sizeof head},
                            {(void *)(uintptr_t)bson_get_data(command), command->len},
                            {sequence, sizeof sequence},
                            {(void *)(uintptr_t)documents.data, documents.len}};
    for (size_t first = 0; first < 4;) {
        ssize_t sent = writev(fd, parts + first, (int)(4 - first));
        if (sent < 0) wire_die("can't send to mongod");
        while (first < 4 && (size_t)sent >= parts[first].iov_len)
            sent -= (ssize_t)parts[first++].iov_len;
        if (first < 4) parts[first] = (struct iovec){(char *)parts[first].iov_base + sent, parts[first].iov_len - (size_t)sent};
    }
    bson_destroy(command);
    read_answer(fd, count);
}
