# SPDX-License-Identifier: Apache-2.0
"""MongoDB as it fails: three real nodes that step down, die, hang, lose their majority or their disk, and refuse each command in turn.

All cases share one fleet: what one of them leaves behind is the next one's beginning. After each of them the run has gone on by itself,
and the oracle finds every line accounted for, nothing stored twice, streams empty.
"""
import contextlib
import itertools
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import time
import types

import pymongo
import pytest
import requests

import kit
from oracle import check_lines, check_receipt, expected
from recovery import QUICK, Supervisor, drain, mixed_catalog, problems_of_doubles
from replica import FailPoint, ReplicaSet, fail_command

TIMEOUT_MS = 3000  # of an operation; the socket's is five seconds longer
SLOTS = 16
LINGERING = 3 * SLOTS  # jobs that a worker may have read beyond its slots, because they wait for slow hosts (decision 0073)
SETTINGS = {**QUICK, "worker.slots": SLOTS, "worker.lingering": LINGERING, "mongo.timeout_ms": TIMEOUT_MS, "scheduler.reap_ms": 500, "scheduler.abandon_ms": 60000, "dispatch.window": 2000, "scheduler.batch": 300}
OUTAGE_SECONDS = 30
OUTAGE_RSS_MIB = 48  # a worker may grow by so much while it can't store
RSS_MIB = 600  # and by no means be larger than this
DISK = "600m"
ALL = ["insert", "update", "find", "aggregate", "getMore", "findAndModify", "delete", "hello"]
WRITES = ["insert", "update", "findAndModify", "delete"]
FAULTS = {
    "network": {"closeConnection": True},
    "not_primary": {"errorCode": 10107},
    "stepping_down": {"errorCode": 11602},
    "shutting_down": {"errorCode": 91},
    "write_concern": {"writeConcernError": {"code": 64, "errmsg": "waiting for replication timed out", "errInfo": {"wtimeout": True}}},
    "write_concern_retryable": {"writeConcernError": {"code": 91, "errmsg": "replication is being shut down"}},
}
CASES = [(fault, command) for fault in FAULTS for command in (WRITES if fault.startswith("write") else ALL)]
IN_QUICK = {("network", "insert"), ("network", "update"), ("network", "find"), ("not_primary", "insert"), ("write_concern", "insert"), ("write_concern", "update")}
numbers = itertools.count(1)


@contextlib.contextmanager
def small_disk():
    """A folder on a file system of its own, or None where this user can't mount one."""
    with tempfile.TemporaryDirectory(prefix="grisaille-disk-") as path:
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", path], capture_output=True, timeout=30).returncode == 0
        try:
            yield path if mounted else None
        finally:
            if mounted:
                subprocess.run(["umount", "-l", path], check=True, timeout=30)


class World:
    """The replica set, the fleet on it, and everything pushed so far."""

    def __init__(self, folder, disk):
        self.folder, self.parts, self.cluster = pathlib.Path(folder), [], None
        try:
            self.redis = self.keep(kit.Redis(folder))
            self.origin = self.keep(kit.Origin(folder))
            self.mongo = self.keep(ReplicaSet(folder, data={0: disk}))
            servers = types.SimpleNamespace(redis=self.redis, origin=self.origin, mongo=self.mongo, folder=folder)
            self.cluster = kit.Cluster(servers, folder, schedulers=0, workers=0, api=0, settings=SETTINGS)
            self.supervisor = Supervisor(self.cluster)
            for role in ("api", "scheduler", "worker", "worker"):
                self.supervisor.start(role).probe_address()
            self.cluster.url = f"http://{self.cluster.of('api')[0].wait_address('api')}"
            self.dead = 0
        except BaseException:
            self.stop(check=False)
            raise

    def keep(self, part):
        self.parts.append(part)
        return part

    def stop(self, check=True):
        try:
            if self.cluster:
                self.mongo.heal()
                self.cluster.stop(check)
        finally:
            for part in reversed(self.parts):
                part.stop()

    def push(self, data, name="", patient=60):
        """As a client does: again while the answer is no promise."""
        deadline = time.monotonic() + patient
        while True:
            with contextlib.suppress(requests.RequestException):
                answer = requests.post(self.cluster.url + "/v1/catalogs", params={"name": name}, data=data, timeout=60, headers={"Content-Type": "text/plain"})
                if answer.status_code in (200, 202):
                    self.dead += len(re.findall(rb"/fault/(404|html|500)", data))
                    return answer.json()
                assert answer.status_code in (500, 503), f"{answer.status_code} {answer.text}"
            assert time.monotonic() < deadline, f"no push\n{self.cluster.tails()}"
            time.sleep(0.2)

    def settle(self, data, catalog, seconds=150):
        """Drained, and the oracle over all of it."""
        receipt = drain(self.cluster, self.supervisor, [catalog], seconds)[0]
        assert self.supervisor.deaths == 0, "a daemon had to be started again"
        check_receipt(receipt["counts"])
        check_lines(data, self.cluster.lines(receipt))
        assert self.cluster.verify() >= receipt["counts"]["stored"]
        wrong = problems_of_doubles(self.cluster.db)
        assert not wrong, wrong
        assert self.cluster.db.urls.count_documents({"state": "dead"}) == self.dead
        return receipt

    def stored(self):
        return self.cluster.db.images.estimated_document_count()

    def wait_stored(self, more, since, seconds=60):
        kit.wait_until(lambda: self.stored() >= since + more, seconds, lambda: f"{more} images stored\n{self.cluster.tails(25)}", 0.05)

    def workers_rss(self):
        """MiB, the largest worker's."""
        return max(int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{w.pid}/status").read_text()).group(1)) / 1024 for w in self.cluster.of("worker"))

    def jobs_read(self):
        group = self.redis.client.xinfo_groups(self.cluster.key("jobs"))[0]
        return group["entries-read"], group["pending"]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with small_disk() as disk:
        world = World(tmp_path_factory.mktemp("mongo-faults"), disk)
        yield world
        world.stop()


@pytest.fixture(autouse=True)
def logs(request, world):
    request.node.fleets = [world.cluster]


def some_catalog():
    """As mixed_catalog, but no URL of it has been in an earlier one of this fleet."""
    number = next(numbers)
    data = mixed_catalog(f"m{number}")
    data = re.sub(rb"(/id/\d+/\d+/)24\n", rb"\g<1>%d\n" % (24 + number), data)
    return re.sub(rb"(https://picsum.photos/\d+/)20\n", rb"\g<1>%d\n" % (40 + number), data)


def long_catalog(lines):
    """Small pictures, enough of them that a fault meets the middle of the run."""
    number = next(numbers)
    known = 80  # the ids above have gaps
    return "".join(f"https://picsum.photos/id/{line % known}/{60 + number}/{40 + line // known}\n" for line in range(lines)).encode()


def assert_all(data, receipt):
    want = expected(data).counts
    assert {name: receipt["counts"][name] for name in want} == want


# --- each command, each way to fail -------------------------------------------------------------------------------------


def orphan_chunk(world):
    """A push that was given up long ago: its removal is the only delete there is."""
    catalog = "5e0be100%016x" % next(numbers)
    world.cluster.db.catalog_chunks.insert_one({"_id": f"{catalog}:0", "catalog": catalog, "number": 0, "first_line": 1, "lines": 1, "admitted": False,
                                                "data": "x"})


def push_with_long_reads(world, data):
    """Redis forgets hundreds of jobs that nobody has begun: the sweeper reads them in more than one batch."""
    workers = world.cluster.of("worker")
    for worker in workers:
        worker.child.send_signal(signal.SIGSTOP)
    try:
        catalog = world.push(data)
        kit.wait_until(lambda: world.cluster.inflight() >= 250, 60, "hundreds of jobs are queued")
        world.redis.client.flushall()
        kit.wait_until(lambda: world.cluster.inflight() >= 100, 60, lambda: f"the sweeper dispatches them again\n{world.cluster.tails(25)}")
    finally:
        for worker in workers:
            worker.child.send_signal(signal.SIGCONT)
    return catalog


@pytest.mark.parametrize("fault, command", [pytest.param(*case, id="-".join(case), marks=[pytest.mark.quick] if case in IN_QUICK else []) for case in CASES])
def test_a_command_that_fails_is_repaired_by_itself(world, fault, command):
    data = some_catalog() if command != "getMore" else long_catalog(300)
    node = world.mongo.wait_primary()
    if command == "delete":
        orphan_chunk(world)
    with fail_command(node, [command], {"times": 3 if command == "delete" else 7}, **FAULTS[fault]) as failing:
        catalog = push_with_long_reads(world, data) if command == "getMore" else world.push(data)
        if command == "delete":
            kit.wait_until(lambda: world.cluster.db.catalog_chunks.count_documents({"admitted": False}) == 0, 60, "the orphan is removed")
        receipt = drain(world.cluster, world.supervisor, [catalog])[0]
    print(f"{fault} {command}: met {failing.met} times")
    assert failing.met > 0, f"nothing called {command}"
    assert_all(data, world.settle(data, receipt))


@pytest.mark.quick
def test_a_write_whose_answer_is_lost_each_time_meets_its_own_duplicate(world):
    """The server writes, the connection dies before the answer, and so it does for the driver's retry: the next try finds the key taken."""
    data = some_catalog()
    node = world.mongo.wait_primary()
    with FailPoint(node, "onPrimaryTransactionalWrite", {"times": 24}, closeConnection=True) as failing:
        catalog = world.push(data)
        drain(world.cluster, world.supervisor, [catalog])
    print(f"answers lost: {failing.met}")
    assert failing.met >= 4
    assert_all(data, world.settle(data, catalog))


@pytest.mark.parametrize("block_ms", [pytest.param(400, id="slow"), pytest.param(TIMEOUT_MS + 6500, id="past_every_deadline")])
def test_slow_answers(world, block_ms):
    """Slower than usual, or so slow that nobody waits any longer: what became of the write is then unknown."""
    data = some_catalog()
    node = world.mongo.wait_primary()
    past = block_ms > TIMEOUT_MS
    commands = ["insert", "update", "findAndModify"] if past else ["insert", "update", "find", "aggregate", "findAndModify"]
    with fail_command(node, commands, {"times": 6 if past else 120}, blockConnection=True, blockTimeMS=block_ms) as failing:
        catalog = world.push(data, patient=120)
        drain(world.cluster, world.supervisor, [catalog], 200)
    print(f"answers {block_ms} ms late: {failing.met}")
    assert failing.met >= (6 if past else 20)
    assert_all(data, world.settle(data, catalog))


# --- nodes --------------------------------------------------------------------------------------------------------------


@pytest.mark.quick
def test_the_primary_steps_down_in_mid_run(world):
    data = long_catalog(400)
    before = world.stored()
    catalog = world.push(data)
    world.wait_stored(40, before)
    left = world.mongo.step_down(8)
    took = time_to_store(world)
    assert world.mongo.wait_primary() is not left
    print(f"step-down: stores again after {took:.1f} s")
    assert_all(data, world.settle(data, catalog))


def time_to_store(world, seconds=90):
    """Until an image is stored that a majority has."""
    began, before = time.monotonic(), None
    while True:
        with contextlib.suppress(Exception):
            count = world.cluster.db.images.count_documents({})
            if before is None:
                before = count
            elif count > before:
                return time.monotonic() - began
        assert time.monotonic() - began < seconds, f"nothing is stored\n{world.cluster.tails(25)}"
        time.sleep(0.1)


@pytest.mark.quick
def test_the_primary_is_killed_and_comes_back_later(world):
    data = long_catalog(500)
    before = world.stored()
    catalog = world.push(data)
    world.wait_stored(40, before)
    node = world.mongo.wait_primary()
    node.kill()
    took = time_to_store(world)
    print(f"SIGKILL of the primary: stores again after {took:.1f} s")
    node.start()
    assert_all(data, world.settle(data, catalog))
    world.mongo.wait_healthy()


@pytest.mark.parametrize("how", ["killed", "paused"])
def test_without_a_majority_workers_wait_and_read_no_more(world, how):
    """Two of three nodes away for 30 s. Jobs in hand keep their place, memory does not grow, and the rest follows by itself."""
    data = long_catalog(1200)
    before = world.stored()
    catalog = world.push(data)
    world.wait_stored(60, before)
    lost = world.mongo.secondaries()
    for node in lost:
        node.kill() if how == "killed" else node.pause()
    try:
        began, start_rss, samples = time.monotonic(), world.workers_rss(), []
        while time.monotonic() - began < OUTAGE_SECONDS:
            time.sleep(1)
            samples.append((*world.jobs_read(), world.workers_rss()))
        # what was in flight at the start has been read; from then on nothing is
        reads, pending, sizes = zip(*samples[10:])
        print(f"majority lost ({how}): jobs read {reads[0]}..{reads[-1]}, pending {min(pending)}..{max(pending)}, RSS {start_rss:.0f} -> {max(sizes):.0f} MiB")
        assert world.redis.client.xlen(world.cluster.key("jobs")) > 0, "the run was over before the fault"
        assert reads[0] == reads[-1], f"workers went on reading: {reads}"
        assert max(pending) <= 2 * (SLOTS + LINGERING), pending
        assert max(sizes) <= min(start_rss + OUTAGE_RSS_MIB, RSS_MIB), sizes
    finally:  # the next test wants a whole set
        world.mongo.heal()
    print(f"stores again {time_to_store(world):.1f} s after the set is whole")
    assert_all(data, world.settle(data, catalog))


def test_the_primarys_disk_is_full(world):
    """The node ends or can't write; another takes over; with room it joins again."""
    node = world.mongo.nodes[0]
    if node.data.stat().st_dev == world.folder.stat().st_dev:
        pytest.skip("a small file system needs the right to mount one")
    world.mongo.step_up(node)
    data = long_catalog(2500)
    before = world.stored()
    catalog = world.push(data)
    world.wait_stored(40, before)
    filler = node.data / "filler"
    fill(filler)
    kit.wait_until(lambda: not checkpoint(node), 60, "the server notices that its disk is full")
    took = time_to_store(world, 120)
    print(f"disk full: the node has {'lived on' if node.alive() else 'ended'}, the set stores again after {took:.1f} s")
    filler.unlink()
    world.mongo.heal()
    assert_all(data, world.settle(data, catalog))


def checkpoint(node):
    """What a server does each minute: all that changed goes to the disk."""
    with contextlib.suppress(pymongo.errors.PyMongoError):
        return node.direct.admin.command("fsync")["ok"]
    return False


def fill(path):
    with open(path, "wb") as file:
        for size in (1 << 20, 1 << 12):
            with contextlib.suppress(OSError):
                while True:
                    os.write(file.fileno(), bytes(size))


def test_everything_at_once_fails_now_and_then(world):
    """One command in six, of any kind, in any way, with a step-down between."""
    data = long_catalog(500) + some_catalog()
    catalog = world.push(data)
    met = 0
    for round, (fault, command) in enumerate((fault, command) for fault in ("network", "not_primary", "write_concern") for command in ("insert", "update", "find")):
        node = world.mongo.wait_primary()
        with fail_command(node, [command], {"activationProbability": 0.17}, **FAULTS[fault]) as failing:
            if round == 4:
                world.mongo.step_down(3)
            time.sleep(1)
        met += failing.met
    assert met > 0
    assert_all(data, world.settle(data, catalog))
