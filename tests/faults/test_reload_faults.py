# SPDX-License-Identifier: Apache-2.0
"""A configuration that changes at the worst time: while MongoDB is away, and to pipelines that end the process they run in."""
import signal

import pytest

import kit
from fleet_fixtures import end_fleets
from recovery import QUICK, drain
from reloading import Swapping, generation, number, said
from test_poison import BAD_WIDTH, PIPELINES, SETTINGS, Restarter, bad_pictures, dead, pictures

WATCHED = {"process.watch_ms": 300}


@pytest.fixture
def swapping(servers, tmp_path, request):
    """swapping(servers, settings={…}, workers=1): a fleet with a configuration that changes."""
    request.node.fleets = fleets = []

    def start(own=servers, **options):
        cluster = Swapping(own, tmp_path, **options)
        fleets.append(cluster)
        return cluster

    yield start
    end_fleets(request, fleets)


class OwnMongo:
    """The servers of the run, but with a MongoDB of the test's own."""

    def __init__(self, servers, folder):
        self.redis, self.origin, self.mongo = servers.redis, servers.origin, kit.Mongo(folder)


@pytest.fixture
def own(servers, tmp_path):
    made = OwnMongo(servers, tmp_path)
    yield made
    made.mongo.child.send_signal(signal.SIGCONT)
    made.mongo.stop()


@pytest.mark.quick
def test_a_reload_waits_for_mongodb(own, swapping):
    """Nothing may be pinned to a definition that MongoDB does not have: the old one stays in force until it answers."""
    cluster = swapping(own, settings={**QUICK, **WATCHED, "mongo.timeout_ms": 2000, "pipelines": {"mine": {"steps": ["grayscale"]}}})
    first = cluster.push(pictures(3), pipeline="mine")
    cluster.wait_drained(first)
    own.mongo.child.send_signal(signal.SIGSTOP)
    cluster.change(pipelines={"mine": {"steps": ["grayscale", "invert"]}})
    for daemon in cluster.daemons:
        kit.wait_until(lambda: said(daemon, "config_waits_for_mongo"), 90, lambda: f"{daemon.name} waits\n{kit.tail(daemon.log)}")
        assert generation(daemon) == 1 and not said(daemon, "config_reloaded")
        assert number(daemon, "grisaille_config_last_reload_successful") == 1, "the file is fine"
    own.mongo.child.send_signal(signal.SIGCONT)
    for daemon in cluster.daemons:
        kit.wait_until(lambda: generation(daemon) == 2, 90, lambda: f"{daemon.name} takes it over\n{kit.tail(daemon.log)}")
        assert not said(daemon, "config_refused")
    second = cluster.push(pictures(4, 50), pipeline="mine")
    assert second["pipeline"] != first["pipeline"]
    assert cluster.wait_drained(second)["counts"]["stored"] == 4
    cluster.verify()


@pytest.mark.parametrize("fault", ["crash", "hang", "leave"])
def test_a_pipeline_that_fails_its_process_comes_and_goes_by_reload(swapping, fault):
    """Its jobs end as poison, those of the pipeline beside it are unharmed, and after the next reload a retry of them is stored."""
    cluster = swapping(settings={**SETTINGS, **WATCHED, "pipelines": {}}, workers=0)
    supervisor = Restarter(cluster)
    for _ in range(2):
        supervisor.start("worker")
    cluster.take_over(pipelines={fault: PIPELINES[fault]})
    good, bad = pictures(30), bad_pictures(1)
    catalogs = [cluster.push(good), cluster.push(bad + pictures(5, 50), pipeline=fault)]
    receipts = drain(cluster, supervisor, catalogs, 180)
    assert dead(cluster) == {bad[0]: "poison"}
    assert receipts[0]["counts"]["stored"] == len(good) and receipts[1]["counts"]["stored"] == 5, receipts
    assert 3 <= supervisor.deaths <= 4
    steps = [{fault: {"width": BAD_WIDTH + 1}}, "grayscale"]
    cluster.take_over(pipelines={fault: {"steps": steps}})
    again = cluster.push(bad, pipeline=fault, retry_dead="true")
    assert again["pipeline"] != catalogs[1]["pipeline"]
    drain(cluster, supervisor, [again], 60)
    record = cluster.db.urls.find_one({"url": bad[0]})
    assert record["state"] == "done" and record["images"][0].endswith(":" + again["pipeline"]) and not dead(cluster), record
    cluster.verify()
