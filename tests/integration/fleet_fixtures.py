# SPDX-License-Identifier: Apache-2.0
"""Fixtures of every suite that runs real servers and fleets: the servers live as long as the session, a fleet as long as its test."""
import contextlib

import pytest

import kit


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("grisaille")


@pytest.fixture(scope="session")
def servers(folder):
    servers = kit.Servers(folder)
    yield servers
    servers.stop()


@pytest.fixture(scope="session")
def session_origin(folder):
    """The origin alone, for tests that need no stores."""
    (folder / "alone").mkdir()
    origin = kit.Origin(folder / "alone")
    yield origin
    assert origin.stop(20) == 0
    assert not origin.complaints(), origin.complaints()


@pytest.fixture
def origin(servers):
    servers.origin.reset_stats()
    return servers.origin


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failing test shows the end of every daemon's log."""
    report = (yield).get_result()
    setattr(item, "report_" + report.when, report)
    fleets = getattr(item, "fleets", [])
    if report.failed and fleets:
        report.sections.append(("logs of the daemons", "\n".join(fleet.tails(40) for fleet in fleets)))


def end_fleets(request, fleets, *forgiven):
    """Ends them; of a test that has passed, each daemon must end well. `forgiven`: what may go wrong as their data are dropped."""
    failed = getattr(getattr(request.node, "report_call", None), "failed", True)
    for cluster in fleets:
        try:
            cluster.stop(check=not failed)
        finally:
            with contextlib.suppress(*forgiven):
                cluster.drop()


@pytest.fixture
def fleet(servers, tmp_path, request):
    """fleet(schedulers=1, workers=2, api=1, settings={…}) starts one; at the end all daemons must have ended well."""
    request.node.fleets = fleets = []

    def start(**options):
        cluster = kit.Cluster(servers, tmp_path, **options)
        fleets.append(cluster)
        return cluster

    yield start
    end_fleets(request, fleets)
