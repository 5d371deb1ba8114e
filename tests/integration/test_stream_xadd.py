# SPDX-License-Identifier: Apache-2.0
"""Anyone may add a URL to the stream, with nothing but XADD."""
from kit import wait_until


def test_a_url_added_to_the_stream_is_stored(fleet, origin):
    cluster = fleet()
    urls = [f"https://picsum.photos/id/{id}/24/24" for id in range(20)]
    for url in urls + urls[:5] + ["HTTPS://PICSUM.photos:443/id/0/24/24"]:
        cluster.redis.xadd(cluster.key("urls"), {"url": url})
    wait_until(lambda: cluster.db.urls.count_documents({"state": "done"}) == 20, 90, lambda: cluster.tails())
    cluster.wait_empty()
    assert cluster.db.urls.count_documents({}) == 20
    assert {row["url"] for row in cluster.db.urls.find({})} == set(urls)
    assert cluster.verify() == 20
    assert all(origin.count(url) == 1 for url in urls)
    assert "done" in cluster.get("/v1/urls", url=urls[0]).text


def test_a_bad_entry_leaves_an_event_and_stops_nobody(fleet, origin):
    cluster = fleet()
    bad = {
        "htps://picsum.photos/200/300": "bad_scheme",
        "picsum.photos/200/300": "no_scheme",
        "https://picsum.photos/wide/300": "bad_path",
        "https://picsum.photos/9999/300": "bad_size",
    }
    for line in bad:
        cluster.redis.xadd(cluster.key("urls"), {"url": line})
    cluster.redis.xadd(cluster.key("urls"), {"url": b"\xff\x00\xfe"})
    cluster.redis.xadd(cluster.key("urls"), {"something": "else"})
    cluster.redis.xadd(cluster.key("urls"), {"url": "https://picsum.photos/id/1/20/20"})
    wait_until(lambda: cluster.db.urls.count_documents({"state": "done"}) == 1, 90, lambda: cluster.tails())
    cluster.wait_empty()

    def reasons():
        return {event.get("reason") for event in cluster.db.events.find({"event": "line_rejected"})}

    wait_until(lambda: set(bad.values()) <= reasons(), 30, lambda: f"events: {reasons()}")
    assert cluster.db.urls.count_documents({}) == 1
