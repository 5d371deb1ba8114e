# SPDX-License-Identifier: Apache-2.0
"""Who is there: each daemon tells what it is doing; one that ends, or falls silent, is told apart."""
from datetime import timedelta

import kit

GOOD = "".join(f"https://picsum.photos/id/{n}/40/30\n" for n in range(5)).encode()


def services(cluster):
    return {row["id"]: row for row in cluster.get("/v1/services").json()["services"]}


def of_role(cluster, role):
    return [row for row in services(cluster).values() if row["role"] == role]


def test_daemons_tell_what_they_are_doing_and_when_they_end(fleet):
    cluster = fleet(schedulers=1, workers=2)
    kit.wait_until(lambda: len(services(cluster)) == 4, 30, "all four have told")
    assert sorted(row["role"] for row in services(cluster).values()) == ["api", "scheduler", "worker", "worker"]
    assert {row["state"] for row in services(cluster).values()} == {"alive"}
    cluster.run(GOOD)
    kit.wait_until(lambda: sum(row["readings"]["stored"] for row in of_role(cluster, "worker")) == 5, 30, "the readings follow")
    worker = of_role(cluster, "worker")[0]
    assert worker["readings"]["slots_free"] > 0 and worker["readings"]["memory_bytes"] > 1e6 and worker["version"]

    # it drains: said at once, not after a silence
    assert cluster.of("worker")[0].stop(60) == 0
    assert sorted(row["state"] for row in of_role(cluster, "worker")) == ["alive", "ended"]

    # as after a SIGKILL half a minute ago, and more than an hour ago, by the server's clock
    scheduler = of_role(cluster, "scheduler")[0]["id"]
    set_back = lambda id, **age: cluster.db.services.update_one({"_id": id}, [{"$set": {  # noqa: E731
        "_id": id, "seen_at": {"$subtract": ["$$NOW", timedelta(**age) // timedelta(milliseconds=1)]}}}], upsert=True)
    set_back("gone-1-a", seconds=40)
    set_back("gone-2-b", hours=2)
    seen = services(cluster)
    assert seen["gone-1-a"]["state"] == "silent" and "gone-2-b" not in seen and seen[scheduler]["state"] == "alive"

    # a day later somebody else's start takes it away
    set_back("gone-2-b", hours=25)
    cluster.start("worker").probe_address()
    kit.wait_until(lambda: cluster.db.services.find_one({"_id": "gone-2-b"}) is None, 30, "what is a day old goes")
