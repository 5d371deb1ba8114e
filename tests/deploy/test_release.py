# SPDX-License-Identifier: Apache-2.0
"""tools/release: a chart of the version asked for, and helm called so that a failed upgrade goes back by itself."""
import os
import subprocess

import pytest
import yaml

import deploy_kit as d

pytestmark = pytest.mark.quick


def release(*words, **env):
    return d.run(d.ROOT / "tools" / "release", *words, env={**os.environ, **env})


@pytest.fixture
def fake_helm(tmp_path):
    """Tells how it was called; stands for the one step that needs a cluster."""
    path = tmp_path / "helm"
    path.write_text('#!/bin/sh\necho "$@"\n')
    path.chmod(0o755)
    return str(path)


def test_the_packaged_chart_has_the_version_the_rules_and_the_dashboards(tmp_path):
    done = release("chart", tmp_path, VERSION="1.2.3")
    assert done.returncode == 0, done.stderr
    package = tmp_path / "grisaille-1.2.3.tgz"
    names = subprocess.run(["tar", "tzf", package], capture_output=True, text=True, check=True).stdout.split()
    assert "grisaille/files/grisaille.rules.yaml" in names and "grisaille/files/dashboards/overview.json" in names
    chart = yaml.safe_load(subprocess.run(["tar", "xzOf", package, "grisaille/Chart.yaml"], capture_output=True, check=True).stdout)
    assert (chart["version"], chart["appVersion"]) == ("1.2.3", "1.2.3")
    done = d.run(d.tool("helm"), "template", "shop", package, *d.values("prod"))
    assert done.returncode == 0 and "image: grisaille:1.2.3" in done.stdout, done.stderr


def test_an_upgrade_waits_and_goes_back_by_itself_and_a_rollback_names_its_revision(fake_helm):
    done = release("upgrade", "shop", "images", "values.yaml", "--dry-run", VERSION="1.2.3", HELM=fake_helm)
    assert done.returncode == 0
    for word in ("upgrade --install shop", "--namespace images", "-f values.yaml", "image.tag=1.2.3", "--atomic --wait", "--dry-run"):
        assert word in done.stdout, done.stdout
    assert release("rollback", "shop", "images", "4", HELM=fake_helm).stdout.startswith("rollback shop 4 --namespace images --wait")


def test_wrong_use_is_told():
    for words in ((), ("nonsense",), ("chart",), ("upgrade", "shop")):
        done = release(*words)
        assert done.returncode == 2 and "tools/release" in done.stdout, words
