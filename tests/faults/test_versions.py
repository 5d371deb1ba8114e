# SPDX-License-Identifier: Apache-2.0
"""Programs of different age on one database: within a schema version they agree on the data, a newer schema is left alone.

The older program is one of this repository's own history (tools/older-program); GRISAILLE_OLDER_BIN names another.
"""
import os
import pathlib
import subprocess

import pytest

import kit
from recovery import DEAD_TARGETS, QUICK, Supervisor, drain, follower_catalog, mixed_catalog, verify

EXIT_USAGE = 2
OWN_LEASES_SECONDS = 240  # an older program may not know the options that make its sweeps quick
MARK = {"later": {"field": [1, 2]}}


def start(cluster, *roles):
    supervisor = Supervisor(cluster)
    for role in roles:
        supervisor.start(role).probe_address()
    cluster.url = f"http://{cluster.of('api')[0].wait_address('api')}"
    return supervisor


@pytest.mark.quick
def test_fields_of_a_newer_version_are_left_where_they_are(fleet):
    """A newer program adds fields, collections and indexes; this one works on and keeps them."""
    cluster = fleet(schedulers=0, workers=0, api=0, settings=QUICK)
    supervisor = start(cluster, "api", "scheduler")
    data = [mixed_catalog("later"), follower_catalog("later")]
    first = cluster.push(data[0], "first")
    supervisor.wait(lambda: cluster.db.urls.count_documents({}) >= 20, 60, "admitted")
    for name in ("catalogs", "catalog_chunks", "urls", "leases", "meta", "rulesets", "pipelines"):
        cluster.db[name].update_many({}, {"$set": MARK})
    cluster.db.later_things.insert_one({"_id": 1})
    cluster.db.urls.create_index([("later.field", 1)])
    marked = cluster.db.urls.count_documents(MARK)
    supervisor.start("worker")
    supervisor.start("scheduler")  # one that starts on such a database
    receipts = drain(cluster, supervisor, [first])
    receipts += drain(cluster, supervisor, [cluster.push(data[1], "second")])
    verify(cluster, data, receipts, DEAD_TARGETS)
    assert marked >= 20 and cluster.db.urls.count_documents(MARK) == marked
    assert cluster.db.catalogs.count_documents(MARK) == 1
    assert cluster.db.meta.count_documents({"_id": "schema", **MARK}) == 1


@pytest.mark.quick
def test_a_newer_schema_is_refused_by_every_role_and_not_touched(fleet):
    cluster = fleet(schedulers=0, workers=0, api=0)
    cluster.db.meta.insert_one({"_id": "schema", "version": 99})
    for role in ("api", "scheduler", "worker"):
        daemon = cluster.start(role)
        assert daemon.child.wait(60) == EXIT_USAGE, kit.tail(daemon.log)
        assert "schema version 99" in daemon.log.read_text() and "use a newer program" in daemon.log.read_text()
        cluster.daemons.remove(daemon)
    assert cluster.db.list_collection_names() == ["meta"]


@pytest.fixture(scope="module")
def older():
    asked = os.environ.get("GRISAILLE_OLDER_BIN")
    if asked:
        return asked
    built = subprocess.run([kit.ROOT / "tools" / "older-program"], capture_output=True, text=True, timeout=1800)
    if built.returncode == 3:
        pytest.skip(built.stderr.strip())
    assert built.returncode == 0, built.stderr
    return built.stdout.strip()


def test_an_older_program_beside_this_one(fleet, monkeypatch, older):
    """Each role in both ages at once; a catalog of failures, duplicates and random sources; then each alone drains what the other began."""
    newer = kit.find_binary()
    known = pathlib.Path(older).read_bytes()
    settings = {key: value for key, value in QUICK.items() if key.encode() in known}  # a program refuses options that it does not know
    cluster = fleet(schedulers=0, workers=0, api=0, settings=settings)
    supervisor = start(cluster, "api", "scheduler", "worker")
    monkeypatch.setenv("GRISAILLE_BIN", str(pathlib.Path(older).absolute()))
    old = [supervisor.start(role) for role in ("scheduler", "worker")]
    data = [mixed_catalog("ages"), follower_catalog("ages")]
    receipts = drain(cluster, supervisor, [cluster.push(data[0], "first")], OWN_LEASES_SECONDS)
    for daemon in [daemon for daemon in supervisor.watched if daemon not in old and daemon.role != "api"]:
        supervisor.stop(daemon)
    second = cluster.push(data[1], "second")
    supervisor.wait(lambda: cluster.db.urls.count_documents({"state": "done"}) > 10, 60, "the older ones work")
    monkeypatch.setenv("GRISAILLE_BIN", str(newer))
    supervisor.start("worker")
    supervisor.start("scheduler")
    for daemon in old:
        supervisor.stop(daemon)
    receipts += drain(cluster, supervisor, [second], OWN_LEASES_SECONDS)
    verify(cluster, data, receipts, DEAD_TARGETS)
