/* SPDX-License-Identifier: Apache-2.0 */
/* The ledger's upkeep: the pieces, in turn. */
#include "mongo_upkeep.h"

#include "mongo_ledger.h"

enum gri_status gri_mongo_work_upkeep(struct gri_mongo_session *session, struct gri_op *op) {
    struct gri_ledger_upkeep *request = gri_container_of(op, struct gri_ledger_upkeep, op);
    struct gri_error *error = &op->error;
    request->more = false;
    enum gri_status status = gri_mongo_repeat_takedowns(session, error);
    if (status == GRI_OK) status = gri_mongo_remove_catalogs(session, &request->more, error);
    if (status == GRI_OK) status = gri_mongo_remove_images(session, &request->more, error);
    if (status == GRI_OK) status = gri_mongo_expire_images(session, request->images_keep_days, &request->more, error);
    if (status == GRI_OK) status = gri_mongo_expire_catalogs(session, request->catalogs_keep_days, &request->more, error);
    if (status == GRI_OK) status = gri_mongo_reprocess(session, &request->more, error);
    if (status == GRI_OK) status = gri_mongo_roll_up(session, request->rollups_keep_days, &request->more, error);
    return status;
}
