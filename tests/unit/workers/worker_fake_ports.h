/* SPDX-License-Identifier: Apache-2.0 */
/* Fakes of stream, ledger, store and fetcher. */
#ifndef GRISAILLE_WORKER_FAKE_PORTS_H
#define GRISAILLE_WORKER_FAKE_PORTS_H

#include "worker_fakes.h"

void fake_ports_init(struct world *world);
/* Frees what requests still hold that will never be answered. */
void fake_ports_abandon(struct world *world);
/* Entries were put in: a blocked read gets them. */
void fake_stream_feed(struct world *world);

#endif
