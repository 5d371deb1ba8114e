# SPDX-License-Identifier: Apache-2.0
"""Processes that stop and wake, and clocks that lie: the woken find themselves fenced, and no clock decides anything."""
import datetime
import os
import random
import re
import signal
import subprocess
import time

import pytest

import kit
from recovery import DEAD_TARGETS, QUICK, Supervisor, drain, mixed_catalog, verify

LEASE_SECONDS = QUICK["worker.lease_ms"] / 1000
# for clocks: a lease that a busy machine does not miss, but a wrong clock would
UNHURRIED = {**QUICK, "worker.lease_ms": 15000, "worker.heartbeat_ms": 1000, "scheduler.stale_ms": 20000, "scheduler.lost_ms": 40000}
LIBFAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"


def instance(daemon):
    return next(entry["instance"] for entry in daemon.entries() if entry.get("instance"))


def metric(daemon, name):
    return sum(float(value) for value in re.findall(rf"^{name}(?:{{[^}}]*}})? ([0-9.e+]+)$", daemon.metrics(), re.M))


def pending(cluster, stream, group, daemon):
    """How many entries this daemon holds."""
    rows = cluster.redis.xinfo_consumers(cluster.key(stream), group) if cluster.redis.exists(cluster.key(stream)) else []
    return {row["name"].decode(): row["pending"] for row in rows}.get(instance(daemon), 0)


def stop(daemon):
    os.kill(daemon.pid, signal.SIGSTOP)


def wake(daemon):
    os.kill(daemon.pid, signal.SIGCONT)


def state_of(cluster):
    """Everything a woken process could have changed."""
    urls = {url["_id"]: url for url in cluster.db.urls.find({})}
    images = {image["_id"]: (image["job"], image["inserted_at"]) for image in cluster.db.images.find({}, {"job": 1, "inserted_at": 1})}
    chunks = {chunk["_id"]: (chunk["admitted"], chunk.get("admitted_at")) for chunk in cluster.db.catalog_chunks.find({}, {"text": 0})}
    return urls, images, chunks


@pytest.mark.parametrize("stage", ("fetching", pytest.param("random", marks=pytest.mark.quick), "waiting"))
def test_a_worker_stopped_for_longer_than_its_lease_wakes_fenced_and_changes_nothing(fleet, origin, stage):
    """Others finish its jobs; what it does when it wakes matches nothing. `random`: the bytes it holds are not those that were stored."""
    targets = {
        "fetching": "https://origin.test/fault/slow/700?k=pause-{}", "random": "https://picsum.photos/{}/640",
        "waiting": "https://origin.test/fault/500?k=pause-{}",
    }
    reached = {
        "fetching": lambda: origin.count(targets[stage].format(100)), "random": lambda: cluster.db.images.count_documents({}) >= 3,
        "waiting": lambda: cluster.db.urls.count_documents({"attempts": {"$gt": 0}}) >= 3,
    }
    cluster = fleet(schedulers=1, workers=1, settings=QUICK)
    sleeper = cluster.of("worker")[0]
    data = "".join(targets[stage].format(100 + number) + "\n" for number in range(40)).encode()
    catalog = cluster.push(data)
    kit.wait_until(reached[stage], 60, lambda: cluster.tails(), 0.002)
    stop(sleeper)
    try:
        assert pending(cluster, "jobs", "workers", sleeper) > 0, "it is to sleep with jobs in hand"
        cluster.start("worker")
        receipt = cluster.wait_drained(catalog, 120)
        cluster.wait_empty()
        before = state_of(cluster)
    finally:
        wake(sleeper)
    kit.wait_until(lambda: metric(sleeper, "grisaille_fenced_total") > 0, 60, lambda: cluster.tails())
    time.sleep(LEASE_SECONDS)
    assert state_of(cluster) == before, "the woken worker changed something"
    verify(cluster, [data], [receipt], 40 if stage == "waiting" else 0)
    # it lives, and works on
    again = cluster.run("".join(f"https://picsum.photos/id/{number}/33/34\n" for number in range(60)).encode(), "after")
    assert again["counts"]["dead"] == 0


@pytest.mark.quick
def test_a_scheduler_stopped_for_longer_than_its_lease_wakes_fenced_and_admits_nothing_twice(fleet):
    cluster = fleet(schedulers=1, workers=1, settings={**QUICK, "scheduler.batch": 2})
    sleeper = cluster.of("scheduler")[0]
    data = kit.make_catalog(1500, "--clean", "--max-size", "24")
    catalog = cluster.push(data)
    kit.wait_until(lambda: cluster.db.urls.count_documents({}) > 50, 60, lambda: cluster.tails(), 0.002)
    stop(sleeper)
    try:
        assert pending(cluster, "urls", "scheduler", sleeper) > 0, "it is to sleep with a chunk in hand"
        cluster.start("scheduler")
        receipt = cluster.wait_drained(catalog, 180)
        cluster.wait_empty()
        before = state_of(cluster)
    finally:
        wake(sleeper)
    kit.wait_until(lambda: metric(sleeper, "grisaille_fenced_total") > 0, 60, lambda: cluster.tails())
    time.sleep(LEASE_SECONDS)
    cluster.wait_empty()
    assert state_of(cluster) == before, "the woken scheduler changed something"
    verify(cluster, [data], [receipt], 0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", (1, 2))
def test_processes_that_stop_and_wake_at_random_lose_and_repeat_nothing(fleet, seed):
    dice = random.Random(seed)
    cluster = fleet(schedulers=2, workers=3, settings=QUICK)
    data = mixed_catalog(f"random{seed}") + kit.make_catalog(1500, "--clean", "--max-size", "40", "--seed", str(seed))
    catalog = cluster.push(data)
    asleep = []
    deadline = time.monotonic() + 120
    try:
        for _ in range(8):
            sleeper = dice.choice(cluster.of("scheduler") + cluster.of("worker") * 2)
            time.sleep(dice.uniform(0.05, 1.0))
            stop(sleeper)
            asleep.append(sleeper)
            time.sleep(dice.choice((0.3, LEASE_SECONDS * 0.9, LEASE_SECONDS * 2)))
            wake(asleep.pop())
    finally:
        for sleeper in asleep:
            wake(sleeper)
    receipt = cluster.wait_drained(catalog, max(60, deadline - time.monotonic()))
    cluster.wait_empty(120)
    verify(cluster, [data], [receipt], DEAD_TARGETS)


# --- clocks -----------------------------------------------------------------------------------------------------------


def faked(clock, file=None):
    """The environment in which a daemon sees another wall clock. Durations are taken from the monotonic clock: that one is left alone."""
    assert os.access(LIBFAKETIME, os.R_OK), "libfaketime is missing: tools/setup test"
    runtime = subprocess.run(["gcc", "-print-file-name=libasan.so"], check=True, capture_output=True, text=True).stdout.strip()
    sanitized = b"__asan_init" in open(kit.find_binary(), "rb").read()
    # the sanitizer's runtime must come first
    env = {"LD_PRELOAD": f"{runtime} {LIBFAKETIME}" if sanitized else LIBFAKETIME, "FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME_DONT_RESET": "1",
           # else it takes deadlines of monotonic condition variables for wall times, and every wait of a thread is a busy loop
           "FAKETIME_FORCE_MONOTONIC_FIX": "0"}
    # read once a second, not at every look at the clock: that costs much, and libfaketime was seen to crash so
    return {**env, "FAKETIME_TIMESTAMP_FILE": str(file), "FAKETIME_CACHE_DURATION": "1"} if file else {**env, "FAKETIME": clock}


def clock_catalog(key):
    """Over plain HTTP, for a certificate has its dates; with backoff, Retry-After and a random source's redirect out of the game."""
    targets = [f"/kind/jpeg/20/{20 + number}/{number}" for number in range(30)] + [f"/fault/flaky?times=2&key={key}", f"/fault/500?k={key}"]
    lines = [f"http://origin.test{target}" for target in targets] + [f"http://limited.test/fault/429?after=2&times=1&key={key}"]
    return "".join(line + "\n" for line in lines).encode()


def run_with_clocks(fleet, key, clocks):
    """One fleet; clocks: role → environments."""
    cluster = fleet(schedulers=0, workers=0, settings=UNHURRIED)
    supervisor = Supervisor(cluster)
    for role, environments in clocks.items():
        for env in environments:
            supervisor.start(role, env).probe_address()
    data = clock_catalog(key)
    started = time.monotonic()
    receipts = drain(cluster, supervisor, [cluster.push(data)])
    took = time.monotonic() - started
    verify(cluster, [data], receipts, 1)
    limited = cluster.db.urls.find_one({"host": "limited.test"})
    assert limited["attempts"] == 0 and took >= 2, (took, limited)
    assert took < 60, f"{took:.0f} s for what takes a few"
    return cluster, receipts[0]


def set_clock(file, offset):
    """At once: half a file is no time."""
    part = file.with_suffix(".part")
    part.write_text(offset + "\n")
    part.replace(file)


def clocks_seen(daemon):
    """Wall-clock times in its log, in seconds from now."""
    now = time.time()
    return [datetime.datetime.fromisoformat(entry["time"].replace("Z", "+00:00")).timestamp() - now for entry in daemon.entries() if "time" in entry]


def counts_of(receipt):
    return {name: receipt["counts"][name] for name in ("lines", "accepted", "stored", "dead", "duplicate", "invalid", "duplicate_content")}


@pytest.mark.parametrize("offset", ("+400d", "-400d"), ids=("ahead", "behind"))
def test_wall_clocks_far_from_the_truth_change_nothing(fleet, origin, offset):
    _, truth = run_with_clocks(fleet, f"truth{offset}", {"scheduler": [None], "worker": [None]})
    cluster, receipt = run_with_clocks(fleet, f"lie{offset}", {"scheduler": [faked(offset)], "worker": [faked(offset), None]})
    assert counts_of(receipt) == counts_of(truth)
    assert all(abs(seen) > 390 * 86400 for seen in clocks_seen(cluster.of("scheduler")[0])), "its clock was another"
    # what the ledger says of time is the servers' time
    now = time.time()
    for url in cluster.db.urls.find({}):
        for name in ("created_at", "queued_at", "changed_at", "done_at"):
            if url.get(name):
                assert abs(url[name].replace(tzinfo=datetime.timezone.utc).timestamp() - now) < 600, (name, url)
    for event in cluster.db.events.find({}):
        assert abs(event["time"].replace(tzinfo=datetime.timezone.utc).timestamp() - now) < 600, event


def test_wall_clocks_that_jump_back_and_forth_change_nothing(fleet, origin, tmp_path):
    file = tmp_path / "clock"
    set_clock(file, "+0s")
    env = faked(None, file)
    # libfaketime opens its file on whatever thread looks at the clock, with signals blocked: on a decoder's, which may open none,
    # that is the end of the process
    cluster = fleet(schedulers=0, workers=0, settings={**UNHURRIED, "process.sandbox": "off"})
    supervisor = Supervisor(cluster)
    for role in ("scheduler", "scheduler", "worker", "worker"):
        supervisor.start(role, env).probe_address()
    data = clock_catalog("jumps") + "".join(f"http://origin.test/fault/slow/400?k=jumps-{number}\n" for number in range(60)).encode()
    started = time.monotonic()
    catalog = cluster.push(data)
    jumps = 0
    while cluster.catalog(kit.catalog_id(catalog))["state"] != "finished" or jumps < 8:
        set_clock(file, ("+3d", "-3d", "+3600s", "-3600s", "+10y", "+0s")[jumps % 6])
        jumps += 1
        assert time.monotonic() - started < 90, cluster.tails()
        time.sleep(1.2)
    receipts = drain(cluster, supervisor, [catalog])
    verify(cluster, [data], receipts, 1)
    seen = [clocks_seen(daemon) for daemon in cluster.of("scheduler") + cluster.of("worker")]  # most say little in so short a time
    assert any(max(clocks) - min(clocks) > 3600 for clocks in seen), f"no clock jumped: {seen}"
    assert not cluster.db.events.count_documents({"event": {"$in": ["reclaimed", "repaired"]}}), "no clock took a lease from anybody"
