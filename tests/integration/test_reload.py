# SPDX-License-Identifier: Apache-2.0
"""A changed configuration takes effect while the fleet works: both versions counted right, nothing dropped; a bad one is refused."""
import hashlib
import os
import re
import signal

import pytest
import requests
import yaml

import kit
from reloading import Swapping, generation, number, said

BASE = "https://origin.test/kind/"


def pipeline(width):
    return {"mine": {"steps": ["grayscale", {"resize": {"width": width}}]}}


@pytest.fixture(scope="module")
def only_fleet(servers, tmp_path_factory):
    with Swapping(servers, tmp_path_factory.mktemp("reload"), workers=2, settings={
            "process.watch_ms": 300, "pipelines": pipeline(20),
            "rules": [{"name": "gently", "when": {"host": "origin.test"}, "limit": {"per_second": 20}}]}) as cluster:
        yield cluster


@pytest.fixture
def swapping(only_fleet, request):
    request.node.fleets = [only_fleet]
    return only_fleet


def versions(cluster, catalog):
    """How many images of the catalog each version of the pipeline made, by width."""
    urls = {fate["url"] for fate in cluster.fates(catalog).values()}
    out = {}
    for image in cluster.db.images.find({"source.url": {"$in": sorted(urls)}}, {"pipeline": 1, "width": 1}):
        key = (image["pipeline"], image["width"])
        out[key] = out.get(key, 0) + 1
    return out


def test_reload_under_load_counts_both_versions_and_drops_nothing(swapping):
    cluster = swapping
    old = [BASE + f"png/64/40/{n}" for n in range(160)]
    first = cluster.push(old, pipeline="mine")
    before = first["pipeline"]
    kit.wait_until(lambda: cluster.catalog(kit.catalog_id(first))["counts"].get("stored", 0) > 0, 60, "the first image is stored")
    assert cluster.catalog(kit.catalog_id(first))["state"] != "finished"
    cluster.take_over(pipelines=pipeline(30), rules=[{"name": "no gifs", "when": {"path": "^/kind/gif/"}, "reject": True}])
    new = [BASE + f"png/64/40/{n}" for n in range(1000, 1060)]
    second = cluster.push([*new, BASE + "gif/64/40/1"], pipeline="mine")
    after = second["pipeline"]
    assert before != after and second["rules"] != first["rules"]
    # A bare URL is judged and pinned by the scheduler that reads it.
    bare = BASE + "png/64/40/2000"
    for url in (bare, BASE + "gif/64/40/2"):
        cluster.redis.xadd(cluster.key("urls"), {"url": url, "pipeline": "mine"})
    receipts = [cluster.wait_drained(catalog) for catalog in (first, second)]
    cluster.wait_empty()
    assert versions(cluster, first) == {(before, 20): len(old)}
    assert versions(cluster, second) == {(after, 30): len(new)}
    kit.wait_until(lambda: cluster.db.images.count_documents({"source.url": bare}) == 1, 60, "the bare URL is stored")
    assert cluster.db.images.find_one({"source.url": bare})["pipeline"] == after
    assert receipts[0]["counts"]["stored"] == len(old) and receipts[1]["counts"]["stored"] == len(new)
    refused = [row for row in cluster.lines(second) if row["outcome"] == "invalid"]
    assert [row["reason"] for row in refused] == ["rejected_by_rule"]
    # Nothing was delivered twice, nobody restarted.
    for worker in cluster.of("worker"):
        assert not [entry for entry in worker.entries() if entry.get("event") in ("reclaimed", "attempt_failed")]
    assert len(said(cluster.of("scheduler")[0], "started")) == 1
    cluster.verify()


def test_bad_file_is_refused_with_its_line_and_the_old_one_stays(swapping):
    cluster = swapping
    before = generation(cluster.daemons[0])
    good = yaml.safe_dump({name: value for name, value in cluster.settings.items() if name != "rules"})
    lines = good.splitlines()
    bad = lines + ["rules:", "- name: fine", "  reject: true", "- name: broken", "  when: {path: '('}"]
    cluster.map.write("\n".join(bad) + "\n")
    for daemon in cluster.daemons:
        [entry, *_] = kit.wait_until(lambda: said(daemon, "config_refused"), 60, lambda: f"{daemon.name} refuses\n{kit.tail(daemon.log)}")
        assert f"grisaille.yaml:{len(lines) + 4}: rules[1] \"broken\": when.path" in entry["detail"], entry
        kit.wait_until(lambda: number(daemon, "grisaille_config_last_reload_successful") == 0, 30, "the gauge tells of it")
        assert generation(daemon) == before
    assert cluster.run([BASE + "png/64/40/1"])["counts"]["stored"] == 1
    kit.wait_until(lambda: cluster.get("/v1/events", event="config_refused").json()["events"], 60, "an event tells of it")
    # A step that is wrong is told with its own line; SIGHUP reads at once.
    cluster.map.write(good.replace("width: 30", "width: -1"))
    line = next(n for n, text in enumerate(lines, 1) if "width" in text)
    scheduler = cluster.of("scheduler")[0]
    os.kill(scheduler.pid, signal.SIGHUP)
    kit.wait_until(lambda: any(re.search(rf"grisaille.yaml:{line - 1}: pipeline mine, step 2", entry["detail"]) for entry in said(scheduler, "config_refused")), 60,
                   lambda: f"refused with the line of the step\n{kit.tail(scheduler.log)}")
    # What can't change while it runs is named; what can is taken over.
    cluster.take_over(redis={"timeout_ms": 6000}, retry={"base_ms": 300}, fetch={"max_bytes": 2048})
    for daemon in cluster.daemons:
        assert [entry["keys"] for entry in said(daemon, "config_needs_restart")] == ["redis.timeout_ms"]
        assert "retry.base_ms" in said(daemon, "config_reloaded")[-1]["changed"]
        assert number(daemon, "grisaille_config_last_reload_successful") == 1
    kit.wait_until(lambda: len(cluster.get("/v1/events", event="config_reloaded").json()["events"]) >= len(cluster.daemons), 60, "events tell of it")
    receipt = cluster.run([BASE + "png/640/400/77"])
    assert next(iter(cluster.fates(receipt).values()))["reason"] == "too_large"
    os.kill(scheduler.pid, signal.SIGHUP)
    kit.wait_until(lambda: said(scheduler, "config_unchanged"), 60, "a SIGHUP without a change is answered")
    assert generation(scheduler) == before + 1


def test_tokens_change_without_restart_but_are_never_given_up(swapping):
    cluster = swapping
    api = cluster.of("api")[0]
    token = "t" * 40
    digest = hashlib.blake2b(token.encode(), digest_size=32).hexdigest()
    cluster.change(api={"tokens": [{"name": "one", "digest": digest, "scopes": ["read"]}]})
    kit.wait_until(lambda: requests.get(cluster.url + "/v1/pipelines", timeout=30).status_code == 401, 60, "the API asks for a token")
    allowed = requests.get(cluster.url + "/v1/pipelines", timeout=30, headers={"Authorization": f"Bearer {token}"})
    assert allowed.status_code == 200 and [row["name"] for row in allowed.json()["pipelines"]] == ["gray", "mine"]
    refusals = len(said(api, "config_refused"))
    cluster.change(api={"tokens": []})
    kit.wait_until(lambda: len(said(api, "config_refused")) > refusals, 60, "it does not open itself")
    assert requests.get(cluster.url + "/v1/pipelines", timeout=30).status_code == 401
