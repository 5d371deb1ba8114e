# SPDX-License-Identifier: Apache-2.0
"""What an image costs in counts, which are the same on a slow machine: none may pass its ceiling in bench/ceilings.json.

A count above its ceiling is a regression, or a choice: then the ceiling is raised in the same commit, with the reason. Ceilings are
what was found, and a third for round trips and system calls (their batches depend a little on timing), a tenth for the rest."""
import json
import math
import mmap
import pathlib
import re
import struct
import subprocess

import numpy
import pytest
from PIL import Image

import bench_kit
import kit

CEILINGS = json.loads((kit.ROOT / "bench" / "ceilings.json").read_text())
BENCH = kit.find_binary().parent / "bench"
IMAGES, WARM, TRIES = 192, 64, 3
# Batches end by number, not by time: 32 jobs are in hand, and a batch takes 32
SETTINGS = {"worker.slots": 32, "worker.batch": 32, "worker.batch_ms": 1000, "worker.cpu_threads": 2, "fetch.host_concurrency": 32}


def problems(found, ceilings):
    """Every count that is above its ceiling, or has none."""
    return [f"{name}: {found[name]:,.2f} is over {ceilings.get(name, 0):,.2f}" for name in found if found[name] > ceilings.get(name, 0)]


def draw(number):
    """A picture like a photograph: smooth, with edges and grain; the same everywhere."""
    height, width = 240 + 8 * number, 320
    y, x = numpy.mgrid[0:height, 0:width].astype(float)
    grain = numpy.random.RandomState(number).normal(0, 6, (height, width, 3))
    base = 110 + 60 * numpy.sin(x / (23 + number)) * numpy.cos(y / 31) + 50 * ((x // 57 + y // 43) % 2)
    colours = numpy.stack([base, base * 0.9 + x / 9, 255 - base + y / 7], axis=2)
    return Image.fromarray(numpy.clip(colours + grain, 0, 255).astype("uint8"))


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(6):
        draw(number).save(folder / f"{number}.jpg", quality=75, subsampling=2, progressive=number % 3 != 2)
    return folder


def instructions(pictures, form, folder):
    """Instructions of bench/image_slice.c an image, counted by callgrind."""
    out = folder / f"callgrind.{form}"
    command = ["valgrind", "--tool=callgrind", "--toggle-collect=run_slice", f"--callgrind-out-file={out}", BENCH / "image_slice", pictures]
    done = subprocess.run([str(part) for part in command] + (["portable"] if form == "portable" else []), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    count = int(done.stdout.split()[0])
    return int(re.search(r"Collected : (\d+)", done.stderr)[1]) / count


def test_instructions_an_image_stay_under_their_ceiling(pictures, tmp_path):
    flags = pathlib.Path("/proc/cpuinfo").read_text()
    forms = ["wide"] if re.search(r"\bbmi2\b", flags) and re.search(r"\bavx2\b", flags) else ["portable"]
    found = {form: instructions(pictures, form, tmp_path) for form in forms}
    print(found)
    assert not problems(found, CEILINGS["instructions"])
    assert problems(found, {form: value * 0.99 for form, value in found.items()}), "a count over its ceiling must be told"


class Counted:
    """A worker whose allocations are counted while it works."""

    def __init__(self, cluster, folder):
        self.cluster, self.folder = cluster, folder
        self.file = folder / "allocations"
        self.file.write_bytes(bytes(mmap.PAGESIZE))
        self.worker = cluster.start("worker", {"LD_PRELOAD": str(BENCH / "libcount_allocations.so"), "ALLOCATION_COUNT_FILE": str(self.file)})
        self.worker.probe_address()
        self.sources = 0

    def allocations(self):
        return struct.unpack("QQ", self.file.read_bytes()[:16])

    def run(self, first, count):
        """Per image of `count` fresh ones: system calls, allocations, round trips."""
        urls = [f"https://origin.test/kind/jpeg/320/240/{first + number}" for number in range(count)]
        calls, trace = self.allocations(), bench_kit.Strace([self.worker.pid], self.folder)
        servers = bench_kit.Counts(self.cluster.servers, {})
        receipt = self.cluster.run(urls)
        self.cluster.wait_empty()
        found, system = servers.since(count), trace.end()
        assert receipt["counts"]["stored"] == count, receipt
        made, bytes_asked = (after - before for before, after in zip(calls, self.allocations()))
        source = sum(row["source"]["bytes"] for row in self.cluster.db["images"].find({}, {"source.bytes": 1})) / self.cluster.db["images"].count_documents({})
        return {"syscalls": system["total"] / count, "allocations": made / count, "allocated_bytes_per_source_byte": bytes_asked / count / source,
                "mongo_round_trips": found["mongo_round_trips"], "redis_round_trips": found["redis_round_trips"]}


def test_what_a_worker_does_for_an_image_stays_under_its_ceilings(fleet, servers, tmp_path):
    servers.roles = {}
    cluster = fleet(workers=0, settings=SETTINGS)
    counted = Counted(cluster, tmp_path)
    counted.run(1, WARM)
    least = {}
    for attempt in range(TRIES):  # a busy machine may break a batch in two, and adds, never takes away
        found = counted.run(101 + attempt * IMAGES, IMAGES)
        least = {name: min(value, least.get(name, math.inf)) for name, value in found.items()}
        if not problems(least, CEILINGS["worker"]):
            break
    print({name: round(value, 3) for name, value in least.items()})
    assert not problems(least, CEILINGS["worker"])
    for name, value in least.items():
        assert problems(least, {**CEILINGS["worker"], name: value * 0.99}), f"{name} over its ceiling must be told"
