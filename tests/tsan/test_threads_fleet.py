# SPDX-License-Identifier: Apache-2.0
"""A small catalog through daemons built with the thread sanitizer: a report in a log fails the fleet's end. Without the decoders'
sandbox, in which the sanitizer's own calls are refused."""
import pathlib
import signal

import kit


def test_a_fleet_at_work_races_nowhere(fleet, origin):
    assert b"__tsan_init" in pathlib.Path(kit.find_binary()).read_bytes(), "this test needs a build with the thread sanitizer (make tsan)"
    cluster = fleet(workers=2, schedulers=2, settings={"process.sandbox": "off", "worker.cpu_threads": 4, "worker.job_timeout_ms": 600000})
    urls = [*(f"{origin.base}/id/{number}/120/80.jpg" for number in range(60)), *(f"{origin.base}/fault/{fault}" for fault in ("404", "410", "html"))]
    catalog = cluster.push(urls)
    cluster.of("worker")[0].child.send_signal(signal.SIGHUP)  # reads its configuration anew meanwhile
    for daemon in (*cluster.of("worker"), *cluster.of("scheduler")):
        daemon.metrics()
    assert cluster.wait_drained(catalog, 400)["state"] == "finished"
