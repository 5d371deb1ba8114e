# SPDX-License-Identifier: Apache-2.0
"""Every daemon's metrics are well formed, and tell what happened."""
import re
import subprocess

import requests

from kit import make_catalog, wait_until


def total(text, name, **labels):
    """Sum of a metric's samples with these labels."""
    out = 0.0
    for line in text.splitlines():
        found = re.fullmatch(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)(?: \d+)?", line)
        if found and found.group(1) == name:
            have = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', found.group(2) or ""))
            if labels.items() <= have.items():
                out += float(found.group(3))
    return out


def test_promtool_accepts_every_daemons_metrics_and_they_add_up(fleet, origin):
    cluster = fleet(schedulers=1, workers=2)
    receipt = cluster.run(make_catalog(300, "--max-size", "60"))
    counts = receipt["counts"]
    texts = {daemon.name: (daemon.role, daemon.metrics()) for daemon in cluster.daemons}
    for name, (role, text) in texts.items():
        check = subprocess.run(["promtool", "check", "metrics"], input=text, text=True, capture_output=True, timeout=30)
        assert check.returncode == 0, f"{name}: {check.stdout}{check.stderr}"
        assert total(text, "grisaille_build_info") == 1, name
        assert total(text, "process_cpu_seconds_total") > 0, name
        for marker in ("picsum.photos/", "://"):
            assert marker not in text, f"{name}: a URL in a label"

    def fleet_total(metric, **labels):
        return sum(total(text, metric, **labels) for _, text in texts.values())

    assert fleet_total("grisaille_urls_ingested_total", source="catalog") == counts["lines"] - counts["blank"]
    assert fleet_total("grisaille_urls_finished_total", outcome="stored") == counts["stored"]
    assert fleet_total("grisaille_urls_finished_total", outcome="duplicate_content") == counts["duplicate_content"]
    assert fleet_total("grisaille_urls_finished_total", outcome="invalid") == counts["invalid"]
    assert fleet_total("grisaille_urls_finished_total", outcome="duplicate") == counts["duplicate"]
    assert fleet_total("grisaille_urls_finished_total", outcome="dead") == counts["dead"]
    assert fleet_total("grisaille_fetch_bytes_total") > 0
    assert fleet_total("grisaille_stage_duration_seconds_count", stage="fetch") >= counts["stored"]


def test_probes_answer(fleet):
    cluster = fleet(workers=1)
    for daemon in cluster.daemons:
        for path in ("/healthz", "/readyz"):

            def answers():
                return requests.get(f"http://{daemon.probe_address()}{path}", timeout=20).status_code == 200

            wait_until(answers, 20, f"{daemon.name} {path}: 200")
