# SPDX-License-Identifier: Apache-2.0
"""Drain and deploy: each process is replaced in turn while it works, politely and not, and no number changes."""
import collections
import time

import pytest

import kit
from oracle import check_receipt
from recovery import QUICK, Supervisor, drain, verify
from test_pauses import instance, metric, pending

LINES = 1000
GRACE_SECONDS = 30
POLITE = {"worker.lease_ms": 10000, "worker.heartbeat_ms": 1000, "worker.drain_ms": GRACE_SECONDS * 1000}


def done(cluster):
    return cluster.db.urls.count_documents({"state": "done"})


def replace(cluster, role, old):
    """As a deploy does: the new one first, then SIGTERM to the old one."""
    new = cluster.start(role)
    new.probe_address()
    started = time.monotonic()
    reclaims = metric(old, "grisaille_reclaims_total")
    assert old.stop(GRACE_SECONDS + 5) == 0
    return reclaims, time.monotonic() - started, new


@pytest.mark.quick
def test_a_rolling_restart_of_every_process_changes_no_number_and_redelivers_nothing(fleet, origin):
    data = "".join(f"https://origin.test/fault/slow/400?k=rolling-{number}\n" for number in range(LINES)).encode()
    cluster = fleet(schedulers=2, workers=2, settings={**POLITE, "worker.slots": 16})
    catalog = cluster.push(data)
    taken_over, under_load = 0, 0
    for role in ("worker", "scheduler", "worker", "scheduler"):
        old = cluster.of(role)[0]
        if role == "worker":
            kit.wait_until(lambda: pending(cluster, "jobs", "workers", old) > 0, 60, lambda: cluster.tails(), 0.01)
            under_load += 1
        reclaims, took, _ = replace(cluster, role, old)
        taken_over += reclaims
        assert took < GRACE_SECONDS, f"{old.name} took {took:.1f} s"
        for stream, group in (("jobs", "workers"), ("urls", "scheduler")):
            names = {row["name"].decode() for row in cluster.redis.xinfo_consumers(cluster.key(stream), group)}
            assert instance(old) not in names, f"{old.name} is still in the group {group}"
    receipt = cluster.wait_drained(catalog, 240)
    # the API last: its address changes with it
    api = cluster.of("api")[0]
    _, _, new = replace(cluster, "api", api)
    cluster.url = f"http://{new.wait_address('api')}"
    taken_over += sum(metric(daemon, "grisaille_reclaims_total") for role in ("worker", "scheduler") for daemon in cluster.of(role))
    assert under_load == 2 and taken_over == 0, f"{taken_over} entries were redelivered"
    assert cluster.db.events.count_documents({"event": {"$in": ["reclaimed", "repaired"]}}) == 0
    often = collections.Counter(origin.counts("origin.test/fault/slow/").values())
    assert often == {1: LINES}, f"times asked → URLs: {often}"
    counts = receipt["counts"]
    assert (counts["lines"], counts["accepted"], counts["stored"] + counts["duplicate_content"], counts["dead"]) == (LINES, LINES, LINES, 0)
    verify(cluster, [data], [receipt], 0)


def test_a_push_is_whole_or_not_at_all_when_the_api_is_replaced_under_it(fleet):
    """SIGTERM to the API while clients push: each push is answered, or can be repeated; none is there by half."""
    import concurrent.futures

    from recovery import push_again_and_again

    cluster = fleet(schedulers=1, workers=1, settings=POLITE)
    supervisor = Supervisor(cluster)
    catalogs = [f"https://picsum.photos/id/{number}/30/30\n".encode() + b"# filler\n" * 400_000 for number in range(6)]
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        pushes = [pool.submit(push_again_and_again, cluster, supervisor, data, f"c{number}") for number, data in enumerate(catalogs)]
        for _ in range(2):
            time.sleep(0.5)
            old = cluster.of("api")[0]
            _, _, new = replace(cluster, "api", old)
            cluster.url = f"http://{new.wait_address('api')}"
        pushed = [future.result() for future in pushes]
    receipts = drain(cluster, supervisor, pushed)
    assert cluster.db.catalogs.count_documents({"state": {"$ne": "abandoned"}}) == len(catalogs)
    for receipt in receipts:
        check_receipt(receipt["counts"])
        assert (receipt["counts"]["lines"], receipt["counts"]["accepted"]) == (400_001, 1), receipt["counts"]
    cluster.verify()


@pytest.mark.slow
def test_innocent_urls_survive_ten_rolling_kills(fleet, origin):
    """Every worker dies ten times with the same slow jobs in hand; delivered eleven times, they are no poison."""
    cluster = fleet(schedulers=1, workers=2, settings={**QUICK, "worker.job_timeout_ms": 60000})
    supervisor = Supervisor(cluster)
    for daemon in cluster.of("worker"):
        supervisor.watched[daemon] = "worker"
    slow = [f"https://origin.test/fault/slow/8000?k=innocent-{number}" for number in range(6)]
    data = "".join(url + "\n" for url in slow).encode() + kit.make_catalog(200, "--clean", "--max-size", "40")
    catalog = cluster.push(data)
    jobs = cluster.key("jobs")
    kit.wait_until(lambda: done(cluster) >= 200, 120, lambda: cluster.tails())

    def deliveries():
        rows = cluster.redis.xpending_range(jobs, "workers", "-", "+", 100)
        return sorted(row["times_delivered"] for row in rows)

    for round in range(1, 11):
        supervisor.wait(lambda: len(deliveries()) == len(slow) and deliveries()[0] >= round, 60, lambda: f"round {round}: {deliveries()}\n{cluster.tails()}")
        for daemon in [daemon for daemon in supervisor.watched]:
            daemon.kill()
        supervisor.look()
    receipt = drain(cluster, supervisor, [catalog], 180)[0]
    assert supervisor.deaths == 20
    assert receipt["counts"]["dead"] == 0, [row for row in cluster.lines(receipt) if row["outcome"] == "dead"]
    verify(cluster, [data], [receipt], 0)
