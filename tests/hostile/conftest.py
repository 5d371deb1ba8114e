# SPDX-License-Identifier: Apache-2.0
"""The hostile tests: the integration tests' servers and fleets, and at the end a table: attack, expected, got, verdict.

    def test_addresses(verdicts):
        verdicts.check("http://127.1/", "refused_address", got)                          # equal
        verdicts.check("a JPEG cut in two", {"corrupt_image", "not_image"}, got)         # one of them
        verdicts.check("a gzip bomb", "peak memory under 64 MiB", "31 MiB", ok=31 < 64)  # as the test judges
        verdicts.note("a gzip bomb", "decoder's peak memory", "31 MiB")                  # a figure: printed, no verdict

A row that does not hold does not end the test: its other rows are made too, then it fails. A test that makes no row gets one of
its own: the first line of its docstring (or its name), "holds", its outcome."""
import os
import pathlib
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "integration"), str(HERE.parent / "faults"), str(HERE)]

import kit  # noqa: E402
from fleet_fixtures import fleet, folder, origin, pytest_runtest_makereport, servers, session_origin  # noqa: E402, F401

COLUMNS = (70, 40, 60)


def pytest_configure(config):
    config.addinivalue_line("markers", "long: left out of the short form (SHORT=1), which takes five minutes at most")


def pytest_collection_modifyitems(config, items):
    left_out = [item for item in items if os.environ.get("SHORT") and item.get_closest_marker("long")]
    items[:] = [item for item in items if item not in left_out]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
    for item in items:
        item.user_properties.append(("attack", (item.function.__doc__ or item.name).strip().splitlines()[0]))


class Verdicts:
    def __init__(self):
        self.rows = []

    def check(self, attack, expected, got, ok=None):
        """Makes a row; true when it holds."""
        several = isinstance(expected, (set, frozenset, tuple, list))
        if ok is None:
            ok = got in expected if several else got == expected
        told = " or ".join(sorted(str(one) for one in expected)) if several else str(expected)
        self.rows.append((str(attack), told, str(got), "ok" if ok else "FAILED"))
        return ok

    def note(self, attack, what, figure):
        self.rows.append((str(attack), what, str(figure), "figure"))


@pytest.fixture
def verdicts(request):
    made = Verdicts()
    request.node.user_properties.append(("verdicts", made.rows))
    return made


@pytest.fixture(scope="session")
def short():
    """True in the short form: a long list may be sampled."""
    return bool(os.environ.get("SHORT"))


@pytest.fixture(scope="session")
def release():
    """Folder of a release build, for figures of memory and time."""
    build = pathlib.Path(os.environ.get("GRISAILLE_RELEASE") or kit.ROOT / "build")
    assert os.access(build / "grisaille", os.X_OK), f"{build}/grisaille is not there: make build, or set GRISAILLE_RELEASE"
    return build


@pytest.hookimpl(trylast=True)
def pytest_runtest_call(item):
    """After a test that went well: do its rows hold?"""
    failed = [row for row in dict(item.user_properties).get("verdicts", []) if row[3] == "FAILED"]
    if failed:
        pytest.fail(f"{len(failed)} rows do not hold:\n" + "\n".join(" | ".join(row) for row in failed), pytrace=False)


def rows_of(report):
    properties = dict(report.user_properties)
    rows = list(properties.get("verdicts", []))
    if not rows or (report.failed and not any(row[3] == "FAILED" for row in rows)):
        rows.append((properties["attack"], "holds", report.outcome if report.when == "call" else f"{report.outcome} in {report.when}",
                     "FAILED" if report.failed else "ok"))
    return rows


def cut(text, width):
    text = " ".join(text.split())
    return (text if len(text) <= width else text[:width - 1] + "…").ljust(width)


def pytest_terminal_summary(terminalreporter):
    reports = [report for outcome in ("passed", "failed", "error") for report in terminalreporter.stats.get(outcome, [])
               if getattr(report, "when", None) == "call" or outcome == "error"]
    if not reports:
        return
    terminalreporter.section("hostile")
    count = {"ok": 0, "FAILED": 0, "figure": 0}
    for row in [("attack", "expected", "got", "verdict"), *(row for report in sorted(reports, key=lambda one: one.nodeid) for row in rows_of(report))]:
        terminalreporter.write_line("  ".join([*(cut(text, width) for text, width in zip(row, COLUMNS)), row[3]]))
        if row[3] in count:
            count[row[3]] += 1
    terminalreporter.write_line(f"{count['ok']} attacks held off, {count['FAILED']} not; {count['figure']} figures")
