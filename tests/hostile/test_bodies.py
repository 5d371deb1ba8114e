# SPDX-License-Identifier: Apache-2.0
"""Servers that send too much, too slowly, too little or nonsense: each has its reason, and good pictures pass by beside them."""
import contextlib
import pathlib
import time

import pytest

import kit
from hostile_origin import ATTACKS, HostileOrigin, distant_origin

# attack → reasons. A length that no number can hold counts as none: the picture is whole, which the decoder has seen.
EXPECTED = {
    "gzip-bomb": {"not_image"}, "endless": {"too_large"}, "endless-chunks": {"too_large"}, "header-flood": {"too_large"},
    "one-long-header": {"too_large"}, "continue-flood": {"too_large"}, "trailer-flood": {"too_large"}, "announced-petabyte": {"too_large"},
    "drip": {"too_slow"}, "slow-headers": {"too_slow"}, "no-answer": {"too_slow", "timeout"}, "silence-in-body": {"too_slow", "timeout"},
    "length-too-long": {"truncated"}, "length-too-short": {"corrupt_image"}, "length-negative": {"truncated", "connect"},
    "just-fast-enough": {"timeout"}, "length-overflows": {"stored"}, "length-is-text": {"truncated", "connect"}, "no-bytes": {"empty"},
    "chunk-garbage": {"truncated"}, "chunk-overflows": {"truncated"}, "chunk-cut": {"truncated"}, "chunk-without-end": {"truncated"},
    "chunk-wrong-end": {"truncated"}, "not-http": {"connect"}, "binary": {"connect"}, "hang-up": {"connect"}, "status-999": {"http_5xx", "http_4xx"},
    "html-as-png": {"not_image"}, "header-with-nul": {"stored", "connect", "truncated"},
}
GOOD_SECONDS = 25  # what is sent at once is judged long before a transfer's deadline
DEADLINE_MS = 14000
SETTINGS = {"fetch.ca_file": "", "fetch.timeout_ms": DEADLINE_MS, "fetch.connect_timeout_ms": 3000, "fetch.max_bytes": "4MiB",
            "retry.max_attempts": 1, "fetch.host_concurrency": 16}


@pytest.fixture
def hostile():
    origin = HostileOrigin()
    yield origin
    origin.close()


def peak_kib(pid):
    """The process' peak resident memory."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    raise AssertionError(f"no VmHWM of {pid}")


def test_each_attack_has_its_reason_and_its_end(fleet, hostile, verdicts, release, monkeypatch):
    assert set(EXPECTED) == set(ATTACKS)
    monkeypatch.setenv("GRISAILLE_BIN", str(release / "grisaille"))
    cluster = fleet(workers=1, settings={**SETTINGS, "fetch.connect_to": hostile.connect_to()})
    worker = cluster.of("worker")[0]
    cluster.run([f"http://good.test/before/{number}" for number in range(40)])
    before = peak_kib(worker.pid)
    urls = {f"http://{name}.test/{name}/{number}": name for name in ATTACKS for number in range(3)}
    good = [f"http://good.test/during/{number}" for number in range(200)]
    began = time.monotonic()
    fates = cluster.fates(cluster.run([*urls, *good], seconds=120))
    took = time.monotonic() - began
    for name, reasons in EXPECTED.items():
        got = {fates[url].get("reason") or "stored" if fates[url]["outcome"] != "dead" else fates[url]["reason"] for url in urls if urls[url] == name}
        verdicts.check(f"{name}, three times", reasons, " ".join(sorted(got)), got <= reasons)
    stored = sum(fates[url]["outcome"] in ("stored", "duplicate_content") for url in good)
    verdicts.check("200 good pictures beside them", 200, stored)
    verdicts.check("all of it", f"under {DEADLINE_MS // 1000 + 60} s", f"{took:.0f} s", took < DEADLINE_MS / 1000 + 60)
    grown = (peak_kib(worker.pid) - before) >> 10
    verdicts.check("the worker's peak memory, 4 MiB a body allowed, over that of good pictures", "200 MiB more at most", f"{grown} MiB more", grown <= 200)


def good_seconds(cluster, tag, count, bad):
    """Until all of `count` good pictures are stored, with `bad` URLs pushed just before them in the same catalog, mixed."""
    good = [f"http://good.test/{tag}/{number}" for number in range(count)]
    step = max(1, len(bad) // count + 1)
    lines = []
    rest = iter(bad)
    for url in good:
        lines += [*(line for _, line in zip(range(step), rest)), url]
    began = time.monotonic()
    cluster.push(lines)
    query = {"state": "done", "url": {"$regex": f"^http://good.test/{tag}/"}}
    kit.wait_until(lambda: cluster.db.urls.count_documents(query) == count, 240, lambda: f"{cluster.db.urls.count_documents(query)} of {count}", 0.02)
    return time.monotonic() - began


SLOW = ("drip", "slow-headers", "no-answer", "silence-in-body", "endless", "chunk-cut", "header-flood", "hang-up", "gzip-bomb", "announced-petabyte")


@pytest.fixture
def good_origin():
    """A server far away: what is measured is slots, not the processors."""
    with distant_origin(0.05) as port:
        yield port


@pytest.mark.parametrize("hosts", [1, pytest.param(10, marks=pytest.mark.long), pytest.param(100, marks=pytest.mark.long)])
def test_a_thousand_bad_urls_do_not_slow_the_good_ones(fleet, hostile, good_origin, verdicts, release, monkeypatch, hosts):
    """Ratio of two times of one run, so that the machine's speed does not count."""
    monkeypatch.setenv("GRISAILLE_BIN", str(release / "grisaille"))
    connect_to = [f"good.test:80:127.0.0.1:{good_origin}", *hostile.connect_to()]
    cluster = fleet(workers=1, settings={**SETTINGS, "fetch.timeout_ms": 30000, "fetch.connect_to": connect_to})
    count = 1000
    good_seconds(cluster, "warm", 200, [])
    alone = good_seconds(cluster, "alone", count, [])
    bad = [f"http://bad-{number % hosts}.test/{SLOW[number // hosts % len(SLOW)]}/{number}" for number in range(1000)]
    beside = good_seconds(cluster, "beside", count, bad)
    verdicts.check(f"{count} good pictures with 1000 bad URLs of {hosts} hosts among them", "1.2 times as long at most",
                   f"{beside / alone:.2f} times ({alone:.1f} s alone, {beside:.1f} s beside)", beside <= 1.2 * alone)
    verdicts.note(f"1000 bad URLs of {hosts} hosts", "the worker's peak memory", f"{peak_kib(cluster.of('worker')[0].pid) >> 10} MiB")
    with contextlib.suppress(AssertionError):
        cluster.of("worker")[0].kill()  # what drips on is not waited for
