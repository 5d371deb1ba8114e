# SPDX-License-Identifier: Apache-2.0
"""A pipeline of every kind of step through a real worker: a refusal, facts, a mark that is loaded, a program."""
import base64
import io
import time

import requests
from PIL import Image

import kit
import oracle


BASE = "https://origin.test/kind/"


def pictures(cluster):
    return {image["source"]["url"]: image for image in cluster.db.images.find()}


def test_facts_refusals_marks_and_programs_in_a_fleet(fleet, tmp_path):
    Image.new("RGBA", (20, 20), (255, 0, 0, 255)).save(tmp_path / "mark.png")
    pipelines = {
        "rich": {"steps": [{"require": {"min_width": 40, "not_blank": True}}, "analyse", {"thumbnail": {"width": 32}},
                           {"watermark": {"image": str(tmp_path / "mark.png"), "at": "top_left", "margin": 0, "size": 20, "opacity": 100}},
                           {"exec": {"command": "/bin/cat"}}],
                 "output": {"format": "png"}},
        "second": {"steps": ["grayscale"], "output": {"format": "png"}},
        "third": {"steps": ["grayscale", {"thumbnail": {"width": 16}}], "output": {"format": "png"}},
    }
    cluster = fleet(workers=1, settings={"pipelines": pipelines})
    good, small = BASE + "png/64/40/5", BASE + "png/32/20/5"
    receipt = cluster.wait_drained(cluster.push([good, small], pipeline="rich"))
    fates = cluster.fates(receipt)
    assert fates[small]["reason"] == "too_small"
    image = pictures(cluster)[good]
    assert image["pipeline"].startswith("rich@") and image["content_type"] == "image/png"
    facts = image["facts"]["analyse"]
    assert 0 < facts["entropy"] <= 8 and facts["dominant"].startswith("#")
    picture = Image.open(io.BytesIO(base64.b64decode(image["data"])))
    assert picture.size == (32, 20) and picture.getpixel((1, 1)) == (255, 0, 0)
    shown = cluster.get(f"/v1/images/{image['sums']['source']}").json()
    assert facts == next(one for one in shown.get("images", [shown]) if one.get("facts"))["facts"]["analyse"]
    assert oracle.document_sum(image) == image["sums"]["document"]
    a_taken_down_source_comes_back_under_no_pipeline(cluster, image, good)


def a_taken_down_source_comes_back_under_no_pipeline(cluster, image, url):
    """Stripped under each pipeline that had it, refused to one that comes later: by the same URL, and by another with the same bytes."""
    source = image["sums"]["source"]
    cluster.wait_drained(cluster.push([url], pipeline="second"))
    answer = requests.delete(f"{cluster.url}/v1/images/{source}", params={"reason": "asked"}, timeout=60)
    assert answer.status_code == 200, answer.text
    taken = list(cluster.db.images.find({"sums.source": source}))
    assert {one["pipeline"].split("@")[0] for one in taken} == {"rich", "second"} and all(one["removed"] and one["data"] == "" for one in taken)
    cluster.get(f"/v1/images/{source}/content", status=410, pipeline="second")
    time.sleep(2.5)  # workers ask every two seconds whether anything was ever taken down; what comes in between is stripped after them
    for pipeline in ("third", "second", "rich"):
        for line in (url, url + "?again"):
            catalog = cluster.wait_drained(cluster.push([line], name=f"{pipeline} {line}", pipeline=pipeline))
            assert catalog["counts"]["stored"] == 0, (pipeline, line, catalog)
    kit.wait_until(lambda: cluster.db.images.count_documents({"sums.source": source, "removed": {"$ne": True}}) == 0, 60, "nothing of it is there")
    assert not [one for one in cluster.db.images.find({"sums.source": source}) if one["data"]]
    third = cluster.db.urls.find_one({"url": url, "pipeline": {"$regex": "^third@"}})
    assert third["state"] == "done" and third["error"]["reason"] == "removed" and not cluster.db.images.count_documents({"pipeline": {"$regex": "^third@"}})
