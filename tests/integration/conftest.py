# SPDX-License-Identifier: Apache-2.0
"""The fixtures of fleet_fixtures.py."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from fleet_fixtures import fleet, folder, origin, pytest_runtest_makereport, servers, session_origin  # noqa: E402, F401
