# SPDX-License-Identifier: Apache-2.0
"""Is the leak sanitizer truly on in the integration tests? A leak is planted into a worker; the fleet's end must fail with it."""
import os
import pathlib
import subprocess

import kit

LEAK = """
#include <grisaille/transform.h>
#include <stdlib.h>
static void *volatile lost;
__attribute__((constructor)) static void leak(void) { lost = malloc(12345); lost = NULL; }
static bool apply(const void *params, struct _VipsImage *in, struct _VipsImage **out, struct gri_transform_error *error) { return false; }
GRI_TRANSFORM_EXPORT const struct gri_transform gri_transform_plugin = {.abi_version = GRI_TRANSFORM_ABI, .struct_size = sizeof(struct gri_transform),
    .param_struct_size = sizeof(struct gri_transform_param), .name = "leaking", .summary = "loses memory", .apply = apply};
"""


def plugin(folder):
    folder.mkdir(mode=0o755)
    source = folder.parent / "leak.c"
    source.write_text(LEAK)
    subprocess.run(["gcc", "-shared", "-fPIC", "-O0", f"-I{kit.ROOT}/include", "-o", folder / "leak.so", source], check=True, timeout=60)
    os.chmod(folder / "leak.so", 0o755)
    return folder


def test_a_planted_leak_fails_the_fleet(servers, tmp_path, verdicts):
    """A leak in a daemon fails its test"""
    assert b"__asan_init" in pathlib.Path(kit.find_binary()).read_bytes(), "this test needs the sanitizer build (make build-asan)"
    for attack, settings, expected in (("a worker that leaks 12,345 bytes", {"plugins.dir": str(plugin(tmp_path / "plugins"))}, "reported"), ("the same worker without the leak", {}, "nothing")):
        cluster = kit.Cluster(servers, tmp_path, workers=1, schedulers=0, api=1, settings=settings)
        try:
            cluster.stop()
            got = "nothing"
        except AssertionError as error:
            got = "reported" if "LeakSanitizer" in str(error) or "12345 byte" in str(error) else f"something else: {error}"
        finally:
            cluster.drop()
        verdicts.check(attack, expected, got)
