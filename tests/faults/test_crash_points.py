# SPDX-License-Identifier: Apache-2.0
"""Every crash point of include/grisaille/crash_points.def: the process dies there, is started again, and nothing shows.

A row of the table makes a case by itself; how the fleet is brought to the point is its scenario, below. Each case asserts that the
process really died there. Two fleets run at a time, for most of a case is waiting for a lease to run out.
"""
import concurrent.futures
import pathlib
import re
import signal
import subprocess

import pytest

import kit
from recovery import DEAD_TARGETS, QUICK, Supervisor, drain, follower_catalog, mixed_catalog, push_again_and_again, verify

TABLE = kit.ROOT / "include" / "grisaille" / "crash_points.def"
POINTS = dict(re.findall(r"^GRI_CRASH\((\w+), (\w+),", TABLE.read_text(), re.M))
LATER_PASSES = ("admit_after:3", "dispatch_after:2", "insert_after:2", "finish_before:2", "failure_after:3", "ack_jobs_after:2", "push_chunks_after:2")
IN_QUICK = {
    "push_catalog_after", "announce_after", "admit_after", "dispatch_after", "chunk_done_after", "due_after", "sweep_before", "insert_after",
    "finish_after", "failure_before", "ack_jobs_before", "repair_before",
}
AT_ONCE = 2


class Case:
    """One crash: a fleet, the point, and what was pushed."""

    def __init__(self, servers, folder, spec):
        self.point, _, passes = spec.partition(":")
        self.spec, self.role, self.key = spec, POINTS[self.point], f"{self.point}{passes}"
        folder.mkdir()
        self.cluster = kit.Cluster(servers, folder, schedulers=0, workers=0, api=0, settings=QUICK)
        self.supervisor = Supervisor(self.cluster)
        self.data, self.catalogs = [], []
        self.dead = DEAD_TARGETS
        self.victim = None

    def start(self, *roles, crash=True):
        """Starts one of each; the one that is to crash knows it."""
        for role in roles:
            env = {"GRI_CRASH_AT": self.spec} if crash and role == self.role and not self.victim else None
            daemon = self.supervisor.start(role, env)
            self.victim = daemon if env else self.victim
            if role == "api":  # it makes the indexes
                daemon.probe_address()

    def push(self, data, name="", **params):
        self.data.append(data)
        self.catalogs.append(push_again_and_again(self.cluster, self.supervisor, data, name, **params))

    def wait(self, check, what):
        self.supervisor.wait(check, 90, lambda: f"{what}\n{self.cluster.tails(25)}")

    def wait_crash(self):
        """Without a restart: what the scenario does next needs the process to be gone."""
        kit.wait_until(lambda: self.victim and not self.victim.alive(), 60, lambda: f"{self.victim.name} comes to {self.spec}\n{self.cluster.tails(25)}")

    def drain(self):
        return drain(self.cluster, self.supervisor, self.catalogs)

    def inflight(self, count):
        self.wait(lambda: self.cluster.inflight() >= count, f"{count} jobs in the window")

    def finish(self):
        receipts = self.drain()
        self.wait_crash()
        self.supervisor.look()
        for daemon in self.supervisor.watched:
            daemon.probe_address()  # else its SIGTERM might come before it can hear it
        code = self.victim.child.returncode
        assert code == -signal.SIGKILL, f"{self.victim.name} ended with {code}\n{self.cluster.tails(25)}"
        verify(self.cluster, self.data, receipts, self.dead)


# --- scenarios --------------------------------------------------------------------------------------------------------


def main(case):
    case.start("api", "scheduler", "worker")
    case.push(mixed_catalog(case.key))


def big_push(case):
    """More text than one write of chunks takes."""
    case.start("api", "scheduler", "worker")
    remarks = b"# a remark that makes the catalog long, so that its chunks need more than one write\n" * 30000
    case.push(mixed_catalog(case.key) + remarks)


def same_push(case):
    """The content is there already."""
    case.start("api", crash=False)
    data = mixed_catalog(case.key)
    case.push(data)
    case.supervisor.stop(case.cluster.of("api")[0])
    case.start("api", "scheduler", "worker")
    again = push_again_and_again(case.cluster, case.supervisor, data)
    assert kit.catalog_id(again) == kit.catalog_id(case.catalogs[0])
    assert case.cluster.db.catalogs.count_documents({}) == 1


def retry_push(case):
    """A second life for dead URLs; some of them can live."""
    case.start("api", "scheduler", "worker", crash=False)
    data = mixed_catalog(case.key) + f"https://origin.test/fault/flaky?times=4&key=later-{case.key}\n".encode()
    case.push(data)
    case.drain()
    assert case.cluster.db.urls.count_documents({"state": "dead"}) == DEAD_TARGETS + 1
    case.supervisor.stop(case.cluster.of("api")[0])
    case.start("api")
    push_again_and_again(case.cluster, case.supervisor, data, retry_dead="true")
    case.wait(lambda: case.cluster.db.urls.count_documents({"state": "dead"}) == DEAD_TARGETS, "the flaky one lives")


def follower(case):
    """A second catalog, with URLs and contents of the first; the crash is in the second."""
    case.start("api", *{"scheduler", "worker"} - {case.role}, crash=False)
    case.supervisor.start(case.role)
    case.push(mixed_catalog(case.key), "first")
    case.drain()
    case.supervisor.stop(case.cluster.of(case.role)[0])
    case.start(case.role)
    case.push(follower_catalog(case.key), "second")
    case.drain()
    assert case.cluster.db.urls.count_documents({"shared": True}) == 6


def revive(case):
    """A second catalog asks for the first one's dead URL, with retry_dead."""
    case.start("api", "scheduler", "worker", crash=False)
    url = f"https://origin.test/fault/flaky?times=4&key=later-{case.key}\n".encode()
    case.push(mixed_catalog(case.key) + url, "first")
    case.drain()
    case.supervisor.stop(case.cluster.of("scheduler")[0])
    case.start("scheduler")
    case.push(url + b"https://picsum.photos/id/50/20/20\n", "second", retry_dead="true")
    case.wait(lambda: case.cluster.db.urls.count_documents({"state": "done", "url": url.decode().strip()}), "the flaky one lives")


def ghost(case, stream, group, deliveries=1):
    """A consumer that took all there is and is gone."""
    redis, key = case.cluster.redis, case.cluster.key(stream)
    taken = redis.xreadgroup(group, "ghost", {key: ">"}, count=1000)
    ids = [id for _, entries in taken for id, _ in entries]
    if deliveries > 1:
        redis.xclaim(key, group, "ghost", 0, ids, retrycount=deliveries)
    return ids


def reclaimed_entries(case):
    case.start("api", "worker")
    case.wait(lambda: case.cluster.redis.exists(case.cluster.key("urls")), "groups")
    case.cluster.redis.xadd(case.cluster.key("urls"), {"url": "https://picsum.photos/id/60/20/20"})
    assert ghost(case, "urls", "scheduler")
    case.start("scheduler")
    case.push(mixed_catalog(case.key))
    case.drain()
    case.wait(lambda: case.cluster.db.urls.find_one({"url": "https://picsum.photos/id/60/20/20", "state": "done"}), "the ghost's URL")


def poison_entry(case):
    case.start("api", "worker")
    case.wait(lambda: case.cluster.redis.exists(case.cluster.key("urls")), "groups")
    case.cluster.redis.xadd(case.cluster.key("urls"), {"url": "https://picsum.photos/id/61/20/20"})
    ids = ghost(case, "urls", "scheduler", deliveries=12)
    case.start("scheduler")
    case.push(mixed_catalog(case.key))
    case.drain()
    kept = list(case.cluster.db.quarantine.find({}))
    assert [row["_id"] for row in kept] == [f"entry:{ids[0].decode()}"], kept


def reclaimed_jobs(case):
    case.start("api", "scheduler")
    case.push(mixed_catalog(case.key))
    case.inflight(25)
    assert ghost(case, "jobs", "workers")
    case.start("worker")


def lost_window(case):
    """Redis has lost the jobs and what was inflight; no worker, so that only the sweeper can help."""
    case.start("api", "scheduler")
    case.push(mixed_catalog(case.key))
    case.inflight(25)
    case.cluster.redis.delete(case.cluster.key("jobs"), case.cluster.key("inflight"))
    case.wait_crash()
    case.start("worker")


def lost_entries(case):
    """Jobs inflight whose entries were deleted by hand."""
    case.start("api", "scheduler")
    case.push(mixed_catalog(case.key))
    case.inflight(25)
    jobs = case.cluster.key("jobs")
    case.cluster.redis.xdel(jobs, *[id for id, _ in case.cluster.redis.xrange(jobs)][:10])
    case.wait_crash()
    case.start("worker")


def finished_by_another(case):
    """While a worker fetches, its URL is done by another who stored another picture: the worker's own image is to be linked too."""
    db = case.cluster.db
    case.start("api", "scheduler")
    case.supervisor.start("worker")
    case.push(mixed_catalog(case.key))
    case.drain()
    case.supervisor.stop(case.cluster.of("worker")[0])
    case.start("worker")
    slow = f"https://origin.test/fault/redirect?to=https://origin.test/fault/slow/2500?k={case.key}-own"
    case.push(f"{slow}\n".encode(), "slow")
    case.wait(lambda: case.cluster.servers.origin.count(f"https://origin.test/fault/slow/2500?k={case.key}-own"), "the fetch")
    other = db.images.find_one({"source.host": "picsum.photos"}) or db.images.find_one({})
    changed = db.urls.update_one({"url": slow, "state": "queued"}, {"$set": {"state": "done", "images": [other["_id"]]}, "$currentDate": {"changed_at": True}})
    assert changed.modified_count == 1
    case.wait_crash()
    case.wait(lambda: db.urls.find_one({"url": slow, "images.1": {"$exists": True}, "made": True}), "the image of its own")
    case.drain()
    # as far as the test's own meddling goes, all is well: one image too many is linked, and that one by hand
    db.urls.update_one({"url": slow}, {"$pull": {"images": other["_id"]}})


def leaving(case):
    """SIGTERM, and death at the very end."""
    case.start("api", "scheduler", "worker")
    case.push(mixed_catalog(case.key))
    case.drain()
    case.victim.ask()
    case.wait_crash()


SCENARIOS = {
    "push_remove_before": same_push, "push_remove_after": same_push, "push_chunks_after:2": big_push,
    "retry_chunks_before": retry_push, "retry_chunks_after": retry_push, "retry_urls_after": retry_push, "retry_catalog_after": retry_push,
    "shared_before": follower, "shared_after": follower, "link_before": follower,
    "revive_before": revive, "revive_after": revive,
    "reclaim_urls_after": reclaimed_entries, "quarantine_before": poison_entry, "quarantine_after": poison_entry,
    "reclaim_jobs_after": reclaimed_jobs,
    "inspect_before": lost_entries, "inspect_after": lost_entries, "sweep_before": lost_window, "sweep_after": lost_window,
    "repair_before": finished_by_another, "repair_after": finished_by_another,
    "leave_before": leaving, "leave_after": leaving,
}


def run(servers, folder, spec):
    case = Case(servers, folder, spec)
    try:
        SCENARIOS.get(spec, main)(case)
        case.finish()
        case.cluster.stop()
    except BaseException as error:
        error.add_note(case.cluster.tails(40)) if hasattr(error, "add_note") else None
        raise
    finally:
        case.cluster.stop(check=False)
        case.cluster.drop()


def cases():
    assert len(POINTS) > 50, "the table could not be read"
    for spec in [*POINTS, *LATER_PASSES]:
        yield pytest.param(spec, id=spec, marks=[pytest.mark.quick] if spec in IN_QUICK else [])


@pytest.fixture(scope="module")
def outcomes(request, servers, crash_points, tmp_path_factory):
    """All the selected cases, begun now, some at a time."""
    folder = tmp_path_factory.mktemp("crash")
    specs = [item.callspec.params["spec"] for item in request.session.items if item.function.__name__ == "test_nothing_shows_of_a_crash"]
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        futures = {spec: pool.submit(run, servers, pathlib.Path(folder) / spec.replace(":", "_"), spec) for spec in specs}
        yield futures
        for future in futures.values():
            future.cancel()


@pytest.mark.parametrize("spec", cases())
def test_nothing_shows_of_a_crash(outcomes, spec):
    outcomes[spec].result()


@pytest.mark.parametrize("wrong", ("no_such_point", "admit_after:0", "admit_after:x", "admit_after:"))
def test_a_misspelt_point_ends_the_process(crash_points, wrong):
    ended = subprocess.run([kit.find_binary(), "version"], env={"GRI_CRASH_AT": wrong}, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2 and wrong in ended.stderr, ended
