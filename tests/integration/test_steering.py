# SPDX-License-Identifier: Apache-2.0
"""Searching and steering over one fleet: events, roll-ups, dead letters, catalogs and hosts under way, takedowns, damage."""
import base64
import csv
import datetime
import hashlib
import io
import json
import re
import subprocess
import tarfile
import threading
import time

import pytest
import requests
from PIL import Image

import kit
from oracle import check_receipt

BASE = "https://origin.test"
SETTINGS = {"retry.max_attempts": 2, "retry.base_ms": 50, "scheduler.upkeep_ms": 300, "fetch.timeout_ms": 4000}
GOOD = [f"{BASE}/id/{n}/24/16" for n in range(10, 30)]
BAD = [f"{BASE}/fault/404?{n}" for n in range(6)] + [f"{BASE}/fault/html?{n}" for n in range(4)] + [f"{BASE}/fault/500?1"]


@pytest.fixture(scope="module")
def fleet_once(servers, tmp_path_factory):
    with kit.Cluster(servers, tmp_path_factory.mktemp("steering"), settings=SETTINGS) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def mixed(fleet_once):
    """A catalog of good and bad URLs, finished."""
    return fleet_once.run(GOOD + BAD, "mixed")


def command(cluster, *words, status=0):
    done = subprocess.run([str(kit.find_binary()), words[0], "--config", str(cluster.config), *[str(word) for word in words[1:]]], capture_output=True,
                          timeout=120, env=kit.clean_environment())
    assert done.returncode == status, (words, done.returncode, done.stdout[-500:], done.stderr.decode()[-2000:])
    return done.stdout.decode()


def post(cluster, path, status=200, method="POST", **params):
    answer = requests.request(method, cluster.url + path, params=params, timeout=60)
    assert answer.status_code == status, (path, answer.status_code, answer.text[:500])
    return answer.json()


def events(cluster, **params):
    return cluster.get("/v1/events", **params).json()["events"]


def no_collection_is_scanned(cluster, ask):
    """Runs ask() under the profiler: every reading of the server was by an index."""
    db = cluster.db
    db.command("profile", 2)
    try:
        ask()
    finally:
        db.command("profile", 0)
    seen = list(db.system.profile.find({"op": {"$in": ["query", "command", "update", "remove"]}, "ns": {"$regex": "^" + db.name + r"\.(urls|images|events|rollups|catalogs|catalog_errors)$"}}))
    db.drop_collection("system.profile")
    plans = {(row["ns"], row.get("planSummary", "")) for row in seen}
    assert plans and not [plan for plan in plans if "COLLSCAN" in plan[1]], plans
    return plans


# --- events ---------------------------------------------------------------------------------------------------------------


def test_events_are_found_by_every_filter(fleet_once, mixed):
    got = events(fleet_once, reason="http_4xx", limit=100)
    assert len(got) >= 6 and {e["reason"] for e in got} == {"http_4xx"}
    assert all(e["host"] == "origin.test" and e["catalog"] == mixed["id"] and e["time"].endswith("Z") for e in got)
    assert events(fleet_once, host="nowhere.test") == []
    assert len(events(fleet_once, catalog=mixed["id"], limit=1000)) >= len(BAD)
    assert events(fleet_once, since="1h", match="^.*404") and not events(fleet_once, until="1h")
    assert not events(fleet_once, match="no such message")
    assert {e["event"] for e in events(fleet_once, event="dead_letter")} == {"dead_letter"}
    assert {e["level"] for e in events(fleet_once, level="error", catalog=mixed["id"])} == {"error"}
    ids, cursor = [], None
    while True:
        page = fleet_once.get("/v1/events", limit=3, catalog=mixed["id"], **({"cursor": cursor} if cursor else {})).json()
        ids += [e["id"] for e in page["events"]]
        cursor = page["next"]
        if not cursor:
            break
    assert len(ids) == len(set(ids)) == len(events(fleet_once, catalog=mixed["id"], limit=1000))
    text = command(fleet_once, "events", "--since", "1h", "--reason", "not_image")
    assert text.count("not_image") >= 4 and "body:" in text
    assert json.loads(command(fleet_once, "events", "--reason", "http_5xx", "--limit", "1", "--json"))["reason"] == "http_5xx"


def test_no_search_scans_a_collection(fleet_once, mixed):
    image = fleet_once.get("/v1/images", limit=1).json()["images"][0]

    def ask():
        for params in ({}, {"reason": "http_4xx"}, {"host": "origin.test"}, {"catalog": mixed["id"]}, {"level": "warn"}, {"event": "dead_letter"},
                       {"match": "404", "since": "2w"}, {"reason": "http_4xx", "host": "origin.test", "since": "1d"}, {"rising": "true", "since": "1h"}):
            fleet_once.get("/v1/events", **params)
        for params in ({}, {"reason": "http_4xx"}, {"host": "origin.test"}, {"catalog": mixed["id"]}, {"since": "1d"}):
            fleet_once.get("/v1/dead", **params)
        for params in ({}, {"host": "origin.test"}, {"catalog": mixed["id"]}, {"since": "1d", "until": "2020-01-01"}):
            fleet_once.get("/v1/images", **params)
        for sum_ in ("source", "output", "base64"):
            fleet_once.get(f"/v1/images/{image['sums'][sum_]}")
            fleet_once.get(f"/v1/images/{image['sums'][sum_][:12]}")
        fleet_once.get("/v1/urls", url=GOOD[0])
        fleet_once.get("/v1/stats")
        for params in ({}, {"state": "finished"}):
            fleet_once.get("/v1/catalogs", **params)
        fleet_once.get("/v1/stats", by="hour,host,reason", since="2w")
        fleet_once.get(f"/v1/catalogs/{mixed['id']}/lines", limit=100)
        fleet_once.get(f"/v1/catalogs/{mixed['id']}/errors")

    no_collection_is_scanned(fleet_once, ask)


def test_what_they_sent_us_is_kept_with_the_event(fleet_once, mixed, servers):
    event = next(e for e in events(fleet_once, reason="not_image") if e["body_bytes"])
    answer = fleet_once.get(f"/v1/events/{event['id']}/body")
    assert answer.content == servers.origin.get("/fault/html", host="origin.test").content
    assert answer.headers["Content-Type"] == "application/octet-stream" and answer.headers["X-Content-Type-Options"] == "nosniff"
    assert int(answer.headers["X-Body-Bytes"]) == event["body_bytes"] == len(answer.content)
    assert command(fleet_once, "events", "--body", event["id"]).encode() == answer.content
    fleet_once.get(f"/v1/events/{'0' * 24}/body", status=404)
    fleet_once.get("/v1/events/nonsense/body", status=404)
    index = fleet_once.db.event_bodies.index_information()["expiry"]
    assert index["expireAfterSeconds"] == 14 * 86400 == fleet_once.db.events.index_information()["expiry"]["expireAfterSeconds"]


def test_a_long_rejected_body_is_cut_at_64_kib(fleet_once):
    fleet_once.run([f"{BASE}/kind/half-jpeg/2800/2800/77"], "long")
    event = next(e for e in events(fleet_once, reason="corrupt_image") if e["url"].endswith("/77"))
    assert event["body_bytes"] > 65536 and len(fleet_once.get(f"/v1/events/{event['id']}/body").content) == 65536


def test_events_are_followed_as_they_come(fleet_once):
    got, ready = [], threading.Event()

    def read():
        with requests.get(fleet_once.url + "/v1/events", params={"follow": "true", "reason": "http_4xx"}, stream=True, timeout=60) as answer:
            assert answer.headers["Content-Type"] == "application/x-ndjson"
            ready.set()
            for line in answer.iter_lines(chunk_size=1):
                if line:
                    got.append(json.loads(line))
                if len(got) == 3:
                    return

    reader = threading.Thread(target=read)
    reader.start()
    # with what was before: however late it starts, it shows what comes
    follower = subprocess.Popen([str(kit.find_binary()), "events", "--config", str(fleet_once.config), "--follow", "--json", "--reason", "http_4xx", "--since", "1h"],
                                stdout=subprocess.PIPE, env=kit.clean_environment())
    lines = []
    follower_reader = threading.Thread(target=lambda: [lines.append(json.loads(line)) for line in follower.stdout])
    follower_reader.start()
    try:
        assert ready.wait(30)
        fleet_once.run([f"{BASE}/fault/404?follow{n}" for n in range(3)], "followed")
        reader.join(30)
        assert not reader.is_alive() and len({e["id"] for e in got}) == 3
        wanted = {f"{BASE}/fault/404?follow{n}" for n in range(3)}
        kit.wait_until(lambda: wanted <= {line["url"] for line in lines}, 60, lambda: str(lines))
    finally:
        follower.terminate()
        follower.wait(20)
        follower_reader.join(20)
        follower.stdout.close()


def test_the_daemons_own_warnings_are_events(fleet_once):
    """The scheduler's log warns when its stream goes away; so does the search."""
    fleet_once.redis.client_kill_filter(_type="normal", skipme=True)
    found = kit.wait_until(lambda: events(fleet_once, level="warn", event="stream_down"), 30, lambda: f"a warning as an event\n{fleet_once.tails(5)}")
    assert found[0]["worker"]


# --- roll-ups -------------------------------------------------------------------------------------------------------------


def test_roll_ups_count_what_was_finished(fleet_once, mixed):
    def rows():
        return fleet_once.get("/v1/stats", by="outcome,reason,host,pipeline", since="1d").json()["rows"]

    def total(outcome, reason=""):
        return sum(row["count"] for row in rows() if row["outcome"] == outcome and row["reason"] == reason)

    done = fleet_once.db.urls.count_documents({"state": "done", "made": True})
    kit.wait_until(lambda: total("stored") >= len(GOOD) and total("dead", "http_4xx") >= 6, 30, lambda: str(rows()))
    stored = [row for row in rows() if row["outcome"] == "stored"]
    assert sum(row["bytes"] for row in stored) > 0 and all(row["host"] == "origin.test" and row["pipeline"] == "gray" for row in stored)
    assert all(row["within"] <= row["count"] for row in rows() if row["outcome"] == "stored")
    assert total("retry", "http_5xx") >= 1
    assert done >= len(GOOD)
    by_hour = fleet_once.get("/v1/stats", by="hour,outcome", since="1d", host="origin.test").json()["rows"]
    assert {row["outcome"] for row in by_hour} >= {"stored", "dead"} and all("at" in row for row in by_hour)
    fleet_once.get("/v1/stats", by="hour,nonsense", status=400)
    # made again they are the same
    before = sorted(map(str, fleet_once.db.rollups.find({"span": 300000}, {"_id": 1, "count": 1})))
    time.sleep(1)
    assert sorted(map(str, fleet_once.db.rollups.find({"span": 300000}, {"_id": 1, "count": 1}))) == before


# --- dead letters -----------------------------------------------------------------------------------------------------------


def test_dead_letters_are_listed_retried_and_dropped(fleet_once, origin):
    data = [f"{BASE}/fault/500?life{n}&times=2&key=life{n}" for n in range(3)] + [f"{BASE}/fault/404?drop{n}" for n in range(2)]
    catalog = fleet_once.run([f"{BASE}/fault/flaky?key=life{n}&times=2" for n in range(3)] + data[3:], "dead")
    dead = fleet_once.get("/v1/dead", catalog=catalog["id"]).json()
    assert dead["count"] == len(dead["dead"]) == 5 and dead["next"] is None, dead
    assert {row["error"]["reason"] for row in dead["dead"]} == {"http_5xx", "http_4xx"}
    assert len(fleet_once.get("/v1/dead", catalog=catalog["id"], reason="http_4xx").json()["dead"]) == 2
    assert not fleet_once.get("/v1/dead", catalog=catalog["id"], until="1h").json()["dead"]
    first = fleet_once.get("/v1/dead", catalog=catalog["id"], limit=2).json()
    rest = fleet_once.get("/v1/dead", catalog=catalog["id"], limit=10, cursor=first["next"]).json()
    assert len(first["dead"]) == 2 and len(rest["dead"]) == 3
    assert command(fleet_once, "dead", "list", "--catalog", catalog["id"], "--reason", "http_4xx").count("404") >= 2
    # nothing is done unasked
    post(fleet_once, "/v1/dead/retry", status=400)
    command(fleet_once, "dead", "retry", "--catalog", catalog["id"], "--reason", "http_5xx", status=1)
    assert fleet_once.get("/v1/dead", catalog=catalog["id"]).json()["count"] == 5
    # a retry begins anew and keeps what was
    assert command(fleet_once, "dead", "retry", "--catalog", catalog["id"], "--reason", "http_5xx", "--yes").strip() == "3"
    settled = fleet_once.wait_drained(catalog)
    check_receipt(settled["counts"])
    assert settled["counts"]["dead"] == 2, settled
    record = fleet_once.get("/v1/urls", url=f"{BASE}/fault/flaky?key=life0&times=2").json()["records"][0]
    assert record["state"] == "done" and record["history"][0]["reason"] == "http_5xx" and record["history"][0]["by"].startswith("cli:")
    assert [e["worker"] for e in events(fleet_once, event="dead_retried")][0].startswith("cli:")
    # a drop only marks
    assert post(fleet_once, "/v1/dead/drop", catalog=catalog["id"]) == {"dropped": 2}
    assert fleet_once.get("/v1/dead", catalog=catalog["id"]).json()["count"] == 0
    assert fleet_once.catalog(catalog["id"])["counts"]["dead"] == 2


# --- catalogs and hosts under way ---------------------------------------------------------------------------------------------


def slow(prefix, count):
    return [f"{BASE}/fault/slow/400?{prefix}{n}" for n in range(count)]


def test_a_cancelled_catalog_ends_and_still_adds_up(fleet_once):
    fleet_once.pause_host("origin.test")
    try:
        shared = f"{BASE}/id/99/10/10?shared"
        catalog = fleet_once.push(slow("c", 50) + [shared, "nonsense"], "to cancel")
        kit.wait_until(lambda: fleet_once.catalog(catalog["id"])["counts"]["pending"] == 51, 30, "admitted")
        other = fleet_once.push([shared], "the other")
        kit.wait_until(lambda: fleet_once.catalog(other["id"])["counts"]["duplicate"] == 1, 30, "shared")
        answer = json.loads(command(fleet_once, "catalog", "cancel", catalog["id"], "--json"))
        assert answer["state"] == "cancelled"
        kit.wait_until(lambda: fleet_once.catalog(catalog["id"])["counts"]["pending"] == 1, 30, lambda: str(fleet_once.catalog(catalog["id"])))
    finally:
        post(fleet_once, "/v1/hosts/origin.test/resume")
    counts = kit.wait_until(lambda: (lambda c: c if c["finished_at"] else None)(fleet_once.catalog(catalog["id"])), 60, "ended")["counts"]
    check_receipt(counts)
    assert counts["dead"] == 50 and counts["invalid"] == 1 and counts["stored"] + counts["duplicate_content"] == 1, counts
    lines = fleet_once.lines(catalog)
    assert [row["outcome"] for row in lines].count("cancelled") == 50
    assert len(fleet_once.lines(catalog, "cancelled")) == 50
    post(fleet_once, f"/v1/catalogs/{catalog['id']}/cancel")  # again is fine
    post(fleet_once, f"/v1/catalogs/{catalog['id']}/resume", status=409)
    # who asks for one of its URLs later gets it
    later = fleet_once.run([f"{BASE}/fault/slow/400?c0"], "later")
    kit.wait_until(lambda: fleet_once.lines(later)[0]["state"] == "done", 30, "revived")
    # and --retry-dead gives the whole another life
    again = fleet_once.push(slow("c", 50) + [shared, "nonsense"], "to cancel", status=200, retry_dead="true")
    counts = fleet_once.wait_drained(again)["counts"]
    check_receipt(counts)
    assert again["id"] == catalog["id"] and counts["dead"] == 0, counts


def test_a_paused_catalog_waits_and_a_finished_one_can_not_be_paused(fleet_once, mixed):
    post(fleet_once, f"/v1/catalogs/{mixed['id']}/pause", status=409)
    post(fleet_once, f"/v1/catalogs/{'0' * 24}/pause", status=404)
    many = "".join(f"{BASE}/id/7/9/9?pause{n}\n" for n in range(2500)).encode()
    fleet_once.pause_host("origin.test")
    try:
        catalog = fleet_once.push(many, "to pause")
        assert post(fleet_once, f"/v1/catalogs/{catalog['id']}/pause")["state"] == "paused"
        assert json.loads(command(fleet_once, "catalog", "resume", catalog["id"], "--json"))["state"] == "running"
        post(fleet_once, f"/v1/catalogs/{catalog['id']}/cancel")
    finally:
        post(fleet_once, "/v1/hosts/origin.test/resume")
    counts = kit.wait_until(lambda: (lambda c: c if c["finished_at"] else None)(fleet_once.catalog(catalog["id"])), 90, lambda: str(fleet_once.catalog(catalog["id"])))["counts"]
    check_receipt(counts)
    assert counts["lines"] == 2500 and counts["dead"] + counts["invalid"] + counts["stored"] + counts["duplicate_content"] == 2500


def test_a_paused_host_is_left_alone(fleet_once, origin):
    command(fleet_once, "host", "pause", "other.test")
    try:
        assert [row["host"] for row in fleet_once.get("/v1/hosts").json()["paused"]] == ["other.test"]
        time.sleep(2.5)  # every worker knows by then
        catalog = fleet_once.push(["https://other.test/id/3/20/20?held", f"{BASE}/id/3/21/21?free"], "held")
        kit.wait_until(lambda: fleet_once.catalog(catalog["id"])["counts"]["pending"] == 1, 30, "the other goes on")
        kit.wait_until(lambda: fleet_once.db.urls.find_one({"host": "other.test"})["state"] == "waiting", 30, "it waits")
        assert origin.count("https://other.test/id/3/20/20?held") == 0
    finally:
        assert "fetched from again" in command(fleet_once, "host", "resume", "other.test")
    fleet_once.wait_drained(catalog)
    assert fleet_once.db.urls.find_one({"host": "other.test"})["attempts"] == 0
    assert command(fleet_once, "host", "list") == ""


def test_a_deleted_catalog_takes_along_what_only_it_brought_in(fleet_once):
    keep, gone = f"{BASE}/id/41/31/31", [f"{BASE}/id/{n}/33/33" for n in range(42, 47)]
    catalog = fleet_once.run([keep, *gone, "nonsense"], "to delete")
    other = fleet_once.run([keep], "keeps one")
    images = {url: fleet_once.get("/v1/urls", url=url).json()["records"][0]["images"][0] for url in [keep, *gone]}
    command(fleet_once, "catalog", "delete", catalog["id"], status=1)
    assert fleet_once.catalog(catalog["id"])["state"] == "finished"
    command(fleet_once, "catalog", "delete", catalog["id"], "--yes")
    kit.wait_until(lambda: requests.get(f"{fleet_once.url}/v1/catalogs/{catalog['id']}", timeout=30).status_code == 404, 60, "it is gone")
    kit.wait_until(lambda: fleet_once.db.removals.count_documents({}) == 0, 60, "its images are gone")
    assert not fleet_once.db.catalog_chunks.count_documents({"catalog": catalog["id"]}) and not fleet_once.db.catalog_errors.count_documents({"catalog": catalog["id"]})
    assert fleet_once.get("/v1/urls", url=keep).json()["images"] and fleet_once.catalog(other["id"])["state"] == "finished"
    for url in gone:
        assert not fleet_once.get("/v1/urls", url=url).json()["records"]
        fleet_once.get(f"/v1/images/{images[url][:64]}", status=404)
    # the same URLs and bytes can come again
    again = fleet_once.run([keep, *gone, "nonsense"], "to delete")
    assert again["id"] != catalog["id"] and again["counts"]["stored"] == 5, again
    assert fleet_once.get(f"/v1/images/{images[gone[0]][:64]}/content").content


def test_an_upkeep_that_comes_late_removes_nothing_of_another_catalog(fleet_once, servers):
    """It has read which URLs the deleted catalog brought in; before it removes them, another upkeep has, and another catalog has brought one in anew."""
    db, url = fleet_once.db, f"{BASE}/id/46/35/37"
    catalog, other = fleet_once.run([url], "deleted, late upkeep"), fleet_once.run([f"{BASE}/id/45/35/37"], "another")
    key = db.urls.find_one({"url": url})["_id"]
    with servers.mongo.slow(2500, "delete"):
        command(fleet_once, "catalog", "delete", catalog["id"], "--yes")
        kit.wait_until(lambda: db.removals.count_documents({}), 60, "its image is condemned: the URL's removal is under way", 0.02)
        db.urls.update_one({"_id": key}, {"$set": {"first.catalog": other["id"], "first.line": 2}})
        kit.wait_until(lambda: not db.catalogs.find_one({"_id": catalog["id"]}), 60, "the catalog is gone")
    assert db.urls.find_one({"_id": key})["images"]
    kit.wait_until(lambda: not db.removals.count_documents({}), 60, "nothing is left to remove")
    assert fleet_once.get("/v1/urls", url=url).json()["images"]


def test_what_comes_in_after_a_deletion_goes_ten_minutes_later(fleet_once):
    """A scheduler that was slow, or slept, had lines of the catalog in hand when it was deleted."""
    db, late = fleet_once.db, f"{BASE}/id/48/33/33"
    catalog = fleet_once.run([f"{BASE}/id/47/35/35", "nonsense"], "deleted, and late")
    error = db.catalog_errors.find_one({"_id": {"$regex": f"^{catalog['id']}"}})
    command(fleet_once, "catalog", "delete", catalog["id"], "--yes")
    kit.wait_until(lambda: not db.catalogs.find_one({"_id": catalog["id"]}), 60, "it is gone")
    record = fleet_once.run([late], "brings it in")
    db.catalog_errors.insert_one(error)
    db.urls.update_one({"url": late}, {"$set": {"first.catalog": catalog["id"]}})
    image = db.urls.find_one({"url": late})["images"][0]
    note = db.deletions.find_one({"_id": catalog["id"]})
    assert note and not note["records_only"]
    fleet_once.run([f"{BASE}/id/49/33/33"], "meanwhile")
    assert db.urls.find_one({"url": late}) and db.catalog_errors.find_one({"_id": error["_id"]}), "not yet"
    db.deletions.update_one({"_id": catalog["id"]}, {"$set": {"at": note["at"] - datetime.timedelta(minutes=11)}})
    kit.wait_until(lambda: not db.deletions.find_one({"_id": catalog["id"]}), 60, lambda: fleet_once.tails(20))
    assert not db.urls.find_one({"url": late}) and not db.catalog_errors.find_one({"_id": error["_id"]})
    kit.wait_until(lambda: db.images.find_one({"_id": image}).get("deleted_at"), 60, "its image, too")
    assert fleet_once.catalog(record["id"])["counts"]["pending"] == 0


def test_what_a_job_in_hand_stores_for_a_deleted_catalog_goes_with_it(fleet_once, origin):
    slow_one = f"{BASE}/fault/slow/2500?k=deleted-in-hand"
    catalog = fleet_once.push([slow_one], "deleted in hand")
    kit.wait_until(lambda: origin.count(slow_one), 30, "it is being fetched", 0.02)
    command(fleet_once, "catalog", "delete", catalog["id"], "--yes")
    kit.wait_until(lambda: not fleet_once.db.urls.count_documents({"first.catalog": catalog["id"]}), 60, "its record is gone")
    fleet_once.wait_empty()

    def nobodys():
        stored = [image["job"] for image in fleet_once.db.images.find({"deleted_at": {"$exists": False}, "removed": {"$ne": True}}, {"job": 1})]
        return [job for job in stored if not fleet_once.db.urls.count_documents({"_id": job.split("#")[0]})]

    kit.wait_until(lambda: not nobodys() and not fleet_once.db.removals.count_documents({}), 30, lambda: f"nobody's: {nobodys()}")


# --- images -----------------------------------------------------------------------------------------------------------------


def test_a_taken_down_picture_never_comes_back(fleet_once):
    url, twin = f"{BASE}/kind/same/taken/1", f"{BASE}/kind/same/taken/2"
    catalog = fleet_once.run([url], "taken")
    image = fleet_once.get("/v1/urls", url=url).json()["images"][0]
    source = image["sums"]["source"]
    command(fleet_once, "remove", source, status=2)
    post(fleet_once, f"/v1/images/{source}", status=400, method="DELETE")
    assert "taken down" in command(fleet_once, "remove", image["sums"]["output"][:20], "--reason", "asked by its maker")
    fleet_once.get(f"/v1/images/{source}/content", status=410)
    assert fleet_once.db.images.find_one({"_id": image["id"]})["data"] == ""
    shown = fleet_once.get(f"/v1/images/{source}").json()["images"][0]
    assert shown["removal"]["reason"] == "asked by its maker" and shown["removal"]["by"].startswith("cli:")
    line = fleet_once.lines(catalog)[0]
    assert line["outcome"] == "removed" and fleet_once.catalog(catalog["id"])["counts"]["stored"] == 1
    # by the same URL, and by the same bytes
    fleet_once.run([url, "# once more"], "again")
    other = fleet_once.run([twin], "twin")
    assert fleet_once.lines(other)[0]["outcome"] == "removed", fleet_once.lines(other)
    assert fleet_once.db.images.find_one({"_id": image["id"]})["data"] == ""
    # and not by another pipeline
    fleet_once.get(f"/v1/images/{source}/content", status=410)
    assert fleet_once.db.images.count_documents({"sums.source": source, "removed": {"$ne": True}}) == 0
    post(fleet_once, f"/v1/images/{source}", method="DELETE", reason="again")


def test_what_is_deleted_and_taken_down_at_once_stays_taken_down(fleet_once):
    url, twin = f"{BASE}/id/64/23/22?both=1", f"{BASE}/id/64/23/22?both=2"
    catalog = fleet_once.run([url], "both")
    image = fleet_once.get("/v1/urls", url=url).json()["images"][0]
    source = image["sums"]["source"]
    command(fleet_once, "catalog", "delete", catalog["id"], "--yes")
    kit.wait_until(lambda: fleet_once.db.images.find_one({"_id": image["id"], "deleted_at": {"$exists": True}}), 60, "it is deleted")
    # who takes it down found it just before, and dies after the tombstone
    now = fleet_once.db.command("hello")["localTime"]
    fleet_once.db.tombstones.insert_one({"_id": source, "image": image["id"], "reason": "both", "by": "test", "at": now,
                                         "settle_at": now + datetime.timedelta(minutes=10)})
    kit.wait_until(lambda: (fleet_once.db.images.find_one({"_id": image["id"]}) or {}).get("removed"), 30, "it stays, as taken down")
    kit.wait_until(lambda: fleet_once.lines(fleet_once.run([twin, f"# {time.monotonic()}"], "both again"))[0]["outcome"] == "removed", 60,
                   "who brings it again is told so")
    fleet_once.get(f"/v1/images/{source}/content", status=410)
    assert fleet_once.db.images.find_one({"_id": image["id"]})["data"] == ""


def test_a_hash_may_be_cut_and_a_doubtful_one_is_said_to_be(fleet_once, mixed):
    images = fleet_once.get("/v1/images", limit=100).json()["images"]
    image = next(i for i in images if "removed" not in i and "corrupt" not in i)
    sums = image["sums"]
    for name in ("source", "output", "base64"):
        for text in (sums[name], sums[name].upper(), sums[name][:16], sums[name][:8].upper()):
            got = fleet_once.get(f"/v1/images/{text}").json()["images"]
            assert image["id"] in [i["id"] for i in got], (name, text)
    fleet_once.get(f"/v1/images/{sums['source'][:7]}", status=400)
    fleet_once.get(f"/v1/images/{sums['source'][:8]}g", status=400)
    content = fleet_once.get(f"/v1/images/{sums['source']}/content")
    assert fleet_once.get(f"/v1/images/{sums['output'][:10]}/content").content == content.content
    assert fleet_once.get(f"/v1/images/{sums['source']}").json()["images"][0]["urls"][0]["first"]["catalog"]
    head = requests.head(f"{fleet_once.url}/v1/images/{sums['source']}/content", timeout=30)
    assert head.status_code == 200 and head.content == b"" and int(head.headers["Content-Length"]) == len(content.content)
    assert "filename" in head.headers["Content-Disposition"]
    part = requests.get(f"{fleet_once.url}/v1/images/{sums['source']}/content", headers={"Range": "bytes=2-5"}, timeout=30)
    assert part.status_code == 206 and part.content == content.content[2:6]
    same = requests.get(f"{fleet_once.url}/v1/images/{sums['source']}/content", headers={"If-None-Match": content.headers["ETag"]}, timeout=30)
    assert same.status_code == 304 and not same.content
    # a second sum with the same beginning
    twin = dict(fleet_once.db.images.find_one({"_id": image["id"]}), _id="0" * 64 + ":x", job="x")
    twin["sums"] = {**twin["sums"], "source": sums["source"][:10] + "0" * 54}
    fleet_once.db.images.insert_one(twin)
    try:
        doubt = fleet_once.get(f"/v1/images/{sums['source'][:9]}", status=409).json()
        assert doubt["reason"] == "ambiguous" and {c["sha256"] for c in doubt["choices"]} >= {sums["source"], twin["sums"]["source"]}
        fleet_once.get(f"/v1/images/{sums['source'][:9]}/content", status=409)
        assert fleet_once.get(f"/v1/images/{sums['source']}/content").content == content.content
        done = subprocess.run([str(kit.find_binary()), "get", "--config", str(fleet_once.config), sums["source"][:9], "-o", "-"], capture_output=True, timeout=60,
                              env=kit.clean_environment())
        assert done.returncode == 1 and sums["source"].encode() in done.stderr and not done.stdout
    finally:
        fleet_once.db.images.delete_one({"_id": twin["_id"]})


def test_a_flipped_bit_is_a_problem_and_kept_as_evidence(fleet_once, mixed):
    image = next(i for i in fleet_once.get("/v1/images", limit=100).json()["images"] if "removed" not in i)
    stored = fleet_once.db.images.find_one({"_id": image["id"]})["data"]
    raw = bytearray(base64.b64decode(stored))
    raw[len(raw) // 2] ^= 1
    fleet_once.db.images.update_one({"_id": image["id"]}, {"$set": {"data": base64.b64encode(raw).decode()}})
    try:
        for path in ("content", "base64"):
            problem = fleet_once.get(f"/v1/images/{image['sums']['source']}/{path}", status=500).json()
            assert problem["reason"] == "corrupt"
        kept = fleet_once.db.quarantine.find_one({"image": image["id"]})
        assert kept["stage"] == "base64" and kept["document"]["data"] != stored
        assert fleet_once.db.images.find_one({"_id": image["id"]})["corrupt"]["picture_only"] is True
        kit.wait_until(lambda: events(fleet_once, reason="corrupt"), 30, "an event")
    finally:
        fleet_once.db.images.update_one({"_id": image["id"]}, {"$set": {"data": stored}, "$unset": {"corrupt": ""}})


def test_images_are_filtered(fleet_once, mixed):
    ids = {i["id"] for i in fleet_once.get("/v1/images", catalog=mixed["id"], limit=1000).json()["images"]}
    assert len(ids) == mixed["counts"]["stored"] + 0
    assert {i["source"]["host"] for i in fleet_once.get("/v1/images", host="origin.test", limit=1000).json()["images"]} == {"origin.test"}
    assert not fleet_once.get("/v1/images", host="nowhere.test").json()["images"]
    assert not fleet_once.get("/v1/images", until="1d").json()["images"] and fleet_once.get("/v1/images", since="1d").json()["images"]


def test_an_export_is_verified_whole_and_goes_on_where_it_was(fleet_once, mixed, tmp_path):
    images = {i["sums"]["output"]: i for i in fleet_once.get("/v1/images", catalog=mixed["id"], limit=1000).json()["images"]}
    export = lambda to, *more, status=0: command(fleet_once, "export", "--catalog", mixed["id"], "--to", to, *more, status=status)  # noqa: E731
    folder = tmp_path / "out"
    assert json.loads(export(folder, "--json"))["written"] == len(images)
    files = {p.stem: p for p in folder.rglob("*.jpg")}
    assert set(files) == set(images) and not list(folder.rglob("*.tmp")) and not (folder / ".export.state").exists()
    for name, path in files.items():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == name
        assert json.loads(path.with_suffix(".json").read_text())["id"] == images[name]["id"]
    one, two = sorted(files.values())[:2]
    one.unlink()
    two.write_bytes(b"half")
    assert json.loads(export(folder, "--json")) == {"written": 2, "there_already": len(images) - 2, "left_out": 0}
    # WebDataset: the files of a sample stand together, under one key
    export(tmp_path / "out.tar")
    with tarfile.open(tmp_path / "out.tar") as tar:
        members = tar.getmembers()
        assert [m.name.split(".")[1] for m in members] == ["jpg", "json"] * len(images)
        for picture, meta in zip(members[::2], members[1::2]):
            assert picture.name.split(".")[0] == meta.name.split(".")[0]
            assert hashlib.sha256(tar.extractfile(picture).read()).hexdigest() == picture.name[:64]
            json.loads(tar.extractfile(meta).read())
    export(tmp_path / "out.ndjson")
    rows = [json.loads(line) for line in (tmp_path / "out.ndjson").read_text().splitlines()]
    assert {row["sums"]["output"] for row in rows} == set(images)
    assert all(hashlib.sha256(base64.b64decode(row["data"])).hexdigest() == row["sums"]["output"] for row in rows)
    table = list(csv.DictReader(io.StringIO(export("-", "--format", "csv"))))
    assert {row["output"] for row in table} == set(images)
    # cut off in the middle: what is behind the noted place is dropped, and it goes on from there
    page = fleet_once.get("/v1/images", host="origin.test", limit=5).json()
    rest = fleet_once.get("/v1/images", host="origin.test", limit=1000, cursor=page["next"]).json()["images"]
    (tmp_path / "cut.csv.part").write_bytes(b"head\r\nhalf a li")
    state = {"what": "catalog=;host=origin.test;since=;until=;", "cursor": page["next"], "bytes": 6}
    (tmp_path / "cut.csv.state").write_text(json.dumps(state))
    command(fleet_once, "export", "--catalog", mixed["id"], "--to", tmp_path / "cut.csv", status=1)  # another export's
    command(fleet_once, "export", "--host", "origin.test", "--to", tmp_path / "cut.csv")
    text = (tmp_path / "cut.csv").read_text().splitlines()
    assert text[0] == "head" and len(text) == 1 + sum("removed" not in i for i in rest) and not (tmp_path / "cut.csv.state").exists()
    # one that is damaged is left out and said to be
    image = next(iter(images.values()))
    stored = fleet_once.db.images.find_one({"_id": image["id"]})["data"]
    fleet_once.db.images.update_one({"_id": image["id"]}, {"$set": {"data": "AAAA" + stored[4:]}})
    try:
        assert json.loads(export(tmp_path / "damaged", "--json", status=1))["left_out"] == 1
    finally:
        fleet_once.db.images.update_one({"_id": image["id"]}, {"$set": {"data": stored}, "$unset": {"corrupt": ""}})


def test_pictures_that_look_alike_are_found(fleet_once, mixed, tmp_path):
    large = fleet_once.run([f"{BASE}/id/77/240/160"], "to copy")
    image = fleet_once.get("/v1/images", catalog=large["id"]).json()["images"][0]
    content = fleet_once.get(f"/v1/images/{image['sums']['source']}/content").content
    with Image.open(io.BytesIO(content)) as picture:
        smaller = picture.resize((picture.width * 3 // 4, picture.height * 3 // 4))
        smaller.point(lambda v: min(255, v + 12)).save(tmp_path / "copy.jpg", quality=40)
    found = json.loads(command(fleet_once, "similar", tmp_path / "copy.jpg", "--within", "10", "--json"))["images"]
    assert image["id"] in [i["id"] for i in found] and [i["distance"] for i in found] == sorted(i["distance"] for i in found)
    own = fleet_once.get(f"/v1/images/{image['sums']['output']}/similar", within=0).json()["images"]
    assert image["id"] in [i["id"] for i in own] and all(i["distance"] == 0 for i in own)
    far = "%016x" % (int(image["phash"], 16) ^ 0xFFFFFFFFFFFFFFFF)
    assert image["id"] not in [i["id"] for i in fleet_once.get("/v1/similar", phash=far, within=11).json()["images"]]
    near = "%016x" % (int(image["phash"], 16) ^ 0x8000400020001003)  # six bits, none of the bands whole
    assert image["id"] in [i["id"] for i in fleet_once.get("/v1/similar", phash=near, within=6).json()["images"]]
    assert image["id"] not in [i["id"] for i in fleet_once.get("/v1/similar", phash=near, within=5).json()["images"]]
    fleet_once.get("/v1/similar", phash="xyz", status=400)
    fleet_once.get(f"/v1/images/{image['sums']['output']}/similar", within=12, status=400)
    command(fleet_once, "similar", "/nowhere.jpg", status=1)
    plan = fleet_once.db.command("explain", {"find": "phashes", "filter": {"bands": {"$in": [1, 2]}}, "hint": "bands"})
    assert "COLLSCAN" not in json.dumps(plan, default=str)


def test_reports_count_by_what_is_asked(fleet_once, mixed, tmp_path):
    rows = json.loads(command(fleet_once, "report", "--since", "1d", "--by", "day,host", "--format", "json"))
    total = [row for row in rows["rows"] if row["host"] == "origin.test"]
    assert total and all(row["finished"] == row["stored"] + row["duplicate_content"] + row["dead"] for row in total)
    assert sum(row["stored"] for row in total) >= len(GOOD)
    table = list(csv.DictReader(io.StringIO(command(fleet_once, "report", "--since", "1d", "--by", "reason", "--format", "csv"))))
    assert {"http_4xx", "not_image"} <= {row["reason"] for row in table}
    text = command(fleet_once, "report", "--since", "1d", "--by", "day,host")
    assert "origin.test" in text and "99 % finished within 300 s" in text
    page = command(fleet_once, "report", "--since", "1d", "--by", "day,host,reason", "--format", "html")
    assert page.startswith("<!DOCTYPE html>") and "<svg" in page and "origin.test" in page
    assert not re.search(r"(src|href)=|https?://(?!www.w3.org)", page.replace("https://origin.test", ""))
    command(fleet_once, "report", "--by", "nonsense", status=2)


def test_old_images_expire_and_come_again_when_asked_for(servers, tmp_path):
    with kit.Cluster(servers, tmp_path, settings={**SETTINGS, "images.keep_days": 1, "catalogs.keep_days": 1}) as cluster:
        url = f"{BASE}/id/61/19/19"
        catalog = cluster.run([url, f"{BASE}/id/62/19/19"], "old")
        image = cluster.db.urls.find_one({"url": url})["images"][0]
        ago = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=2)
        cluster.db.images.update_one({"_id": image}, {"$set": {"inserted_at": ago}})
        kit.wait_until(lambda: cluster.db.images.find_one({"_id": image}).get("deleted_at"), 30, "expired")
        kit.wait_until(lambda: requests.get(f"{cluster.url}/v1/images/{image[:64]}", timeout=30).status_code == 404, 30, "not shown")
        counts = cluster.catalog(catalog["id"])["counts"]
        check_receipt(counts)
        assert counts["stored"] == 2
        cluster.run([url, "# again"], "new")
        assert cluster.get(f"/v1/images/{image[:64]}/content").content
        cluster.db.catalogs.update_one({"_id": catalog["id"]}, {"$set": {"created_at": ago, "finished_at": ago}})
        kit.wait_until(lambda: not cluster.db.catalogs.find_one({"_id": catalog["id"]}), 30, "the old catalog's records are gone")
        assert cluster.get("/v1/urls", url=url).json()["images"]


def test_a_search_that_no_index_answers_comes_back_in_time_with_a_cursor(fleet, servers):
    """130,000 events are looked through window by window; where MongoDB is slow a page ends early, and the pages together are the whole."""
    cluster = fleet(schedulers=0, workers=0, settings={"mongo.timeout_ms": 4000})
    now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    events = [{"time": now - datetime.timedelta(milliseconds=n // 7), "level": "warn", "event": "rare" if n % 40000 == 7 else "attempt_failed", "detail": f"request {n}.",
               "host": "a.test"} for n in range(130000)]
    for start in range(0, len(events), 10000):
        cluster.db.events.insert_many(events[start:start + 10000], ordered=False)

    def pages(**asked):
        rows, count, cursor = [], 0, None
        while count == 0 or cursor:
            page = cluster.get("/v1/events", limit=3, **asked, **({"cursor": cursor} if cursor else {})).json()
            rows += [row["detail"] for row in page["events"]]
            count, cursor = count + 1, page.get("next")
        return rows, count

    wanted = [f"request {n}." for n in (7, 40007, 80007, 120007)]
    ends = [f"request {n}." for n in range(9999, 130000, 20000)]
    one = "request (7|40007|80007|120007)[.]$"
    for asked, expected in (({"event": "rare"}, wanted), ({"match": one, "host": "a.test"}, wanted), ({"match": one, "event": "rare"}, wanted),
                            ({"match": "[02468]9999[.]$|request 9999[.]$"}, ends)):
        rows, count = pages(**asked)
        assert rows == expected and count <= 4, (asked, rows, count)
    with servers.mongo.slow(600, "find"):
        began = time.monotonic()
        first = cluster.get("/v1/events", match="nothing of this kind").json()
        assert first["events"] == [] and first["next"] and time.monotonic() - began < 4
        rows, count = pages(match=one)
        assert rows == wanted and count >= 3, (rows, count)
    out = command(cluster, "events", "--match", one, "--limit", "10")
    assert [row in out for row in wanted] == [True] * 4, out
