# SPDX-License-Identifier: Apache-2.0
"""Chunks whose pusher died before the catalog was written age out; a push that is only slow fails instead of losing its beginning."""
import time

from bson import ObjectId

from kit import catalog_id, wait_until


def orphan(cluster, age_seconds):
    """Chunks as a pusher leaves them that dies before the end."""
    catalog = "%08x" % int(time.time() - age_seconds) + str(ObjectId())[8:]
    cluster.db.catalog_chunks.insert_many(
        [{"_id": f"{catalog}:{n:010d}", "catalog": catalog, "number": n, "first_line": n + 1, "lines": 1, "admitted": False,
          "text": b"https://picsum.photos/id/1/20/20\n"} for n in range(3)])
    return catalog


def test_chunks_without_a_catalog_age_out_and_nothing_else_does(fleet, origin):
    cluster = fleet(settings={"scheduler.reap_ms": 200})
    real = cluster.push(["https://picsum.photos/id/1/20/20", "https://picsum.photos/id/2/20/20"], "real")
    cluster.wait_drained(real, 60)
    old, young = orphan(cluster, 2 * 86400), orphan(cluster, 600)
    wait_until(lambda: cluster.db.catalog_chunks.count_documents({"catalog": old}) == 0, 30, lambda: cluster.tails())
    assert cluster.db.catalogs.find_one({"_id": old})["state"] == "abandoned"
    assert cluster.db.catalog_chunks.count_documents({"catalog": young}) == 3
    assert cluster.db.catalogs.find_one({"_id": young}) is None
    assert cluster.db.catalog_chunks.count_documents({"catalog": catalog_id(real)}) == 1
    assert [row["id"] for row in cluster.get("/v1/catalogs").json()["catalogs"]] == [catalog_id(real)]
    # a second one in the same state meets no other's content
    also = orphan(cluster, 3 * 86400)
    wait_until(lambda: cluster.db.catalogs.find_one({"_id": also}) is not None, 30, lambda: cluster.tails())
    assert cluster.verify() == 2
