/* SPDX-License-Identifier: Apache-2.0 */
/* What needs no filter: no new privileges, no core files. */
#include <grisaille/sandbox.h>

#include <sys/prctl.h>
#include <sys/resource.h>

void gri_sandbox_harden(bool core_dumps) {
    const struct rlimit none = {0, 0};
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); /* since Linux 3.5; it cannot fail with these arguments */
    if (core_dumps) return;
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}
