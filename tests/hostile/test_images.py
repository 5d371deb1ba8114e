# SPDX-License-Identifier: Apache-2.0
"""Files that are no good pictures: each has a sensible reason, no process ends, memory and time stay within their bounds."""
import time

import malformed_pictures
import pytest
from hostile_origin import HostileOrigin
from test_bodies import peak_kib

# docs/security.md tells where these figures come from
PEAK_MIB = 512
TIMEOUT_MS = 10000
SETTINGS = {"fetch.ca_file": "", "retry.max_attempts": 1, "fetch.host_concurrency": 64, "image.timeout_ms": TIMEOUT_MS, "worker.cpu_threads": 2}


@pytest.fixture
def hostile():
    origin = HostileOrigin()
    yield origin
    origin.close()


def fate_of(row):
    return "stored" if row["outcome"] in ("stored", "duplicate_content") else row.get("reason", row["outcome"])


def run(fleet, hostile, files, seconds):
    hostile.files = {f"/files/{name}": ("image/png", data) for name, (data, _) in files.items()}
    cluster = fleet(workers=1, settings={**SETTINGS, "fetch.connect_to": hostile.connect_to()})
    worker = cluster.of("worker")[0]
    fates = cluster.fates(cluster.run([f"http://files.test/files/{name}" for name in files], seconds=seconds))
    return cluster, worker, {name: fate_of(fates[f"http://files.test/files/{name}"]) for name in files}


def test_named_files_have_their_reasons_and_memory_its_bound(fleet, hostile, verdicts, release, monkeypatch):
    monkeypatch.setenv("GRISAILLE_BIN", str(release / "grisaille"))
    files = malformed_pictures.named()
    began = time.monotonic()
    cluster, worker, got = run(fleet, hostile, files, 120)
    took = time.monotonic() - began
    for name, (_, reasons) in files.items():
        verdicts.check(name, reasons, got[name])
    peak = peak_kib(worker.pid) >> 10
    verdicts.check("the worker's peak memory (VmHWM), two CPU threads", f"{PEAK_MIB} MiB at most", f"{peak} MiB", peak <= PEAK_MIB)
    verdicts.note("the whole list", "seconds, start of the fleet included", f"{took:.1f}")
    verdicts.check("the worker", "alive", "alive" if worker.alive() else "dead")


@pytest.mark.parametrize("build", ["sanitizers", "release"])
def test_a_corpus_of_mutations(fleet, hostile, verdicts, short, release, monkeypatch, build):
    if build == "release":
        monkeypatch.setenv("GRISAILLE_BIN", str(release / "grisaille"))
    files = malformed_pictures.mutations(400 if short else 25)
    cluster, worker, got = run(fleet, hostile, files, 500)
    wrong = [f"{name}: {got[name]}" for name, (_, reasons) in files.items() if got[name] not in reasons]
    cuts = sum("-cut-" in name for name in files)
    verdicts.check(f"{len(files)} mutations of six good files, {cuts} of them cut ({build})", "a sensible reason each, no cut one stored", wrong[:8] or "each", not wrong)
    verdicts.check(f"the worker ({build})", "alive", "alive" if worker.alive() else "dead")
    if build == "release":
        peak = peak_kib(worker.pid) >> 10
        verdicts.check("its peak memory (VmHWM)", f"{PEAK_MIB} MiB at most", f"{peak} MiB", peak <= PEAK_MIB)
