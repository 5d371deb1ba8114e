# SPDX-License-Identifier: Apache-2.0
"""Servers that the fault tests may break: Redis nodes that come and go, Sentinels, a MongoDB behind a proxy, and fleets on them."""
import contextlib
import pathlib
import signal
import threading
import time
import types

import pymongo
import pytest
import redis as redis_client

import kit
from fault_proxy import FaultProxy
from fleet_fixtures import end_fleets
from oracle import check_receipt
from recovery import QUICK, problems_of_doubles

# short leases, short patience, and more tries than any of these tests takes, so that no URL is dead by our own faults
FAST = {**QUICK, "redis.timeout_ms": 1000, "mongo.timeout_ms": 2000, "retry.max_attempts": 60, "retry.max_ms": 1000, "fetch.timeout_ms": 4000,
        "fetch.connect_timeout_ms": 1500}
LEASE_SECONDS = FAST["worker.lease_ms"] / 1000


class RedisNode:
    """A Redis that may be killed and started again on the same port with the same data."""

    def __init__(self, folder, name="redis", *arguments):
        self.folder, self.name, self.arguments = pathlib.Path(folder), name, arguments
        self.port = kit.free_port()
        self.data = self.folder / name
        self.data.mkdir()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.client = redis_client.Redis(port=self.port, socket_timeout=10)
        self.process = None
        self.start()

    def start(self, *more, wait=True):
        base = ["redis-server", "--port", self.port, "--bind", "127.0.0.1", "--dir", self.data, "--appendonly", "yes", "--save", "",
                "--maxmemory-policy", "noeviction", "--appendfsync", "always", "--enable-debug-command", "local"]
        self.process = kit.Process(self.name, [*base, *self.arguments, *more], self.folder)
        if wait:
            kit.wait_until(lambda: self.process.must_live() and self.answers(), kit.START_SECONDS, lambda: kit.tail(self.process.log))

    def answers(self):
        with contextlib.suppress(redis_client.RedisError):
            return self.client.ping()
        return False

    def kill(self):
        self.process.kill()

    def close(self):
        if self.process.alive():
            self.process.kill()  # it may be stopped or busy: no asking
        self.client.close()

    @contextlib.contextmanager
    def stopped(self):
        """As a machine that hangs: connections stay, nothing moves."""
        self.process.child.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.child.send_signal(signal.SIGCONT)

    @contextlib.contextmanager
    def busy(self):
        """A script of somebody else that does not end; BUSY is answered after 100 ms of it."""
        self.client.config_set("busy-reply-threshold", 100)
        other = redis_client.Redis(port=self.port, socket_timeout=60)

        def run():
            with contextlib.suppress(redis_client.RedisError):
                other.eval("while true do end", 0)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        try:
            yield
        finally:
            kit.wait_until(self.kill_script, 10, "SCRIPT KILL")
            thread.join(10)
            other.close()

    def kill_script(self):
        with contextlib.suppress(redis_client.RedisError):
            return self.client.script_kill()
        return False

    def newest_aof(self):
        return max(self.data.glob("appendonlydir/*.incr.aof"), key=lambda path: int(path.name.split(".")[-3]))


class Sentinels:
    """Three Redis, one master, and three Sentinels that watch it."""

    def __init__(self, folder, name="main"):
        self.name = name
        self.nodes = [RedisNode(folder, "redis-0")]
        master = self.nodes[0]
        self.nodes += [RedisNode(folder, f"redis-{n}", "--replicaof", f"127.0.0.1 {master.port}", "--repl-diskless-sync-delay", "0") for n in (1, 2)]
        for node in self.nodes[1:]:
            kit.wait_until(lambda: node.client.info("replication")["master_link_status"] == "up", 30, "replicas follow")
        self.ports = [kit.free_port() for _ in range(3)]
        self.processes = [self.start_sentinel(pathlib.Path(folder), number, port, master.port) for number, port in enumerate(self.ports)]
        self.clients = [redis_client.Redis(port=port, socket_timeout=5, decode_responses=True) for port in self.ports]
        kit.wait_until(self.all_know, 30, "the Sentinels know each other and the replicas")

    def start_sentinel(self, folder, number, port, master_port):
        config = folder / f"sentinel-{number}.conf"
        config.write_text(f"port {port}\nbind 127.0.0.1\ndir {folder}\nsentinel monitor {self.name} 127.0.0.1 {master_port} 2\n"
                          f"sentinel down-after-milliseconds {self.name} 800\nsentinel failover-timeout {self.name} 4000\n")
        return kit.Process(f"sentinel-{number}", ["redis-server", config, "--sentinel"], folder)

    def all_know(self):
        with contextlib.suppress(redis_client.RedisError):
            states = [client.execute_command("SENTINEL", "MASTER", self.name) for client in self.clients]
            states = [state if isinstance(state, dict) else dict(zip(state[::2], state[1::2])) for state in states]
            return all(int(state["num-other-sentinels"]) == 2 and int(state["num-slaves"]) == 2 for state in states)
        return False

    def master(self):
        """The node that the Sentinels agree on and that says so itself; None while there is none."""
        with contextlib.suppress(redis_client.RedisError):
            ports = {int(client.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.name)[1]) for client in self.clients}
            for node in self.nodes:
                if ports == {node.port} and node.process.alive() and node.client.role()[0] in (b"master", "master"):
                    return node
        return None

    def wait_master(self, other_than=None, seconds=30):
        def changed():
            node = self.master()
            return node if node is not other_than else None
        return kit.wait_until(changed, seconds, "a new master")

    @property
    def url(self):
        return "redis+sentinel://" + ",".join(f"127.0.0.1:{port}" for port in self.ports) + f"/{self.name}/0"

    @property
    def client(self):
        return self.wait_master().client

    def close(self):
        for process in self.processes:
            if process.alive():
                process.kill()
        for node in self.nodes:
            node.close()


class ProxiedMongo(kit.Mongo):
    """A replica set whose only address is a proxy, so that drivers can't find a way around it."""

    def __init__(self, folder):
        self.proxy = None
        (pathlib.Path(folder) / "proxied").mkdir()
        super().__init__(pathlib.Path(folder) / "proxied")
        self.uri = f"mongodb://127.0.0.1:{self.proxy.port}/?replicaSet=rs0"
        self.client.close()
        self.client = pymongo.MongoClient(f"mongodb://127.0.0.1:{self.port}/?directConnection=true", serverSelectionTimeoutMS=20000)

    def initiate(self, direct):
        self.proxy = self.proxy or FaultProxy(self.port)
        config = {"_id": "rs0", "members": [{"_id": 0, "host": f"127.0.0.1:{self.proxy.port}"}]}
        try:
            direct.admin.command("replSetInitiate", config)
        except pymongo.errors.OperationFailure as error:
            return error.code == 23  # already initialised
        except pymongo.errors.PyMongoError:
            return False
        return True

    def close(self):
        self.stop(20)
        self.proxy.close()


@pytest.fixture
def parts():
    """parts(thing) → thing, closed at the end of the test."""
    with contextlib.ExitStack() as stack:
        def keep(part):
            stack.callback(part.close)
            return part
        yield keep


@pytest.fixture
def redis_node(parts, tmp_path):
    return parts(RedisNode(tmp_path))


@pytest.fixture(scope="module")
def proxied_mongo(tmp_path_factory):
    mongo = ProxiedMongo(tmp_path_factory.mktemp("faults"))
    yield mongo
    mongo.close()


@pytest.fixture
def fault_fleet(servers, parts, tmp_path, request):
    """fault_fleet(redis=…, redis_url=…, mongo=…, connect_to=…, settings={…}, workers=2, …): a fleet on servers of the test's own."""
    request.node.fleets = fleets = []
    servers.origin.reset_stats()

    def start(redis=None, redis_url=None, mongo=None, connect_to=None, settings=None, **options):
        redis, mongo = redis or servers.redis, mongo or servers.mongo
        own = types.SimpleNamespace(
            redis=types.SimpleNamespace(client=redis.client, url=redis_url or redis.url), mongo=types.SimpleNamespace(client=mongo.client, uri=mongo.uri),
            origin=types.SimpleNamespace(connect_to=lambda: connect_to or servers.origin.connect_to(), ca=servers.origin.ca))
        cluster = kit.Cluster(own, tmp_path, settings={**FAST, **(settings or {})}, **options)
        fleets.append(cluster)
        return cluster

    yield start
    end_fleets(request, fleets, redis_client.RedisError)


# --- work, and what must have become of it -------------------------------------------------------------------------------


def slow_urls(key, count, ms=150, host="origin.test"):
    """Pictures that each take a while, so that a fault hits them in the middle."""
    return [f"https://{host}/fault/slow/{ms}?k={key}-{number}" for number in range(count)]


def done(cluster):
    return cluster.db.urls.count_documents({"state": "done"})


def wait_done(cluster, count, seconds=60):
    kit.wait_until(lambda: done(cluster) >= count, seconds, lambda: f"{done(cluster)} of {count} done\n{cluster.tails()}", 0.02)


def time_to_next(cluster, event, since=None):
    """Prints how long it took from `since` (now) to the next URL done. What was in hand without Redis must be done already."""
    began, before = since or time.monotonic(), done(cluster)
    wait_done(cluster, before + 1)
    print(f"{event}: the next URL is done after {time.monotonic() - began:.1f} s")


def settle(cluster, catalogs, urls, dead=0, seconds=60):
    """Waits until all catalogs are finished, then the oracle: `urls` in all are done, but `dead`, and nothing is left over."""
    receipts = [cluster.wait_drained(catalog, seconds) for catalog in catalogs]
    for receipt in receipts:
        check_receipt(receipt["counts"])
    stored = sum(receipt["counts"]["stored"] for receipt in receipts)
    assert cluster.verify() == stored
    wrong = problems_of_doubles(cluster.db)
    assert not wrong, wrong
    counts = [sum(receipt["counts"][name] for receipt in receipts) for name in ("accepted", "dead", "invalid")]
    assert counts == [urls, dead, 0], (counts, [receipt for receipt in receipts if receipt["counts"]["dead"] + receipt["counts"]["invalid"]])
    return receipts


def metric(cluster, name, role="worker"):
    """The sum of a metric over all daemons of a role."""
    total = 0.0
    for daemon in cluster.of(role):
        for line in daemon.metrics().splitlines():
            if line.startswith(name) and line[len(name)] in " {":
                total += float(line.rsplit(" ", 1)[1])
    return total


def events(cluster, name, role=None):
    """Log entries of that event."""
    return [entry for daemon in cluster.daemons if role in (None, daemon.role) for entry in daemon.entries() if entry.get("event") == name]




def rest(seconds):
    """A fault lasts: the one reason to sleep in these tests."""
    time.sleep(seconds)
