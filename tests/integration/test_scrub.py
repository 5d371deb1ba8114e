# SPDX-License-Identifier: Apache-2.0
"""Damage in any field of a stored image is found and named, marked, kept, and made good where the source still gives the same bytes."""
import base64
import datetime
import hashlib
import json
import os
import pwd
import signal
import subprocess
import time

import bson
import pytest
import requests
from bson.raw_bson import RawBSONDocument

import kit
from kit import wait_until

COUNT = 30
# every field of a document, and the sum that must be named when it alone is damaged
STAGES = {
    "data": "base64", "sums.base64": "base64", "sums.output": "output", "sums.source": "source", "sums.document": "document",
    **{field: "document" for field in (
        "job", "pipeline", "output", "content_type", "width", "height", "bytes", "made_by", "note", "fetched_at", "inserted_at", "source.url",
        "source.final_url", "source.host", "source.content_type", "source.width", "source.height", "source.bytes", "source.etag",
        "source.last_modified", "source.provider_id", "phash")},
}


def scrub(cluster, *options, status=None):
    """Runs the command; what it printed as JSON."""
    process = subprocess.run([kit.find_binary(), "scrub", "--config", cluster.config, "--json", *options], capture_output=True, text=True, timeout=300,
                             env=kit.clean_environment())
    assert "ERROR: " not in process.stderr, process.stderr
    assert status is None or process.returncode == status, (process.returncode, process.stdout, process.stderr)
    return json.loads(process.stdout)


def flip(value):
    """The value with one bit turned, of the same type and still UTF-8."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value ^ 4
    if isinstance(value, datetime.datetime):
        return value + datetime.timedelta(milliseconds=1)
    if value == "":
        return "x"
    at = len(value) // 2
    return value[:at] + chr(ord(value[at]) ^ 1) + value[at + 1:]


def at(document, path):
    for part in path.split("."):
        document = document[part]
    return document


def damage(cluster, id, field, value=None):
    document = cluster.db.images.find_one({"_id": id})
    new = flip(at(document, field)) if value is None else value
    assert new != at(document, field)
    cluster.db.images.update_one({"_id": id}, {"$set": {field: new}})
    return document


def without_times(document):
    return {key: value for key, value in document.items() if key not in ("fetched_at", "inserted_at", "sums")}


def content(cluster, image):
    """Status and body of its picture by whichever hash still finds it."""
    for sum in ("source", "output", "base64"):
        answer = requests.get(f"{cluster.url}/v1/images/{image['sums'][sum]}/content", timeout=60)
        if answer.status_code != 404:
            return answer
    raise AssertionError("no hash finds it")


@pytest.fixture
def stored(fleet, origin):
    cluster = fleet()
    cluster.run([f"https://picsum.photos/id/{number}/{20 + number}/24" for number in range(COUNT)])
    return cluster, [row["_id"] for row in cluster.db.images.find({}, {"_id": 1}).sort("_id", 1)]


def test_a_sound_store_is_told_so_and_the_api_shows_it(stored):
    cluster, ids = stored
    result = scrub(cluster, status=0)
    assert result["finished"] and result["sound"] == len(ids) and result["corrupt"] == result["orphan"] == result["adopted"] == 0, result
    assert cluster.db.quarantine.count_documents({}) == 0
    api = cluster.of("api")[0]
    wait_until(lambda: f'grisaille_scrub_documents_total{{result="sound"}} {len(ids)}' in api.metrics(), 30, api.metrics)
    [line] = [line for line in api.metrics().splitlines() if line.startswith("grisaille_scrub_last_success_timestamp_seconds")]
    assert abs(float(line.split()[1]) - time.time()) < 120


def test_a_flipped_bit_in_any_field_is_found_named_and_healed(stored):
    cluster, ids = stored
    assert len(ids) >= len(STAGES)
    # nothing that is hashed may be missing from this test
    paths = {f"{key}.{inner}" if isinstance(value, dict) else key for key, value in cluster.db.images.find_one({"_id": ids[0]}).items()
             for inner in (value if isinstance(value, dict) else [""])}
    assert paths - {"_id"} == set(STAGES), paths ^ set(STAGES)
    damaged = {id: field for id, field in zip(ids, STAGES)}
    before = {id: damage(cluster, id, field) for id, field in damaged.items()}

    result = scrub(cluster, status=1)
    assert (result["corrupt"], result["healed"], result["sound"]) == (len(damaged), 0, len(ids) - len(damaged)), result
    named = {row["id"]: row["stage"] for row in result["images"]}
    assert named == {id: STAGES[field] for id, field in damaged.items()}
    for id, field in damaged.items():
        image = cluster.db.images.find_one({"_id": id})
        assert image["corrupt"]["stage"] == STAGES[field] and image["corrupt"]["at"] and "found" in image["corrupt"]
        copy = cluster.db.quarantine.find_one({"image": id})
        assert at(copy["document"], field) == at(image, field) != at(before[id], field), field
        assert copy["stage"] == STAGES[field] and copy["document"]["data"] == image["data"]
        answer = content(cluster, image)
        assert answer.status_code == 500 and answer.json()["reason"] == "corrupt", (field, answer.status_code, answer.text)
    assert cluster.db.events.count_documents({"event": "image_corrupt", "reason": "corrupt"}) == len(damaged)

    result = scrub(cluster, "--repair", status=0)
    assert (result["corrupt"], result["healed"]) == (len(damaged), len(damaged)), result
    assert cluster.db.quarantine.count_documents({"kind": "image"}) == len(damaged), "the same finding is kept once"
    for id, old in before.items():
        image = cluster.db.images.find_one({"_id": id})
        assert without_times(image) == without_times(old), damaged[id]
        assert image["sums"]["output"] == old["sums"]["output"] and image["sums"]["source"] == old["sums"]["source"]
        assert content(cluster, image).content == base64.b64decode(old["data"])
    assert cluster.db.events.count_documents({"event": "image_healed"}) == len(damaged)
    by = f"cli:{pwd.getpwuid(os.geteuid()).pw_name}"  # who found and repaired it
    assert cluster.db.events.distinct("worker", {"event": {"$in": ["image_corrupt", "image_healed"]}}) == [by] == cluster.db.quarantine.distinct("by")
    assert scrub(cluster, status=0)["sound"] == len(ids)
    assert cluster.verify() == len(ids)


def test_what_cannot_be_made_anew_stays_marked(fleet, origin):
    cluster = fleet()
    cluster.run(["https://picsum.photos/31/21", "https://picsum.photos/id/4/31/21"])
    random = cluster.db.images.find_one({"source.url": "https://picsum.photos/31/21"})
    fixed = cluster.db.images.find_one({"source.url": "https://picsum.photos/id/4/31/21"})
    # its source is another one now: both addresses lead to other pictures
    cluster.db.images.update_one({"_id": random["_id"]}, {"$set": {"source.final_url": "https://picsum.photos/id/9/31/21"}})
    damage(cluster, random["_id"], "data")
    damage(cluster, fixed["_id"], "data", "not base64 at all")
    result = scrub(cluster, "--repair", status=1)
    assert (result["corrupt"], result["healed"]) == (2, 1), result
    left = cluster.db.images.find_one({"_id": random["_id"]})
    assert left["corrupt"]["stage"] == "base64"
    [row] = [row for row in result["images"] if row["result"] == "corrupt"]
    assert row["id"] == random["_id"] and "other bytes" in row["detail"], row
    assert content(cluster, left).status_code == 500
    assert scrub(cluster, "--repair", status=1)["corrupt"] == 1, "and is told again"


def test_a_worker_that_holds_the_bytes_heals_a_damaged_picture(fleet, origin):
    cluster = fleet()
    first = "https://origin.test/kind/same/heal/1"
    cluster.run([first])
    before = cluster.db.images.find_one({})
    damage(cluster, before["_id"], "data")
    scrub(cluster, status=1)
    cluster.run(["https://origin.test/kind/same/heal/2"])
    image = cluster.db.images.find_one({})
    assert "corrupt" not in image and image["data"] == before["data"]
    assert image["job"] == before["job"] and image["inserted_at"] == before["inserted_at"]
    assert scrub(cluster, status=0)["sound"] == 1
    assert cluster.db.urls.count_documents({"images": before["_id"]}) == 2
    cluster.verify()


def test_a_damaged_source_sum_holds_nobody_up(fleet, origin):
    """The covered look-up no longer finds the image: the insert meets it."""
    cluster = fleet()
    cluster.run(["https://origin.test/kind/same/hidden/1"])
    id = cluster.db.images.find_one({})["_id"]
    damage(cluster, id, "sums.source")
    counts = cluster.run(["https://origin.test/kind/same/hidden/2"], seconds=60)["counts"]
    assert counts["duplicate_content"] == 1, counts
    assert scrub(cluster, "--repair", status=0)["healed"] == 1
    cluster.verify()


def test_a_text_that_is_no_text_any_more_is_damage_like_any_other(stored):
    """The highest bit of a byte: what is left is not UTF-8."""
    cluster, ids = stored
    options = bson.CodecOptions(document_class=RawBSONDocument, unicode_decode_error_handler="replace")
    raw = cluster.db.images.with_options(codec_options=options)
    for id, text in ((ids[0], b"picsum.photos\0"), (ids[1], b"image/jpeg\0")):
        document = raw.find_one({"_id": id}).raw
        assert text in document
        wrong = document.replace(text, bytes([text[0] ^ 0x80]) + text[1:])
        raw.replace_one({"_id": id}, RawBSONDocument(wrong, options))
    result = scrub(cluster, status=1)
    assert result["finished"] and {row["id"]: row["stage"] for row in result["images"]} == {ids[0]: "document", ids[1]: "document"}, result
    assert cluster.db.quarantine.count_documents({"image": {"$in": ids[:2]}}) == 2
    assert scrub(cluster, "--repair", status=0)["healed"] == 2
    cluster.verify()


def test_a_mark_on_a_sound_image_goes(stored):
    cluster, ids = stored
    cluster.db.images.update_one({"_id": ids[3]}, {"$set": {"corrupt": {"stage": "base64", "found": "", "at": datetime.datetime.now()}}})
    assert scrub(cluster, status=0)["healed"] == 1
    assert "corrupt" not in cluster.db.images.find_one({"_id": ids[3]})


def test_images_without_a_link_are_adopted_or_told(stored):
    cluster, ids = stored
    jobs = {row["_id"]: row["job"] for row in cluster.db.images.find({"_id": {"$in": ids}}, {"job": 1})}
    forgot, failed, pending, lost = ids[:4]
    cluster.db.urls.update_one({"_id": jobs[forgot]}, {"$set": {"images": []}, "$unset": {"made": ""}})
    cluster.db.urls.update_one({"_id": jobs[failed]}, {"$set": {"state": "dead", "images": [], "error": {"reason": "timeout"}}, "$unset": {"made": ""}})
    cluster.db.urls.update_one({"_id": jobs[pending]}, {"$set": {"state": "waiting", "images": []}})
    cluster.db.urls.delete_one({"_id": jobs[lost]})
    result = scrub(cluster, status=1)
    assert (result["adopted"], result["orphan"]) == (2, 1), result
    for id in (forgot, failed):
        record = cluster.db.urls.find_one({"_id": jobs[id]})
        assert record["state"] == "done" and record["images"] == [id] and record["made"] is True and "error" not in record
    assert cluster.db.urls.find_one({"_id": jobs[pending]})["images"] == [], "its worker will find it"
    assert [row["id"] for row in result["images"] if row["result"] == "orphan"] == [lost]
    assert cluster.db.images.find_one({"_id": lost}) is not None


def test_an_interrupted_walk_goes_on_where_it_stopped(stored):
    cluster, ids = stored
    command = [kit.find_binary(), "scrub", "--config", cluster.config, "--json", "--rate", "10/s"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=kit.clean_environment())
    wait_until(lambda: (cluster.db.scrub.find_one({"_id": "all"}) or {}).get("position"), 60, "a position is kept")
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    first = json.loads(out)
    assert process.returncode == 1 and not first["finished"] and 0 < first["sound"] < len(ids), (out, err)
    second = scrub(cluster, status=0)
    assert second["finished"] and first["sound"] + second["sound"] == len(ids), (first, second)
    assert scrub(cluster, "--restart", status=0)["sound"] == len(ids)
    assert cluster.db.scrub.find_one({"_id": "totals"})["documents"]["sound"] == 2 * len(ids)


def test_a_sample_is_a_part_and_a_rate_is_kept(stored):
    cluster, ids = stored
    assert 0 <= scrub(cluster, "--sample", "20", status=0)["sound"] < len(ids)
    began = time.monotonic()
    scrub(cluster, "--rate", "15/s", status=0)
    assert time.monotonic() - began > (len(ids) - 1) / 15 * 0.95
    for wrong in (["--sample", "0"], ["--sample", "101"], ["--rate", "fast"], ["--rate", "-1"]):
        process = subprocess.run([kit.find_binary(), "scrub", "--config", cluster.config, *wrong], capture_output=True, text=True, timeout=60)
        assert process.returncode == 2 and wrong[0] in process.stderr


def test_the_sums_are_what_the_data_model_says(stored):
    """An implementation of its own, so that scrub and store can't be wrong in the same way."""
    cluster, ids = stored
    image = cluster.db.images.find_one({"_id": ids[0]})
    output = base64.b64decode(image["data"], validate=True)
    assert hashlib.sha256(image["data"].encode()).hexdigest() == image["sums"]["base64"]
    assert hashlib.sha256(output).hexdigest() == image["sums"]["output"]
    assert image["_id"].startswith(image["sums"]["source"] + ":")
