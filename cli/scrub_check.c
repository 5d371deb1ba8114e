/* SPDX-License-Identifier: Apache-2.0 */
/* What the scrub does with one image. */
#include "scrub_check.h"

#include <string.h>

/* Verified, with a malformed field as damage to the document. */
static void judge(const struct gri_scrub_checker *checker, const struct gri_scrub_document *document,
                  struct gri_image_check *check) {
    gri_image_verify(checker->crypto, &document->image, check);
    if (!document->malformed[0]) return;
    check->fields_sound = false;
    if (check->stage == GRI_SUM_SOUND) check->stage = GRI_SUM_DOCUMENT;
}

/* Reads until two readings agree that it is damaged: what was wrong on the way here alone is no damage. */
static enum gri_status read_and_judge(const struct gri_scrub_checker *checker, const char *id,
                                      struct gri_scrub_document *document, struct gri_image_check *check,
                                      struct gri_error *error) {
    const struct gri_scrub_ops *scrub = checker->archive->ops->scrub;
    *check = (struct gri_image_check){.stage = GRI_SUM_SOUND};
    for (int reading = 0; reading < 2; reading++) {
        enum gri_status status = scrub->read(checker->archive, id, document, error);
        if (status != GRI_OK || !document->found || document->removed) return status;
        judge(checker, document, check);
        if (check->stage == GRI_SUM_SOUND || document->marked) return GRI_OK;
        if (reading == 0) gri_image_clear(&document->image);
    }
    return GRI_OK;
}

static void describe(const struct gri_scrub_document *document, const struct gri_image_check *check,
                     struct gri_scrub_outcome *outcome) {
    const char *what = check->stage == GRI_SUM_BASE64   ? "the base64 text does not have its sum"
                       : check->stage == GRI_SUM_OUTPUT ? "the decoded picture does not have its sum"
                       : check->stage == GRI_SUM_SOURCE ? "the source sum is not the one in its _id"
                                                        : "the fields beside the picture do not have their sum";
    (void)gri_format(outcome->detail, sizeof outcome->detail, "%s%s%s%s", what, document->malformed[0] ? " (" : "",
                     document->malformed, document->malformed[0] ? " is malformed)" : "");
}

/* Written, read back, verified: only then is it healed. */
static enum gri_status put_back(const struct gri_scrub_checker *checker, const struct gri_image *image, bool *healed,
                                struct gri_error *error) {
    const struct gri_scrub_ops *scrub = checker->archive->ops->scrub;
    struct gri_scrub_document again;
    struct gri_image_check check;
    bool replaced = false;
    enum gri_status status = scrub->replace(checker->archive, image, checker->by, &replaced, error);
    if (status != GRI_OK) return status;
    status = scrub->read(checker->archive, image->id, &again, error);
    if (status == GRI_OK && again.found) {
        judge(checker, &again, &check);
        *healed = replaced && check.stage == GRI_SUM_SOUND && !again.marked;
    }
    gri_image_clear(&again.image);
    return status;
}

static enum gri_status repair(const struct gri_scrub_checker *checker, const struct gri_image *damaged, bool fields_sound,
                              struct gri_scrub_outcome *outcome, struct gri_error *error) {
    struct gri_image image = {.width = 0};
    struct gri_error why;
    if (checker->remake(checker->arg, damaged, fields_sound, &image, &why) != GRI_OK) {
        struct gri_scrub_outcome first = *outcome;
        (void)gri_format(outcome->detail, sizeof outcome->detail, "%.150s; not healed: %.200s", first.detail, why.detail);
        return GRI_OK;
    }
    enum gri_status status = put_back(checker, &image, &outcome->healed, error);
    gri_image_clear(&image);
    return status;
}

static enum gri_status settle_damage(const struct gri_scrub_checker *checker, struct gri_scrub_document *document,
                                     const struct gri_image_check *check, struct gri_scrub_outcome *outcome,
                                     struct gri_error *error) {
    struct gri_scrub_finding finding = {.image = &document->image, .check = check, .detail = outcome->detail, .by = checker->by};
    describe(document, check, outcome);
    enum gri_status status = checker->archive->ops->scrub->mark(checker->archive, &finding, error);
    if (status != GRI_OK || !checker->remake) return status;
    return repair(checker, &document->image, check->fields_sound, outcome, error);
}

enum gri_status gri_scrub_check(const struct gri_scrub_checker *checker, const char *id, struct gri_scrub_outcome *outcome,
                                struct gri_error *error) {
    const struct gri_scrub_ops *scrub = checker->archive->ops->scrub;
    struct gri_scrub_document document = {.found = false};
    struct gri_image_check check;
    *outcome = (struct gri_scrub_outcome){.link = GRI_LINKED};
    enum gri_status status = read_and_judge(checker, id, &document, &check, error);
    if (status != GRI_OK) goto out;
    outcome->gone = !document.found;
    outcome->removed = document.removed;
    if (outcome->gone || outcome->removed) goto out;
    outcome->stage = check.stage;
    if (check.stage != GRI_SUM_SOUND) {
        status = settle_damage(checker, &document, &check, outcome, error);
    } else if (document.marked) { /* it was damaged on its way to whoever marked it */
        status = scrub->unmark(checker->archive, id, error);
        outcome->healed = status == GRI_OK;
    }
    /* The job of a document whose fields are wrong is not to be relied on. */
    if (status == GRI_OK && check.fields_sound) status = scrub->link(checker->archive, &document.image, &outcome->link, error);
out:
    gri_image_clear(&document.image);
    return status;
}
