/* SPDX-License-Identifier: Apache-2.0 */
/* The least that speaks HTTP/1.1 to the origin and OP_MSG to mongod: blocking sockets of one thread, every failure ends the
 * program. For measurements only. */
#ifndef GRISAILLE_BENCH_WIRE_H
#define GRISAILLE_BENCH_WIRE_H

#include <grisaille/bytes.h>

/* A connection to a port of 127.0.0.1. */
int wire_connect(int port);
/* GETs a path over a kept connection; the body is in *buffer, whose memory is used again. */
struct gri_slice wire_get(int socket, int port, const char *path, struct gri_bytes *buffer);
/* Sends `count` BSON documents, one behind the other in `documents`, as one unordered insert with majority and journal, and
 * waits for the answer. */
void wire_insert(int socket, const char *database, const char *collection, struct gri_slice documents, size_t count);
/* Says what went wrong and exits. */
_Noreturn void wire_die(const char *what);

#endif
