# SPDX-License-Identifier: Apache-2.0
"""A replica set of real mongods that elects within seconds, each node of which can be killed, paused, limited and made to fail."""
import contextlib
import pathlib
import signal

import pymongo

import kit

ELECTION_MS = 1500
APP = "grisaille"  # what the product calls itself: injected failures meet it and not the test's own connections


class Node:
    """One mongod. Its data outlive the process."""

    def __init__(self, number, folder, data=None):
        self.number, self.folder, self.port = number, pathlib.Path(folder), kit.free_port()
        self.data = pathlib.Path(data) if data else self.folder / f"mongo-{number}"
        self.data.mkdir(exist_ok=True)
        self.process = None
        self.direct = pymongo.MongoClient(f"mongodb://127.0.0.1:{self.port}/?directConnection=true", serverSelectionTimeoutMS=1000, socketTimeoutMS=5000,
                                          connect=False)
        self.start()

    def start(self):
        self.process = kit.Process(f"mongod-{self.number}", [
            kit.find_mongod(), "--port", self.port, "--bind_ip", "127.0.0.1", "--dbpath", self.data, "--replSet", "rs0", "--oplogSize", "128",
            "--setParameter", "enableTestCommands=1", "--setParameter", "diagnosticDataCollectionEnabled=false",
            "--wiredTigerCacheSizeGB", "0.25", "--nounixsocket", "--quiet"], self.folder)

    def alive(self):
        return self.process.alive()

    def answers(self):
        try:
            return self.direct.admin.command("ping")
        except pymongo.errors.PyMongoError:
            return False

    def is_primary(self):
        try:
            return self.direct.admin.command("hello").get("isWritablePrimary", False)
        except pymongo.errors.PyMongoError:
            return False

    def kill(self):
        self.process.kill()

    def pause(self):
        self.process.child.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.child.send_signal(signal.SIGCONT)


class ReplicaSet:
    """Three nodes by default. `uri` and `client` as kit.Mongo has them, so that a fleet runs on either."""

    def __init__(self, folder, size=3, data=None):
        """data: folders of nodes that do not live in `folder`, by number."""
        self.nodes = [Node(number, folder, (data or {}).get(number)) for number in range(size)]
        try:
            members = [{"_id": node.number, "host": f"127.0.0.1:{node.port}"} for node in self.nodes]
            config = {"_id": "rs0", "members": members,
                      "settings": {"electionTimeoutMillis": ELECTION_MS, "heartbeatIntervalMillis": 500, "heartbeatTimeoutSecs": 2}}
            for node in self.nodes:
                kit.wait_until(node.answers, kit.START_SECONDS, lambda: kit.tail(node.process.log))
            self.nodes[0].direct.admin.command("replSetInitiate", config)
            self.wait_primary()
        except BaseException:
            self.stop()
            raise
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)
        self.uri = f"mongodb://{hosts}/?replicaSet=rs0"
        self.client = pymongo.MongoClient(self.uri, serverSelectionTimeoutMS=20000)

    def primary(self):
        return next((node for node in self.nodes if node.alive() and node.is_primary()), None)

    def wait_primary(self, seconds=60):
        return kit.wait_until(self.primary, seconds, "a primary is elected")

    def secondaries(self):
        primary = self.wait_primary()
        return [node for node in self.nodes if node is not primary]

    def step_down(self, seconds=5):
        node = self.wait_primary()
        with contextlib.suppress(pymongo.errors.PyMongoError):  # the answer may be a closed connection
            node.direct.admin.command("replSetStepDown", seconds, secondaryCatchUpPeriodSecs=min(3, seconds), force=True)
        return node

    def step_up(self, node):
        """Makes this one the primary."""
        def done():
            with contextlib.suppress(pymongo.errors.PyMongoError):
                if not node.is_primary():
                    node.direct.admin.command("replSetStepUp")
            return node.is_primary()

        kit.wait_until(done, 60, f"node {node.number} is the primary", 0.5)

    def heal(self):
        """Every node runs and has joined again."""
        for node in self.nodes:
            if node.alive():
                node.resume()
            else:
                node.start()
        self.wait_healthy()

    def wait_healthy(self, seconds=90):
        def healthy():
            primary = self.primary()
            if not primary:
                return False
            try:
                members = primary.direct.admin.command("replSetGetStatus")["members"]
            except pymongo.errors.PyMongoError:
                return False
            return all(member["stateStr"] in ("PRIMARY", "SECONDARY") for member in members)

        kit.wait_until(healthy, seconds, "all nodes are primary or secondary", 0.3)

    def stop(self):
        for node in self.nodes:
            if node.alive():
                node.resume()
                node.kill()


class FailPoint:
    """An injected failure of a node, as long as the block lasts; `met`: how often it was met (known afterwards)."""

    def __init__(self, node, name, mode, **data):
        self.node, self.name, self.mode, self.data, self.met = node, name, mode, data, None

    def off(self):
        return self.node.direct.admin.command({"configureFailPoint": self.name, "mode": "off"})["count"]

    def __enter__(self):
        self.before = self.off()  # the server counts since its start
        self.node.direct.admin.command({"configureFailPoint": self.name, "mode": self.mode, "data": self.data})
        return self

    def __exit__(self, *_):
        self.met = self.off() - self.before


def fail_command(node, commands, mode, **data):
    """The next commands of the product on this node fail so."""
    return FailPoint(node, "failCommand", mode, failCommands=commands, appName=APP, **data)
