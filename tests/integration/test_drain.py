# SPDX-License-Identifier: Apache-2.0
"""SIGTERM under load: what is in hand is finished, nothing is left pending, nothing is done twice."""
import collections
import re
import time

from kit import make_catalog, wait_until
from oracle import check_receipt


def instance(daemon):
    """The consumer's name, as its log tells it."""
    return next(entry["instance"] for entry in daemon.entries() if entry.get("instance"))


def pending(cluster, stream, group, name):
    consumers = {row["name"].decode(): row["pending"] for row in cluster.redis.xinfo_consumers(cluster.key(stream), group)}
    return consumers.get(name, 0)


def lingering(worker):
    found = re.search(r'grisaille_slots{state="lingering"} (\d+)', worker.metrics())
    return int(found[1]) if found else 0  # none before it has started


def test_sigterm_under_load_exits_zero_with_nothing_pending_and_nothing_redelivered(fleet, origin):
    data = make_catalog(3000, "--clean", "--max-size", "64")
    cluster = fleet(schedulers=2, workers=2)
    catalog = cluster.push(data)
    jobs = cluster.key("jobs")
    wait_until(lambda: cluster.db.urls.count_documents({"state": "done"}) > 200, 90, lambda: cluster.tails(), 0.05)
    worker, scheduler = cluster.of("worker")[0], cluster.of("scheduler")[0]
    cluster.start("worker")
    assert worker.stop(70) == 0
    assert pending(cluster, "jobs", "workers", instance(worker)) == 0
    assert cluster.redis.xlen(jobs) > 0, "it was under load"
    assert scheduler.stop(70) == 0
    assert pending(cluster, "urls", "scheduler", instance(scheduler)) == 0
    counts = cluster.wait_drained(catalog, 240)["counts"]
    check_receipt(counts)
    assert (counts["accepted"], counts["dead"]) == (3000, 0)
    often = collections.Counter(origin.counts("picsum.photos/").values())
    assert often == {1: 3000}, f"times asked → URLs: {often}"
    cluster.verify()


def test_an_idle_daemon_ends_at_once(fleet):
    cluster = fleet()
    for daemon in list(cluster.daemons):
        assert daemon.stop(20) == 0


def test_sigterm_finishes_what_is_fetched_and_hands_back_what_waits_for_its_host(fleet, origin):
    """A host lets 16 transfers in at once and takes 2 s for each: those under way end, hundreds that wait for their turn go to another worker."""
    urls = [f"https://slow.test/fault/slow/2000?k=lingers-{number}" for number in range(240)]
    cluster = fleet(workers=1, settings={"worker.slots": 8, "worker.lingering": 400, "worker.drain_ms": 30000})
    catalog = cluster.push(urls)
    first = cluster.of("worker")[0]
    wait_until(lambda: lingering(first) >= 100, 60, lambda: cluster.tails(), 0.1)
    wait_until(lambda: cluster.db.urls.count_documents({"state": "done"}) >= 16, 60, lambda: cluster.tails(), 0.05)
    began = time.monotonic()
    assert first.stop(40) == 0
    took = time.monotonic() - began
    assert took < 15, f"{took:.1f} s to drain"
    assert pending(cluster, "jobs", "workers", instance(first)) == 0
    left = cluster.db.urls.count_documents({"state": {"$in": ["queued", "waiting"]}})
    assert left > 100, "it had more in hand than it could finish"
    assert not list(cluster.db.urls.find({"attempts": {"$gt": 0}})), "nobody is charged for it"
    for _ in range(2):
        cluster.start("worker")
    counts = cluster.wait_drained(catalog, 240)["counts"]
    check_receipt(counts)
    assert (counts["accepted"], counts["dead"]) == (len(urls), 0)
    often = collections.Counter(origin.counts("slow.test/").values())
    assert often == {1: len(urls)}, f"times asked → URLs: {often}"
    cluster.verify()
