# SPDX-License-Identifier: Apache-2.0
"""What the deployment tests share: the pinned tools, rendered charts, Prometheus."""
import functools
import json
import os
import pathlib
import subprocess

import requests
import yaml

import kit

ROOT = kit.ROOT
TOOLS = ROOT / ".tools" / "deploy"
CHART = ROOT / "helm" / "grisaille"
PLACES = ("dev", "test", "prod")


def tool(name):
    path = TOOLS / "bin" / name
    assert os.access(path, os.X_OK), f"{path} is not there: run tools/setup deploy"
    return str(path)


def run(*command, **options):
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=options.pop("timeout", 120), **options)


def pinned(program, **options):
    """Runs Python text with the packages of .tools/deploy/python, apart from this process and its own ones."""
    return run("/usr/bin/python3", "-c", program, env={**os.environ, "PYTHONPATH": str(TOOLS / "python")}, **options)


def template(*arguments):
    """`helm template`: the finished process."""
    return run(tool("helm"), "template", "shop", CHART, "--namespace", "images", *arguments)


@functools.lru_cache(maxsize=None)
def rendered(*arguments):
    """The objects of the chart."""
    done = template(*arguments)
    assert done.returncode == 0, done.stderr
    return [thing for thing in yaml.safe_load_all(done.stdout) if thing]


def values(place):
    return ("-f", str(CHART / f"values-{place}.yaml"))


def of_kind(objects, kind, name=""):
    found = [thing for thing in objects if thing["kind"] == kind and thing["metadata"]["name"].endswith(name)]
    assert found, f"no {kind} …{name}"
    return found


def pods(objects):
    """Name → pod template, of everything that makes pods of the product."""
    out = {}
    for thing in objects:
        spec = thing.get("spec", {})
        if thing["kind"] == "CronJob":
            spec = spec["jobTemplate"]["spec"]
        if thing["kind"] in ("Deployment", "Job", "CronJob"):
            out[thing["metadata"]["name"]] = spec["template"]
    return out


class Prometheus(kit.Process):
    """A real Prometheus that scrapes these addresses every second as job grisaille."""

    def __init__(self, folder, addresses, rules=None, alertmanager=None):
        folder = pathlib.Path(folder)
        self.port = kit.free_port()
        config = {"global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
                  "scrape_configs": [{"job_name": "grisaille", "static_configs": [{"targets": list(addresses)}]}]}
        if rules:
            config["rule_files"] = [str(rules)]
        if alertmanager:
            config["alerting"] = {"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}]}
        (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
        super().__init__("prometheus", ["prometheus", f"--config.file={folder / 'prometheus.yaml'}", f"--storage.tsdb.path={folder / 'tsdb'}",
                                        f"--web.listen-address=127.0.0.1:{self.port}", "--query.lookback-delta=1m"], folder)
        self.url = f"http://127.0.0.1:{self.port}"
        kit.wait_until(self.ready, kit.START_SECONDS, lambda: kit.tail(self.log))

    def ready(self):
        self.must_live()
        try:
            return requests.get(f"{self.url}/-/ready", timeout=10).status_code == 200
        except requests.RequestException:
            return False

    def query(self, expression):
        answer = requests.get(f"{self.url}/api/v1/query", params={"query": expression}, timeout=30).json()
        assert answer["status"] == "success", f"{expression}: {answer.get('error')}"
        return answer["data"]["result"]


def dashboards():
    return {path.stem: json.loads(path.read_text()) for path in sorted((ROOT / "deploy" / "grafana" / "dashboards").glob("*.json"))}
