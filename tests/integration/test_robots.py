# SPDX-License-Identifier: Apache-2.0
"""robots.obey against local hosts: what their robots.txt disallow is never asked for; one that can't be read holds its URLs back."""
import collections
import http.server
import io
import threading

import pytest
from PIL import Image

import kit


def picture(n):
    out = io.BytesIO()
    Image.new("RGB", (9, 7), (n % 256, n // 256 % 256, 9)).save(out, "PNG")
    return out.getvalue()


class Hosts:
    """Any number of names on one port, each with a robots.txt of its own; counts who asked for what, as whom."""

    def __init__(self, texts):
        hosts = self
        self.texts, self.asked, self.agents, self.lock = texts, collections.Counter(), set(), threading.Lock()
        self.leads = {}  # (host, path) → where its answer leads

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                host = self.headers["Host"].split(":")[0]
                with hosts.lock:
                    hosts.asked[host, self.path] += 1
                    hosts.agents.add(self.headers["User-Agent"])
                status, body, kind = 200, picture(hash((host, self.path)) % 65536), "image/png"
                if (host, self.path) in hosts.leads:
                    status, body, kind = 302, hosts.leads[host, self.path].encode(), "text/plain"
                elif self.path == "/robots.txt":
                    answer = hosts.texts[host]
                    status, body, kind = (*answer, "text/plain") if isinstance(answer, tuple) else (200, answer.encode(), "text/plain")
                self.send_response(status)
                if status in (301, 302):
                    self.send_header("Location", body.decode())
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                try:
                    self.wfile.write(body)
                except OSError:
                    self.close_connection = True

        self.server = kit.HttpServer(Handler)

    def settings(self):
        return {"fetch.connect_to": [f"{host}:80:127.0.0.1:{self.server.port}" for host in self.texts]}

    def stop(self):
        self.server.stop()


PLAIN = "User-agent: *\nDisallow: /\n\nUser-agent: Grisaille\nDisallow: /private/\nAllow: /private/open$\nDisallow: /*.gif$\n"
LARGE = "User-agent: *\nDisallow: /early/\n" + "# " + "x" * 70 + "\n"
LARGE += ("# " + "y" * 77 + "\n") * (600 * 1024 // 80) + "Disallow: /late/\n"


@pytest.fixture
def hosts():
    hosts = Hosts({"rules.test": PLAIN, "none.test": (404, b"nothing"), "gone.test": (302, b"http://other.test/robots.txt"),
                   "other.test": "User-agent: *\nDisallow: /x\n", "broken.test": (503, b""), "large.test": LARGE, "empty.test": (200, b"")})
    yield hosts
    hosts.stop()


def test_what_robots_txt_disallows_is_not_asked_for(fleet, hosts):
    cluster = fleet(workers=1, settings={**hosts.settings(), "robots.obey": True, "fetch.contact": "https://example.org/bot", "retry.base_ms": 300})
    refused = ["http://rules.test/private/a", "http://rules.test/private/open/x", "http://rules.test/a/b.gif", "http://rules.test/%70rivate/b",
               "http://gone.test/x1", "http://large.test/early/1"]
    allowed = ["http://rules.test/", "http://rules.test/private/open", "http://rules.test/a/b.gif?x=1", "http://none.test/private/a", "http://gone.test/y",
               "http://large.test/late/1", "http://empty.test/x"]
    allowed += [f"http://rules.test/many/{n}" for n in range(40)]
    catalog = cluster.push(refused + allowed + ["http://broken.test/1", "http://broken.test/2"], "robots")
    kit.wait_until(lambda: cluster.catalog(catalog["id"])["counts"]["pending"] == 2, 120, lambda: (cluster.catalog(catalog["id"]), cluster.tails(20)))

    fates = {row["url"]: row for row in cluster.lines(catalog)}
    for url in refused:
        assert fates[url.replace("%70", "p")]["reason"] == "robots_disallowed", fates
    details = {row["url"]: row["error"]["detail"] for row in cluster.get("/v1/dead", catalog=catalog["id"]).json()["dead"]}
    assert "Disallow: /private/" in details["http://rules.test/private/a"] and "http://rules.test/robots.txt" in details["http://rules.test/private/a"]
    assert all(fates[url]["outcome"] in ("stored", "duplicate_content") for url in allowed), fates
    with hosts.lock:
        asked = dict(hosts.asked)
    assert not [path for host, path in asked if host == "rules.test" and path.startswith("/private/a")]
    assert asked["rules.test", "/robots.txt"] == asked["large.test", "/robots.txt"] == 1  # kept: once for all of a host's URLs
    assert {agent.split("/")[0] for agent in hosts.agents} == {"grisaille"}
    assert all(agent.endswith(" (+https://example.org/bot)") for agent in hosts.agents), hosts.agents

    # a host whose robots.txt fails is left alone, uncharged, until it can be read
    record = kit.wait_until(lambda: cluster.db.urls.find_one({"host": "broken.test", "state": "waiting"}), 60, lambda: cluster.tails(20))
    assert record["error"]["reason"] == "robots_unreachable" and record["attempts"] == 0, record
    assert not [path for host, path in asked if host == "broken.test" and path != "/robots.txt"]
    hosts.texts["broken.test"] = "User-agent: *\nDisallow: /2\n"
    settled = cluster.wait_drained(catalog)
    fates = {row["url"]: row for row in cluster.lines(catalog)}
    assert fates["http://broken.test/1"]["outcome"] in ("stored", "duplicate_content") and fates["http://broken.test/2"]["outcome"] == "dead"
    assert settled["counts"]["dead"] == len(refused) + 1
    metrics = cluster.of("worker")[0].metrics()
    assert 'grisaille_robots_fetches_total{outcome="unreachable"}' in metrics and 'grisaille_robots_fetches_total{outcome="none"}' in metrics


def test_where_a_host_leads_its_robots_txt_is_asked_too(fleet, hosts):
    """As picsum.photos does: each of its answers leads to another host."""
    hosts.leads = {("none.test", "/a"): "http://RULES.test:80/fine", ("none.test", "/b"): "http://rules.test/private/b", ("rules.test", "/c"): "/private/c",
                   ("none.test", "/d"): "http://empty.test/x", ("empty.test", "/x"): "http://rules.test/private/d"}
    cluster = fleet(workers=1, settings={**hosts.settings(), "robots.obey": True})
    catalog = cluster.run(["http://none.test/a", "http://none.test/b", "http://rules.test/c", "http://none.test/d", *(f"http://none.test/{n}" for n in range(20))], "led")
    fates = {row["url"]: row for row in cluster.lines(catalog)}
    assert fates["http://none.test/a"]["outcome"] == "stored"
    assert [fates[url].get("reason") for url in ("http://none.test/b", "http://rules.test/c", "http://none.test/d")] == ["robots_disallowed"] * 3, fates
    assert catalog["counts"]["dead"] == 3
    with hosts.lock:
        asked = dict(hosts.asked)
    assert not [path for host, path in asked if host == "rules.test" and path.startswith("/private")], "nothing that is disallowed was asked for"
    assert asked["rules.test", "/robots.txt"] == asked["empty.test", "/robots.txt"] == 1
    assert all(cluster.db.urls.find_one({"url": url})["attempts"] <= 1 for url in fates)


def test_robots_txt_counts_for_nothing_unless_asked(fleet, hosts):
    cluster = fleet(workers=1, settings={**hosts.settings(), "fetch.user_agent": "someone/1"})
    catalog = cluster.run(["http://rules.test/private/a", "http://rules.test/b.gif"], "off")
    assert catalog["counts"]["dead"] == 0 and not [path for _, path in hosts.asked if path == "/robots.txt"] and hosts.agents == {"someone/1"}


def test_a_crawl_delay_is_kept_by_the_whole_fleet(fleet, hosts):
    hosts.texts["rules.test"] = "User-agent: *\nCrawl-delay: 0.5\nDisallow: /no\n"
    cluster = fleet(workers=2, settings={**hosts.settings(), "robots.obey": True, "robots.crawl_delay": True})
    import time
    began = time.monotonic()
    catalog = cluster.run([f"http://rules.test/{n}" for n in range(8)], "slowly")
    assert catalog["counts"]["dead"] == 0
    # the first ones may have been let go before the delay was known: of the rest, two a second
    assert time.monotonic() - began > 1.5
