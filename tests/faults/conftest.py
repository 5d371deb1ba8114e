# SPDX-License-Identifier: Apache-2.0
"""The fault tests: the integration tests' servers and fleets, and a verdict a row at the end."""
import importlib.util
import pathlib
import sys

import pytest

INTEGRATION = pathlib.Path(__file__).resolve().parents[1] / "integration"
sys.path[:0] = [str(INTEGRATION), str(pathlib.Path(__file__).resolve().parent)]

import kit  # noqa: E402


def fixtures_of_integration():
    spec = importlib.util.spec_from_file_location("integration_fixtures", INTEGRATION / "conftest.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


FIXTURES = fixtures_of_integration()
folder, servers, session_origin, origin, fleet = (getattr(FIXTURES, name) for name in ("folder", "servers", "session_origin", "origin", "fleet"))
pytest_runtest_makereport = FIXTURES.pytest_runtest_makereport


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
    """One row a case."""
    rows = [(report.nodeid.split("/")[-1], report.outcome, report.duration)
            for outcome in ("passed", "failed", "skipped") for report in terminalreporter.stats.get(outcome, []) if report.when == "call" or outcome != "passed"]
    if not rows:
        return
    terminalreporter.section("faults")
    for name, outcome, seconds in sorted(rows):
        terminalreporter.write_line(f"{name:<78} {outcome:<7} {seconds:6.1f} s")
    failed = sum(outcome == "failed" for _, outcome, _ in rows)
    terminalreporter.write_line(f"{len(rows)} rows, {failed} failed")
