/* SPDX-License-Identifier: Apache-2.0 */
/* The ledger's table of operations: each is handed to a store thread. */
#include "mongo_ledger.h"

#include <string.h>

#define OPERATION(name)                                                                                                   \
    static void name(struct gri_ledger *ledger, struct gri_ledger_##name *request) {                                      \
        gri_mongo_submit(gri_container_of(ledger, struct gri_mongo, ledger), #name, gri_mongo_work_##name, &request->op); \
    }
OPERATION(lease)
OPERATION(feed)
OPERATION(announced)
OPERATION(settle)
OPERATION(chunk)
OPERATION(definition)
OPERATION(accounted)
OPERATION(admit)
OPERATION(reject)
OPERATION(chunk_done)
OPERATION(quarantine)
OPERATION(due)
OPERATION(stale)
OPERATION(check)
OPERATION(finish)
OPERATION(events)
OPERATION(gauges)
OPERATION(reap)
OPERATION(upkeep)
#undef OPERATION

const struct gri_ledger_ops gri_mongo_ledger_ops = {
    .lease = lease,
    .feed = feed,
    .announced = announced,
    .settle = settle,
    .chunk = chunk,
    .definition = definition,
    .accounted = accounted,
    .admit = admit,
    .reject = reject,
    .chunk_done = chunk_done,
    .quarantine = quarantine,
    .due = due,
    .stale = stale,
    .check = check,
    .finish = finish,
    .events = events,
    .gauges = gauges,
    .reap = reap,
    .upkeep = upkeep,
};

void gri_mongo_chunk_id(char id[GRI_MONGO_CHUNK_ID_MAX], const char *catalog, int64_t number) {
    /* A catalog's name that is none (too long) gives an id that no chunk has. */
    if (!gri_format(id, GRI_MONGO_CHUNK_ID_MAX, "%s:%010lld", catalog, (long long)number)) id[0] = '\0';
}

void gri_mongo_line_id(char id[GRI_MONGO_LINE_ID_MAX], const char *catalog, int64_t line) {
    if (!gri_format(id, GRI_MONGO_LINE_ID_MAX, "%s:%012lld", catalog, (long long)line)) id[0] = '\0';
}

bson_t *gri_mongo_line_range(const char *catalog, int64_t first, int64_t last) {
    char from[GRI_MONGO_LINE_ID_MAX], to[GRI_MONGO_LINE_ID_MAX];
    gri_mongo_line_id(from, catalog, first);
    gri_mongo_line_id(to, catalog, last);
    return BCON_NEW("_id", "{", "$gte", BCON_UTF8(from), "$lte", BCON_UTF8(to), "}");
}

enum gri_mongo_collection gri_mongo_definitions(enum gri_definition_kind kind) {
    return kind == GRI_DEF_RULES ? GRI_MONGO_RULESETS : GRI_MONGO_PIPELINES;
}
