# SPDX-License-Identifier: Apache-2.0
"""The network fails in each known way between each pair of processes, and origins misbehave among good ones."""
import time

import pytest

import kit
from fault_proxy import REPLIES, REQUESTS, FaultProxy
from fault_servers import (  # noqa: F401 (fixtures)
    LEASE_SECONDS, done, fault_fleet, parts, proxied_mongo, redis_node, rest, settle, slow_urls, wait_done)

URLS = 200


def resets(proxy):
    for _ in range(6):
        proxy.drop()
        rest(0.4)


def silence(proxy):
    proxy.black_hole()
    rest(2 * LEASE_SECONDS)


def cuts(way):
    def act(proxy):
        proxy.cut_each(1, way)
        proxy.drop()
        rest(8)
    return act


FAULTS = {
    "latency": lambda proxy: (proxy.latency(0.15), rest(3)),
    "resets": resets,
    "resets_at_once": lambda proxy: (proxy.reset(), rest(3)),
    "flaky": lambda proxy: (proxy.flaky(0.05), rest(6)),
    "black_hole": silence,
    "one_byte_at_a_time": lambda proxy: (proxy.trickle(), rest(5)),
    "replies_cut_at_each_byte": cuts(REPLIES),
    "requests_cut_at_each_byte": cuts(REQUESTS),
}


def run_through(cluster, proxy, key, fault, urls=None):
    """A run with the fault in its middle; afterwards the network is well and all must be."""
    urls = urls or slow_urls(key, URLS, 200)
    catalog = cluster.push(urls)
    wait_done(cluster, 10)
    assert done(cluster) < len(urls), "the fault came too late"
    FAULTS[fault](proxy)
    proxy.heal()
    settle(cluster, [catalog], len(urls), seconds=90)


@pytest.mark.parametrize("fault", ["latency", "resets", "resets_at_once", pytest.param("black_hole", marks=pytest.mark.quick), "one_byte_at_a_time"])
def test_between_the_fleet_and_redis(fault_fleet, redis_node, parts, fault):
    proxy = parts(FaultProxy(redis_node.port))
    cluster = fault_fleet(redis=redis_node, redis_url=f"redis://127.0.0.1:{proxy.port}/0")
    run_through(cluster, proxy, f"redis-{fault}", fault)


@pytest.mark.parametrize("fault", [pytest.param(fault, marks=[pytest.mark.quick] if fault == "black_hole" else []) for fault in FAULTS])
def test_between_the_fleet_and_mongodb(fault_fleet, proxied_mongo, fault):
    cluster = fault_fleet(mongo=proxied_mongo)
    try:
        run_through(cluster, proxied_mongo.proxy, f"mongo-{fault}", fault)
    finally:
        proxied_mongo.proxy.heal()


@pytest.mark.parametrize("fault", list(FAULTS))
def test_between_workers_and_the_origin(fault_fleet, servers, parts, fault):
    proxy = parts(FaultProxy(servers.origin.https_port))
    ways = [entry for entry in servers.origin.connect_to() if not entry.startswith("origin.test:443:")] + [f"origin.test:443:127.0.0.1:{proxy.port}"]
    cluster = fault_fleet(connect_to=ways)
    run_through(cluster, proxy, f"origin-{fault}", fault)


# --- origins among each other ----------------------------------------------------------------------------------------------

BAD = ["stall", "truncate", "lie", "reset", "500", "503", "drip/10", "huge", "html", "404", "slow/30000"]


@pytest.mark.quick
def test_good_origins_are_not_held_up_by_bad_ones(fault_fleet):
    cluster = fault_fleet(workers=1, settings={"retry.max_attempts": 2, "fetch.timeout_ms": 3000})
    bad = cluster.push([f"https://slow.test/fault/{kind}?k=bad-{number}" for kind in BAD for number in range(6)])
    kit.wait_until(lambda: cluster.inflight() > 0, 20, "bad ones begun")
    began = time.monotonic()
    good = cluster.push([f"https://other.test/kind/jpeg/24/24/{number}" for number in range(150)])
    cluster.wait_drained(good, 60)
    took = time.monotonic() - began
    assert took < 15, f"the good ones took {took:.1f} s"
    settle(cluster, [bad, good], len(BAD) * 6 + 150, dead=len(BAD) * 6, seconds=90)


@pytest.mark.quick
def test_a_host_that_never_answers_takes_no_worker_for_itself(fault_fleet):
    """Its time-out is long, and there is more of it than there are slots; the others must not wait for it."""
    cluster = fault_fleet(workers=1, settings={"fetch.timeout_ms": 60000, "worker.slots": 24, "fetch.host_concurrency": 8, "worker.job_timeout_ms": 90000})
    dead = cluster.push([f"https://slow.test/fault/stall?k=dead-{number}" for number in range(120)])
    kit.wait_until(lambda: cluster.inflight() >= 100, 20, "the dead host's URLs are in the window")
    began = time.monotonic()
    good = cluster.push([f"https://other.test/kind/jpeg/24/24/{number}" for number in range(150)])
    receipt = cluster.wait_drained(good, 45)
    took = time.monotonic() - began
    assert receipt["counts"]["dead"] == 0
    assert took < 8, f"the good ones took {took:.1f} s"
    assert dead


def host_count(origin, prefix):
    return sum(origin.counts(prefix).values())


# where a charged attempt would be taken for a mistake, a busy machine may not charge one
PATIENT = {"fetch.timeout_ms": 30000, "fetch.connect_timeout_ms": 20000}


@pytest.mark.quick
def test_one_429_quiets_the_host_for_every_worker_and_charges_nobody(fault_fleet, servers):
    origin = servers.origin
    cluster = fault_fleet(workers=3, settings=PATIENT)
    limited = "https://limited.test/fault/429?after=4&times=1&key=fleet"
    first = cluster.push([limited])
    kit.wait_until(lambda: origin.count(limited) == 1, 20, "the 429 was given", 0.02)
    told = time.monotonic()
    rest(0.3)  # the one who was told tells Redis
    more = cluster.push(slow_urls("quiet", 60, 10, "limited.test"))
    kit.wait_until(lambda: cluster.inflight() + cluster.db.urls.count_documents({"state": "waiting"}) >= 60, 10, "workers have the others in hand", 0.02)
    while time.monotonic() < told + 3.5:
        assert host_count(origin, "limited.test/fault/slow") == 0, f"asked after {time.monotonic() - told:.1f} s of 4"
        rest(0.1)
    settle(cluster, [first, more], 61)
    assert cluster.db.urls.count_documents({"attempts": {"$gt": 0}}) == 0
    assert origin.count(limited) == 2


def test_a_429_in_the_middle_of_a_run_stops_all_workers_soon(fault_fleet, servers):
    origin = servers.origin
    cluster = fault_fleet(workers=3, settings=PATIENT)
    limited = "https://limited.test/fault/429?after=6&times=1&key=middle"
    steady = slow_urls("steady", 600, 300, "limited.test")
    catalog = cluster.push(steady[:100] + [limited] + steady[100:])
    kit.wait_until(lambda: origin.count(limited) == 1, 30, "the 429 was given", 0.02)
    told = time.monotonic()
    rest(1.6)  # answers of the gate are believed for a second; requests under way end
    before = host_count(origin, "limited.test/fault/slow")
    assert before < 600, "the 429 came too late"
    while time.monotonic() < told + 5.3:
        assert host_count(origin, "limited.test/fault/slow") == before, f"asked after {time.monotonic() - told:.1f} s of 6"
        rest(0.1)
    settle(cluster, [catalog], 601)
    assert cluster.db.urls.count_documents({"attempts": {"$gt": 0}}) == 0


def test_a_block_is_told_to_the_fleet_even_if_redis_was_away_at_that_moment(fault_fleet, redis_node, servers, parts):
    """The worker that heard the 429 can't reach Redis just then; once it can, the others must hear of it."""
    origin = servers.origin
    to_redis, to_origin = parts(FaultProxy(redis_node.port)), parts(FaultProxy(origin.https_port))
    ways = [entry for entry in origin.connect_to() if not entry.startswith("limited.test:443:")] + [f"limited.test:443:127.0.0.1:{to_origin.port}"]
    cluster = fault_fleet(redis=redis_node, redis_url=f"redis://127.0.0.1:{to_redis.port}/0", connect_to=ways, workers=1)
    to_origin.latency(0.4)
    limited = "https://limited.test/fault/429?after=12&times=1&key=away"
    catalog = cluster.push([limited])
    kit.wait_until(lambda: origin.count(limited) == 1, 20, "asked, and not answered yet", 0.02)
    to_redis.black_hole()
    rest(2.5)
    to_redis.heal()
    kit.wait_until(lambda: redis_node.client.pttl(cluster.key("host:limited.test")) > 1000, 6, "the block is in Redis")
    settle(cluster, [catalog], 1)


@pytest.mark.quick
def test_a_host_that_never_stops_saying_429_ends_rate_limited_and_holds_up_nobody(fault_fleet):
    cluster = fault_fleet(workers=2, settings={"retry.max_age": 5})
    limited = cluster.push([f"https://limited.test/fault/429?after=1&key=never-{number}" for number in range(40)])
    kit.wait_until(lambda: cluster.db.urls.count_documents({"state": "waiting"}) + cluster.inflight() > 0, 20, "limited ones begun")
    began = time.monotonic()
    good = cluster.push([f"https://other.test/kind/jpeg/24/24/{number}" for number in range(150)])
    cluster.wait_drained(good, 30)
    took = time.monotonic() - began
    assert took < 10, f"the good ones took {took:.1f} s"
    settle(cluster, [limited, good], 190, dead=40, seconds=120)
    ends = {row["error"]["reason"] for row in cluster.db.urls.find({"state": "dead"})}
    assert ends == {"rate_limited"}, ends
    assert cluster.db.urls.count_documents({"attempts": {"$gt": 0}}) == 0
