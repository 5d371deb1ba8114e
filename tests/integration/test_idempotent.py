# SPDX-License-Identifier: Apache-2.0
"""The same thing twice makes nothing twice: catalogs, URLs, contents."""
from kit import catalog_id, make_catalog
from oracle import check_receipt


def test_the_same_catalog_again_is_the_first_one(fleet, origin):
    data = make_catalog(120, "--clean", "--max-size", "40")
    cluster = fleet()
    first = cluster.run(data, "daily")
    assert first["counts"]["accepted"] == 120
    before = (cluster.db.urls.count_documents({}), cluster.db.images.count_documents({}), cluster.db.catalog_chunks.count_documents({}), origin.stats()["requests"])

    again = cluster.push(data, "daily", status=200)
    assert catalog_id(again) == catalog_id(first)

    other = cluster.run(data, "another name")
    assert catalog_id(other) != catalog_id(first)
    check_receipt(other["counts"])
    assert other["counts"]["accepted"] == 0 and other["counts"]["duplicate"] == 120
    assert {row["outcome"] for row in cluster.lines(other)} == {"duplicate"}

    after = (cluster.db.urls.count_documents({}), cluster.db.images.count_documents({}))
    assert after == before[:2]
    seen = origin.stats()["requests"]
    assert (seen["front"], seen["image"]) == (before[3]["front"], before[3]["image"]), "nothing was fetched again"
    cluster.verify()


def test_equal_contents_under_many_urls_are_one_image_found_by_each_of_its_hashes(fleet, origin):
    urls = [f"https://origin.test/kind/same/{number}" for number in range(40)]
    cluster = fleet(workers=2)
    receipt = cluster.run(urls)
    check_receipt(receipt["counts"])
    assert (receipt["counts"]["stored"], receipt["counts"]["duplicate_content"], receipt["counts"]["dead"]) == (1, 39, 0)
    assert cluster.verify() == 1

    sums = cluster.db.images.find_one({})["sums"]
    for name in ("source", "output", "base64"):
        images = cluster.get(f"/v1/images/{sums[name]}").json()["images"]
        assert len(images) == 1, name
        assert {entry["url"] for entry in images[0]["urls"]} == set(urls)
        assert {entry["first"]["catalog"] for entry in images[0]["urls"]} == {catalog_id(receipt)}
    cluster.get(f"/v1/images/{'0' * 64}", status=404)

    output = cluster.get(f"/v1/images/{sums['source']}/content")
    assert output.headers["Content-Type"] == "image/jpeg"
    import hashlib

    assert hashlib.sha256(output.content).hexdigest() == sums["output"]
    text = cluster.get(f"/v1/images/{sums['source']}/base64")
    assert hashlib.sha256(text.content).hexdigest() == sums["base64"]


def test_of_equal_urls_in_many_spellings_one_is_fetched(fleet, origin):
    spellings = ["https://picsum.photos/id/3/30/30", "HTTPS://PICSUM.photos:443/id/3/30/30", " \"https://picsum.photos./id/3/30/30#x\"",
                 "https://picsum.photos/id/%33/30/30?random=4"]
    cluster = fleet(workers=2, schedulers=2)
    counts = cluster.run(spellings * 50)["counts"]
    assert (counts["accepted"], counts["duplicate"], counts["stored"]) == (1, 199, 1)
    assert origin.count("https://picsum.photos/id/3/30/30") == 1
    cluster.verify()
