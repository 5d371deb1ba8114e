/* SPDX-License-Identifier: Apache-2.0 */
/* Several outputs of one run go in together: a transaction, so that at no time there are some of them without the others, and a
 * crash in between leaves nothing. What stands in the way is looked at and either linked or waited for. */
#include "mongo_image_sets.h"
#include "mongo_image_document.h"
#include "mongo_schema.h"

#include <grisaille/crash_point.h>
#include <grisaille/image_sums.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    PAUSE_MS = 20,
    BUSY_MS = 2000,           /* another's transaction ends within some ms, unless its process died in it */
    TOGETHER_MAX = 8 << 20,   /* bytes of text in one transaction, where it holds several sets; below what one text may have */
    GRI_MONGO_CONFLICT = 112, /* WriteConflict */
    GRI_MONGO_LOCK_TIMEOUT = 24
};

bool gri_mongo_is_joined(const struct gri_store_insert *request, size_t index) {
    return request->items[index].joined || (index + 1 < request->count && request->items[index + 1].joined);
}

/* --- one transaction --------------------------------------------------------------------------------------------------- */

enum attempt {
    STORED,    /* all are in, by majority */
    DUPLICATE, /* nothing is in: one of them has a key that is taken */
    BUSY,      /* nothing is in: another transaction has one of them in hand */
    REFUSED,   /* nothing is in: the server will not take one of them, see the error */
    UNKNOWN    /* see the error */
};

static enum attempt judge(const bson_t *reply, const bson_error_t *cause, const char *what, struct gri_error *error) {
    if (cause->domain == MONGOC_ERROR_SERVER && cause->code == GRI_MONGO_DUPLICATE) return DUPLICATE;
    bool conflict =
        cause->domain == MONGOC_ERROR_SERVER && (cause->code == GRI_MONGO_CONFLICT || cause->code == GRI_MONGO_LOCK_TIMEOUT);
    if (conflict && mongoc_error_has_label(reply, "TransientTransactionError")) return BUSY;
    if (gri_mongo_fail(error, cause, what) == GRI_PERMANENT) return REFUSED;
    error->unknown = cause->domain != MONGOC_ERROR_SERVER_SELECTION;
    return UNKNOWN;
}

/* Those among the items that are still to be stored (result NOT_INSERTED). */
static enum attempt insert_documents(const struct gri_mongo_session *session, mongoc_client_session_t *transaction,
                                     const struct gri_image_insert *items, size_t count, struct gri_error *error) {
    bson_t opts = BSON_INITIALIZER, unchecked = BSON_INITIALIZER, reply = BSON_INITIALIZER;
    bson_error_t cause = {0};
    size_t sent = 0;
    mongoc_collection_t *collection = gri_mongo_open(session, GRI_MONGO_IMAGES);
    BSON_APPEND_BOOL(&unchecked, "validate", false);
    bool ok = mongoc_client_session_append(transaction, &opts, &cause);
    mongoc_bulk_operation_t *bulk = mongoc_collection_create_bulk_operation_with_opts(collection, &opts);
    for (size_t i = 0; ok && i < count; i++) {
        if (items[i].result != GRI_NOT_INSERTED) continue;
        bson_t *document = gri_mongo_image_document(items[i].image);
        ok = mongoc_bulk_operation_insert_with_opts(bulk, document, &unchecked, &cause);
        bson_destroy(document);
        sent++;
    }
    if (ok && sent > 0) {
        bson_destroy(&reply);
        ok = mongoc_bulk_operation_execute(bulk, &reply, &cause) != 0;
    }
    enum attempt attempt = ok ? STORED : judge(&reply, &cause, "insert", error);
    mongoc_bulk_operation_destroy(bulk);
    bson_destroy(&reply);
    bson_destroy(&opts);
    bson_destroy(&unchecked);
    mongoc_collection_destroy(collection);
    return attempt;
}

/* A commit whose outcome is not known is asked for again: it is the same one. */
static enum attempt commit(const struct gri_mongo_session *session, mongoc_client_session_t *transaction,
                           struct gri_error *error) {
    int64_t deadline = bson_get_monotonic_time() + session->mongo->timeout_ms * 1000;
    bson_error_t cause = {0};
    bson_t reply;
    bool ok = false, again = true;
    enum attempt attempt = STORED;
    while (!ok && again) {
        ok = mongoc_client_session_commit_transaction(transaction, &reply, &cause);
        again = !ok && mongoc_error_has_label(&reply, "UnknownTransactionCommitResult") && bson_get_monotonic_time() < deadline;
        if (!ok && !again) attempt = judge(&reply, &cause, "commit", error);
        bson_destroy(&reply);
    }
    return attempt;
}

static enum attempt store(const struct gri_mongo_session *session, const struct gri_image_insert *items, size_t count,
                          struct gri_error *error) {
    bson_error_t cause = {0};
    bson_t none = BSON_INITIALIZER;
    mongoc_client_session_t *transaction = mongoc_client_start_session(session->client, NULL, &cause);
    if (!transaction || !mongoc_client_session_start_transaction(transaction, NULL, &cause)) {
        if (transaction) mongoc_client_session_destroy(transaction);
        return judge(&none, &cause, "transaction", error);
    }
    enum attempt attempt = insert_documents(session, transaction, items, count, error);
    GRI_CRASH_POINT(set_inserted);
    if (attempt == STORED)
        attempt = commit(session, transaction, error);
    else
        (void)mongoc_client_session_abort_transaction(transaction, NULL);
    GRI_CRASH_POINT(set_committed);
    mongoc_client_session_destroy(transaction);
    return attempt;
}

/* --- what stands in the way -------------------------------------------------------------------------------------------- */

/* One set on its way. */
struct set {
    const struct gri_mongo_session *session;
    struct gri_image_insert *items;
    size_t count;
    struct gri_error *error;
};

static void refuse(const struct set *set, const struct gri_error *error) {
    for (size_t i = 0; i < set->count; i++) {
        set->items[i].result = GRI_NOT_INSERTED;
        set->items[i].found_id[0] = '\0';
        set->items[i].error = *error;
    }
}

static void refuse_busy(const struct set *set, const char *why) {
    struct gri_error error;
    (void)gri_fail_as(&error, GRI_RETRY, GRI_R_store, "%s", why);
    refuse(set, &error);
}

/* Another source of this very job was stored before: its whole set is the job's. */
static enum gri_status take_other_source(const struct set *set, const char *found_id, bool *complete) {
    struct gri_image_lookup *lookups = gri_calloc(set->count, sizeof *lookups);
    for (size_t i = 0; i < set->count; i++) {
        const struct gri_image *image = set->items[i].image;
        (void)gri_format(lookups[i].id, sizeof lookups[i].id, "%.64s:%s/%s", found_id, image->pipeline, image->output);
        (void)gri_copy(lookups[i].job, sizeof lookups[i].job, image->job);
        (void)gri_copy(lookups[i].pipeline, sizeof lookups[i].pipeline, image->pipeline);
    }
    enum gri_status status = gri_mongo_look_up(set->session, lookups, set->count, set->error);
    *complete = status == GRI_OK;
    for (size_t i = 0; i < set->count; i++) {
        *complete = *complete && lookups[i].found;
        set->items[i].result = GRI_SAME_JOB;
        set->items[i].own = true;
        (void)gri_copy(set->items[i].found_id, sizeof set->items[i].found_id, lookups[i].id);
    }
    free(lookups);
    return status;
}

/* Who has these keys? *settled: all items have their result. *progress: some that were to be stored are there already. `hard`:
 * look everywhere. */
static enum gri_status look_around(const struct set *set, bool hard, bool *settled, bool *progress) {
    size_t count = set->count, open = 0;
    struct gri_image_lookup *lookups = gri_calloc(count + 1, sizeof *lookups), *by_job = &lookups[count];
    const struct gri_image *first = set->items[0].image;
    *settled = *progress = false;
    for (size_t i = 0; i <= count; i++) {
        if (i < count) (void)gri_copy(lookups[i].id, sizeof lookups[i].id, set->items[i].image->id);
        (void)gri_copy(lookups[i].job, sizeof lookups[i].job, first->job);
        (void)gri_copy(lookups[i].pipeline, sizeof lookups[i].pipeline, first->pipeline);
    }
    enum gri_status status = gri_mongo_look_up(set->session, lookups, count + 1, set->error);
    if (status == GRI_OK && hard) status = gri_mongo_look_up_hidden(set->session, lookups, count, set->error);
    bool other = status == GRI_OK && by_job->found && strncmp(by_job->found_id, first->id, GRI_SHA256_HEX - 1) != 0;
    if (other) {
        bool complete;
        status = take_other_source(set, by_job->found_id, &complete);
        if (status == GRI_OK && !complete) refuse_busy(set, "what this job stored before is being deleted");
        *settled = true;
    }
    for (size_t i = 0; status == GRI_OK && !other && i < count; i++) {
        struct gri_image_insert *item = &set->items[i];
        *progress = *progress || (lookups[i].found && item->result == GRI_NOT_INSERTED);
        item->result = lookups[i].found ? GRI_SAME_CONTENT : GRI_NOT_INSERTED;
        item->own = lookups[i].own;
        (void)gri_copy(item->found_id, sizeof item->found_id, lookups[i].found ? lookups[i].found_id : item->image->id);
        open += !lookups[i].found;
    }
    *settled = *settled || (status == GRI_OK && open == 0);
    free(lookups);
    return status;
}

static void pause_a_moment(void) {
    struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000L};
    nanosleep(&pause, NULL);
}

static void all_stored(const struct set *set) {
    for (size_t i = 0; i < set->count; i++)
        if (set->items[i].result == GRI_NOT_INSERTED) set->items[i].result = GRI_INSERTED;
}

/* Stubs of deleted images do not count; what else is there, or about to be, does. */
static enum gri_status insert_set(const struct set *set) {
    int64_t began = bson_get_monotonic_time();
    bool settled = false;
    enum gri_status status = GRI_OK;
    while (status == GRI_OK && !settled) {
        struct gri_error error = {.status = GRI_OK};
        bool progress = false;
        enum attempt attempt = store(set->session, set->items, set->count, &error);
        bool late = bson_get_monotonic_time() - began > BUSY_MS * INT64_C(1000);
        switch (attempt) {
        case STORED:
            all_stored(set);
            settled = true;
            break;
        case REFUSED:
            refuse(set, &error);
            settled = true;
            break;
        case UNKNOWN:
            *set->error = error;
            status = error.status;
            break;
        case DUPLICATE: {
            int64_t cleared = 0;
            status = gri_mongo_clear_stubs(set->session, set->items, set->count, &cleared, set->error);
            if (status == GRI_OK && cleared == 0) status = look_around(set, late, &settled, &progress);
            progress = progress || cleared > 0;
            break;
        }
        case BUSY:
            break;
        }
        if (status != GRI_OK || settled || progress) continue;
        if (late) {
            refuse_busy(set, "another is storing outputs of the same source");
            settled = true;
        } else {
            pause_a_moment();
        }
    }
    GRI_CRASH_POINT_IF(set->items[0].result == GRI_SAME_CONTENT || set->items[0].result == GRI_SAME_JOB, duplicate_known);
    return status;
}

/* --- all sets of a request --------------------------------------------------------------------------------------------- */

static size_t end_of_set(const struct gri_store_insert *request, size_t from) {
    size_t to = from + 1;
    while (to < request->count && request->items[to].joined)
        to++;
    return to;
}

/* None is new to the server: one too large stands for its whole set. */
static bool is_too_large(const struct set *set) {
    for (size_t i = 0; i < set->count; i++) {
        size_t len = set->items[i].image->data.len;
        struct gri_error error;
        if (len <= (size_t)GRI_BASE64_MAX) continue;
        (void)gri_fail(&error, GRI_R_output_too_large, "output %s: the base64 text has %zu bytes, a document holds %d",
                       set->items[i].image->output, len, (int)GRI_BASE64_MAX);
        refuse(set, &error);
        return true;
    }
    return false;
}

/* Most of the time nothing is in the way: then all sets go in at once. Singles among the items are passed over. */
static bool insert_together(const struct gri_mongo_session *session, const struct gri_store_insert *request) {
    struct gri_image_insert *items = gri_calloc(request->count, sizeof *items);
    size_t count = 0, bytes = 0, sets = 0;
    for (size_t i = 0; i < request->count; i++) {
        if (!gri_mongo_is_joined(request, i)) continue;
        sets += !request->items[i].joined;
        bytes += request->items[i].image->data.len;
        items[count++] = request->items[i];
    }
    struct gri_error ignored;
    bool stored = sets > 1 && bytes <= TOGETHER_MAX && store(session, items, count, &ignored) == STORED;
    free(items);
    return stored;
}

enum gri_status gri_mongo_insert_sets(const struct gri_mongo_session *session, struct gri_store_insert *request,
                                      struct gri_error *error) {
    enum gri_status status = GRI_OK;
    bool any = false;
    for (size_t i = 0; i < request->count; i++) {
        struct gri_image_insert *item = &request->items[i];
        if (!gri_mongo_is_joined(request, i)) continue;
        any = true;
        item->result = GRI_NOT_INSERTED;
        item->own = false;
        (void)gri_copy(item->found_id, sizeof item->found_id, item->image->id);
    }
    bool together = any && insert_together(session, request);
    for (size_t i = 0; any && status == GRI_OK && i < request->count; i = end_of_set(request, i)) {
        struct set set = {session, &request->items[i], end_of_set(request, i) - i, error};
        if (set.count == 1) continue;
        if (together)
            all_stored(&set);
        else if (!is_too_large(&set))
            status = insert_set(&set);
    }
    return status;
}
