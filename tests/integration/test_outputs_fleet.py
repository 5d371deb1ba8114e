# SPDX-License-Identifier: Apache-2.0
"""A pipeline with several named outputs in a real fleet: fetched and decoded once, stored together or not at all, and treated as what they are
by everything that reads images."""
import base64
import csv
import io
import json
import subprocess

from PIL import Image
import requests

import kit

SHOP = {"outputs": {"gray": {"steps": ["grayscale"]}, "thumb": {"steps": [{"thumbnail": {"width": 24}}, "grayscale"], "output": {"format": "png"}}}}
NAMES = ["gray", "thumb"]
# the larger output wants more pixels than the smaller pictures have
PICKY = {"steps": ["analyse"], "outputs": {"all": {"steps": ["grayscale"]}, "large": {"steps": [{"require": {"min_width": 100}}, "grayscale"]}}}


def run(cluster, *arguments, status=0, text=True):
    process = subprocess.run([kit.find_binary(), arguments[0], "--config", cluster.config, *arguments[1:]], capture_output=True, timeout=300,
                             env=kit.clean_environment())
    assert b"ERROR: " not in process.stderr, process.stderr
    assert process.returncode == status, (arguments, process.returncode, process.stdout[-2000:], process.stderr[-2000:])
    return process.stdout.decode() if text else process.stdout


def complaint(cluster, *arguments):
    process = subprocess.run([kit.find_binary(), arguments[0], "--config", cluster.config, *arguments[1:]], capture_output=True, text=True, timeout=300,
                             env=kit.clean_environment())
    assert process.returncode == 1, process
    return process.stderr


def of_url(cluster, url):
    record = cluster.db.urls.find_one({"url": url})
    return record, {image["output"]: image for image in cluster.db.images.find({"_id": {"$in": record.get("images") or []}})}


def decodes(cluster):
    return sum(int(line.split()[1]) for worker in cluster.of("worker") for line in worker.metrics().splitlines()
               if line.startswith("grisaille_source_decodes_total "))


def all_are_stored_after_one_fetch_and_one_decode(cluster, servers):
    urls = cluster.urls
    # gray is copied, thumb needs the pixels
    for url in urls:
        record, images = of_url(cluster, url)
        assert record["state"] == "done" and sorted(images) == NAMES and len(record["images"]) == 2
        assert images["gray"]["sums"]["source"] == images["thumb"]["sums"]["source"]
        assert images["gray"]["inserted_at"] == images["thumb"]["inserted_at"]
        assert images["thumb"]["content_type"] == "image/png" and images["thumb"]["width"] == 24 and images["gray"]["width"] == 96
        assert servers.origin.count(url) == 1
    distinct = cluster.db.images.count_documents({"output": "gray"})
    assert decodes(cluster) == distinct
    counts = cluster.receipt["counts"]
    assert counts["accepted"] == 12 and counts["stored"] == distinct and counts["dead"] == 0
    assert cluster.verify() == 2 * distinct


def readers_know_the_outputs(cluster):
    urls, distinct = cluster.urls, cluster.db.images.count_documents({"output": "gray"})
    line = next(row for row in cluster.lines(cluster.receipt) if row["url"] == urls[0])
    record, images = of_url(cluster, urls[0])
    assert line["outputs"] == {name: images[name]["_id"] for name in NAMES} and line["image"] in record["images"]
    listed = cluster.get("/v1/images", output="thumb", limit=100).json()["images"]
    assert len(listed) == distinct and {image["output"] for image in listed} == {"thumb"}
    paged, cursor = [], None
    while True:
        page = cluster.get("/v1/images", catalog=kit.catalog_id(cluster.receipt), limit=5, cursor=cursor).json()
        assert len(page["images"]) <= 6
        paged += [image["id"] for image in page["images"]]
        cursor = page["next"]
        if not cursor:
            break
    assert len(set(paged)) == 2 * distinct
    source = images["gray"]["sums"]["source"]
    problem = cluster.get(f"/v1/images/{source}/content", status=409).json()
    assert problem["reason"] == "ambiguous" and sorted(choice["output"] for choice in problem["choices"]) == NAMES
    assert f"{images['thumb']['pipeline']}/thumb" in problem["detail"]
    got = cluster.get(f"/v1/images/{source}/content", output="thumb")
    assert got.headers["Content-Type"] == "image/png" and Image.open(io.BytesIO(got.content)).width == 24
    assert cluster.get(f"/v1/images/{images['gray']['sums']['output']}/content").content == base64.b64decode(images["gray"]["data"])
    assert cluster.get(f"/v1/images/{source}/content", status=404, output="poster").json()["reason"] == "not_found"
    assert len(cluster.get("/v1/urls", url=urls[0], pipeline="shop").json()["images"]) == 2


def commands_choose_among_them(cluster, tmp_path):
    urls, distinct = cluster.urls, cluster.db.images.count_documents({"output": "gray"})
    _, images = of_url(cluster, urls[0])
    said = complaint(cluster, "get", urls[0], "-o", "-")
    assert "/gray" in said and "/thumb" in said and "--output-name" in said
    assert run(cluster, "get", urls[0], "--output-name", "thumb", "-o", "-", text=False) == base64.b64decode(images["thumb"]["data"])
    assert run(cluster, "images", "--output-name", "gray", "--limit", "100").count("  gray\n") == distinct
    run(cluster, "export", "--to", str(tmp_path / "all.csv"))
    rows = list(csv.DictReader((tmp_path / "all.csv").open(newline="")))
    assert sorted(row["output_name"] for row in rows) == NAMES[:1] * distinct + NAMES[1:] * distinct
    run(cluster, "export", "--to", str(tmp_path / "thumbs.ndjson"), "--output-name", "thumb")
    exported = [json.loads(row) for row in (tmp_path / "thumbs.ndjson").read_text().splitlines()]
    assert len(exported) == distinct and all(Image.open(io.BytesIO(base64.b64decode(row["data"]))).width == 24 for row in exported)


def one_that_is_damaged_is_made_anew_alone(cluster):
    """By the scrub, and by whoever comes with the same bytes."""
    urls = cluster.urls
    _, images = of_url(cluster, urls[0])
    source = images["gray"]["sums"]["source"]
    before = cluster.db.images.find_one({"_id": images["gray"]["_id"]})
    broken = base64.b64encode(base64.b64decode(images["thumb"]["data"])[:-3] + b"xyz").decode()
    cluster.db.images.update_one({"_id": images["thumb"]["_id"]}, {"$set": {"data": broken}})
    assert requests.get(f"{cluster.url}/v1/images/{source}/content", params={"output": "thumb"}, timeout=60).status_code == 500
    cluster.get(f"/v1/images/{source}/content", output="gray")
    lost, _ = of_url(cluster, urls[2])
    cluster.db.urls.update_one({"_id": lost["_id"]}, {"$set": {"state": "dead", "images": []}})  # as if nobody had known of its images
    report = json.loads(run(cluster, "scrub", "--repair", "--json"))
    assert report["healed"] == 1 and report["corrupt"] == 1 and report["orphan"] == 0 and report["adopted"] == 1
    assert sorted(of_url(cluster, urls[2])[0]["images"]) == sorted(lost["images"]) and of_url(cluster, urls[2])[0]["state"] == "done"
    assert cluster.get(f"/v1/images/{source}/content", output="thumb").content == base64.b64decode(images["thumb"]["data"])
    assert cluster.db.images.find_one({"_id": images["gray"]["_id"]}) == before
    cluster.verify()

    cluster.db.images.update_one({"_id": images["thumb"]["_id"]}, {"$set": {"data": broken}})
    json.loads(run(cluster, "scrub", "--json", "--restart", status=1))
    again = cluster.wait_drained(cluster.push([f"https://origin.test/fault/redirect?to={urls[0]}"], pipeline="shop"))
    assert again["counts"]["duplicate_content"] == 1
    record, healed = of_url(cluster, f"https://origin.test/fault/redirect?to={urls[0]}")
    assert sorted(healed) == NAMES and "corrupt" not in healed["thumb"] and healed["thumb"]["data"] == images["thumb"]["data"]
    cluster.verify()


def what_is_fetched_anew_keeps_or_changes_all(cluster):
    """The origin says of one that it has not changed; the other gives another picture each time."""
    same, random = cluster.urls[1], "https://picsum.photos/90/60"
    cluster.wait_drained(cluster.push([random], pipeline="shop"))
    before = {url: of_url(cluster, url) for url in (same, random)}
    receipt = cluster.wait_drained(cluster.push([same, random], "anew", pipeline="shop", refresh="true"))
    assert receipt["counts"]["duplicate"] == 2
    (was, _), (now, _) = before[same], of_url(cluster, same)
    assert now["images"] == was["images"] and now["state"] == "done"
    (was, _), (now, images) = before[random], of_url(cluster, random)
    newest = now["images"][-2:]
    assert len(now["images"]) == 4 and sorted(now["images"][:2]) == sorted(was["images"])
    assert len({id.split(":")[0] for id in newest}) == 1 and sorted(images) == NAMES
    cluster.verify()


def a_takedown_by_one_takes_all(cluster):
    urls = cluster.urls
    _, images = of_url(cluster, urls[0])
    run(cluster, "remove", images["thumb"]["sums"]["output"], "--reason", "asked")
    _, gone = of_url(cluster, urls[0])
    assert all(image["removed"] and image["data"] == "" for image in gone.values()) and len(gone) == 2
    late = cluster.wait_drained(cluster.push([f"https://origin.test/fault/redirect?to={urls[0]}&late"], pipeline="shop"))
    assert next(iter(cluster.fates(late).values()))["outcome"] == "removed"
    cluster.verify()


def one_that_fails_fails_the_url(cluster):
    """Nothing of it is kept. And what a deleted catalog alone brought in goes, with all its outputs."""
    small, large = "https://picsum.photos/id/40/64/64", "https://picsum.photos/id/41/160/120"
    receipt = cluster.wait_drained(cluster.push([small, large], pipeline="picky"))
    assert receipt["counts"]["stored"] == 1 and receipt["counts"]["dead"] == 1
    dead = cluster.db.urls.find_one({"url": small})
    assert dead["state"] == "dead" and dead["error"]["reason"] == "too_small" and dead["error"]["detail"].startswith("output large: ")
    assert not dead.get("images") and not cluster.db.images.find_one({"source.url": small})
    record, images = of_url(cluster, large)
    assert sorted(images) == ["all", "large"] and images["all"]["facts"] == images["large"]["facts"]
    run(cluster, "catalog", "delete", kit.catalog_id(receipt), "--yes")
    kit.wait_until(lambda: not cluster.db.images.count_documents({"_id": {"$in": record["images"]}, "data": {"$exists": True}}), 90,
                   lambda: f"both outputs go\n{cluster.tails(25)}")
    assert cluster.db.images.count_documents({"output": "gray"}) > 0


def the_plan_is_told_for_each(shop, tmp_path):
    told = run(shop, "pipelines", "explain", "shop")
    assert "once, for thumb;" in told and "gray: copy" in told and "thumb: thumbnail" in told
    assert "outputs" in run(shop, "pipelines")
    Image.effect_noise((120, 80), 64).convert("RGB").save(tmp_path / "in.jpg")
    run(shop, "pipelines", "try", "shop", str(tmp_path / "in.jpg"), str(tmp_path / "out.img"))
    assert Image.open(tmp_path / "out.gray.img").size == (120, 80) and Image.open(tmp_path / "out.thumb.img").size == (24, 16)
    config = tmp_path / "bad.yaml"
    config.write_text("pipelines:\n  shop:\n    outputs:\n      Gray: { steps: [grayscale] }\n")
    refused = subprocess.run([kit.find_binary(), "pipelines", "--config", str(config)], capture_output=True, text=True, timeout=60, env=kit.clean_environment())
    assert refused.returncode == 2 and "bad.yaml:" in refused.stderr and "pipeline shop, output Gray" in refused.stderr, refused


def test_outputs_are_stored_together_and_each_is_an_image_of_its_own(fleet, servers, tmp_path):
    cluster = fleet(workers=2, settings={"pipelines": {"shop": SHOP, "picky": PICKY}})
    cluster.urls = [f"https://picsum.photos/id/{n}/96/64" for n in range(1, 13)]
    cluster.receipt = cluster.wait_drained(cluster.push(cluster.urls, pipeline="shop"))
    all_are_stored_after_one_fetch_and_one_decode(cluster, servers)
    readers_know_the_outputs(cluster)
    commands_choose_among_them(cluster, tmp_path)
    one_that_is_damaged_is_made_anew_alone(cluster)
    what_is_fetched_anew_keeps_or_changes_all(cluster)
    a_takedown_by_one_takes_all(cluster)
    one_that_fails_fails_the_url(cluster)
    the_plan_is_told_for_each(cluster, tmp_path)
