# SPDX-License-Identifier: Apache-2.0
"""Catalogs that strangers made: memory stays bounded (the release build's peak is printed), reasons and numbers are right by an
independent count, and the API answers others meanwhile."""
import collections
import gzip
import pathlib
import random
import struct
import threading
import time
import zlib

import pytest
import requests

import kit

MIB = 1024 * 1024
API_PEAK_MIB, SCHEDULER_PEAK_MIB = 128, 128


@pytest.fixture(scope="module")
def crowd(servers, release, tmp_path_factory):
    """A fleet of the release build, without workers: lines are judged, nothing is fetched."""
    before = kit.find_binary
    kit.find_binary = lambda: release / "grisaille"
    try:
        cluster = kit.Cluster(servers, tmp_path_factory.mktemp("crowd"), workers=0, settings={"api.max_catalog_bytes": "64MiB"})
    finally:
        kit.find_binary = before
    with cluster:
        yield cluster


def peak_mib(daemon):
    for line in pathlib.Path(f"/proc/{daemon.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise AssertionError("no VmHWM")


def note_peaks(cluster, verdicts, attack):
    for role, bound in (("api", API_PEAK_MIB), ("scheduler", SCHEDULER_PEAK_MIB)):
        peak = max(peak_mib(daemon) for daemon in cluster.of(role))
        verdicts.check(attack, f"peak memory of the {role} so far under {bound} MiB", f"{peak:.0f} MiB", ok=peak < bound)


class Others:
    """Meanwhile: /healthz and a small push, again and again; the slowest of each."""

    def __init__(self, cluster):
        self.cluster, self.stop, self.slowest, self.count, self.failed = cluster, threading.Event(), {"healthz": 0.0, "push": 0.0}, 0, []
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        while not self.stop.is_set():
            for name, ask in (("healthz", lambda: requests.get(self.cluster.url + "/healthz", timeout=60)),
                              ("push", lambda: requests.post(self.cluster.url + "/v1/catalogs", params={"name": f"small {self.count}"}, data=b"https://picsum.photos/id/1/2/3\n",
                                                             timeout=60))):
                began = time.monotonic()
                try:
                    status = ask().status_code
                except requests.RequestException as error:
                    status = type(error).__name__
                self.slowest[name] = max(self.slowest[name], time.monotonic() - began)
                if status not in (200, 202):
                    self.failed.append(f"{name}: {status}")
            self.count += 1
            self.stop.wait(0.2)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()

    def tell(self, verdicts, attack):
        verdicts.check(f"{attack}: others meanwhile", "all answered", self.failed[:3] or "all answered")
        for name, seconds in self.slowest.items():
            verdicts.check(f"{attack}: others' slowest {name} of {self.count}", "within 20 s", f"{seconds * 1000:.0f} ms", ok=seconds < 20)


def counts_of(cluster, id):
    """Once every line was judged."""
    kit.wait_until(lambda: cluster.catalog(id)["counts"]["duplicate"] is not None, 600, lambda: f"all lines admitted: {cluster.catalog(id)}")
    return cluster.catalog(id)["counts"]


def all_errors(cluster, id):
    cursor = None
    while True:
        page = cluster.get(f"/v1/catalogs/{id}/errors", limit=1000, **({"cursor": cursor} if cursor else {})).json()
        yield from page["errors"]
        cursor = page["next"]
        if not cursor:
            return


def test_lines_of_megabytes_binary_and_nuls(crowd, verdicts):
    """Each line judged by its number, whatever stands around it"""
    rng = random.Random(6)
    lines = [(b"https://picsum.photos/" + b"x" * (12 * MIB), "too_long"), (b"https://picsum.photos/id/7/20/30", None), (b"http://a.example/\x00b", "not_text"),
             (b"http://a.example/\xff\xfe\x80", None), (b"\x00" * 5000, None), (b"a" * (5 * MIB), None), (b"https://picsum.photos/id/8/20/30", None), (b" " * (3 * MIB), "too_long"),
             (bytes(rng.randrange(256) for _ in range(100_000)).replace(b"\n", b"."), None), (b"https://picsum.photos/id/9/20/30", None)]
    body = b"\n".join(line for line, _ in lines)
    with Others(crowd) as others:
        id = crowd.push(body, name="huge lines")["id"]
        counts = counts_of(crowd, id)
    others.tell(verdicts, "lines of up to 12 MB")
    rejected = {row["line"]: row["reason"] for row in all_errors(crowd, id)}
    verdicts.check("lines of up to 12 MB, binary, NULs: lines", len(lines), counts["lines"])
    verdicts.check("…: every line is accounted for", len(lines), counts["accepted"] + counts["invalid"] + counts["duplicate"] + counts["blank"])
    for number, (line, reason) in enumerate(lines, 1):
        if reason:
            verdicts.check(f"line {number}: {line[:24]!r}… of {len(line)} bytes", reason, rejected.get(number))
    verdicts.check("the good lines among them", 3, len({2, 7, 10} - set(rejected)))
    note_peaks(crowd, verdicts, "lines of megabytes")


@pytest.mark.long
def test_a_million_invalid_lines(crowd, verdicts):
    kinds = [(lambda n: b"nonsense %d" % n, "no_scheme"), (lambda n: b"ftp://a.example/%d" % n, "bad_scheme"), (lambda n: b"http://u:p@a.example/%d" % n, "credentials"),
             (lambda n: b"http://a.example:99/%d" % n, "bad_port"), (lambda n: b"https://picsum.photos/%d/9999" % (n + 6000), "bad_size")]
    count = 1_000_000
    expected = {}
    for index in range(count):
        expected[kinds[index % len(kinds)][1]] = expected.get(kinds[index % len(kinds)][1], 0) + 1
    body = gzip.compress(b"".join(kinds[index % len(kinds)][0](index) + b"\n" for index in range(count)), 1)
    with Others(crowd) as others:
        answer = requests.post(crowd.url + "/v1/catalogs", params={"name": "a million"}, data=body, headers={"Content-Encoding": "gzip"}, timeout=600)
        verdicts.check("a million invalid lines", 202, answer.status_code)
        counts = counts_of(crowd, answer.json()["id"])
    others.tell(verdicts, "a million invalid lines")
    verdicts.check("…: lines, rejected", f"{count}, {count}", f"{counts['lines']}, {counts['invalid']}")
    told = collections.Counter(row["reason"] for row in all_errors(crowd, answer.json()["id"]))
    verdicts.check("…: reasons, counted here and there", str(dict(sorted(expected.items()))), str(dict(sorted(told.items()))))
    note_peaks(crowd, verdicts, "a million invalid lines")


def member(data, level=9):
    packer = zlib.compressobj(level, zlib.DEFLATED, 31)
    return packer.compress(data) + packer.flush()


LINE = b"https://picsum.photos/id/3/30/30\n"
GOOD = gzip.compress(LINE * 3)


@pytest.mark.parametrize("attack, body, status, lines", [
    ("gzip cut in the middle", GOOD[:-12], 400, None), ("gzip without its sum", GOOD[:-8], 400, None), ("garbage behind gzip", GOOD + b"garbage", 400, None),
    ("gzip with a wrong sum", GOOD[:-8] + struct.pack("<II", 1, 99), 400, None), ("gzip that is text", LINE, 400, None), ("an empty body said to be gzip", b"", 400, None),
    ("three members", GOOD + gzip.compress(LINE) + gzip.compress(b"# end\n"), 202, 5), ("zeros behind gzip", GOOD + b"\0" * 512, 202, 3),
    ("a thousand empty members", member(b"") * 1000 + gzip.compress(LINE + b"\n"), 202, 2), ("a zlib stream", zlib.compress(LINE), 400, None),
])
def test_gzip(crowd, verdicts, attack, body, status, lines):
    answer = requests.post(crowd.url + "/v1/catalogs", params={"name": attack}, data=body, headers={"Content-Encoding": "gzip"}, timeout=120)
    verdicts.check(attack, status, answer.status_code if answer.status_code != 200 else 202)
    if status == 400:
        verdicts.check(attack + ": the refusal", "bad_request", answer.json().get("reason"))
    elif lines is not None and answer.status_code in (200, 202):
        verdicts.check(attack + ": lines", lines, crowd.catalog(answer.json()["id"])["counts"]["lines"])


def bomb(plain_mib):
    """One line end after another: the ratio is a thousand to one."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    for _ in range(plain_mib):
        yield packer.compress(b"\n" * MIB)
    yield packer.flush()


def test_a_gzip_bomb(crowd, verdicts):
    before = crowd.db.catalogs.count_documents({"name": "bomb"})
    with Others(crowd) as others:
        answer = requests.post(crowd.url + "/v1/catalogs", params={"name": "bomb"}, data=b"".join(bomb(100)), headers={"Content-Encoding": "gzip"}, timeout=600)
    others.tell(verdicts, "a gzip bomb")
    verdicts.check("a gzip bomb: 100 MiB out of 100 KiB where 64 MiB is the maximum", 413, answer.status_code)
    verdicts.check("…: catalogs made", 0, crowd.db.catalogs.count_documents({"name": "bomb"}) - before)
    note_peaks(crowd, verdicts, "a gzip bomb")
