# SPDX-License-Identifier: Apache-2.0
"""A small catalog is not stuck behind a huge one, and Redis holds no more than its window."""
import threading
import time

import pytest

from kit import catalog_id, make_catalog
from oracle import check_receipt

WINDOW = 100_000  # the default


class Sampler(threading.Thread):
    """Looks at Redis all the while."""

    def __init__(self, cluster):
        super().__init__(daemon=True)
        self.cluster, self.inflight, self.jobs, self.memory, self.ended = cluster, 0, 0, 0, threading.Event()

    def run(self):
        while not self.ended.wait(0.2):
            redis = self.cluster.redis
            self.inflight = max(self.inflight, self.cluster.inflight())
            self.jobs = max(self.jobs, redis.xlen(self.cluster.key("jobs")))
            self.memory = max(self.memory, redis.info("memory")["used_memory"])


@pytest.mark.slow
def test_a_small_catalog_finishes_while_a_huge_one_runs(fleet, origin, capsys):
    cluster = fleet(schedulers=1, workers=2, settings={"dispatch.window": WINDOW})
    big = cluster.push(make_catalog(200_000, "--clean", "--max-size", "64"), "huge")
    sampler = Sampler(cluster)
    sampler.start()
    time.sleep(15)  # it has taken all of the queue that it may have
    started = time.monotonic()
    small = cluster.push([f"https://other.test/kind/jpeg/16/16/{number}" for number in range(200)], "small")
    receipt = cluster.wait_drained(small, 120)
    took = time.monotonic() - started
    sampler.ended.set()
    sampler.join(10)
    check_receipt(receipt["counts"])
    assert receipt["counts"]["accepted"] == 200 and receipt["counts"]["dead"] == 0
    assert cluster.catalog(catalog_id(big))["state"] == "running"
    assert took < 90, f"{took:.0f} s"
    assert 2000 < sampler.inflight <= WINDOW and sampler.jobs <= WINDOW, (sampler.inflight, sampler.jobs)
    with capsys.disabled():
        print(f"\nsmall catalog {took:.1f} s; inflight at most {sampler.inflight} of {WINDOW}; Redis at most {sampler.memory / 1e6:.1f} MB")
