# SPDX-License-Identifier: Apache-2.0
"""An export that is killed in the middle and given again is complete, verified, and has no image twice."""
import base64
import collections
import csv
import datetime
import hashlib
import json
import os
import subprocess
import tarfile

import pytest

import kit

IMAGES = 260  # two pages


@pytest.fixture(scope="module")
def filled(servers, tmp_path_factory):
    with kit.Cluster(servers, tmp_path_factory.mktemp("export")) as cluster:
        twins = ["https://origin.test/kind/same/export/1", "https://origin.test/kind/same/export/2"]
        catalog = cluster.run([f"https://origin.test/id/{n}/8/8?export" for n in range(IMAGES)] + twins, "export")
        # one image, two URLs, on the first and on the last page of the list
        now = datetime.datetime.now(datetime.timezone.utc)
        for url, days in zip(twins, (1, -1)):
            cluster.db.urls.update_one({"url": url}, {"$set": {"changed_at": now + datetime.timedelta(days=days)}})
        yield cluster, catalog


def export(cluster, catalog, to):
    return [str(word) for word in (kit.find_binary(), "export", "--config", cluster.config, "--catalog", catalog["id"], "--to", to, "--json")]


def ids_of(path):
    """Every image in the file, each with its bytes checked where it has them."""
    if path.suffix == ".csv":
        return [row["id"] for row in csv.DictReader(path.open(newline=""))]
    if path.suffix == ".ndjson":
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        assert all(hashlib.sha256(base64.b64decode(row["data"])).hexdigest() == row["sums"]["output"] for row in rows)
        return [row["id"] for row in rows]
    ids = []
    with tarfile.open(path) as tar:
        members = tar.getmembers()
        for picture, meta in zip(members[::2], members[1::2], strict=True):
            assert hashlib.sha256(tar.extractfile(picture).read()).hexdigest() == picture.name[:64] == meta.name[:64]
            ids.append(json.loads(tar.extractfile(meta).read())["id"])
    return ids


@pytest.mark.parametrize("kind", ["tar", "ndjson", "csv"])
def test_a_killed_export_goes_on_and_has_nothing_twice(filled, servers, tmp_path, kind):
    cluster, catalog = filled
    wanted = {image for record in cluster.db.urls.find({"first.catalog": catalog["id"]}) for image in record.get("images", [])}
    assert len(wanted) > 200
    path = tmp_path / f"out.{kind}"
    state = path.with_name(path.name + ".state")
    # MongoDB answers slowly, so that there is a middle to be killed in
    with servers.mongo.slow(3 if kind != "csv" else 100, "find", "aggregate"):
        child = subprocess.Popen(export(cluster, catalog, path), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=kit.clean_environment())
        kit.wait_until(lambda: state.exists() or child.poll() is not None, 120, "the first page is written", 0.002)
        child.kill()
        assert child.wait(30) == -9
    assert not path.exists() and json.loads(state.read_text())["seen"] > 0
    with open(path.with_name(path.name + ".part"), "ab") as part:
        part.write(b"half a rec")  # what a crash may leave behind the last noted place
    done = subprocess.run(export(cluster, catalog, path), capture_output=True, timeout=120, env=kit.clean_environment())
    assert done.returncode == 0, done.stderr.decode()[-1000:]
    written = collections.Counter(ids_of(path))
    assert set(written) == wanted and set(written.values()) == {1}, [id for id, times in written.items() if times > 1]
    assert json.loads(done.stdout)["written"] < len(wanted)  # it went on, and did not begin anew
    assert sorted(os.listdir(tmp_path)) == [path.name]
