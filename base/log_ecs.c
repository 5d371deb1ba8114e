/* SPDX-License-Identifier: Apache-2.0 */
/* Log fields by their ECS names (https://www.elastic.co/guide/en/ecs/8.11/). */
#include "log_ecs.h"

#include <string.h>

enum { NS_PER_MS = 1000000 };

static const struct {
    const char *name, *ecs;
} NAMES[] = {
    {"address", "server.address"}, {"class", "error.type"},  {"detail", "message"},          {"host", "destination.domain"},
    {"ms", "event.duration"},      {"reason", "error.code"}, {"version", "service.version"}, {"url", "url.full"},
};

struct gri_field gri_log_ecs_field(const struct gri_field *field, char name[GRI_ECS_NAME_MAX]) {
    struct gri_field out = *field;
    out.name = NULL;
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++)
        if (strcmp(NAMES[i].name, field->name) == 0) out.name = NAMES[i].ecs;
    if (!out.name) {
        (void)gri_format(name, GRI_ECS_NAME_MAX, "grisaille.%s", field->name);
        out.name = name;
    }
    if (strcmp(field->name, "ms") == 0) out.number *= NS_PER_MS;
    return out;
}

bool gri_log_trace(const struct gri_field *field, char trace[GRI_TRACE_HEX + 1]) {
    if (!field->text || strcmp(field->name, "job") != 0 || strspn(field->text, "0123456789abcdef") < GRI_TRACE_HEX) return false;
    memcpy(trace, field->text, GRI_TRACE_HEX);
    trace[GRI_TRACE_HEX] = '\0';
    return true;
}
