# SPDX-License-Identifier: Apache-2.0
"""Every crash point of include/grisaille/crash_points.def: the process dies there, is started again, and nothing shows.

A row of the table makes a case by itself; how the fleet is brought to the point is its scenario, below. Each case asserts that the
process really died there. Three fleets run at a time, for most of a case is waiting for a lease to run out.
"""
import base64
import concurrent.futures
import datetime
import json
import pathlib
import re
import signal
import subprocess
import time

import pytest
import requests
import yaml

import kit
from recovery import DEAD_TARGETS, QUICK, Supervisor, drain, follower_catalog, mixed_catalog, push_again_and_again, verify

TABLE = kit.ROOT / "include" / "grisaille" / "crash_points.def"
POINTS = dict(re.findall(r"^GRI_CRASH\((\w+), (\w+),", TABLE.read_text(), re.M))
LATER_PASSES = ("admit_after:3", "dispatch_after:2", "insert_after:2", "set_inserted:3", "finish_before:2", "failure_after:3", "ack_jobs_after:2", "push_chunks_after:2")
RENEWED = ("insert_before:1", "insert_after:1", "finish_before:1", "finish_after:1")  # the same boundaries, of URLs fetched anew
IN_QUICK = {
    "renew_after", "reprocess_batch_after",
    "push_catalog_after", "announce_after", "admit_after", "dispatch_after", "chunk_done_after", "due_after", "sweep_before", "insert_after",
    "finish_after", "failure_before", "set_inserted", "ack_jobs_before", "repair_before",
}
AT_ONCE = 3
SHOP = {"outputs": {"gray": {"steps": ["grayscale"]}, "thumb": {"steps": [{"thumbnail": {"width": 16}}, "grayscale"], "output": {"format": "png"}}}}


class Case:
    """One crash: a fleet, the point, and what was pushed."""

    def __init__(self, servers, folder, spec):
        self.point, _, passes = spec.partition(":")
        self.spec, self.role, self.key = spec, POINTS[self.point], f"{self.point}{passes}"
        folder.mkdir()
        self.cluster = kit.Cluster(servers, folder, schedulers=0, workers=0, api=0, settings={**QUICK, "scheduler.upkeep_ms": 500, "pipelines": {"shop": SHOP}})
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
        if self.role in ("api", "scheduler", "worker"):
            self.wait_crash()
            code = self.victim.child.returncode
            assert code == -signal.SIGKILL, f"{self.victim.name} ended with {code}\n{self.cluster.tails(25)}"
        self.supervisor.look()
        for daemon in self.supervisor.watched:
            daemon.probe_address()  # else its SIGTERM might come before it can hear it
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


def ask_again_and_again(case, method, path, **params):
    """As a person does who gets no answer."""
    deadline = time.monotonic() + 60
    while True:
        case.supervisor.look()
        try:
            case.cluster.url = f"http://{case.cluster.of('api')[-1].wait_address('api')}"
            answer = requests.request(method, case.cluster.url + path, params=params, timeout=30)
            assert answer.status_code < 500, answer.text[:300]
            return answer
        except (requests.ConnectionError, IndexError, AssertionError):
            assert time.monotonic() < deadline, f"{method} {path} is never answered\n{case.cluster.tails(25)}"
            time.sleep(0.3)


def settled_first(case):
    """All is drained, then the one that is to crash starts anew."""
    case.start("api", "scheduler", "worker", crash=False)
    case.push(mixed_catalog(case.key) + f"https://origin.test/fault/flaky?times=4&key=later-{case.key}\n".encode())
    case.drain()
    case.dead = DEAD_TARGETS + 1
    case.supervisor.stop(case.cluster.of(case.role)[0])


def retry_dead_letters(case):
    settled_first(case)
    case.start("api")
    ask_again_and_again(case, "POST", "/v1/dead/retry", reason="http_5xx")
    case.wait(lambda: case.cluster.db.urls.count_documents({"state": "dead"}) == DEAD_TARGETS, "the flaky one lives")
    case.dead = DEAD_TARGETS


def cancel(case):
    """A catalog whose host is paused is cancelled: its URLs end, and only they."""
    settled_first(case)
    case.cluster.db.hosts.insert_one({"_id": "other.test"})
    case.start(case.role)
    time.sleep(2.5)  # every worker knows by then that the host is paused
    wish = [f"https://other.test/id/{n}/8/8?{case.key}" for n in range(5)]
    catalog = push_again_and_again(case.cluster, case.supervisor, "".join(url + "\n" for url in wish).encode(), "to cancel")
    id = kit.catalog_id(catalog)
    case.wait(lambda: case.cluster.db.urls.count_documents({"first.catalog": id}) == 5, "admitted")
    assert ask_again_and_again(case, "POST", f"/v1/catalogs/{id}/cancel").status_code == 200
    case.wait(lambda: (case.cluster.db.catalogs.find_one({"_id": id}) or {}).get("finished_at"), "the cancelled catalog ends")
    ended = case.cluster.db.urls.count_documents({"first.catalog": id, "state": "dead", "error.reason": "cancelled"})
    assert ended + case.cluster.db.urls.count_documents({"first.catalog": id, "state": "done"}) == 5
    case.dead += ended


def take_down(case):
    settled_first(case)
    case.start("api")
    image = case.cluster.db.images.find_one({})
    answer = ask_again_and_again(case, "DELETE", f"/v1/images/{image['sums']['source']}", reason="asked")
    assert answer.status_code == 200, answer.text
    left = case.cluster.db.images.count_documents({"sums.source": image["sums"]["source"], "data": {"$ne": ""}})
    assert left == 0 and case.cluster.db.tombstones.find_one({"_id": image["sums"]["source"]})["reason"] == "asked"
    assert not case.cluster.db.urls.find_one({"images": image["_id"], "error.reason": {"$ne": "removed"}})


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


def versions(case, count=8):
    """Catalog bytes of pictures that change when they are told to."""
    return "".join(f"https://origin.test/fault/version?key={case.key}-{n}\n" for n in range(count)).encode()


def change_some(case):
    """Two have another picture from now on, one is gone."""
    origin = case.cluster.servers.origin
    for what, n in (("next", 0), ("next", 1), ("gone", 2)):
        assert origin.get(f"/fault/version/{what}?key={case.key}-{n}").status_code == 200


def fetched_anew(case, data):
    """The oracle for what was fetched anew: the old pictures stay, the new ones stand beside them, the failed one is as it was."""
    db = case.cluster.db
    lives = {url["url"].rpartition("-")[2]: url for url in db.urls.find({"url": {"$regex": f"key={case.key}-"}})}
    assert {n: (url["state"], url["renew"]["outcome"]) for n, url in lives.items()} == {
        str(n): ("done", "failed" if n == 2 else "changed" if n < 2 else "unchanged") for n in range(8)}, lives
    assert [db.images.count_documents({"job": {"$regex": f"^{url['_id']}(#|$)"}}) for url in lives.values()] == [len(url["images"]) for url in lives.values()]
    return lives


def refreshed(case):
    """Pushed again with refresh; the crash is in the refresh."""
    case.start("api", *{"scheduler", "worker"} - {case.role}, crash=False)
    if case.role != "api":
        case.supervisor.start(case.role)
    data = versions(case)
    case.push(data)
    case.drain()
    change_some(case)
    case.supervisor.stop(case.cluster.of(case.role)[0])
    case.start(case.role)
    push_again_and_again(case.cluster, case.supervisor, data, refresh="true")
    case.wait(lambda: case.cluster.db.urls.count_documents({"renew.outcome": {"$in": ["unchanged", "changed", "failed"]}}) == 8, "all are fetched anew")
    case.drain()
    lives = fetched_anew(case, data)
    assert [len(lives[str(n)]["images"]) for n in range(8)] == [2, 2, 1, 1, 1, 1, 1, 1]
    forget_renewals(case)


def called_off(case):
    """A refresh of a paused host is cancelled."""
    db = case.cluster.db
    case.start("api", "worker", crash=False)
    case.supervisor.start("scheduler")
    data = versions(case)
    case.push(data)
    case.drain()
    before = {url["_id"]: url["images"] for url in db.urls.find({})}
    case.supervisor.stop(case.cluster.of("scheduler")[0])
    db.hosts.insert_one({"_id": "origin.test"})
    case.start("scheduler")
    asking = kit.catalog_id(push_again_and_again(case.cluster, case.supervisor, data, "to cancel", refresh="true"))
    case.wait(lambda: db.urls.count_documents({"renew.for": asking}) == 8, "admitted")
    assert ask_again_and_again(case, "POST", f"/v1/catalogs/{asking}/cancel").status_code == 200
    case.wait(lambda: (db.catalogs.find_one({"_id": asking}) or {}).get("finished_at"), "the cancelled catalog ends")
    assert {url["_id"]: url["images"] for url in db.urls.find({"state": "done"})} == before
    db.hosts.delete_one({"_id": "origin.test"})
    case.dead = 0


def reprocessed(case):
    """The pipeline has changed; what the old one made is made anew."""
    db = case.cluster.db
    case.start("api", "worker", crash=False)
    case.supervisor.start("scheduler")
    data = versions(case)
    case.push(data)
    case.drain()
    change_some(case)
    old = db.urls.find_one({})["pipeline"]
    for role in ("api", *({"scheduler"} & {case.role})):
        case.supervisor.stop(case.cluster.of(role)[0])
    settings = yaml.safe_load(case.cluster.config.read_text())
    settings["pipelines"] = {"gray": {"steps": [{"grayscale": {"method": "luma"}}], "output": {"format": "jpeg", "quality": 60, "lossless": "never"}}}
    case.cluster.config.write_text(yaml.safe_dump(settings))
    case.start(*(("api", "scheduler") if case.role == "scheduler" else ("api",)))
    answer = ask_again_and_again(case, "POST", "/v1/reprocess", pipeline="gray").json()
    case.wait(lambda: (db.reprocesses.find_one({"_id": "gray"}) or {}).get("state") == "finished", "the reprocess is through")
    lives = fetched_anew(case, data)
    assert {n: url["pipeline"] == old for n, url in lives.items()} == {str(n): n == 2 for n in range(8)}
    assert answer["pipeline"] != old and db.images.count_documents({"pipeline": old}) == 8 and db.images.count_documents({"pipeline": answer["pipeline"]}) == 7
    assert db.reprocesses.find_one({"_id": "gray"})["counts"] == {"unchanged": 5, "changed": 2, "failed": 1, "pending": 0}
    forget_renewals(case)


def forget_renewals(case):
    """What comes after judges first lives: one image a job."""
    db = case.cluster.db
    for url in list(db.urls.find({"images.1": {"$exists": True}})):
        db.images.delete_many({"_id": {"$in": url["images"][1:]}})
        db.urls.update_one({"_id": url["_id"]}, {"$set": {"images": url["images"][:1]}})
    case.dead = 0


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


def several_outputs(case):
    """A pipeline with two outputs. A transaction that a dead process has left open ends when the server is tired of it."""
    case.cluster.servers.mongo.client.admin.command({"setParameter": 1, "transactionLifetimeLimitSeconds": 3})
    case.start("api", "scheduler", "worker")
    case.push(mixed_catalog(case.key), pipeline="shop")
    case.drain()
    outputs = [image["output"] for image in case.cluster.db.images.find({}, {"output": 1})]
    assert outputs.count("gray") == outputs.count("thumb") == len(outputs) // 2 > 20


def leaving(case):
    """SIGTERM, and death at the very end."""
    case.start("api", "scheduler", "worker")
    case.push(mixed_catalog(case.key))
    case.drain()
    case.victim.ask()
    case.wait_crash()


def suspects(case):
    """Some of the jobs were delivered so often that each of them runs in a child; one case has several outputs."""
    case.start("api", "scheduler")
    case.push(mixed_catalog(case.key), pipeline="shop" if case.point == "isolate_after" else "gray")
    case.inflight(25)
    ids = ghost(case, "jobs", "workers")
    case.cluster.redis.xclaim(case.cluster.key("jobs"), "workers", "ghost", 0, ids[:3], retrycount=4)
    case.start("worker")


def retiring(case):
    """A consumer whose process died: it has nothing in hand."""
    jobs = case.cluster.key("jobs")
    case.start("api", "scheduler", "worker")
    case.wait(lambda: case.cluster.redis.exists(jobs), "groups")
    case.cluster.redis.xgroup_createconsumer(jobs, "workers", "ghost")
    case.push(mixed_catalog(case.key))
    case.drain()
    case.wait_crash()
    case.wait(lambda: b"ghost" not in [row["name"] for row in case.cluster.redis.xinfo_consumers(jobs, "workers")], "the ghost is gone")


def scrub(case, *options, crash=False):
    """The command; what it said, None where it died at the point."""
    env = {**kit.clean_environment(), **({"GRI_CRASH_AT": case.spec} if crash else {})}
    ended = subprocess.run([kit.find_binary(), "scrub", "--config", case.cluster.config, "--json", *options], capture_output=True, text=True, timeout=120,
                           env=env)
    assert "ERROR: " not in ended.stderr, ended.stderr
    if crash:
        assert ended.returncode == -signal.SIGKILL, ended
        return None
    return json.loads(ended.stdout)


def turn_a_bit(case, image):
    picture = bytearray(base64.b64decode(image["data"]))
    picture[len(picture) // 2] ^= 1
    case.cluster.db.images.update_one({"_id": image["_id"]}, {"$set": {"data": base64.b64encode(picture).decode()}})


def healing(case):
    """A picture is damaged and marked; the same bytes come from another URL."""
    db = case.cluster.db
    case.start("api", "scheduler", crash=False)
    case.supervisor.start("worker")
    case.push(mixed_catalog(case.key), "first")
    case.drain()
    before = db.images.find_one({"source.url": {"$regex": f"/kind/same/{case.key}/"}})
    turn_a_bit(case, before)
    assert scrub(case)["corrupt"] == 1
    case.supervisor.stop(case.cluster.of("worker")[0])
    case.start("worker")
    case.push(follower_catalog(case.key), "second")
    case.drain()
    image = db.images.find_one({"_id": before["_id"]})
    assert image["data"] == before["data"] and "corrupt" not in image


def scrubbing(case):
    """One image is damaged, one bears a mark for nothing, one has lost its link; the scrub dies, the next one finds and mends all."""
    db = case.cluster.db
    case.start("api", "scheduler", "worker")
    case.push(mixed_catalog(case.key))
    case.drain()
    damaged, marked, forgotten = db.images.find({"source.url": {"$regex": "picsum.photos/id/"}}).sort("_id", 1).limit(3)
    turn_a_bit(case, damaged)
    db.images.update_one({"_id": marked["_id"]}, {"$set": {"corrupt": {"stage": "base64", "found": "", "at": datetime.datetime.now()}}})
    db.urls.update_one({"_id": forgotten["job"]}, {"$set": {"images": []}, "$unset": {"made": ""}})
    scrub(case, "--repair", crash=True)
    result = scrub(case, "--repair")
    assert result["finished"] and result["corrupt"] <= 1 and result["orphan"] == 0, result
    assert scrub(case)["sound"] == db.images.count_documents({}), "all is mended"
    assert db.images.count_documents({"corrupt": {"$exists": True}}) == 0
    assert db.images.find_one({"_id": damaged["_id"]})["data"] == damaged["data"]
    assert db.quarantine.count_documents({"kind": "image"}) == 1, "one finding, one copy"


SCENARIOS = {
    "push_remove_before": same_push, "push_remove_after": same_push, "push_chunks_after:2": big_push,
    "retry_chunks_before": retry_push, "retry_chunks_after": retry_push, "retry_urls_after": retry_push, "retry_catalog_after": retry_push,
    "dead_retry_before": retry_dead_letters, "dead_retry_after": retry_dead_letters,
    "steer_before": cancel, "steer_after": cancel, "cancel_before": cancel, "cancel_after": cancel,
    "take_down_before": take_down, "take_down_tombstone": take_down, "take_down_after": take_down,
    "shared_before": follower, "shared_after": follower, "link_before": follower,
    "revive_before": revive, "revive_after": revive,
    **{point: refreshed for point in ("refresh_number_before", "refresh_number_after", "renew_before", "renew_after", *RENEWED)},
    "renew_cancel_before": called_off, "renew_cancel_after": called_off,
    **{point: reprocessed for point in POINTS if point.startswith("reprocess_")},
    "reclaim_urls_after": reclaimed_entries, "quarantine_before": poison_entry, "quarantine_after": poison_entry,
    "reclaim_jobs_after": reclaimed_jobs,
    "inspect_before": lost_entries, "inspect_after": lost_entries, "sweep_before": lost_window, "sweep_after": lost_window,
    "repair_before": finished_by_another, "repair_after": finished_by_another,
    "set_inserted": several_outputs, "set_inserted:3": several_outputs, "set_committed": several_outputs,
    "leave_before": leaving, "leave_after": leaving,
    "isolate_before": suspects, "isolate_after": suspects, "heal_before": healing, "heal_after": healing,
    "retire_before": retiring, "retire_after": retiring,
    **{point: scrubbing for point, role in POINTS.items() if role == "scrub"},
}


def run(servers, folder, spec):
    started = time.monotonic()
    case = Case(servers, folder, spec)
    try:
        SCENARIOS.get(spec, main)(case)
        case.finish()
        case.cluster.stop()
        return time.monotonic() - started
    except BaseException as error:
        error.add_note(case.cluster.tails(40)) if hasattr(error, "add_note") else None
        raise
    finally:
        case.cluster.stop(check=False)
        case.cluster.drop()


def cases():
    assert len(POINTS) > 50, "the table could not be read"
    for spec in [*POINTS, *LATER_PASSES, *RENEWED]:
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
def test_nothing_shows_of_a_crash(outcomes, spec, record_property):
    record_property("seconds", outcomes[spec].result())


@pytest.mark.parametrize("wrong", ("no_such_point", "admit_after:0", "admit_after:x", "admit_after:"))
def test_a_misspelt_point_ends_the_process(crash_points, wrong):
    ended = subprocess.run([kit.find_binary(), "version"], env={"GRI_CRASH_AT": wrong}, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2 and wrong in ended.stderr, ended
