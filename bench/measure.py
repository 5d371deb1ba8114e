#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`make bench`: every system over every corpus, in one run on one machine. measure.py --photos DIR --python PYTHON --out DIR [--scale X] [--only WORDS]

Writes OUT/bench.json, OUT/*.svg and OUT/bench.md. PYTHON has the peers' packages (tools/bench makes it)."""
import argparse
import contextlib
import datetime
import json
import os
import pathlib
import platform
import shutil
import subprocess
import tempfile
import time

import make_corpus
from bench_kit import Servers, kit
from bench_report import write_report
from systems import Grisaille, GrisailleStructure, Limit, LimitStructure, SERVICES, SYSTEMS

COUNTS = {"progressive": 3000, "sequential": 600, "png": 400, "webp": 400, "mixed": 600}
WARM, PACED, RATE, TRACED = 64, 400, 50, 300
ROUNDS = 3  # of what is over in seconds; the median counts
SHORT = (Grisaille, GrisailleStructure, Limit, LimitStructure)


def say(text):
    print(f"[{time.strftime('%H:%M:%S')}] {text}", flush=True)


def machine():
    model = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
    return {"processor": model, "processors": os.cpu_count(), "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
            "system": platform.freedesktop_os_release().get("PRETTY_NAME", ""), "kernel": platform.release(), "load_before": os.getloadavg()[0]}


def make_corpora(photos, files, scale, words):
    corpora = {}
    for kind, count in COUNTS.items():
        if words and kind != "progressive" and kind not in words:
            continue
        count = max(100, int(count * scale))
        # the first are for warming up, the next for pace and counts, and none is measured twice
        extra = WARM + (PACED + TRACED if kind == "progressive" else 0)
        kept = files / f"{kind}.json"
        if not kept.exists():
            kept.write_text(json.dumps(make_corpus.make(photos, files / kind, count + extra, kind)))
        found = json.loads(kept.read_text())
        names = sorted(path.name for path in (files / kind).iterdir())
        corpora[kind] = {**found, "count": count, "paths": [f"/{kind}/{name}" for name in names]}
        say(f"corpus {kind}: {count} pictures, on average {found['bytes']} bytes, {found['pixels']} pixels")
    return corpora


def run_service(kind, servers, folder, python, corpora, results, more):
    """One service over every corpus it is asked for; with `more` its pace and its system calls, too."""
    system = kind(servers, folder, python)
    system.start()
    with contextlib.ExitStack() as stack:
        stack.callback(system.stop)
        for corpus, of in corpora.items():
            urls = [servers.origin.base + path for path in of["paths"]]
            system.run(urls[:WARM])
            found = system.run(urls[WARM:WARM + of["count"]])
            if more and corpus == "progressive":
                at = WARM + of["count"]
                found["latency"] = system.paced(urls[at:at + PACED], RATE)
                found["syscalls"] = system.syscalls(urls[at + PACED:at + PACED + TRACED])
            keep(results, system, corpus, found)


def run_program(kind, servers, folder, python, corpora, results, _):
    system = kind(servers, folder, python)
    for corpus, of in corpora.items():
        if corpus != "progressive":
            continue  # the limit can do no other; of img2dataset small corpora tell nothing beside its start
        urls = [servers.origin.base + path for path in of["paths"]]
        keep(results, system, corpus, system.run(urls[WARM:WARM + of["count"]]))


def keep(results, system, corpus, found):
    say(f"{system.name:22} {corpus:12} {found['images_a_second']:8.1f} images/s, {found['cpu_ms']['worker']:7.3f} ms of worker CPU an image")
    results.append({"system": system.name, "label": system.label, "corpus": corpus, **found})


def median_run(runs):
    """Of several rounds of one system and corpus: the one with the median worker CPU, with all rounds' figures beside it."""
    ordered = sorted(runs, key=lambda run: run["cpu_ms"]["worker"])
    return {**runs[0], **ordered[len(ordered) // 2], "rounds_cpu_ms": [run["cpu_ms"]["worker"] for run in runs]}


def merge_rounds(results):
    groups = {}
    for run in results:
        groups.setdefault((run["system"], run["corpus"]), []).append(run)
    return [median_run(runs) for runs in groups.values()]


def gray_alone(files, binary):
    """The codec against libjpeg-turbo's lossless transform, by bench/jpeg_gray_bench."""
    done = subprocess.run([binary.parent / "bench" / "jpeg_gray_bench", files, "5"], capture_output=True, text=True, timeout=600, check=True)
    rows = [line.split() for line in done.stdout.splitlines()[2:]]
    return {row[0]: {"ms": float(row[1]), "ratio": float(row[2])} for row in rows}


def measure(args):
    results, began = [], time.monotonic()
    shared = pathlib.Path("/dev/shm") if os.access("/dev/shm", os.W_OK) else None
    files = args.files or pathlib.Path(tempfile.mkdtemp(prefix="grisaille-bench-", dir=shared))
    files.mkdir(exist_ok=True)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="grisaille-bench-"))
    os.chmod(files, 0o755)
    servers, told = None, {"at": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"), "machine": machine()}
    try:
        corpora = make_corpora(args.photos, files, args.scale, args.corpora)
        told["corpora"] = {kind: {key: value for key, value in of.items() if key != "paths"} for kind, of in corpora.items()}
        sample = files / "sample"
        sample.mkdir(exist_ok=True)
        for path in corpora["progressive"]["paths"][:300]:
            shutil.copy(files / path[1:], sample)
        servers = Servers(folder, files)
        chosen = [kind for kind in SYSTEMS if not args.only or any(word in kind.name for word in args.only)]
        for number in range(ROUNDS):
            for kind in chosen:
                if number > 0 and kind not in SHORT:
                    continue
                run = run_service if kind in SERVICES else run_program
                part = corpora if number == 0 else {"progressive": corpora["progressive"]}
                run(kind, servers, folder, args.python, part, results, number == 0)
        told["gray"] = gray_alone(sample, kit.find_binary())
    finally:
        if servers:
            servers.stop()
        if not args.files:
            shutil.rmtree(files, ignore_errors=True)
        if not args.keep:
            shutil.rmtree(folder, ignore_errors=True)
    told["results"], told["seconds"] = merge_rounds(results), round(time.monotonic() - began)
    return told


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=pathlib.Path, required=True)
    parser.add_argument("--python", type=os.path.abspath, required=True, help="a Python with the peers' packages")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--scale", type=float, default=1, help="of the number of pictures")
    parser.add_argument("--only", nargs="*", help="only systems whose names contain one of these words")
    parser.add_argument("--corpora", nargs="*", help="beside progressive only these")
    parser.add_argument("--files", type=pathlib.Path, help="where the corpora stay for the next run; default: in memory, for this one")
    parser.add_argument("--keep", action="store_true", help="keep the logs")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    told = measure(args)
    (args.out / "bench.json").write_text(json.dumps(told, indent=1) + "\n")
    write_report(told, args.out)
    say(f"written to {args.out}: bench.json, bench.md, *.svg, after {told['seconds']} s")


if __name__ == "__main__":
    main()
