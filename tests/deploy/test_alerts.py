# SPDX-License-Identifier: Apache-2.0
"""Every alert fires where it must, is silent where it must not, and has a page that says what to do."""
import re

import pytest
import yaml

import deploy_kit as d

FOLDER = d.ROOT / "deploy" / "prometheus"
RULES = yaml.safe_load((FOLDER / "grisaille.rules.yaml").read_text())
ALERTS = {rule["alert"]: rule for group in RULES["groups"] for rule in group["rules"] if "alert" in rule}
TESTS = ("grisaille.rules.test.yaml", "grisaille.rules.days.test.yaml")


@pytest.mark.quick
@pytest.mark.parametrize("name", TESTS)
def test_alerts_fire_and_are_silent_as_written(name):
    done = d.run("promtool", "test", "rules", FOLDER / name, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.quick
def test_every_alert_is_tested_for_firing_and_for_not_firing():
    fires, silent = set(), set()
    for name in TESTS:
        for case in yaml.safe_load((FOLDER / name).read_text())["tests"]:
            for check in case.get("alert_rule_test", []):
                (fires if check.get("exp_alerts") else silent).add(check["alertname"])
    assert fires == silent == set(ALERTS)


@pytest.mark.quick
def test_every_alert_links_to_its_runbook_and_every_runbook_has_an_alert():
    pages = {path.stem for path in (d.ROOT / "docs" / "runbooks").glob("Grisaille*.md")}
    assert pages == set(ALERTS)
    for name, rule in ALERTS.items():
        assert rule["annotations"]["runbook_url"] == f"docs/runbooks/{name}.md"
        text = (d.ROOT / "docs" / "runbooks" / f"{name}.md").read_text()
        assert f"Severity: {rule['labels']['severity']}." in text
        assert all(f"## {part}" in text for part in ("What it means", "What it does to users", "Look", "Do")), name
        for link in re.findall(r"\]\(([^)#]+)", text):
            assert (d.ROOT / "docs" / "runbooks" / link).resolve().exists(), f"{name}: {link}"


@pytest.mark.quick
def test_every_metric_of_a_rule_is_documented():
    documented = set(re.findall(r"^\| `(\w+)` \|", (d.ROOT / "docs" / "metrics.md").read_text(), re.M))
    for group in RULES["groups"]:
        for rule in group["rules"]:
            for name in re.findall(r"\bgrisaille_\w+", rule["expr"]):
                assert re.sub(r"_(bucket|count|sum)$", "", name) in documented or name in documented, name


def test_alertmanager_routes_pages_and_tickets():
    config = d.ROOT / "deploy" / "alertmanager" / "alertmanager.yaml"
    done = d.run("amtool", "check-config", config)
    assert done.returncode == 0, done.stderr
    for severity in ("page", "ticket"):
        done = d.run("amtool", "config", "routes", "test", "--config.file", config, f"severity={severity}")
        assert done.stdout.strip() == severity
    named = set(re.findall(r"Grisaille\w+", config.read_text()))
    assert all(any(alert.startswith(name) for alert in ALERTS) for name in named), named


def test_an_alert_goes_from_prometheus_to_alertmanager_and_is_routed(tmp_path):
    """The shipped rules (without their waiting times) and the shipped Alertmanager configuration, in the real programs; nobody is there to scrape."""
    rules = tmp_path / "rules.yaml"
    rules.write_text(re.sub(r"for: \d+m", "for: 0s", (FOLDER / "grisaille.rules.yaml").read_text()))
    port, cluster = d.kit.free_port(), d.kit.free_port()
    config = d.ROOT / "deploy" / "alertmanager" / "alertmanager.yaml"
    alertmanager = d.kit.Process("alertmanager", ["prometheus-alertmanager", f"--config.file={config}", f"--storage.path={tmp_path / 'am'}",
                                                  f"--web.listen-address=127.0.0.1:{port}", f"--cluster.listen-address=127.0.0.1:{cluster}"], tmp_path)
    prometheus = None
    try:
        prometheus = d.Prometheus(tmp_path, [f"127.0.0.1:{d.kit.free_port()}"], rules, f"127.0.0.1:{port}")

        def arrived():
            alertmanager.must_live()
            try:
                alerts = d.requests.get(f"http://127.0.0.1:{port}/api/v2/alerts", timeout=10).json()
            except d.requests.RequestException:
                return None
            return {alert["labels"]["alertname"]: alert for alert in alerts} if len(alerts) >= 2 else None

        alerts = d.kit.wait_until(arrived, 90, lambda: d.kit.tail(prometheus.log))
        assert set(alerts) == {"GrisailleAbsent", "GrisailleTargetDown"}
        absent = alerts["GrisailleAbsent"]
        assert [receiver["name"] for receiver in absent["receivers"]] == ["page"]
        assert absent["annotations"]["runbook_url"] == "docs/runbooks/GrisailleAbsent.md"
    finally:
        if prometheus:
            prometheus.stop()
        alertmanager.stop()
