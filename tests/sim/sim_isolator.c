/* SPDX-License-Identifier: Apache-2.0 */
/* Suspicious jobs in a child of their own: what ends a worker ends only the child; now and then somebody kills it from outside.
 */
#include <string.h>

#include "sim.h"

enum { KILLED_ONE_IN = 20 };

static void end(struct gri_isolated *request, enum gri_isolated_end how, enum gri_status status, enum gri_reason reason) {
    request->end = how;
    request->op.status = gri_fail_as(&request->op.error, status, reason, "its isolated process is gone");
}

static int64_t do_isolated(struct sim_process *process, struct gri_op *op, bool part) {
    struct gri_isolated *request = gri_container_of(op, struct gri_isolated, op);
    (void)part;
    if (sim_is_hurried(process, op)) {
        end(request, GRI_ISOLATED_KILLED, GRI_RETRY, GRI_R_timeout);
    } else if (strstr(request->url, "/poison/")) {
        end(request, GRI_ISOLATED_DIED, GRI_PERMANENT, GRI_R_poison);
    } else if (!process->world->healed && sim_one_in(process->world, KILLED_ONE_IN)) {
        end(request, GRI_ISOLATED_KILLED, GRI_RETRY, GRI_R_no_memory);
    } else {
        request->end = GRI_ISOLATED_ANSWERED;
        sim_origin_answer(process->world, &request->fetch);
        op->status = request->fetch.op.status;
        op->error = request->fetch.op.error;
        if (op->status == GRI_OK)
            op->status = sim_make_picture(gri_bytes_slice(&request->fetch.body), &request->picture, &op->error);
    }
    return 0;
}

static void run(struct gri_isolator *isolator, struct gri_isolated *request) {
    struct sim_process *process = gri_container_of(isolator, struct sim_process, isolator);
    for (const struct sim_request *other = process->requests; other; other = other->next)
        if (other->execute == do_isolated) sim_violation(process->world, "%s has two children at once", process->name);
    process->world->isolated++;
    sim_submit(process, SIM_ORIGIN, &request->op, do_isolated);
}

static void cancel(struct gri_isolator *isolator, struct gri_isolated *request) {
    sim_hurry(gri_container_of(isolator, struct sim_process, isolator), &request->op);
}

void sim_isolator_ops(struct sim_process *process) {
    static const struct gri_isolator_ops ops = {.run = run, .cancel = cancel};
    process->isolator.ops = &ops;
}
