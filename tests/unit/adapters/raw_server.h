/* SPDX-License-Identifier: Apache-2.0 */
/* A server on loopback that speaks HTTP by hand, so that it can also speak it wrong. One thread a connection.
 *
 *   /ok                     200, ten bytes, all headers that a fetch keeps
 *   /agent                  200, the request's own head as body
 *   /redirect/N             302 to /redirect/N-1; /redirect/0 is /ok
 *   /to/URL                 302 to URL, as it stands
 *   /status/NNN[/VALUE]     that status with a short body; VALUE: Retry-After
 *   /status-large           404 with a body of 200,000 bytes
 *   /tagged                 304 to a request with If-None-Match: "t", else 200 with ETag "t"
 *   /announced/N            200, Content-Length N, no body, then silence
 *   /body/N                 200, N bytes
 *   /lying                  200, ten bytes where five are announced
 *   /truncated /reset-body  200, 100 of 1,000 bytes, then closed / reset
 *   /chunk-cut              200, chunked, closed inside a chunk
 *   /endless                200, chunked, never done
 *   /headers                200, headers without end
 *   /long-header /long-status   200, one header line, or the first line, without end
 *   /stall                  no answer
 *   /drip                   200, a byte every 50 ms
 *   /reset /hang-up         reset / closed before any answer
 *   /not-http               a line of another protocol
 *   /bye                    as /ok, and closed without having said so
 *   /last/N                 as /ok, once N such requests wait; the connection dies at its next request */
#ifndef GRISAILLE_TESTS_RAW_SERVER_H
#define GRISAILLE_TESTS_RAW_SERVER_H

struct raw_server;

struct raw_server *raw_server_start(void);
/* Ends all connections and threads. */
void raw_server_stop(struct raw_server *server);
int raw_server_port(const struct raw_server *server);
/* Connections accepted so far. */
int raw_server_accepted(struct raw_server *server);

#endif
