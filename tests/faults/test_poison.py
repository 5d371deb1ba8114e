# SPDX-License-Identifier: Apache-2.0
"""What fails its process each time ends as `poison`, and nothing else does: no neighbour, no job of a killed worker, no job whose child was killed."""
import os
import signal

import pytest

import kit
from recovery import QUICK, Supervisor, drain

PLUGINS = kit.find_binary().parent / "tests" / "faults" / "plugins"
BAD_WIDTH = 61
PIPELINES = {fault: {"steps": [{fault: {"width": BAD_WIDTH}}, "grayscale"], "output": {"format": "png"}} for fault in ("crash", "hang", "leak", "leave")}
PROGRAMS = {"runs": {"steps": [{"exec": {"command": "/bin/cat"}}, "grayscale"]}, "fails": {"steps": [{"exec": {"command": "/bin/false"}}, "grayscale"]}}
SETTINGS = {
    **QUICK, "plugins.dir": str(PLUGINS), "pipelines": {**PIPELINES, **PROGRAMS}, "worker.job_timeout_ms": 3000, "fetch.timeout_ms": 4000, "image.timeout_ms": 2000,
    "worker.isolated_memory": "512MiB", "retry.max_attempts": 8,
}


class Restarter(Supervisor):
    """Workers may end as they like here: they are started again. They no longer count at the fleet's end."""

    def look(self):
        for daemon, role in list(self.watched.items()):
            if daemon.alive():
                continue
            assert role == "worker", f"{daemon.name} ended with {daemon.child.returncode}:\n{kit.tail(daemon.log)}"
            del self.watched[daemon]
            self.cluster.daemons.remove(daemon)
            self.deaths += 1
            self.start(role)


def pictures(count, width=40):
    return [f"https://picsum.photos/id/{number}/{width}/24" for number in range(count)]


def bad_pictures(count):
    return [f"https://picsum.photos/id/{number}/{BAD_WIDTH}/24" for number in range(count)]


def start(fleet, workers):
    cluster = fleet(schedulers=1, workers=0, settings=SETTINGS)
    supervisor = Restarter(cluster)
    for _ in range(workers):
        supervisor.start("worker")
    return cluster, supervisor


def make_suspects(cluster, count, deliveries=3):
    """Another consumer has read all jobs so often, and is silent: the next delivery is the fourth."""
    key = cluster.key("jobs")
    kit.wait_until(lambda: cluster.redis.exists(key) and cluster.redis.xlen(key) == count, 60, lambda: f"{count} jobs in Redis\n{cluster.tails()}")
    answer = cluster.redis.xreadgroup("workers", "ghost", {key: ">"}, count=count)
    ids = [id for id, _ in answer[0][1]]
    assert len(ids) == count
    cluster.redis.xclaim(key, "workers", "ghost", 0, ids, retrycount=deliveries, justid=True)


def dead(cluster):
    return {url["url"]: url["error"]["reason"] for url in cluster.db.urls.find({"state": "dead"})}


def events(cluster, **filter):
    return list(cluster.db.events.find(filter))


def isolated_children(daemon):
    """Process ids of its children that run a suspicious URL."""
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat") as stat, open(f"/proc/{name}/cmdline") as cmdline:
                if int(stat.read().rsplit(")", 1)[1].split()[1]) == daemon.pid and "isolated" in cmdline.read():
                    found.append(int(name))
        except OSError:
            continue
    return found


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["crash", "hang", "leave"])
def test_a_transform_that_fails_its_process_is_poison_and_its_neighbours_are_unharmed(fleet, origin, fault):
    cluster, supervisor = start(fleet, 2)
    good, bad = pictures(40), bad_pictures(1)
    catalog = cluster.push(good + bad, pipeline=fault)
    receipt = drain(cluster, supervisor, [catalog], 180)[0]
    assert dead(cluster) == {url: "poison" for url in bad}
    assert receipt["counts"]["stored"] + receipt["counts"]["duplicate_content"] == len(good), receipt["counts"]
    assert supervisor.deaths >= 3, "its first three deliveries ended a worker each"
    assert supervisor.deaths <= 4, "and then no more"
    cluster.verify()


@pytest.mark.quick
@pytest.mark.parametrize("fault", ["crash", "hang", "leak", "leave"])
def test_the_fourth_delivery_ends_in_a_child_and_costs_no_worker(fleet, origin, fault):
    cluster, supervisor = start(fleet, 0)
    good, bad = pictures(3), bad_pictures(1)
    catalog = cluster.push(good + bad, pipeline=fault)
    make_suspects(cluster, 4)
    worker = supervisor.start("worker")
    drain(cluster, supervisor, [catalog], 120)
    assert supervisor.deaths == 0 and worker.alive()
    assert dead(cluster) == {bad[0]: "poison"}
    detail = cluster.db.urls.find_one({"state": "dead"})["error"]["detail"]
    told = {"crash": "signal 6", "hang": "in time", "leak": "memory", "leave": "without a result"}[fault]
    assert told in detail, detail
    assert 'grisaille_isolated_total{result="died"} 2' in worker.metrics()
    assert 'grisaille_isolated_total{result="answered"} 3' in worker.metrics()
    assert [event["reason"] for event in events(cluster, event="dead_letter")] == ["poison"]
    cluster.verify()


@pytest.mark.quick
def test_a_suspect_that_works_and_one_that_is_not_there_end_as_they_would_anyway(fleet, origin):
    cluster, supervisor = start(fleet, 0)
    catalog = cluster.push(pictures(4) + ["https://origin.test/fault/404?k=poison", "https://origin.test/fault/html?k=poison"])
    make_suspects(cluster, 6, deliveries=30)
    supervisor.start("worker")
    receipt = drain(cluster, supervisor, [catalog])[0]
    assert sorted(dead(cluster).values()) == ["http_4xx", "not_image"]
    assert receipt["counts"]["stored"] == 4
    cluster.verify()


@pytest.mark.quick
def test_a_suspect_whose_pipeline_runs_a_program(fleet, origin):
    """The child may start what its pipeline says; where that fails, it is the program's failure and no poison."""
    cluster, supervisor = start(fleet, 0)
    catalogs = [cluster.push(pictures(3), pipeline="runs"), cluster.push(pictures(1), pipeline="fails")]
    make_suspects(cluster, 4)
    worker = supervisor.start("worker")
    receipts = drain(cluster, supervisor, catalogs)
    assert receipts[0]["counts"]["stored"] == 3, (receipts, cluster.tails())
    record = cluster.db.urls.find_one({"state": "dead"})
    assert record["error"]["reason"] == "transform" and "exec" in record["error"]["detail"], record
    assert 'grisaille_isolated_total{result="died"}' not in worker.metrics() and supervisor.deaths == 0
    cluster.verify()


@pytest.mark.quick
def test_a_child_killed_from_outside_gives_no_verdict(fleet, origin):
    """As the kernel does when memory is out."""
    cluster, supervisor = start(fleet, 0)
    url = "https://origin.test/fault/slow/1500?k=outside"
    catalog = cluster.push([url])
    make_suspects(cluster, 1)
    worker = supervisor.start("worker")
    for child in kit.wait_until(lambda: isolated_children(worker), 60, lambda: cluster.tails(), 0.02):
        os.kill(child, signal.SIGKILL)
    kit.wait_until(lambda: events(cluster, event="attempt_failed"), 30, lambda: cluster.tails())
    assert events(cluster, event="attempt_failed")[0]["reason"] == "no_memory"
    receipt = drain(cluster, supervisor, [catalog])[0]
    assert receipt["counts"]["dead"] == 0 and receipt["counts"]["stored"] == 1
    assert 'grisaille_isolated_total{result="answered"} 1' in worker.metrics(), "its next try is isolated too"
    cluster.verify()


@pytest.mark.quick
def test_the_child_ends_with_its_worker(fleet, origin):
    cluster, supervisor = start(fleet, 0)
    catalog = cluster.push(["https://origin.test/fault/slow/1500?k=orphan"])
    make_suspects(cluster, 1)
    worker = supervisor.start("worker")
    children = kit.wait_until(lambda: isolated_children(worker), 60, lambda: cluster.tails(), 0.02)
    worker.kill()
    kit.wait_until(lambda: not any(os.path.exists(f"/proc/{child}") for child in children), 10, "the child is gone")
    receipt = drain(cluster, supervisor, [catalog])[0]
    assert receipt["counts"]["stored"] == 1
    cluster.verify()


@pytest.mark.slow
def test_innocent_urls_survive_ten_rolling_kills(fleet, origin):
    cluster, supervisor = start(fleet, 1)
    catalog = cluster.push([f"https://origin.test/fault/slow/2500?k=rolling-{number}" for number in range(5)] + pictures(20))
    key = cluster.key("jobs")

    def most_deliveries():
        pending = cluster.redis.xpending_range(key, "workers", "-", "+", 100) if cluster.redis.exists(key) else []
        return max((entry["times_delivered"] for entry in pending), default=0)

    for times in range(1, 11):
        supervisor.wait(lambda: most_deliveries() >= times, 60, lambda: f"delivery {times}\n{cluster.tails()}")
        [worker] = [daemon for daemon, role in supervisor.watched.items() if role == "worker"]
        worker.kill()
    receipt = drain(cluster, supervisor, [catalog])[0]
    assert supervisor.deaths == 10
    assert receipt["counts"]["dead"] == 0 and receipt["counts"]["pending"] == 0, receipt["counts"]
    cluster.verify()
