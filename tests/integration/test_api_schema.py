# SPDX-License-Identifier: Apache-2.0
"""The API's description holds against the API itself (schemathesis), and the Python examples work."""
import json
import os
import subprocess
import sys

import pytest
import requests

import kit

sys.path.insert(0, str(kit.ROOT / "examples" / "python"))
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance,unsupported_method"


def find_schemathesis():
    asked = os.environ.get("SCHEMATHESIS")
    return asked or kit.ROOT / ".tools" / "schemathesis" / "bin" / "schemathesis"


def test_schemathesis_finds_nothing(fleet, tmp_path):
    tool = find_schemathesis()
    if not os.access(tool, os.X_OK):
        subprocess.run([kit.ROOT / "tools" / "setup-schemathesis"], check=True, timeout=600)
    cluster = fleet(schedulers=0, workers=0)
    kit.wait_until(lambda: requests.get(cluster.url + "/readyz", timeout=30).status_code == 200, 60, "ready")
    # a stream that has no end is followed in test_steering.py
    described = requests.get(cluster.url + "/openapi.json", timeout=30).json()
    listed = described["paths"]["/v1/events"]["get"]["parameters"]
    listed[:] = [parameter for parameter in listed if parameter["name"] != "follow"]
    schema = tmp_path / "openapi.json"
    schema.write_text(json.dumps(described))
    done = subprocess.run([tool, "run", schema, "--url", cluster.url, "--checks", CHECKS, "--phases", "examples,coverage,fuzzing", "-n", "10", "--seed", "1",
                           "--max-time", "30", "--request-timeout", "20"], capture_output=True, text=True, timeout=300, cwd=tmp_path,
                          env={**os.environ, "NO_COLOR": "1"})
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


def test_the_python_examples_work(fleet, tmp_path, monkeypatch):
    import airflow_celery
    import grisaille_client

    cluster, binary = fleet(), kit.find_binary()
    for name in [name for name in os.environ if name.startswith("GRISAILLE_")]:
        monkeypatch.delenv(name)  # what is set for these tests is no configuration of the product
    client = grisaille_client.Grisaille(cluster.url)
    urls = [f"https://origin.test/id/{n}/12/12" for n in range(70, 76)]
    receipt = client.wait(client.push([*urls, "nonsense"], "client"), 120, 0.2)
    assert receipt["counts"]["stored"] + receipt["counts"]["duplicate_content"] == 6 and receipt["counts"]["invalid"] == 1
    lines = list(client.lines(receipt))
    assert [line["outcome"] for line in lines][-1] == "invalid" and len(lines) == 7
    images = list(client.images(catalog=receipt["id"]))
    assert client.picture(images[0]["sums"]["output"])[:2] == b"\xff\xd8"
    with pytest.raises(grisaille_client.Problem) as problem:
        client.picture("0" * 64)
    assert (problem.value.status, problem.value.reason) == (404, "not_found")
    good = tmp_path / "good.txt"
    good.write_text("".join(url + "?task\n" for url in urls))
    assert airflow_celery.push_and_wait(good, binary, cluster.config, seconds=120)["dead"] == 0
    bad = tmp_path / "bad.txt"
    bad.write_text("https://origin.test/fault/404?task\n")
    with pytest.raises(ValueError):
        airflow_celery.push_and_wait(bad, binary, cluster.config, seconds=120)
    with pytest.raises(RuntimeError):
        airflow_celery.push_and_wait(good, binary, tmp_path / "nowhere.yaml", seconds=60)
