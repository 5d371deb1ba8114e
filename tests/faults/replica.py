# SPDX-License-Identifier: Apache-2.0
"""A replica set of real mongods that elects within seconds, each node of which can be killed, paused, limited and made to fail."""
import contextlib
import pathlib
import signal
import types

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

    def __init__(self, folder, size=3):
        self.nodes = [Node(number, folder) for number in range(size)]
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


def fail_command(node, commands, mode, **data):
    """On: the next commands of the product on this node fail so."""
    node.direct.admin.command({"configureFailPoint": "failCommand", "mode": mode, "data": {"failCommands": commands, "appName": APP, **data}})


def fail_point(node, name, mode, **data):
    node.direct.admin.command({"configureFailPoint": name, "mode": mode, "data": data})


def end_fail_point(node, name="failCommand"):
    """Off; how often it was met."""
    return node.direct.admin.command({"configureFailPoint": name, "mode": "off"})["count"]


def with_replica_set(servers, mongo):
    """The session's servers, with this set in place of the one-node MongoDB."""
    return types.SimpleNamespace(redis=servers.redis, origin=servers.origin, folder=servers.folder, mongo=mongo)
