# SPDX-License-Identifier: Apache-2.0
"""The fixtures of the integration tests, on the release build."""
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "integration"), str(ROOT / "bench")]

from fleet_fixtures import fleet, folder, pytest_runtest_makereport, servers  # noqa: E402, F401
