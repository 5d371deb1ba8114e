# SPDX-License-Identifier: Apache-2.0
"""Redis fails in each known way in the middle of a run. Each time: nothing is lost, nothing is doubled, nobody is woken."""
import contextlib
import time

import pytest
import redis as redis_client

import kit
from fault_proxy import REPLIES, REQUESTS, FaultProxy
from fault_servers import (  # noqa: F401 (fixtures)
    FAST, LEASE_SECONDS, Sentinels, done, events, fault_fleet, metric, parts, redis_node, rest, settle, slow_urls, time_to_next, wait_done)

URLS = 240


def told(cluster, text):
    """A daemon's log says that it met this answer."""
    return any(text in entry.get("detail", "") for entry in events(cluster, "redis_down"))


def begin(fleet, redis, key, count=URLS, **options):
    """A fleet with its work begun."""
    cluster = fleet(redis=redis, **options)
    catalog = cluster.push(slow_urls(key, count))
    wait_done(cluster, 20)
    assert done(cluster) < count
    return cluster, catalog


def expect_error(client, code):
    """Waits until Redis itself answers so."""
    def answers():
        said = []
        for probe in (client.incr, client.get):
            try:
                probe("probe")
            except redis_client.RedisError as error:
                said.append(f"{type(error).__name__} {error}".upper())
        return any(code in text for text in said)
    kit.wait_until(answers, 15, f"Redis answers {code}", 0.02)


@pytest.mark.quick
def test_flushall_again_and_again(fault_fleet, redis_node):
    cluster, catalog = begin(fault_fleet, redis_node, "flushall")
    for share in (40, 90, 140):
        wait_done(cluster, share)
        redis_node.client.flushall()
    settle(cluster, [catalog], URLS)
    assert metric(cluster, "grisaille_swept_total", "scheduler") > 0


def test_restart_with_the_last_second_of_the_aof_cut(fault_fleet, redis_node):
    cluster, catalog = begin(fault_fleet, redis_node, "aof")
    file = redis_node.newest_aof()
    size, before = file.stat().st_size, done(cluster)
    wait_done(cluster, before + 60)
    redis_node.kill()
    lost = file.stat().st_size - size
    assert lost > 0
    with open(file, "r+b") as aof:
        aof.truncate(size)
    rest(1)
    redis_node.start()
    time_to_next(cluster, "Redis restarted")
    settle(cluster, [catalog], URLS)


def test_restart_without_any_data(fault_fleet, redis_node):
    cluster, catalog = begin(fault_fleet, redis_node, "empty")
    redis_node.kill()
    for file in redis_node.data.rglob("*.*"):
        if file.is_file():
            file.unlink()
    rest(1)
    redis_node.start()
    time_to_next(cluster, "Redis restarted empty")
    settle(cluster, [catalog], URLS)


@pytest.mark.quick
def test_out_of_memory_stops_new_work_but_not_what_frees_memory(fault_fleet, redis_node):
    cluster, catalog = begin(fault_fleet, redis_node, "oom")
    redis_node.client.config_set("maxmemory", 1)
    expect_error(redis_node.client, "WHEN USED MEMORY")
    # a worker that starts now must come up and take what is in the window: only acks free memory
    cluster.of("worker")[0].kill()
    late = cluster.start("worker")
    kit.wait_until(lambda: any(entry.get("event") == "redis_up" for entry in late.entries()), 20, lambda: f"up while full\n{kit.tail(late.log)}")
    second = cluster.push(slow_urls("oom-more", 40))
    rest(2)
    redis_node.client.config_set("maxmemory", 0)
    settle(cluster, [catalog, second], URLS + 40)


def test_loading(fault_fleet, redis_node):
    pipe = redis_node.client.pipeline()
    for number in range(2000):
        pipe.set(f"ballast:{number}", number)
    pipe.execute()
    redis_node.client.bgrewriteaof()  # a base file is loaded with a look at the connections in between
    kit.wait_until(lambda: redis_node.client.info("persistence")["aof_rewrites"] > 0 and not redis_node.client.info("persistence")["aof_rewrite_in_progress"],
                   20, "rewritten")
    cluster, catalog = begin(fault_fleet, redis_node, "loading")
    redis_node.kill()
    redis_node.start("--key-load-delay", "1500", "--loading-process-events-interval-bytes", "1024", wait=False)
    expect_error(redis_node.client, "LOADING")
    kit.wait_until(lambda: told(cluster, "LOADING"), 20, "the fleet has met LOADING")
    settle(cluster, [catalog], URLS)


@pytest.mark.parametrize("stale, code", [("yes", "READONLY"), ("no", "MASTERDOWN")])
def test_a_master_that_turns_replica_and_back(fault_fleet, redis_node, stale, code):
    cluster, catalog = begin(fault_fleet, redis_node, code)
    redis_node.client.config_set("replica-serve-stale-data", stale)
    redis_node.client.replicaof("127.0.0.1", kit.free_port())
    expect_error(redis_node.client, code)
    kit.wait_until(lambda: told(cluster, code), 20, f"the fleet has met {code}")
    rest(1)
    redis_node.client.replicaof("NO", "ONE")
    settle(cluster, [catalog], URLS)


def test_busy_with_the_script_of_another(fault_fleet, redis_node):
    cluster, catalog = begin(fault_fleet, redis_node, "busy")
    with redis_node.busy():
        expect_error(redis_node.client, "BUSY")
        rest(LEASE_SECONDS + 1)
    settle(cluster, [catalog], URLS)
    assert metric(cluster, "grisaille_reclaims_total") == 0


@pytest.mark.quick
@pytest.mark.parametrize("way", ["killed", "stopped"])
def test_away_longer_than_the_lease_takes_no_job_from_anybody(fault_fleet, redis_node, servers, way):
    cluster, catalog = begin(fault_fleet, redis_node, f"away-{way}")
    if way == "killed":
        redis_node.kill()
        rest(2 * LEASE_SECONDS)
        redis_node.start()
    else:
        with redis_node.stopped():
            rest(2 * LEASE_SECONDS)
    settle(cluster, [catalog], URLS)
    # what was in a worker's hands stayed there: nothing was fetched again
    fetched = servers.origin.counts(f"origin.test/fault/slow/150?k=away-{way}")
    assert len(fetched) == URLS and set(fetched.values()) == {1}, fetched


def delete_by_hand(client, cluster, what):
    jobs, urls = cluster.key("jobs"), cluster.key("urls")
    if what == "xdel of waiting jobs":
        entries = [id for id, _ in client.xrevrange(jobs, count=20)]
        assert entries and client.xdel(jobs, *entries)
    elif what == "xdel of jobs in hand":
        entries = [row["message_id"] for row in client.xpending_range(jobs, "workers", "-", "+", 10)]
        assert entries and client.xdel(jobs, *entries)
    elif what == "xtrim of jobs":
        assert client.xtrim(jobs, maxlen=0, approximate=False)
    elif what == "xdel of announcements":
        client.xtrim(urls, maxlen=0, approximate=False)
    elif what == "groups destroyed":
        assert client.xgroup_destroy(jobs, "workers") and client.xgroup_destroy(urls, "scheduler")
    elif what == "consumers deleted":
        for consumer in client.xinfo_consumers(jobs, "workers"):
            client.xgroup_delconsumer(jobs, "workers", consumer["name"])
    else:
        keys = {"del of jobs": [jobs], "del of urls": [urls], "del of inflight": [cluster.key("inflight")], "del of epoch": [cluster.key("epoch")],
                "del of jobs and inflight": [jobs, cluster.key("inflight")]}[what]
        assert client.delete(*keys), what


@pytest.mark.parametrize("what", ["xdel of waiting jobs", "xdel of jobs in hand", "xtrim of jobs", "xdel of announcements", "groups destroyed",
                                  "consumers deleted", "del of jobs", "del of urls", "del of inflight", "del of epoch", "del of jobs and inflight"])
def test_deleted_by_hand(fault_fleet, redis_node, what):
    cluster, catalog = begin(fault_fleet, redis_node, what.replace(" ", "-"))
    second = cluster.push(slow_urls(f"second {what}".replace(" ", "-"), 30))
    delete_by_hand(redis_node.client, cluster, what)
    settle(cluster, [catalog, second], URLS + 30)


def test_a_lost_stream_of_jobs_is_refilled_without_the_long_wait(fault_fleet, redis_node):
    cluster, catalog = begin(fault_fleet, redis_node, "refill", settings={"scheduler.lost_ms": 3_600_000})
    redis_node.client.delete(cluster.key("jobs"))
    settle(cluster, [catalog], URLS)


def test_failover_by_sentinels_twice(fault_fleet, parts, tmp_path):
    sentinels = parts(Sentinels(tmp_path))
    cluster, catalog = begin(fault_fleet, sentinels, "sentinel", 400)
    first = sentinels.wait_master()
    first.kill()
    killed = time.monotonic()
    rest(0.5)
    time_to_next(cluster, "the master killed, failover by Sentinels", killed)
    second = sentinels.wait_master(first)
    wait_done(cluster, done(cluster) + 20)
    first.start("--replicaof", f"127.0.0.1 {second.port}")
    kit.wait_until(lambda: first.client.info("replication").get("master_link_status") == "up", 30, "the old master follows the new one")
    more = cluster.push(slow_urls("sentinel-more", 200))
    second.kill()
    third = sentinels.wait_master(second)
    assert third is not second
    cluster.redis = third.client
    settle(cluster, [catalog, more], 600, seconds=90)
    ports = {entry["server"].rsplit(":", 1)[1] for entry in events(cluster, "redis_up", "worker")}
    assert {str(first.port), str(second.port)} <= ports, ports


def test_sentinels_that_are_dead_dumb_or_know_nothing_are_passed_over(fault_fleet, parts, redis_node, tmp_path):
    """Of four addresses one refuses, one never answers, one is no Sentinel; the last one knows."""
    sentinels = parts(Sentinels(tmp_path))
    hole = parts(FaultProxy(redis_node.port))
    hole.black_hole()
    ports = [kit.free_port(), hole.port, redis_node.port, sentinels.ports[0]]
    url = "redis+sentinel://" + ",".join(f"127.0.0.1:{port}" for port in ports) + f"/{sentinels.name}"
    cluster = fault_fleet(redis=sentinels, redis_url=url, workers=1)
    settle(cluster, [cluster.push(slow_urls("dumb", 40))], 40)


@pytest.mark.quick
def test_a_server_that_accepts_and_never_answers(fault_fleet, redis_node, parts):
    proxy = parts(FaultProxy(redis_node.port))
    cluster, catalog = begin(fault_fleet, redis_node, "hole", redis_url=f"redis://127.0.0.1:{proxy.port}/0")
    proxy.black_hole()
    late = cluster.start("worker")  # it must wait for Redis, not die
    rest(2 * LEASE_SECONDS)
    before = done(cluster)
    assert before < URLS, "the fault came too late"
    late.must_live()
    proxy.heal()
    settle(cluster, [catalog], URLS)
    assert events(cluster, "redis_down"), "nobody noticed"


@pytest.mark.parametrize("way", [REPLIES, REQUESTS])
def test_cut_at_each_byte(fault_fleet, redis_node, parts, way):
    """Every connection ends one byte later than the one before, until a login and the first answers have been cut everywhere."""
    proxy = parts(FaultProxy(redis_node.port))
    cluster, catalog = begin(fault_fleet, redis_node, f"cut-{way}", 400, redis_url=f"redis://127.0.0.1:{proxy.port}/0")
    catalogs, last = [catalog], 160
    proxy.cut_each(0, way)
    proxy.drop()
    with contextlib.suppress(AssertionError):  # how far it came is judged below
        kit.wait_until(lambda: proxy.next_cut >= last, 75, "all cuts made", 0.1)
    assert proxy.next_cut >= last, f"only {proxy.next_cut} cuts"
    proxy.heal()
    settle(cluster, catalogs, 400, seconds=150)  # each answer to a read that was cut strands a batch: a slow reclaim, batch by batch


def test_flaky_redis_all_along(fault_fleet, redis_node, parts):
    proxy = parts(FaultProxy(redis_node.port))
    cluster, catalog = begin(fault_fleet, redis_node, "flaky", redis_url=f"redis://127.0.0.1:{proxy.port}/0")
    proxy.flaky(0.03)
    with contextlib.suppress(AssertionError):
        kit.wait_until(lambda: proxy.faults >= 30 or done(cluster) == URLS, 40, "faults")
    assert proxy.faults >= 5
    proxy.heal()
    settle(cluster, [catalog], URLS)


def test_a_fleet_started_before_its_redis(fault_fleet, redis_node):
    redis_node.kill()
    cluster = fault_fleet(redis=redis_node)
    catalog = cluster.push(slow_urls("before", 30))
    rest(1)
    redis_node.start()
    settle(cluster, [catalog], 30)
    assert FAST["worker.lease_ms"] == LEASE_SECONDS * 1000
