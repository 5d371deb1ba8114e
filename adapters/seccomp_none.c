/* SPDX-License-Identifier: Apache-2.0 */
/* The sandbox of a build without libseccomp: none, and it says so. */
#include <grisaille/bytes.h>
#include <grisaille/sandbox.h>

const char *gri_sandbox_version(void) {
    return "none";
}

static enum gri_status refuse(struct gri_error *error) {
    return gri_fail(error, GRI_R_config, "this program was built without libseccomp");
}

enum gri_status gri_sandbox_enter(enum gri_sandbox_kind kind, struct gri_error *error) {
    (void)kind;
    return refuse(error);
}

enum gri_status gri_sandbox_try(struct gri_error *error) {
    return refuse(error);
}

int64_t gri_sandbox_refused(char *last, size_t size) {
    (void)gri_copy(last, size, "");
    return 0;
}
