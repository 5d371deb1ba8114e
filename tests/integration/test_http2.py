# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 is used where the origin offers it (picsum.photos does not)."""
import pathlib
import re

from kit import Process, free_port, wait_until


def test_an_origin_that_speaks_only_http2_is_fetched_over_few_connections(fleet, origin, session_origin, tmp_path):
    pictures = tmp_path / "htdocs"
    pictures.mkdir()
    for number in range(60):
        (pictures / f"{number}.jpg").write_bytes(origin.fetch(f"https://origin.test/kind/jpeg/40/30/{number}"))
    port = free_port()
    certs = pathlib.Path(origin.ca).parent
    server = Process("nghttpd", ["nghttpd", "--verbose", "--htdocs", pictures, "--address", "127.0.0.1", port, certs / "server.key",
                                 certs / "server.pem"], tmp_path)
    try:
        wait_until(lambda: server.must_live() and "listen 127.0.0.1" in server.log.read_text(errors="replace"), 20, "nghttpd does not listen")
        cluster = fleet(schedulers=1, workers=1, settings={"fetch.connect_to": [f"h2.origin.test:443:127.0.0.1:{port}"]})
        catalog = cluster.push([f"https://h2.origin.test/{number}.jpg" for number in range(60)], "h2")
        receipt = cluster.wait_drained(catalog, 60)
        assert receipt["counts"]["stored"] + receipt["counts"]["duplicate_content"] == 60, receipt
        log = server.log.read_text(errors="replace")
        assert len(re.findall(r":path: /\d+\.jpg", log)) == 60
        connections = set(re.findall(r"\[id=(\d+)\]", log))
        assert 1 <= len(connections) <= 16, connections
    finally:
        server.stop()
