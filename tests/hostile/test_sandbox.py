# SPDX-License-Identifier: Apache-2.0
"""What code that runs inside a decoder can do: compute, and nothing else. A plugin plays the picture that has taken over."""
import json

import pytest

import kit
from recovery import QUICK
from test_poison import make_suspects

PLUGINS = kit.find_binary().parent / "tests" / "hostile" / "plugins"
CALLS = ("open", "socket", "exec", "fork", "ptrace", "peek", "kill", "unlink")
# of the child: what is plainly an attack ends it, the rest is refused
KILLED = {"socket", "exec", "fork", "ptrace", "peek", "kill"}
STEPS = {call: {"steps": [{"intrude": {"call": call}}, "grayscale"], "output": {"format": "png"}} for call in ("nothing", *CALLS)}
SETTINGS = {**QUICK, "plugins.dir": str(PLUGINS), "pipelines": STEPS, "fetch.timeout_ms": 10000}


def url_of(call, number=0):
    return f"https://picsum.photos/id/{10 + list(STEPS).index(call)}/{40 + number}/24"


def errors(cluster):
    """pipeline → (reason, text) of its dead URLs."""
    return {url["pipeline"].split("@")[0]: (url["error"]["reason"], url["error"]["detail"]) for url in cluster.db.urls.find({"state": "dead"})}


def push_all(cluster):
    return {call: cluster.push([url_of(call)], pipeline=call) for call in STEPS}


def test_the_decoders_of_a_worker_can_only_compute(fleet, origin, verdicts):
    cluster = fleet(workers=1, settings=SETTINGS)
    worker = cluster.of("worker")[0]
    for catalog in push_all(cluster).values():
        cluster.wait_drained(catalog, 120)
    found = errors(cluster)
    for call in CALLS:
        reason, text = found.get(call, ("stored", ""))
        verdicts.check(f"a plugin on a CPU thread tries {call}", "transform: … refused: Operation not permitted", f"{reason}: {text}",
                       reason == "transform" and f"{call} refused: Operation not permitted" in text)
    verdicts.check("the plugin that tries nothing", "stored", "dead" if "nothing" in found else "stored")
    verdicts.check("the worker itself", "alive, one job lost a call", "alive" if worker.alive() else "dead", worker.alive())
    counted = len(CALLS) - 1  # fork is refused without being counted (docs/decisions/0025)

    def count():
        return next(int(line.split()[1]) for line in worker.metrics().splitlines() if line.startswith("grisaille_sandbox_refused_total "))

    kit.wait_until(lambda: count() >= counted, 20, lambda: f"{count()} refused calls are counted, not {counted}")
    told = sum(entry["calls"] for entry in worker.entries() if entry.get("event") == "sandbox_refused")
    verdicts.check("refused calls in grisaille_sandbox_refused_total and in the log", counted, f"{count()} and {told}", count() == told == counted)


def test_the_child_of_a_suspicious_url_can_do_less(fleet, origin, verdicts):
    cluster = fleet(workers=0, settings=SETTINGS)
    push_all(cluster)
    make_suspects(cluster, len(STEPS))
    worker = cluster.start("worker")
    kit.wait_until(lambda: cluster.db.urls.count_documents({"state": {"$in": ["dead", "done"]}}) == len(STEPS), 180, lambda: cluster.tails())
    found = errors(cluster)
    for call in CALLS:
        reason, text = found.get(call, ("stored", ""))
        wanted = "poison" if call in KILLED else "transform"
        part = "signal 31" if call in KILLED else "refused: Operation not permitted"
        verdicts.check(f"a plugin in the child tries {call}", f"{wanted}: … {part}", f"{reason}: {text}", reason == wanted and part in text)
    verdicts.check("the plugin that tries nothing, in the child", "stored", "dead" if "nothing" in found else "stored")
    verdicts.check("the worker itself", "alive", "alive" if worker.alive() else "dead")


def threads_of(pid):
    """name → the numbers of filters of threads so called."""
    found = {}
    for task in (kit.pathlib.Path("/proc") / str(pid) / "task").iterdir():
        lines = dict(line.split(":\t", 1) for line in (task / "status").read_text().splitlines() if ":\t" in line)
        found.setdefault(lines["Name"].rstrip("0123456789"), []).append(int(lines["Seccomp_filters"]))
    return found


def test_every_kind_of_picture_is_decoded_inside_and_nothing_is_missing(fleet, origin, verdicts):
    """Whatever a decoder needs of the system it has by then: not one call is refused, in the worker and in the child."""
    from test_kinds import KINDS

    watermark = kit.ROOT / "examples"
    assert watermark.exists()
    pipelines = {"big": {"steps": ["grayscale", {"resize": {"width": 80}}], "output": {"format": "jpeg"}},
                 "png": {"steps": ["grayscale"], "output": {"format": "png"}}, "webp": {"steps": ["grayscale"], "output": {"format": "webp"}}}
    cluster = fleet(workers=1, settings={**QUICK, "pipelines": pipelines})
    worker = cluster.of("worker")[0]
    for name in pipelines:
        urls = [f"https://origin.test/kind/{kind}/64/40/{number}" for kind in KINDS for number in (5, 6)]
        receipt = cluster.wait_drained(cluster.push(urls, pipeline=name), 120)
        verdicts.check(f"{len(urls)} pictures of every kind, as {name}", 0, receipt["counts"]["dead"])
    threads = threads_of(worker.pid)
    ours = sorted(number for name, numbers in threads.items() if name.startswith(("cpu-", "worker", "libvips")) for number in numbers)
    verdicts.check("filters on each CPU thread and each of libvips' threads", "2", f"{ours} of {json.dumps({n: len(c) for n, c in threads.items()})}",
                   ours and set(ours) == {2})
    refused = [entry for entry in worker.entries() if entry.get("event") == "sandbox_refused"]
    verdicts.check("calls that a decoder needed and did not get", "none", refused or "none")


@pytest.mark.parametrize("role", ["scheduler", "worker", "api"])
def test_daemons_have_no_more_than_they_need(fleet, origin, verdicts, role):
    cluster = fleet(workers=1)
    pid = cluster.of(role)[0].pid
    status = dict(line.split(":\t", 1) for line in kit.pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)
    limits = next(line for line in kit.pathlib.Path(f"/proc/{pid}/limits").read_text().splitlines() if line.startswith("Max core"))
    verdicts.check(f"{role}: no_new_privs", "1", status["NoNewPrivs"].strip())
    verdicts.check(f"{role}: seccomp", "2 (a filter)", status["Seccomp"].strip(), status["Seccomp"].strip() == "2")
    verdicts.check(f"{role}: core files", "0", limits.split()[4])
    owner = kit.pathlib.Path(f"/proc/{pid}/environ").stat().st_uid
    verdicts.check(f"{role}: not dumpable", "root owns its memory", owner, owner == 0)
