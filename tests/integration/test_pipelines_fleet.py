# SPDX-License-Identifier: Apache-2.0
"""A pipeline of every kind of step through a real worker: a refusal, facts, a mark that is loaded, a program."""
import base64
import io

from PIL import Image

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
