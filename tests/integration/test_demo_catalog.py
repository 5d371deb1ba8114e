# SPDX-License-Identifier: Apache-2.0
"""The sample catalog, with all that is wrong in it, from push to verified gray images; line by line against the oracle."""
import hashlib

import numpy

from kit import catalog_id, make_catalog
from oracle import check_lines, check_receipt, expected
from pictures import difference, gray_on_white, luma, stored

DEAD_REASONS = {"http_4xx", "refused_address"}  # missing pictures, bad parameters, addresses that are never fetched


def test_a_thousand_malformed_lines_become_verified_gray_images(fleet, origin):
    data = make_catalog(1000, "--max-size", "200")
    cluster = fleet(workers=2)
    receipt = cluster.run(data, "sample", seconds=300)
    counts, want = receipt["counts"], expected(data)
    check_receipt(counts)
    assert {name: counts[name] for name in want.counts} == want.counts
    assert receipt["sha256"] == hashlib.sha256(data).hexdigest() and receipt["bytes"] == len(data)

    lines = cluster.lines(receipt)
    check_lines(data, lines)
    dead = {row["reason"] for row in lines if row["outcome"] == "dead"}
    assert dead <= DEAD_REASONS, dead
    assert counts["dead"] == sum(row["outcome"] == "dead" for row in lines)
    assert counts["stored"] == sum(row["outcome"] == "stored" for row in lines) == cluster.db.images.count_documents({})

    assert cluster.verify() == counts["stored"]
    check_pixels(cluster, origin)
    assert cluster.get(f"/v1/catalogs/{catalog_id(receipt)}/raw").content == data


def check_pixels(cluster, origin):
    """Every image against its source, fetched once more: of a JPEG every gray pixel is equal."""
    jpegs = 0
    for image in cluster.db.images.find({}):
        source = origin.fetch(image["source"]["final_url"])
        assert hashlib.sha256(source).hexdigest() == image["sums"]["source"], image["source"]
        assert image["content_type"] == "image/jpeg", "the default output, whatever the source"
        if image["source"]["content_type"] == "image/jpeg":
            assert numpy.array_equal(stored(image), luma(source)), image["source"]
            jpegs += 1
        else:
            assert difference(stored(image), gray_on_white(source)) < 4, image["source"]
    assert jpegs > 100


def test_an_empty_catalog_and_one_of_blanks_finish_at_once(fleet):
    cluster = fleet(workers=1)
    for name, data in (("blank", b"\n\n# nothing\n   \n"), ("one", b"#")):
        counts = cluster.run(data, name, seconds=60)["counts"]
        check_receipt(counts)
        assert counts["accepted"] == 0 and counts["blank"] == counts["lines"] == expected(data).counts["lines"]
