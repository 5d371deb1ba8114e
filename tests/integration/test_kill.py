# SPDX-License-Identifier: Apache-2.0
"""Processes die without a word in the middle of the work; the numbers are the same."""
import pytest

from kit import catalog_id, make_catalog, wait_until
from oracle import check_lines, check_receipt

QUICK = {"worker.lease_ms": 5000, "worker.heartbeat_ms": 1000, "scheduler.sweep_ms": 2000}


def done(cluster):
    return cluster.db.urls.count_documents({"state": "done"})


@pytest.mark.slow
def test_a_killed_worker_and_a_killed_scheduler_lose_nothing_and_repeat_nothing(fleet, origin):
    data = make_catalog(4000, "--clean", "--max-size", "40")
    cluster = fleet(schedulers=2, workers=3, settings=QUICK)
    catalog = cluster.push(data)
    for number, role in enumerate(("worker", "scheduler", "worker")):
        wait_until(lambda: done(cluster) > 400 * (number + 1), 120, lambda: f"{done(cluster)} done\n{cluster.tails()}", 0.02)
        cluster.of(role)[0].kill()
    cluster.start("worker")
    receipt = cluster.wait_drained(catalog, 300)
    check_receipt(receipt["counts"])
    counts = receipt["counts"]
    assert (counts["lines"], counts["accepted"], counts["dead"], counts["invalid"], counts["duplicate"]) == (4000, 4000, 0, 0, 0), counts
    check_lines(data, cluster.lines(catalog_id(receipt)))
    assert cluster.verify() == counts["stored"]


def test_work_waits_for_daemons_that_are_not_there_yet(fleet, origin):
    cluster = fleet(schedulers=0, workers=0)
    catalog = cluster.push([f"https://picsum.photos/id/{id}/20/20" for id in range(50)])
    assert cluster.catalog(catalog_id(catalog))["state"] == "running"
    cluster.start("scheduler")
    wait_until(lambda: cluster.db.urls.count_documents({"state": "queued"}) == 50, 60, lambda: cluster.tails())
    cluster.start("worker")
    counts = cluster.wait_drained(catalog, 60)["counts"]
    check_receipt(counts)
    assert counts["accepted"] == 50 and counts["dead"] == 0
    cluster.verify()
