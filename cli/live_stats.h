/* SPDX-License-Identifier: Apache-2.0 */
/* What Redis holds right now, as /v1/stats and `grisaille status` show it. */
#ifndef GRI_LIVE_STATS_H
#define GRI_LIVE_STATS_H

#include <grisaille/stream.h>

#include "cli.h"

/* {urls: {length, pending, lag, oldest_pending_ms, consumers}, jobs: {…}, inflight, memory_bytes}; owned by the caller. */
struct gri_json *gri_live_stats_json(const struct gri_stream_stats *stats);

/* One reading for a command: connects, asks, closes; NULL when Redis does not answer within some seconds. Blocks. */
struct gri_json *gri_live_stats_read(struct gri_cli *cli);

#endif
