# SPDX-License-Identifier: Apache-2.0
"""Known URLs fetched anew: `push --refresh`, and `reprocess` after a pipeline has changed."""
import base64
import json
import re
import subprocess

import pytest
import requests
import yaml

import kit
from oracle import check_receipt, problems_of_image

BASE = "https://origin.test/fault/version"
PAIR = {"outputs": {"gray": {"steps": ["grayscale"]}, "thumb": {"steps": [{"thumbnail": {"width": 24}}, "grayscale"]}}}
SETTINGS = {"retry.max_attempts": 2, "retry.base_ms": 50, "scheduler.upkeep_ms": 300, "fetch.timeout_ms": 4000, "pipelines": {"pair": PAIR}}


def url(key, validators="etag"):
    return f"{BASE}?key={key}&validators={validators}"


@pytest.fixture(scope="module")
def fleet_once(servers, tmp_path_factory):
    with kit.Cluster(servers, tmp_path_factory.mktemp("refetch"), settings=SETTINGS) as cluster:
        yield cluster


def tell(origin, what, key):
    answer = origin.get(f"/fault/version/{what}?key={key}")
    assert answer.status_code == 200, answer.text
    return answer


def asked(origin, key):
    """How often the origin answered with the picture, and with 304."""
    counts = tell(origin, "asked", key).json()
    return counts["whole"], counts["unchanged"]


def command(cluster, *words, status=0):
    done = subprocess.run([str(kit.find_binary()), words[0], "--config", str(cluster.config), *words[1:]], capture_output=True, timeout=120,
                          env=kit.clean_environment())
    assert done.returncode == status, (words, done.returncode, done.stdout[-500:], done.stderr.decode()[-2000:])
    return done.stdout.decode()


def record(cluster, address):
    return cluster.db.urls.find_one({"url": address})


def refresh(cluster, data, name):
    """The receipt of the catalog pushed again (or for the first time) with refresh."""
    return cluster.wait_drained(cluster.push(data, name, status=(200, 202), refresh="true"))


def fates(cluster, catalog):
    return {row["url"]: row for row in cluster.lines(catalog)}


def test_refresh_tells_the_unchanged_from_the_changed(fleet_once, servers):
    origin, db = servers.origin, fleet_once.db
    data = [url("tagged"), url("dated", "modified"), url("both", "both"), url("mute", "none"), url("changing"), url("going"), url("down"), url("damaged"),
            url("stolen")]
    first = fleet_once.run(data, "nightly")
    assert first["counts"]["stored"] == len(data) and "refreshed" not in first["counts"]
    before = {address: record(fleet_once, address) for address in data}
    tell(origin, "next", "changing")
    tell(origin, "gone", "going")
    down = before[url("down")]["images"][0]
    assert requests.delete(fleet_once.url + f"/v1/images/{down.split(':')[0]}", params={"reason": "asked"}, timeout=60).status_code == 200
    damaged, stolen = before[url("damaged")]["images"][0], before[url("stolen")]["images"][0]
    picture = bytearray(base64.b64decode(db.images.find_one({"_id": damaged})["data"]))
    picture[len(picture) // 2] ^= 1  # nobody has noticed yet
    db.images.update_one({"_id": damaged}, {"$set": {"data": base64.b64encode(picture).decode()}})
    db.images.delete_one({"_id": stolen})

    again = refresh(fleet_once, data, "nightly")
    assert again["id"] == first["id"]
    assert again["counts"]["refreshed"] == {"unchanged": 6, "changed": 1, "failed": 1, "pending": 0}, again["counts"]
    check_receipt(again["counts"])
    assert again["counts"]["stored"] == len(data)  # the one taken down among them
    lines = fates(fleet_once, first)
    assert {key: lines[url(key, *rest)]["outcome"] for key, *rest in (
        ("tagged",), ("dated", "modified"), ("both", "both"), ("mute", "none"), ("changing",), ("going",), ("down",), ("damaged",), ("stolen",))} == {
        "tagged": "unchanged", "dated": "unchanged", "both": "unchanged", "mute": "unchanged", "changing": "changed", "going": "refresh_failed",
        "down": "removed", "damaged": "unchanged", "stolen": "unchanged"}
    assert lines[url("going")]["reason"] == "http_4xx"
    # asked with what the host had said, and nothing was sent twice that had not changed
    assert [asked(origin, key) for key in ("tagged", "dated", "both", "mute", "changing", "down")] == [(1, 1), (1, 1), (1, 1), (2, 0), (2, 0), (1, 0)]
    # 304 is not enough where the picture is damaged or gone
    assert asked(origin, "damaged") == (2, 0) and not problems_of_image(db.images.find_one({"_id": damaged}))
    assert "corrupt" not in db.images.find_one({"_id": damaged}) and db.quarantine.count_documents({"image": damaged}) == 1
    assert asked(origin, "stolen") == (2, 0) and db.images.find_one({"_id": stolen})
    # another picture is a new image beside the old one, and the newest is what the URL has
    now = record(fleet_once, url("changing"))
    assert len(now["images"]) == 2 and now["images"][0] == before[url("changing")]["images"][0] and now["state"] == "done"
    assert db.images.find_one({"_id": now["images"][1]})["job"] == now["_id"] + "#1"
    assert lines[url("changing")]["image"] == now["images"][1]
    for image in now["images"]:
        assert fleet_once.get(f"/v1/images/{image.split(':')[0]}/content").content
    # in vain: what was there stays, and is no dead letter
    gone = record(fleet_once, url("going"))
    assert gone["state"] == "done" and gone["images"] == before[url("going")]["images"] and gone["renew"]["outcome"] == "failed"
    assert not fleet_once.get("/v1/dead", catalog=first["id"]).json()["dead"]
    events = fleet_once.get("/v1/events", catalog=first["id"], limit=100).json()["events"]
    assert {(e["event"], e["url"]) for e in events if e["event"] in ("source_changed", "refresh_failed")} == {
        ("source_changed", url("changing")), ("refresh_failed", url("going"))}
    told = "\n".join(daemon.metrics() for daemon in fleet_once.of("worker"))
    counted = {outcome: sum(map(float, re.findall(rf'^grisaille_urls_finished_total{{outcome="{outcome}"}} (\S+)$', told, re.M)))
               for outcome in ("unchanged", "refresh_failed", "dead")}
    assert counted == {"unchanged": 6, "refresh_failed": 1, "dead": 0}
    fleet_once.verify()


def test_another_catalog_may_ask_for_the_same_urls(fleet_once, servers):
    origin = servers.origin
    mine, new = [url(f"shared{n}") for n in range(3)], url("brand-new")
    first = fleet_once.run(mine, "theirs")
    tell(origin, "next", "shared0")
    second = refresh(fleet_once, mine + [new, new], "ours")
    assert second["counts"]["refreshed"] == {"unchanged": 2, "changed": 1, "failed": 0, "pending": 0}
    assert {key: second["counts"][key] for key in ("accepted", "duplicate", "stored")} == {"accepted": 1, "duplicate": 4, "stored": 1}
    check_receipt(second["counts"])
    assert sorted(row["outcome"] for row in fleet_once.lines(second)) == ["changed", "duplicate", "stored", "unchanged", "unchanged"]
    assert [asked(origin, key) for key in ("shared0", "shared1", "brand-new")] == [(2, 0), (1, 1), (1, 0)]
    # who brought them in is told the same as before
    theirs = fleet_once.catalog(first["id"])
    assert theirs["state"] == "finished" and theirs["counts"] == first["counts"]
    assert {row["outcome"] for row in fleet_once.lines(first)} == {"stored"}
    # the first picture again: known, linked, and the newest
    pictures = record(fleet_once, mine[0])["images"]
    tell(origin, "first", "shared0")
    third = refresh(fleet_once, mine + [new, new], "ours")
    assert third["id"] == second["id"] and third["counts"]["refreshed"] == {"unchanged": 3, "changed": 1, "failed": 0, "pending": 0}
    assert record(fleet_once, mine[0])["images"] == pictures[::-1]
    # a plain push asks for nothing
    assert fleet_once.push(mine, "theirs", status=200)["state"] == "finished" and asked(origin, "shared1") == (1, 2)
    assert "unchanged" in command(fleet_once, "status", second["id"])
    fleet_once.push(mine, "bad", status=400, refresh="perhaps")
    fleet_once.verify()


def test_a_cancelled_refresh_leaves_all_as_it_was(fleet_once, servers):
    addresses = [url(f"held{n}") for n in range(5)]
    first = fleet_once.run(addresses, "held")
    fleet_once.pause_host("origin.test")
    try:
        asking = fleet_once.push(addresses + [url("held-new")], "asks in vain", refresh="true")
        kit.wait_until(lambda: fleet_once.db.urls.count_documents({"renew.for": asking["id"], "state": {"$in": ["queued", "waiting"]}}) == 5, 60,
                       lambda: fleet_once.tails(20))
        assert fleet_once.catalog(first["id"])["counts"] == first["counts"]
        assert requests.post(fleet_once.url + f"/v1/catalogs/{asking['id']}/cancel", timeout=60).status_code == 200
        kit.wait_until(lambda: fleet_once.db.catalogs.find_one({"_id": asking["id"]}).get("finished_at"), 60, lambda: fleet_once.tails(20))
    finally:
        assert requests.post(fleet_once.url + "/v1/hosts/origin.test/resume", timeout=60).status_code == 200
    ended = fleet_once.catalog(asking["id"])
    assert ended["state"] == "cancelled" and ended["counts"]["refreshed"]["failed"] == 5
    assert {(r["state"], r["made"], len(r["images"])) for r in fleet_once.db.urls.find({"first.catalog": first["id"]})} == {("done", True, 1)}
    assert [asked(servers.origin, f"held{n}") for n in range(5)] == [(1, 0)] * 5
    fleet_once.verify()


def test_roll_ups_and_reports_tell_the_unchanged_apart(fleet_once, servers):
    addresses = [url(f"rolled{n}", "modified") for n in range(3)]
    fleet_once.run(addresses, "rolled")
    refresh(fleet_once, addresses, "rolled")

    def counted():
        rows = fleet_once.get("/v1/stats", by="outcome,reason", since="1d").json()["rows"]
        return {(row["outcome"], row["reason"]): row["count"] for row in rows}

    ledger = {outcome: fleet_once.db.urls.count_documents({"renew.outcome": outcome}) for outcome in ("unchanged", "failed")}
    assert ledger["unchanged"] >= 9
    rows = kit.wait_until(lambda: (got := counted()).get(("unchanged", "")) == ledger["unchanged"] and got, 60, lambda: str((counted(), ledger)))
    assert rows["refresh_failed", "http_4xx"] == 1 and rows["refresh_failed", "cancelled"] == 5
    totals = json.loads(command(fleet_once, "report", "--since", "1d", "--by", "day", "--format", "json"))["totals"]
    assert totals["unchanged"] == ledger["unchanged"] and totals["refresh_failed"] == 6
    assert totals["finished"] == sum(totals[name] for name in ("stored", "duplicate_content", "unchanged", "dead", "refresh_failed"))


def test_no_collection_is_scanned_for_what_is_to_be_fetched_anew(fleet_once):
    db = fleet_once.db
    catalog = next(iter(db.urls.find({"first.catalog": {"$exists": True}})))["first"]["catalog"]
    db.command("profile", 2)
    try:
        for params in ({}, {"host": "origin.test"}, {"catalog": catalog}, {"since": "1h"}):
            fleet_once.get("/v1/reprocess", **params)
        fleet_once.get(f"/v1/catalogs/{catalog}")
    finally:
        db.command("profile", 0)
    plans = {(row["ns"].split(".", 1)[1], row.get("planSummary", "")) for row in db.system.profile.find({"ns": {"$regex": r"\.(urls|catalogs|images)$"}})}
    db.drop_collection("system.profile")
    assert plans and not [plan for plan in plans if "COLLSCAN" in plan[1]], plans


def test_several_outputs_are_fetched_anew_together(fleet_once, servers):
    origin, db = servers.origin, fleet_once.db
    same, other, halved = addresses = [url(key) for key in ("pair-same", "pair-other", "pair-halved")]

    def push(**params):
        return fleet_once.wait_drained(fleet_once.push(addresses, "pairs", status=(200, 202), pipeline="pair", **params))

    push()
    before = {address: record(fleet_once, address)["images"] for address in addresses}
    assert [len(images) for images in before.values()] == [2, 2, 2]
    tell(origin, "next", "pair-other")
    db.images.delete_one({"_id": before[halved][0]})
    counts = push(refresh="true")["counts"]
    assert counts["refreshed"] == {"unchanged": 2, "changed": 1, "failed": 0, "pending": 0}
    assert sorted(record(fleet_once, same)["images"]) == sorted(before[same]) and asked(origin, "pair-same") == (1, 1)
    now = record(fleet_once, other)
    assert now["images"][:2] == before[other] and {image.rpartition("/")[2] for image in now["images"][2:]} == {"gray", "thumb"}
    assert {image["job"] for image in db.images.find({"_id": {"$in": now["images"][2:]}})} == {now["_id"] + "#1"}
    # its host said that nothing has changed, and one of the two was not here any more: then the bytes
    assert asked(origin, "pair-halved") == (2, 1) and db.images.count_documents({"_id": {"$in": before[halved]}}) == 2
    fleet_once.verify()


def change_pipeline(cluster, quality):
    """Another definition of the default pipeline; the API and the commands know it from now on."""
    settings = yaml.safe_load(cluster.config.read_text())
    settings["pipelines"] = {"pair": PAIR, "gray": {"steps": [{"grayscale": {"method": "luma"}}], "output": {"format": "jpeg", "quality": quality, "lossless": "never"}}}
    for daemon in cluster.of("api"):
        assert daemon.stop(60) == 0
    cluster.config.write_text(yaml.safe_dump(settings))
    cluster.url = f"http://{cluster.start('api').wait_address('api')}"


def reprocess(cluster, catalog):
    """Begun over HTTP; the run once it is through."""
    answer = requests.post(cluster.url + "/v1/reprocess", params={"pipeline": "gray", "catalog": catalog["id"]}, timeout=60)
    assert answer.status_code == 202, answer.text
    number = answer.json()["run"]["number"]

    def ended():
        run = cluster.get("/v1/reprocess", catalog=catalog["id"]).json()["run"]
        assert run["number"] == number
        return run["state"] == "finished" and run

    return kit.wait_until(ended, 60, lambda: cluster.tails(20))


def test_reprocess_brings_old_images_up_to_date(fleet_once, servers):
    origin, db = servers.origin, fleet_once.db
    data = [url(f"old{n}") for n in range(6)] + [url("old-changing"), url("old-going")]
    catalog = fleet_once.run(data, "of an old version")
    before = {address: record(fleet_once, address) for address in data}
    old = before[data[0]]["pipeline"]
    tell(origin, "next", "old-changing")
    tell(origin, "gone", "old-going")
    change_pipeline(fleet_once, 60)

    # told first, and nothing done
    survey = json.loads(command(fleet_once, "reprocess", "--pipeline", "gray", "--catalog", catalog["id"], "--json", status=1))
    new = survey["pipeline"]
    assert new != old and survey["count"] == len(data) and survey["versions"] == [{"pipeline": old, "count": len(data)}] and survey["run"] is None
    assert asked(origin, "old0") == (1, 0)
    # at most what is asked for
    assert fleet_once.get("/v1/reprocess", host="nowhere.test").json()["count"] == 0
    fleet_once.get("/v1/reprocess", pipeline="nonsense", status=404)

    done = json.loads(command(fleet_once, "reprocess", "--pipeline", "gray", "--catalog", catalog["id"], "--yes", "--wait", "--json", status=1))  # one has failed
    assert done["run"]["state"] == "finished" and done["run"]["counts"] == {"unchanged": 6, "changed": 1, "failed": 1, "pending": 0}
    for address in data[:6]:
        now = record(fleet_once, address)
        assert now["pipeline"] == new and now["images"][0] == before[address]["images"][0] and now["images"][1].endswith(new)
        assert now["images"][1].split(":")[0] == now["images"][0].split(":")[0]  # the same source, by another definition
        made = db.images.find_one({"_id": now["images"][1]})
        assert made["pipeline"] == new and made["sums"]["output"] != db.images.find_one({"_id": now["images"][0]})["sums"]["output"]
    changed = record(fleet_once, url("old-changing"))
    assert changed["pipeline"] == new and changed["images"][1].split(":")[0] != changed["images"][0].split(":")[0]
    # what was not made anew is not said to be
    failed = record(fleet_once, url("old-going"))
    assert failed["pipeline"] == old and failed["state"] == "done" and failed["images"] == before[url("old-going")]["images"]
    assert [e["url"] for e in fleet_once.get("/v1/events", event="source_changed", catalog=catalog["id"]).json()["events"]] == [url("old-changing")]
    assert fleet_once.catalog(catalog["id"])["counts"] == catalog["counts"]

    # again: only what has failed is left
    again = fleet_once.get("/v1/reprocess", catalog=catalog["id"]).json()
    assert again["count"] == 1 and again["run"]["state"] == "finished"
    third = reprocess(fleet_once, catalog)
    assert third["number"] == 2 and third["counts"] == {"unchanged": 0, "changed": 0, "failed": 1, "pending": 0}
    assert [asked(origin, f"old{n}") for n in range(6)] == [(2, 0)] * 6
    db.urls.delete_one({"url": url("old-going")})
    db.images.delete_one({"_id": failed["images"][0]})
    last = fleet_once.get("/v1/reprocess", catalog=catalog["id"]).json()
    assert last["count"] == 0
    assert "0 URLs" in command(fleet_once, "reprocess", "--pipeline", "gray", "--catalog", catalog["id"], "--yes")
    answer = requests.post(fleet_once.url + "/v1/reprocess", params={"pipeline": "gray", "catalog": catalog["id"]}, timeout=60)
    assert answer.status_code == 200 and answer.json()["run"]["number"] == 2  # nothing more to do
    fleet_once.verify()


def test_a_reprocess_is_called_off_and_another_takes_its_place(fleet_once, servers):
    db = fleet_once.db
    data = [url(f"off{n}") for n in range(4)]
    catalog = fleet_once.run(data, "to be called off")
    old = record(fleet_once, data[0])["pipeline"]
    change_pipeline(fleet_once, 50)
    fleet_once.pause_host("origin.test")
    try:
        answer = requests.post(fleet_once.url + "/v1/reprocess", params={"pipeline": "gray", "catalog": catalog["id"]}, timeout=60)
        assert answer.status_code == 202 and answer.json()["run"]["state"] == "running"
        number = answer.json()["run"]["number"]
        # the same again is the same
        assert requests.post(fleet_once.url + "/v1/reprocess", params={"pipeline": "gray", "catalog": catalog["id"]}, timeout=60).json()["run"]["number"] == number
        kit.wait_until(lambda: db.urls.count_documents({"first.catalog": catalog["id"], "state": {"$in": ["waiting", "queued"]}}) == 4, 60,
                       lambda: fleet_once.tails(20))
        command(fleet_once, "reprocess", "--pipeline", "gray", "--cancel")
        kit.wait_until(lambda: "unfinished" not in db.reprocesses.find_one({"_id": "gray"}), 60, lambda: fleet_once.tails(20))
        assert {(r["state"], r["pipeline"], len(r["images"])) for r in db.urls.find({"first.catalog": catalog["id"]})} == {("done", old, 1)}
        assert fleet_once.get("/v1/reprocess", catalog=catalog["id"]).json()["run"]["state"] == "cancelled"
    finally:
        assert requests.post(fleet_once.url + "/v1/hosts/origin.test/resume", timeout=60).status_code == 200
    done = reprocess(fleet_once, catalog)
    assert done["number"] == number + 1 and done["counts"]["unchanged"] == 4
    assert requests.post(fleet_once.url + "/v1/reprocess/nonsense/cancel", timeout=60).status_code == 404
    fleet_once.verify()
