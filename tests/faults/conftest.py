# SPDX-License-Identifier: Apache-2.0
"""The fault tests: the integration tests' servers and fleets, and a verdict a row at the end."""
import pathlib
import sys

import pytest

INTEGRATION = pathlib.Path(__file__).resolve().parents[1] / "integration"
sys.path[:0] = [str(INTEGRATION), str(pathlib.Path(__file__).resolve().parent)]

import kit  # noqa: E402
from fleet_fixtures import fleet, folder, origin, pytest_runtest_makereport, servers, session_origin  # noqa: E402, F401


def pytest_configure(config):
    config.addinivalue_line("markers", "quick: part of `make test` too")


def has_crash_points():
    """Was the binary built with -Dcrash_points=true?"""
    with open(kit.find_binary(), "rb") as file:
        return b"GRI_CRASH_AT=%s" in file.read()


@pytest.fixture(scope="session")
def crash_points():
    assert has_crash_points(), f"{kit.find_binary()} has no crash points: meson setup --reconfigure BUILD -Dcrash_points=true"


def pytest_terminal_summary(terminalreporter):
    """One row a case: name, verdict, seconds (of cases that run beside others: their own)."""
    rows = [(report.nodeid.split("/")[-1], report.outcome, dict(report.user_properties).get("seconds", report.duration))
            for outcome in ("passed", "failed", "skipped", "error") for report in terminalreporter.stats.get(outcome, [])
            if report.when == "call" or outcome != "passed"]
    for name, outcome, seconds in sorted(rows):
        terminalreporter.write_line(f"row {name:<128} {outcome:<7} {seconds:6.1f} s")
