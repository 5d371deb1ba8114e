# SPDX-License-Identifier: Apache-2.0
"""Names in the documents are names in the code: options, reasons, log events, commands, files."""
import re

import pytest

from kit import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
FOLDERS = ("base", "catalog", "scheduler", "workers", "transforms", "adapters", "api", "cli")
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]


def spans(page):
    """What stands between backticks, outside fenced blocks."""
    text = re.sub(r"^```.*?^```", "", (ROOT / page).read_text(), flags=re.S | re.M)
    return re.findall(r"`([^`\n]+)`", text)


def options():
    return set(re.findall(r'^GRI_(?:LIVE_)?OPTION\("([a-z_.]+)"', (ROOT / "base" / "options.def").read_text(), re.M))


def reasons():
    return set(re.findall(r"^GRI_REASON\((\w+),", (ROOT / "include" / "grisaille" / "reasons.def").read_text(), re.M))


@pytest.mark.parametrize("page", NAMES)
def test_options_that_a_page_names_exist(page):
    known = options()
    sections = {key.split(".")[0] for key in known if "." in key}
    # `images.data`, `catalog.first` and so on are fields of documents; `mongo.c` and the like are files
    wanted = {span for span in spans(page) if re.fullmatch(r"[a-z]+\.[a-z_]{2,}", span) and span.split(".")[0] in sections}
    wanted -= {span for span in wanted if span.split(".")[0] in ("events", "metrics", "images", "catalogs") and span not in known and "keep" not in span}
    assert not {span for span in wanted if span not in known and not span.endswith((".md", ".def", ".py", ".sh", ".h", ".yaml"))}


def test_reasons_in_the_table_of_causes_exist():
    text = (ROOT / "docs" / "troubleshooting.md").read_text()
    table = text.split("## Many URLs are dead")[1].split("\n## ")[0]
    named = {name for row in re.findall(r"^\| (`[^|]+) \|", table, re.M) for name in re.findall(r"`(\w+)`", row)}
    assert len(named) > 8
    assert named <= reasons()


def test_log_events_that_are_explained_are_logged_somewhere():
    text = (ROOT / "docs" / "troubleshooting.md").read_text()
    table = text.split("## A daemon's log says")[1].split("\n## ")[0]
    named = {name for row in re.findall(r"^\| (`[^|]+) \|", table, re.M) for name in re.findall(r"`(\w+)`", row)}
    code = "\n".join(path.read_text() for folder in FOLDERS for path in (ROOT / folder).rglob("*.c"))
    assert len(named) > 10
    assert not {name for name in named if f'"{name}"' not in code}


@pytest.mark.parametrize("page", NAMES)
def test_files_that_a_page_names_exist(page):
    roots = (*FOLDERS, "include", "tests", "tools", "docs", "examples")
    missing = []
    for span in spans(page):
        if re.fullmatch(rf"(?:{'|'.join(roots)})/[\w./*-]+", span) and not list(ROOT.glob(span.rstrip("/"))):
            missing.append(span)
    assert not missing


def test_every_decision_is_listed():
    folder = ROOT / "docs" / "decisions"
    index = (folder / "README.md").read_text()
    assert not [path.name for path in folder.glob("0*.md") if f"({path.name})" not in index]
