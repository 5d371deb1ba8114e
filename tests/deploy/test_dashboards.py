# SPDX-License-Identifier: Apache-2.0
"""The dashboards: made from the code, without overlaps or hard-coded names; each panel's query gives data of a real run with errors."""
import json
import re

import pytest

import deploy_kit as d
from kit import make_catalog, wait_until

BOARDS = d.dashboards()
WINDOW = "30s"


def panels(board):
    for panel in board["panels"]:
        yield panel
        yield from panel.get("panels", [])


def drawn(board):
    return [panel for panel in panels(board) if panel["type"] != "row"]


@pytest.mark.quick
def test_the_files_are_what_the_generator_writes(tmp_path):
    done = d.run("/usr/bin/python3", d.ROOT / "tools" / "make-dashboards", tmp_path)
    assert done.returncode == 0, done.stderr
    assert {path.stem: json.loads(path.read_text()) for path in tmp_path.glob("*.json")} == BOARDS, "run tools/make-dashboards"
    assert set(BOARDS) == {"overview", "pipeline", "hosts", "stores"}


@pytest.mark.quick
@pytest.mark.parametrize("name", BOARDS)
def test_a_person_would_see_every_panel_whole(name):
    taken = {}
    for panel in panels(BOARDS[name]):
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24 and at["h"] >= (1 if panel["type"] == "row" else 4), panel["title"]
        for x in range(at["x"], at["x"] + at["w"]):
            for y in range(at["y"], at["y"] + at["h"]):
                assert (x, y) not in taken, f"{panel['title']} overlaps {taken[x, y]}"
                taken[x, y] = panel["title"]
    titles = [panel["title"] for panel in drawn(BOARDS[name])]
    assert len(titles) == len(set(titles)), "two panels of one title"


@pytest.mark.quick
@pytest.mark.parametrize("name", BOARDS)
def test_panels_tell_their_unit_and_meaning_and_name_no_machine(name):
    board = BOARDS[name]
    assert [variable["name"] for variable in board["templating"]["list"]][:3] == ["datasource", "job", "instance"]
    assert board["annotations"]["list"][0]["name"] == "Deploys" and board["links"] and board["uid"] == f"grisaille-{name}"
    for panel in drawn(board):
        assert panel["description"] and panel["fieldConfig"]["defaults"]["unit"] and panel["fieldConfig"]["defaults"]["thresholds"]["steps"], panel["title"]
        assert panel["datasource"]["uid"] == "${datasource}", panel["title"]
        for target in panel["targets"]:
            assert target["legendFormat"] and target["datasource"]["uid"] == "${datasource}", panel["title"]
            assert 'job=~"$job"' in target["expr"] and 'instance=~"$instance"' in target["expr"], panel["title"]
    assert not re.search(r"127\.0\.0\.1|localhost|\d+\.\d+\.\d+\.\d+:", json.dumps(board))


@pytest.mark.parametrize("name", BOARDS)
def test_the_linter_is_content(name):
    done = d.run(d.tool("dashboard-linter"), "lint", "--strict", d.ROOT / "deploy" / "grafana" / "dashboards" / f"{name}.json")
    assert done.returncode == 0, done.stdout + done.stderr


def fill(query):
    for variable in ("job", "instance", "host"):
        query = query.replace(f"${variable}", ".+")
    return query.replace("$__rate_interval", WINDOW)


def faulty_catalog():
    """Of everything something: good ones, duplicates, wrong lines, hosts that fail, refuse, delay; bodies that are no images; private addresses."""
    kinds = ["404", "503", "flaky", "html", "truncate", "reset", "slow/50"]
    lines = [f"https://{host}/fault/{kind}?k={number}" for number, kind in enumerate(kinds * 3) for host in ("origin.test", "limited.test")]
    lines += ["https://10.1.2.3/a.jpg", "https://169.254.169.254/a.jpg", "no url at all", "ftp://origin.test/a.jpg"]
    return make_catalog(200, "--max-size", "40") + ("\n".join(lines) + "\n").encode()


def test_every_panel_has_data_of_a_real_run_with_errors(fleet, origin, tmp_path):
    cluster = fleet(settings={"retry.max_attempts": 2, "retry.base_ms": 200})
    prometheus = d.Prometheus(tmp_path, [daemon.probe_address() for daemon in cluster.daemons])
    try:
        wait_until(lambda: len(prometheus.query("up == 1")) == len(cluster.daemons), 60, "every daemon is scraped")
        cluster.run(faulty_catalog())
        scrub = d.run(d.kit.find_binary(), "scrub", "--config", cluster.config, env=d.kit.clean_environment())
        assert scrub.returncode == 0, scrub.stderr
        d.requests.get(cluster.url + "/v1/nothing", timeout=30)
        empty = {}

        def all_have_data():
            empty.clear()
            for name, board in BOARDS.items():
                for panel in drawn(board):
                    for target in panel["targets"]:
                        if not prometheus.query(fill(target["expr"])):
                            empty[f"{name}: {panel['title']}"] = fill(target["expr"])
            return not set(empty) - QUIET

        wait_until(all_have_data, 60, lambda: f"panels without data: {json.dumps(empty, indent=1)}", 1)
        for board in BOARDS.values():
            prometheus.query(fill(board["annotations"]["list"][0]["expr"]))
    finally:
        prometheus.stop()


# Nothing failed there in this run; the query is run all the same, and its metric is fed in other tests.
QUIET = {"stores: Failed operations"}
