# SPDX-License-Identifier: Apache-2.0
"""Several schedulers and workers share ten thousand URLs: each is fetched once and stored once."""
import collections

import pytest

from kit import make_catalog
from oracle import check_receipt


@pytest.mark.slow
def test_ten_thousand_urls_are_each_fetched_and_stored_once(fleet, origin):
    data = make_catalog(10_000, "--clean", "--max-size", "24")
    cluster = fleet(schedulers=2, workers=3)
    counts = cluster.run(data, seconds=420)["counts"]
    check_receipt(counts)
    assert (counts["accepted"], counts["invalid"], counts["duplicate"], counts["dead"]) == (10_000, 0, 0, 0), counts
    # once each; again only where a connection broke, which is told
    often = collections.Counter(origin.counts("picsum.photos/").values())
    broken = cluster.db.events.count_documents({"event": "attempt_failed"})
    assert sum(often.values()) == 10_000 and broken <= 3, (often, broken)
    assert sum(times * urls for times, urls in often.items()) <= 10_000 + broken, f"times asked → URLs: {often}, {broken} attempts failed"
    assert cluster.verify() == counts["stored"] > 9_000
    made = cluster.db.images.aggregate([{"$group": {"_id": "$sums.source", "n": {"$sum": 1}}}, {"$match": {"n": {"$gt": 1}}}])
    assert list(made) == []
