/* SPDX-License-Identifier: Apache-2.0 */
/* Compiled pipelines by name@version: loaded from the ledger (definitions are immutable), kept while there is room. */
#ifndef GRISAILLE_PLANS_H
#define GRISAILLE_PLANS_H

#include "slot.h"

enum { GRI_PLANS_KEPT = 64 }; /* past that, unused ones go; those in use are at most as many as slots */

struct gri_plans;

struct gri_plans *gri_plans_create(struct gri_worker *worker);
void gri_plans_destroy(struct gri_plans *plans);
/* Gives the slot's plan reference back, if it has one. */
void gri_plans_let_go(struct gri_slot *slot);
/* The plan that the slot holds; any thread. */
const struct gri_plan *gri_plan_of(const struct gri_slot *slot);
/* How many outputs it has, and their names (borrowed as the plan is). */
size_t gri_plan_outputs(const struct gri_slot *slot, const char *names[GRI_OUTPUTS_MAX]);
/* Its canonical JSON, borrowed as long as the slot holds the plan. */
struct gri_slice gri_plan_definition(const struct gri_slot *slot);
/* No definition is being loaded. */
bool gri_plans_idle(const struct gri_plans *plans);

#endif
