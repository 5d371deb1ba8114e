# SPDX-License-Identifier: Apache-2.0
"""Drain and deploy: each process is replaced in turn while it works, politely and not, and no number changes."""
import collections
import pathlib
import re
import signal
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
    # The first sweep is of a Redis that has just got its groups: it may find jobs that are still on their way there. Let it be over.
    cluster.run(b"https://picsum.photos/id/1/8/8\n", "first")
    repeated = {"event": {"$in": ["reclaimed", "repaired"]}}
    before = cluster.db.events.count_documents(repeated)
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
    assert cluster.db.events.count_documents(repeated) == before
    often = collections.Counter(origin.counts("origin.test/fault/slow/").values())
    assert often == {1: LINES}, f"times asked → URLs: {often}"
    counts = receipt["counts"]
    assert (counts["lines"], counts["accepted"], counts["stored"] + counts["duplicate_content"], counts["dead"]) == (LINES, LINES, LINES, 0)
    verify(cluster, [data], [receipt], 0)


def has_begun(daemon):
    """It ignores SIGPIPE, as main does first of all: the program runs, and not just its loader."""
    status = pathlib.Path(f"/proc/{daemon.pid}/status").read_text()
    return int(re.search(r"^SigIgn:\s*(\w+)$", status, re.M)[1], 16) >> (signal.SIGPIPE - 1) & 1


@pytest.mark.parametrize("role", ("api", "scheduler", "worker"))
def test_a_daemon_that_is_told_to_end_while_it_starts_ends_well(fleet, role):
    cluster = fleet(schedulers=0, workers=0, api=0)
    for _ in range(3):
        daemon = cluster.start(role)
        kit.wait_until(lambda: has_begun(daemon), 30, lambda: kit.tail(daemon.log), 0.0005)
        assert daemon.stop(GRACE_SECONDS) == 0
        cluster.daemons.remove(daemon)


def test_consumers_of_killed_processes_leave_their_groups_and_what_they_held_does_not(fleet, origin):
    """Each start makes a consumer; those that nobody is behind any more go, once others have what they held."""
    cluster = fleet(schedulers=1, workers=1, settings={**QUICK, "worker.lease_ms": 1000, "worker.heartbeat_ms": 200})
    supervisor = Supervisor(cluster)
    for role in ("scheduler", "worker"):
        supervisor.watched[cluster.of(role)[0]] = role
    urls = [f"https://origin.test/fault/slow/1500?k=retired-{number}" for number in range(60)]
    catalog = cluster.push(urls)
    for _ in range(3):
        for daemon in supervisor.watched:
            daemon.probe_address()
        working = [daemon for daemon in supervisor.watched if daemon.role == "worker"]
        kit.wait_until(lambda: all(pending(cluster, "jobs", "workers", daemon) > 0 for daemon in working), 60, lambda: cluster.tails(), 0.01)
        for daemon in list(supervisor.watched):
            daemon.kill()
        supervisor.look()
    receipts = drain(cluster, supervisor, [catalog])
    alive = {instance(daemon) for daemon in supervisor.watched}
    assert supervisor.deaths == 6 and len(alive) == 2

    def consumers():
        return {row["name"].decode() for stream, group in (("jobs", "workers"), ("urls", "scheduler"))
                for row in cluster.redis.xinfo_consumers(cluster.key(stream), group)}

    kit.wait_until(lambda: consumers() <= alive, 90, lambda: f"{consumers()} of {alive}\n{cluster.tails()}")
    assert sum(metric(daemon, "grisaille_consumers_retired_total") for daemon in cluster.of("scheduler")) >= 1
    assert receipts[0]["counts"]["dead"] == 0
    verify(cluster, ["".join(url + "\n" for url in urls).encode()], receipts, 0)
    # who was retired for reading nothing reads on
    assert cluster.run([f"https://picsum.photos/id/{number}/24/24" for number in range(5)], "after")["counts"]["stored"] == 5


@pytest.mark.quick
def test_a_killed_workers_jobs_are_anothers_a_lease_later(fleet, origin):
    cluster = fleet(schedulers=1, workers=2, settings=QUICK)
    urls = [f"https://origin.test/fault/slow/1500?k=killed-{number}" for number in range(40)]
    catalog = cluster.push(urls)
    victim = cluster.of("worker")[0]
    kit.wait_until(lambda: pending(cluster, "jobs", "workers", victim) >= 4, 60, lambda: cluster.tails(), 0.01)
    held = pending(cluster, "jobs", "workers", victim)
    victim.kill()
    began = time.monotonic()
    kit.wait_until(lambda: pending(cluster, "jobs", "workers", victim) == 0, 60, lambda: cluster.tails(), 0.02)
    took = time.monotonic() - began
    print(f"worker killed with {held} jobs in hand: others have them after {took:.1f} s (lease {QUICK['worker.lease_ms'] / 1000:.0f} s)")
    receipt = cluster.wait_drained(catalog, 120)
    assert sum(metric(daemon, "grisaille_reclaims_total") for daemon in cluster.of("worker")) >= held
    verify(cluster, ["".join(url + "\n" for url in urls).encode()], [receipt], 0)


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
