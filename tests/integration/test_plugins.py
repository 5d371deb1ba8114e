# SPDX-License-Identifier: Apache-2.0
"""Plugins as strangers write them: begun with `transforms new`, built with one header and pkg-config, and in every way that they go wrong."""
import json
import os
import re
import subprocess

import pytest
from PIL import Image, ImageOps

import kit
import picture_cases

SOURCE = r"""
#include <grisaille/transform.h>
#include <stdlib.h>
#include <string.h>
#include <vips/vips.h>

struct p { int level; };
__attribute__((unused)) static const struct gri_transform_param good[] = {
    {.name = "level", .help = "h", .type = GRI_PARAM_INT, .offset = offsetof(struct p, level), .maximum = 9}};
__attribute__((unused)) static const struct gri_transform_param outside[] = {
    {.name = "level", .help = "h", .type = GRI_PARAM_INT, .offset = 400, .maximum = 9}};

#ifdef BYTES
static bool run_bytes(const struct gri_transform_call *call, const void *data, size_t len) {
    char kind[3] = {((const char *)data)[0] == (char)0xFF ? 'J' : 'P', 0};
    if (!call->fact_text(call->host, "got", kind) || !call->fact_number(call->host, "bytes", (double)len))
        return gri_transform_fail(call->error, "facts refused");
    if (((const struct p *)call->params)->level == 1) return call->put(call->host, "not a picture", 13);
    if (((const struct p *)call->params)->level == 2) {
        for (int i = 0; i < 100; i++) {
            char name[16];
            snprintf(name, sizeof name, "n%d", i);
            if (!call->fact_number(call->host, name, i)) return gri_transform_fail(call->error, "no more than %d facts", i);
        }
    }
    return ((const struct p *)call->params)->level != 3 || call->put(call->host, data, len);
}
#else
static void *kept[64];
static int count;
static bool apply(const void *params, VipsImage *in, VipsImage **out, struct gri_transform_error *error) {
    (void)params; (void)kept; (void)count;
#if defined CRASH
    abort();
#elif defined HANG
    for (volatile int forever = 1; forever;) {}
#elif defined LEAK
    kept[count++ % 64] = vips_image_copy_memory(in);
#elif defined NOTHING
    return true;
#elif defined SILENT
    return false;
#endif
    return vips_invert(in, out, NULL) == 0 || gri_transform_fail(error, "not inverted");
}
#endif

#ifndef NAME
#define NAME "stranger"
#endif
#ifndef ABI
#define ABI GRI_TRANSFORM_ABI
#endif
#ifndef SYMBOL
#define SYMBOL gri_transform_plugin
#endif
#ifndef TABLE
#define TABLE good
#endif
#ifndef SIZE
#define SIZE sizeof(struct gri_transform)
#endif
GRI_TRANSFORM_EXPORT extern const struct gri_transform SYMBOL;
const struct gri_transform SYMBOL = {
    .abi_version = ABI, .struct_size = SIZE, .param_struct_size = sizeof(struct gri_transform_param), .name = NAME, .summary = "s",
    GRI_TRANSFORM_PARAMS(TABLE, struct p),
#ifdef BYTES
    .run_bytes = run_bytes,
#else
    .apply = apply,
#endif
};
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Builds a variant: its folder of plugins."""
    root = tmp_path_factory.mktemp("plugins")
    (root / "plugin.c").write_text(SOURCE)
    (root / "grisaille.pc").write_text(f"Name: grisaille\nDescription: plugins\nVersion: 0\nRequires: vips\nplugindir=/nowhere\nCflags: -I{kit.ROOT}/include\n")
    picture_cases.scene(60, 40).save(root / "in.jpg", quality=90)
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "grisaille"], check=True, capture_output=True, text=True, timeout=60,
                           env={**os.environ, "PKG_CONFIG_PATH": str(root)}).stdout.split()

    def build(*defines):
        folder = root / ("x" + re.sub(r"\W", "_", "".join(defines)))
        if not folder.exists():
            folder.mkdir(mode=0o755)
            subprocess.run(["cc", "-std=gnu17", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", folder / "stranger.so", root / "plugin.c",
                            *[f"-D{word}" for word in defines], *flags], check=True, timeout=120)
            (folder / "stranger.so").chmod(0o644)
        return folder

    build.root = root
    return build


def run(*words, cwd=None, env=None):
    return subprocess.run([kit.find_binary(), *map(str, words)], capture_output=True, text=True, timeout=120, cwd=cwd, env=env or kit.clean_environment())


def attempt(built, folder, *words):
    return run("transforms", "try", "stranger", "--json", "--set", f"plugins.dir={folder}", *words, built.root / "in.jpg", built.root / "out.png")


def test_a_new_plugin_builds_and_passes_its_own_test(built, tmp_path):
    made = run("transforms", "new", "mine", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    env = {**kit.clean_environment(), "PKG_CONFIG_PATH": str(built.root), "GRISAILLE": str(kit.find_binary())}
    tested = subprocess.run(["make", "-C", tmp_path / "mine", "test"], capture_output=True, text=True, timeout=300, env=env)
    assert tested.returncode == 0 and "mine works" in tested.stdout, tested.stdout + tested.stderr
    for word, part in (("mine", "exists"), ("Bad!", "of the form")):
        again = run("transforms", "new", word, cwd=tmp_path)
        assert again.returncode != 0 and part in again.stderr


def test_a_plugin_made_with_an_older_header_still_works(built):
    done = attempt(built, built("SIZE=offsetof(struct gri_transform,run)"))
    assert done.returncode == 0, done.stderr
    got, source = Image.open(built.root / "out.png"), Image.open(built.root / "in.jpg")
    assert got.tobytes() == ImageOps.invert(source).tobytes()


@pytest.mark.parametrize("define, part", [
    ("ABI=99", "made for transform ABI 99"),
    ("SIZE=8", "has 8 bytes"),
    ("SIZE=9999", "has 9999 bytes"),
    ("SYMBOL=other", "no symbol gri_transform_plugin"),
    ('NAME="blur"', "the name blur is taken (built-in)"),
    ("TABLE=outside", "lies outside its struct"),
    ("CRASH", "it crashed: signal 6"),
    ("NOTHING", "gave no 8-bit image"),
    ("SILENT", "it failed and did not say why"),
    ("LEAK", "it leaks"),
])
def test_what_is_wrong_with_a_plugin_is_told(built, define, part):
    done = attempt(built, built(define))
    assert done.returncode in (1, 2), done.stdout
    assert part in done.stdout + done.stderr


def test_a_plugin_that_does_not_fit_stops_neither_worker_nor_catalog(built, fleet, tmp_path):
    folder = tmp_path / "plugins"
    folder.mkdir(mode=0o755)
    for define in ("ABI=99", "SYMBOL=other", 'NAME="blur"', "TABLE=outside"):
        (folder / f"{re.sub(r'[^a-z]', '', define.lower())}.so").write_bytes((built(define) / "stranger.so").read_bytes())
    (folder / "text.so").write_text("no shared object")
    for file in folder.iterdir():
        file.chmod(0o644)
    cluster = fleet(workers=1, settings={"plugins.dir": str(folder)})
    assert cluster.run(["https://origin.test/id/7/40/30"])["counts"]["stored"] == 1
    for daemon in cluster.daemons:
        told = [entry["detail"] for entry in daemon.entries() if entry.get("event") == "plugin_refused"]
        assert len(told) == 5
        for part in ("abi.so: made for transform ABI 99", "symbolother.so: has no symbol", "the name blur is taken", "lies outside its struct", "text.so"):
            assert any(part in detail for detail in told), (part, told)
    # A pipeline that wants one is what can't be.
    wrong = run("config", "--set", f"plugins.dir={folder}", "--set", "pipelines={p: {steps: [stranger]}}")
    assert wrong.returncode == 2 and "stranger" in wrong.stderr and "made for transform ABI 99" in wrong.stderr


def test_a_plugin_that_hangs_is_ended(built):
    done = attempt(built, built("HANG"), "--set", "image.timeout_ms=1000")
    assert done.returncode == 1 and "it hangs" in done.stderr


def test_a_plugin_of_whole_bytes_gets_the_file_and_adds_facts(built):
    folder = built("BYTES")
    done = attempt(built, folder)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["facts"] == {"stranger": {"got": "J", "bytes": (built.root / "in.jpg").stat().st_size}}
    assert Image.open(built.root / "out.png").tobytes() == Image.open(built.root / "in.jpg").tobytes()
    assert attempt(built, folder, "--set", "level=3").returncode == 0
    assert "gave a picture that can't be read" in attempt(built, folder, "--set", "level=1").stderr
    assert "no more than" in attempt(built, folder, "--set", "level=2").stderr
    config = built.root / "later.yaml"
    config.write_text(f"plugins: {{ dir: {folder} }}\npipelines:\n  later:\n    steps: [invert, stranger]\n    output: {{ format: png }}\n")
    done = run("pipelines", "try", "later", "--json", "--config", config, built.root / "in.jpg", built.root / "out.png")
    assert json.loads(done.stdout)["facts"]["stranger"]["got"] == "P", done.stderr


def test_bench_measures(built):
    done = run("transforms", "bench", "flip", "--json", "--seconds", "0", built.root / "in.jpg")
    assert done.returncode == 0 and json.loads(done.stdout)["runs"] >= 8, done.stderr
