# SPDX-License-Identifier: Apache-2.0
"""The integration tests' servers and fleets, for daemons built with the thread sanitizer."""
import pathlib
import sys

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parent.parent / "integration")]

from fleet_fixtures import fleet, folder, origin, pytest_runtest_makereport, servers, session_origin  # noqa: E402, F401
