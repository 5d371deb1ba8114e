# SPDX-License-Identifier: Apache-2.0
"""The deployment tests: the integration tests' servers and fleets, and the tools that `tools/setup deploy` puts to .tools/deploy/."""
import pathlib
import sys

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "integration"), str(TESTS / "faults"), str(TESTS / "deploy")]

from fleet_fixtures import *  # noqa: E402,F401,F403


def pytest_configure(config):
    config.addinivalue_line("markers", "quick: part of `make test` too")
    config.addinivalue_line("markers", "slow: not part of the gate's short form")
