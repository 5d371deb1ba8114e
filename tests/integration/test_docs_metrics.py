# SPDX-License-Identifier: Apache-2.0
"""docs/metrics.md lists every metric that the code registers, with its type and labels, and no other."""
import re
import subprocess

from kit import ROOT, make_catalog

FOLDERS = ("base", "catalog", "scheduler", "workers", "transforms", "adapters", "api", "cli")
NAME = re.compile(r'"((?:grisaille|process)_[a-z0-9_]+)"')
ROW = re.compile(r"^\| `((?:grisaille|process)_[a-z0-9_]+)` \| (counter|gauge|histogram) \| (.*?) \|", re.M)


def registered():
    """Names in the code's string literals; what is no metric does not end up in an exposition, so the list is explicit."""
    no_metrics = {"process_stats", "process_madvise", "process_vm_readv", "process_vm_writev"}  # a file, and system calls
    names = set()
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*.[ch]"):
            for line in path.read_text().splitlines():
                if not line.lstrip().startswith("#include"):
                    names.update(NAME.findall(line))
    return names - no_metrics


def documented():
    """Name → (type, labels)."""
    rows = ROW.findall((ROOT / "docs" / "metrics.md").read_text())
    assert len(rows) == len({name for name, _, _ in rows}), "a metric has two rows"
    return {name: (kind, set(re.findall(r"(?:^|, )`(\w+)`", re.sub(r"\([^)]*\)", "", labels)))) for name, kind, labels in rows}


def test_every_metric_of_the_code_is_in_the_page_and_no_other():
    code, page = registered(), set(documented())
    assert code - page == set(), "docs/metrics.md lacks these"
    assert page - code == set(), "docs/metrics.md has these, the code does not"


def test_types_and_labels_are_as_the_page_says(fleet, origin):
    cluster = fleet(workers=1)
    cluster.run(make_catalog(150, "--max-size", "40"))
    page, seen = documented(), set()
    for daemon in cluster.daemons:
        text = daemon.metrics()
        kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))
        for name, kind in kinds.items():
            assert name in page, f"{daemon.name}: {name} is not in docs/metrics.md"
            assert page[name][0] == kind, f"{daemon.name}: {name} is a {kind}"
            seen.add(name)
        for name, labels in re.findall(r"^(\w+)\{(.*)\} \S+$", text, re.M):
            family = name if name in kinds else re.sub(r"_(bucket|sum|count)$", "", name)
            have = set(re.findall(r'(\w+)="', labels)) - {"le"}
            assert have == page[family][1], f"{daemon.name}: {name} has the labels {have}, docs/metrics.md says {page[family][1]}"
    assert len(seen) > 20, seen


def test_the_queries_of_the_page_are_promql(tmp_path):
    text = (ROOT / "docs" / "metrics.md").read_text()
    block = re.search(r"## Useful queries\n\n```\n(.*?)```", text, re.S).group(1)
    queries = [line for line in block.splitlines() if line and not line.startswith("#")]
    assert queries
    rules = "".join(f"      - record: query:{i}\n        expr: {query!r}\n" for i, query in enumerate(queries))
    path = tmp_path / "rules.yaml"
    path.write_text("groups:\n  - name: page\n    rules:\n" + rules)
    check = subprocess.run(["promtool", "check", "rules", str(path)], capture_output=True, text=True, timeout=30)
    assert check.returncode == 0, check.stdout + check.stderr
