# SPDX-License-Identifier: Apache-2.0
"""What all Python tests share: the marker for long ones."""


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes over a minute (leave out with -m 'not slow')")
