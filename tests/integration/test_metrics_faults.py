# SPDX-License-Identifier: Apache-2.0
"""A known catalog with known faults: every counter of the fleet is what the receipt, the origin and the ledger say."""
import collections
import re
import subprocess

import pytest

from kit import Cluster
from test_metrics import total

FAULTS = {"404": "http_4xx", "html": "not_image", "empty": "empty", "503": "http_5xx"}
GOOD, EACH, TRIES, SLOTS = 60, 3, 2, 16


@pytest.fixture(scope="module")
def told(servers, tmp_path_factory):
    """(receipt, texts of /metrics by daemon, cluster) of a run with every kind of end."""
    cluster = Cluster(servers, tmp_path_factory.mktemp("counted"), schedulers=1, workers=2, settings={"retry.max_attempts": TRIES, "retry.base_ms": 100, "worker.slots": SLOTS})
    faults = [f"https://origin.test/fault/{name}?k={number}" for name in FAULTS for number in range(EACH)]
    private = [f"https://10.1.2.{number}/a.jpg" for number in range(EACH)]
    good = [f"https://origin.test/id/{number}/40/30" for number in range(GOOD)]
    same = [f"https://origin.test/id/{number}/40/30?again" for number in range(EACH)]
    wrong = ["", "no url", "ftp://origin.test/a"]
    receipt = cluster.run([*good, *same, *faults, *private, good[0], faults[0], *wrong])
    cluster.wait_empty()
    yield receipt, {daemon.name: daemon.metrics() for daemon in cluster.daemons}, cluster
    cluster.stop()
    cluster.drop()


def test_every_counter_is_what_happened(told):
    receipt, texts, cluster = told
    counts = receipt["counts"]

    def fleet(metric, **labels):
        return int(sum(total(text, metric, **labels) for text in texts.values()))

    # the receipt
    expected = {"stored": GOOD, "duplicate_content": EACH, "dead": EACH * (len(FAULTS) + 1), "duplicate": 2, "invalid": 2, "blank": 1}
    assert {name: counts[name] for name in expected} == expected
    assert fleet("grisaille_urls_ingested_total", source="catalog") == counts["lines"] - counts["blank"]
    for outcome in ("stored", "duplicate_content", "dead", "duplicate", "invalid"):
        assert fleet("grisaille_urls_finished_total", outcome=outcome) == counts[outcome], outcome
    assert fleet("grisaille_urls_finished_total") == counts["lines"] - counts["blank"]
    ended = counts["stored"] + counts["duplicate_content"] + counts["dead"]
    assert fleet("grisaille_end_to_end_seconds_count") == ended

    # the ledger: dead URLs by reason, tries by what they cost
    dead = collections.Counter(row["reason"] for row in cluster.lines(receipt, "dead"))
    assert {reason: dead[reason] for reason in FAULTS.values()} == dict.fromkeys(FAULTS.values(), EACH)
    assert fleet("grisaille_dead_letters_total") == counts["dead"] == sum(dead.values())
    for reason, number in dead.items():
        assert fleet("grisaille_dead_letters_total", reason=reason) == number, reason
    assert fleet("grisaille_retries_total", reason="http_5xx") == EACH * (TRIES - 1)
    assert fleet("grisaille_images_rejected_total", reason="not_image") == EACH

    # the guard
    refused = dead["refused_address"]
    assert refused == EACH
    assert fleet("grisaille_addresses_refused_total", rule="private") == EACH

    # what is counted in two ways is the same
    requests = fleet("grisaille_host_requests_total")
    assert requests == fleet("grisaille_fetch_responses_total") == fleet("grisaille_stage_duration_seconds_count", stage="fetch")
    assert fleet("grisaille_fetch_responses_total", code_class="4xx") >= EACH and fleet("grisaille_fetch_responses_total", code_class="5xx") == EACH * TRIES
    assert fleet("grisaille_host_requests_total", outcome="refused_address") == EACH == fleet("grisaille_fetch_responses_total", code_class="none")
    assert fleet("grisaille_fetch_bytes_total") > 0
    made = fleet("grisaille_image_size_bytes_count")
    assert made == fleet("grisaille_stage_duration_seconds_count", stage="transform") == fleet("grisaille_stage_duration_seconds_count", stage="encode")
    assert made >= counts["stored"]

    # nothing that did not happen
    for quiet in ("reclaims", "fenced", "swept", "stream_entries_missing", "stream_entries_ignored", "redis_reconnects", "images_healed", "isolated", "store_errors"):
        assert fleet(f"grisaille_{quiet}_total") == 0, quiet
    # and nothing is in hand
    assert fleet("grisaille_slots") == fleet("grisaille_slots", state="free") >= 2 * SLOTS


def test_each_exposition_is_well_formed_and_no_label_is_unbounded(told):
    _, texts, _ = told
    for name, text in texts.items():
        check = subprocess.run(["promtool", "check", "metrics"], input=text, text=True, capture_output=True, timeout=60)
        assert (check.returncode, check.stdout + check.stderr) == (0, ""), name
        for label, value in re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', text):
            assert "://" not in value and not re.search(r"[0-9a-f]{24}", value), f"{name}: {label}={value}"
        hosts = set(re.findall(r'host="([^"]*)"', text))
        assert len(hosts) <= 10 and not any("10.1.2." in host or "origin.test" in host for host in hosts), hosts
