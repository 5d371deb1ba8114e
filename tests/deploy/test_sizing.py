# SPDX-License-Identifier: Apache-2.0
"""The sizing calculator: its table is the page's, it grows with the load, and it refuses nonsense."""
import json

import pytest

import deploy_kit as d

pytestmark = pytest.mark.quick


def sizing(*words):
    return d.run("/usr/bin/python3", d.ROOT / "tools" / "sizing", *words)


def needs(*words):
    return next(iter(json.loads(sizing("--json", *words).stdout).values()))


def test_the_page_has_the_calculators_table():
    assert sizing().stdout.strip() in (d.ROOT / "docs" / "sizing.md").read_text(), "put the output of tools/sizing into docs/sizing.md"


def test_needs_follow_the_load():
    small, large = needs("--images-per-day", "1e6"), needs("--images-per-day", "1e8")
    for name in ("network_in_bits_per_second", "mongo_disk_bytes_of_one_copy", "mongo_cpus_of_primaries"):
        assert large[name] == pytest.approx(100 * small[name])
    assert small["workers_of_2_cpus"] == small["schedulers_of_1_cpu"] == 2 and small["fleets"] == 1, "two of each, so that one may fail"
    assert needs("--images-per-day", "1e6", "--days", "30")["mongo_disk_bytes_of_one_copy"] == pytest.approx(small["mongo_disk_bytes_of_one_copy"] / 2)


def test_the_disk_is_what_the_measurement_says():
    one = needs("--images-per-day", "1", "--days", "1", "--source-bytes", "55600", "--output-bytes", "49600")
    assert one["mongo_disk_bytes_of_one_copy"] == pytest.approx(49600 * 4 / 3 + 5800 + 2300)


@pytest.mark.parametrize("words", [("--images-per-day", "0"), ("--days", "-1"), ("--peak", "much")])
def test_nonsense_is_refused(words):
    assert sizing(*words).returncode == 2
