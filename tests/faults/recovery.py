# SPDX-License-Identifier: Apache-2.0
"""What the fault tests share: a catalog with something of everything, a supervisor, and the oracle in one call."""
import json
import signal
import time

import kit
from oracle import check_lines, check_receipt, expected

# a lease of two seconds and sweeps to match: a recovery takes seconds, not minutes
QUICK = {
    "worker.lease_ms": 2000, "worker.heartbeat_ms": 500, "worker.batch_ms": 20, "scheduler.sweep_ms": 500, "scheduler.stale_ms": 1500,
    "scheduler.lost_ms": 4000, "scheduler.batch": 10, "retry.base_ms": 100, "retry.max_attempts": 3, "worker.slots": 16,
}
DEAD_TARGETS = 3
RANDOM_SOURCES = 4
RECOVERY_SECONDS = 120


def mixed_catalog(key):
    """Catalog bytes: pictures, random sources, equal contents, failures of each class, a throttled host, bad and equal lines.

    `key` keeps the origin's counters of one test apart from another's.
    """
    good = [f"https://picsum.photos/id/{number}/{20 + number}/24" for number in range(12)]
    volatile = [f"https://picsum.photos/{30 + number}/20" for number in range(RANDOM_SOURCES)]
    same = [f"https://origin.test/kind/same/{key}/{number}" for number in range(6)]
    failing = [f"https://origin.test/fault/404?k={key}", f"https://origin.test/fault/html?k={key}", f"https://origin.test/fault/500?k={key}"]
    assert len(failing) == DEAD_TARGETS
    passing = [f"https://origin.test/fault/flaky?times=1&key=once-{key}", f"https://origin.test/fault/flaky?times=2&key=twice-{key}",
               f"https://limited.test/fault/429?after=1&times=1&key={key}", f"https://origin.test/fault/slow/1200?k={key}"]
    bad = ["picsum.photos/1/2", "htps://picsum.photos/20/30", "https://picsum.photos/wide/30", "# a remark", ""]
    lines = good + bad + volatile + same + failing + passing + good[:3] + volatile[:2]
    return "".join(line + "\n" for line in lines).encode()


def follower_catalog(key):
    """A second one: half of its URLs are the first one's, others bring bytes that are stored already."""
    known = [f"https://picsum.photos/id/{number}/{20 + number}/24" for number in range(6)]
    same = [f"https://origin.test/kind/same/{key}/again-{number}" for number in range(3)]
    return "".join(url + "\n" for url in known + same + [f"https://picsum.photos/id/40/41/42?blur={len(key) % 9 + 1}"]).encode()


class Supervisor:
    """Starts a daemon again when it has died, as systemd or Kubernetes would; without the environment it died of."""

    def __init__(self, cluster):
        self.cluster, self.deaths = cluster, 0
        self.watched = {}

    def start(self, role, env=None):
        daemon = self.cluster.start(role, env)
        self.watched[daemon] = role
        return daemon

    def look(self):
        """Restarts what has died; an end that is no crash is a failure of its own."""
        for daemon, role in list(self.watched.items()):
            if daemon.alive():
                continue
            assert daemon.child.returncode == -signal.SIGKILL, \
                f"{daemon.name} ended by itself with {daemon.child.returncode}:\n{kit.tail(daemon.log)}"
            del self.watched[daemon]
            self.deaths += 1
            self.start(role)

    def wait(self, check, seconds, what):
        def look_and_check():
            self.look()
            return check()

        return kit.wait_until(look_and_check, seconds, what, 0.05)

    def stop(self, daemon):
        del self.watched[daemon]
        return daemon.stop(90)


def drain(cluster, supervisor, catalogs, seconds=RECOVERY_SECONDS):
    """Waits until all are finished and nothing is left in Redis; their receipts."""
    from oracle import problems_of_streams

    def finished():
        states = [row.get("state") for row in (cluster.db.catalogs.find_one({"_id": kit.catalog_id(c)}) or {} for c in catalogs)]
        return all(state == "finished" for state in states)

    supervisor.wait(finished, seconds, lambda: f"catalogs finished\n{cluster.tails(25)}")
    supervisor.wait(lambda: not problems_of_streams(cluster.redis, cluster.prefix), seconds,
                    lambda: f"{problems_of_streams(cluster.redis, cluster.prefix)}\n{cluster.tails(25)}")
    return [cluster.catalog(kit.catalog_id(c)) for c in catalogs]


def problems_of_doubles(db):
    """No job made two images of one output; a URL links one source, and all outputs that its pipeline makes of it; `made` is right everywhere."""
    wrong = [f"job {row['_id']['job']} made {row['n']} images" for row in db.images.aggregate(
        [{"$group": {"_id": {"job": "$job", "pipeline": "$pipeline", "output": "$output"}, "n": {"$sum": 1}}}, {"$match": {"n": {"$gt": 1}}}])]
    outputs = {row["_id"]: sorted(json.loads(row["body"]).get("outputs") or [""]) for row in db.pipelines.find({})}
    for url in db.urls.find({"images.0": {"$exists": True}}):
        links = [id.partition("/") for id in url["images"]]
        made = {source for source, _, _ in links}
        if len(made) > 1 or sorted(name for _, _, name in links) != outputs[links[0][0].partition(":")[2]]:
            wrong.append(f"{url['url']} links {url['images']}")
    made, sets = db.urls.count_documents({"made": True}), len({image["_id"].partition("/")[0] for image in db.images.find({}, {"_id": 1})})
    return wrong + ([f"{made} URLs say that they made an image, there are those of {sets} sources"] if made != sets else [])


def verify(cluster, pushed, receipts, dead):
    """The oracle over stores, streams, receipts and every line. pushed: catalog bytes; dead: how many URLs in all must be."""
    stored = 0
    for data, receipt in zip(pushed, receipts):
        check_receipt(receipt["counts"])
        lines = cluster.lines(receipt)
        if data is pushed[0]:
            check_lines(data, lines)
        else:  # what an earlier catalog brought in is a duplicate here
            assert [row.get("url") for row in lines] == [fate.value for fate in expected(data).fates]
        stored += receipt["counts"]["stored"]
    assert cluster.verify() >= stored
    wrong = problems_of_doubles(cluster.db)
    assert not wrong, wrong
    assert cluster.db.urls.count_documents({"state": "dead"}) == dead, list(cluster.db.urls.find({"state": "dead"}, {"url": 1, "error": 1}))
    return stored


def push_again_and_again(cluster, supervisor, data, name="", **params):
    """As a client does that gets no answer: the same push again, once the API is back."""
    import requests

    deadline = time.monotonic() + 60
    while True:
        supervisor.look()
        api = cluster.of("api")[-1]
        cluster.url = f"http://{api.wait_address('api')}"
        try:
            return cluster.push(data, name, status=(200, 202), **params)
        except requests.ConnectionError:
            assert time.monotonic() < deadline, f"no API\n{cluster.tails()}"
            time.sleep(0.1)
