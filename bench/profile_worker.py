#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Where each microsecond of a worker goes, by perf: profile_worker.py --photos DIR [--images N] [--verify structure]

Prints a table: microseconds an image by thread and by what they do. Samples are of the processor's clock, so that time in which
somebody else had the processor is not in them; on a busy machine caches are colder and batches smaller."""
import argparse
import collections
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time

import make_corpus
from bench_kit import Servers
from systems import Grisaille, GrisailleStructure

FREQUENCY = 5000
# What a sample is of: the first pattern that is in "library symbol"
GROUPS = [
    ("JPEG: refinement scans", r"gri_gray_band_refine"),
    ("JPEG: first scans of AC", r"gri_gray_band_first"),
    ("JPEG: DC and interleaved scans", r"gri_gray_dc_first|gri_gray_sequential"),
    ("JPEG: DC written, headers, tables, un-stuffing", r"grisaille (gri_gray|gri_huffman|jpeg_gray|walk|take_scan|take_luma|gri_jpeg)"),
    ("perceptual hash", r"hash_pixels|gri_picture_hash|libm[.-]"),
    ("SHA-256", r"libcrypto"),
    ("base64", r"gri_base64"),
    ("kernel: memory pages", r"kernel.* (.*fault|clear_page|.*alloc_pages|.*anonymous|get_page|.*folio|unmap|zap_|mas_|.*mmap|.*memcg)"),
    ("kernel: sockets, polling, waking", r"kernel"),
    ("libc: copying", r"libc\S* _*(mem|.*memmove|.*memcpy|.*memset)"),
    ("libc: allocation", r"libc\S* _*(int_)?(malloc|free|calloc|realloc|cfree|unlink_chunk|libc_calloc|libc_malloc|libc_free|sysmalloc)"),
    ("libc: the rest (texts, locks)", r"libc\.|libc-|ld-linux|libpthread|vdso"),
    ("libcurl", r"libcurl|libnghttp2|libssl"),
    ("libuv, hiredis", r"libuv|hiredis"),
    ("libmongoc, libbson", r"libmongoc|libbson"),
    ("Grisaille's own", r"grisaille"),
    ("others", r""),
]


def group_of(library, symbol):
    text = f"{library} {symbol}"
    return next(name for name, pattern in GROUPS if re.search(pattern, text))


def samples(data):
    """{(thread, group): number} of a recording; numbers at the end of threads' names left out."""
    done = subprocess.run(["perf", "script", "-i", data, "-F", "comm,ip,sym,dso"], capture_output=True, text=True, check=True)
    found = collections.Counter()
    for line in done.stdout.splitlines():
        match = re.match(r"\s*(\S+)\s+[0-9a-f]+ (.*) \(([^()]*(?:\([^()]*\))?[^()]*)\)$", line)
        if match:
            found[re.sub(r"[-#]?\d+$", "", match[1]), group_of(match[3].rpartition("/")[2], match[2])] += 1
    return found


def record(kind, photos, images, folder):
    files = folder / "files"
    made = make_corpus.make(photos, files, images + 64, "progressive")
    for path in (folder, files):
        path.chmod(0o755)
    servers = Servers(folder, files)
    system = kind(servers, folder, None)
    try:
        system.start()
        try:
            urls = [f"{servers.origin.base}/{path.name}" for path in sorted(files.iterdir())]
            system.run(urls[:64])
            perf = subprocess.Popen(["perf", "record", "-q", "-e", "cpu-clock", "-F", str(FREQUENCY), "-o", folder / "perf.data", "-p", str(system.watched())])
            time.sleep(1)
            found = system.run(urls[64:])
            perf.send_signal(2)
            perf.wait(60)
        finally:
            system.stop()
    finally:
        servers.stop()
    return made, found, samples(folder / "perf.data")


def table(found, counted):
    threads = [name for name, _ in sorted(found["thread_ms"].items(), key=lambda item: -item[1])[:3]]
    total = {thread: sum(number for (name, _), number in counted.items() if name == thread) or 1 for thread in threads}
    micros = {key: number / total[key[0]] * found["thread_ms"][key[0]] * 1000 for key, number in counted.items() if key[0] in total}
    rows = [("**all**", [found["thread_ms"][thread] * 1000 for thread in threads])]
    rows += [(group, [micros.get((thread, group), 0) for thread in threads]) for group, _ in GROUPS]
    out = ["| µs an image | " + " | ".join(threads) + " | together |", "|---|" + "---|" * (len(threads) + 1)]
    out += [f"| {name} | " + " | ".join(f"{value:.0f}" if value >= 0.5 else "" for value in values) + f" | {sum(values):.0f} |"
            for name, values in sorted(rows, key=lambda row: -sum(row[1])) if sum(values) >= 0.5]
    return "\n".join(out)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=pathlib.Path, required=True)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--verify", choices=["full", "structure"], default="full")
    args = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="grisaille-profile-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None))
    try:
        made, found, counted = record(Grisaille if args.verify == "full" else GrisailleStructure, args.photos, args.images, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{args.images} progressive pictures of {made['bytes']:,} bytes on average, {found['images_a_second']} a second, {sum(counted.values()):,} samples")
    print(table(found, counted))


if __name__ == "__main__":
    main()
