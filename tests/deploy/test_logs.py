# SPDX-License-Identifier: Apache-2.0
"""Logs as collectors get them: ECS names, a trace id through log, event and image, levels that change while a daemon runs, and
Vector's own language over the shipped configuration's program."""
import json
import re
import signal

import pytest
import yaml

import deploy_kit as d
import kit

VECTOR = yaml.safe_load((d.ROOT / "deploy" / "logs" / "vector.yaml").read_text())
BAD = "https://origin.test/fault/404?k=trace"
QUIET = "https://origin.test/id/8/64/48"
GOOD = "https://origin.test/id/7/64/48"
VRL = """import json, sys, pyvrl
transform = pyvrl.Transform(sys.argv[1] + "\\n.")
for line in sys.stdin:
    print(json.dumps(transform.remap({"message": line.rstrip("\\n"), "stream": "stderr"})))
"""


def lines(daemon, action):
    return [entry for entry in daemon.entries() if entry.get("event.action") == action]


def set_level(daemon, number, level):
    before = len(lines(daemon, "log_level"))
    daemon.child.send_signal(number)
    kit.wait_until(lambda: len(lines(daemon, "log_level")) > before, 30, "the level changed")
    assert lines(daemon, "log_level")[-1]["grisaille.log_level"] == level


@pytest.fixture(scope="module")
def told(servers, tmp_path_factory):
    """A fleet that logs in ECS; its worker all of it while one URL is stored and one ends dead. Then as configured again."""
    with kit.Cluster(servers, tmp_path_factory.mktemp("logs"), workers=1, settings={"log.format": "ecs"}) as cluster:
        worker = cluster.of("worker")[0]
        cluster.run([QUIET], "quiet")
        quiet = len(lines(worker, "job_done"))
        set_level(worker, signal.SIGUSR1, "debug")
        cluster.run([GOOD, BAD])
        set_level(worker, signal.SIGUSR2, "info")
        yield cluster, worker, quiet


@pytest.mark.quick
def test_a_signal_changes_the_level_of_a_running_daemon_and_another_takes_it_back(told):
    cluster, worker, quiet = told
    assert quiet == 0 and len(lines(worker, "job_done")) == 1
    cluster.run([QUIET + "?again"], "quiet again")
    assert len(lines(worker, "job_done")) == 1


@pytest.mark.quick
def test_every_line_is_one_object_with_ecs_names(told):
    cluster, _, _ = told
    for daemon in cluster.daemons:
        for entry in daemon.entries():
            assert {"@timestamp", "log.level", "message", "ecs.version", "service.name", "service.node.role", "service.node.name", "event.action"} <= set(entry), entry
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", entry["@timestamp"])
            own = [name for name in entry if "." not in name and name not in ("@timestamp", "message")]
            assert not own, own
            assert all(not isinstance(value, (dict, list)) for value in entry.values())


@pytest.mark.quick
def test_one_trace_id_ties_log_lines_events_and_images_together(told):
    cluster, worker, _ = told
    stored, dead = lines(worker, "job_done")[0], lines(worker, "dead_letter")[0]
    for entry in (stored, dead):
        assert re.fullmatch(r"[0-9a-f]{32}", entry["trace.id"])
    image = cluster.db.images.find_one({"job": {"$regex": "^" + stored["trace.id"]}})
    assert image and image["_id"] == stored["grisaille.image"] and stored["url.full"] == GOOD and stored["event.duration"] >= 0
    event = cluster.db.events.find_one({"key": {"$regex": "^" + dead["trace.id"]}, "event": "dead_letter"})
    assert event and event["url"] == dead["url.full"] == BAD and dead["error.code"] == "http_4xx"


def test_vectors_own_language_runs_the_shipped_program_over_real_lines(told):
    cluster, worker, _ = told
    raw = [line for daemon in cluster.daemons for line in daemon.log.read_text().splitlines()]
    garbage = ["==1==ERROR: AddressSanitizer: SEGV", '["no object"]', ""]
    done = d.run("/usr/bin/python3", "-c", VRL, VECTOR["transforms"]["parsed"]["source"], input="".join(line + "\n" for line in raw + garbage),
                 env={"PYTHONPATH": str(d.TOOLS / "python")})
    assert done.returncode == 0, done.stderr
    out = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(out) == len(raw) + len(garbage)
    for line, got in zip(raw, out):
        assert json.loads(line).items() <= got.items() and got["event.dataset"] == "grisaille.log"
    for line, got in zip(garbage, out[len(raw):]):
        assert (got["log.level"], got["event.action"], got["message"]) == ("error", "unparsed", line)


@pytest.mark.quick
def test_labels_are_few_and_of_fields_that_exist(told):
    cluster, worker, _ = told
    labels = VECTOR["sinks"]["loki"]["labels"]
    fields = {name for entry in worker.entries() for name in entry}
    used = set(re.findall(r'{{ "([^"]+)" }}', " ".join(labels.values())))
    assert used <= fields and len(labels) <= 4
    assert VECTOR["sinks"]["elastic"]["inputs"] == VECTOR["sinks"]["loki"]["inputs"] == ["parsed"]


@pytest.mark.quick
def test_saved_queries_name_events_that_the_code_logs():
    code = "\n".join(path.read_text() for folder in ("workers", "scheduler", "adapters", "cli", "api") for path in (d.ROOT / folder).glob("*.c"))
    text = (d.ROOT / "deploy" / "logs" / "queries.md").read_text()
    named = {name for group in re.findall(r"event\.action: \(?([^)`]+)", text) for name in re.findall(r"[a-z_]{5,}", group)} - {"unparsed"}
    assert named and not [name for name in named if f'"{name}"' not in code]
