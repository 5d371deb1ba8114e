# SPDX-License-Identifier: Apache-2.0
"""A real worker with no address allowed, in a network of its own where every address is ours: what it asks for, and what it must
never touch. fetch.allow_ranges is empty, so that it refuses what it would refuse anywhere."""
import http.server
import io
import itertools
import os

import pytest
from PIL import Image

import kit
from network_cage import Cage

PUBLIC, PUBLIC6 = "93.184.216.34", "2606:4700:4700::1111"
NEIGHBOURS = ("100.63.255.254", "100.128.0.1")  # of 100.64.0.0/10
METADATA, METADATA6, METADATA_ALIBABA = "169.254.169.254", "fd00:ec2::254", "100.100.100.200"
PRIVATE = "10.0.0.1"
WATCHED = (METADATA, METADATA6, METADATA_ALIBABA, PRIVATE)
PROXY_PORT = 3128

# a host as a catalog may spell it → the rule that refuses it
REFUSED = {
    "127.0.0.1": "loopback", "127.1": "loopback", "2130706433": "loopback", "0x7f.1": "loopback", "0177.0.0.1": "loopback",
    "0.0.0.0": "this_network", "localhost.": "loopback", "10.0.0.1": "private", "172.16.0.1": "private", "192.168.0.1": "private",
    "100.64.0.1": "shared", METADATA_ALIBABA: "shared", METADATA: "link_local", "192.0.2.1": "documentation", "198.18.0.1": "benchmark",
    "224.0.0.1": "multicast", "240.0.0.1": "reserved", "255.255.255.255": "broadcast",
    "[::]": "unspecified", "[::1]": "loopback", "[::127.0.0.1]": "v4_compatible", "[::ffff:7f00:1]": "v4_mapped",
    "[::ffff:a9fe:a9fe]": "v4_mapped", "[fe80::1]": "link_local", "[fec0::1]": "site_local", "[fc00::1]": "unique_local",
    "[fd00:ec2::254]": "unique_local", "[ff02::2]": "multicast", "[100::1]": "discard", "[2001:db8::1]": "documentation",
    "[64:ff9b::a00:1]": "nat64", "[64:ff9b:1::a00:1]": "nat64", "[2002:a00:1::1]": "6to4",
    "[2001:0:4136:e378:8000:63bf:3fff:fdd2]": "teredo", "[2001:4860::5efe:a00:1]": "isatap",
}
ALLOWED = ("100.63.255.254", "100.128.0.1", f"[{PUBLIC6}]", PUBLIC)

# a line of a catalog that is no URL to fetch → the reason
INVALID = {
    b"file:///etc/passwd": {"bad_scheme"}, b"gopher://93.184.216.34/x": {"bad_scheme"}, b"ftp://93.184.216.34/x.jpg": {"bad_scheme"},
    b"data:image/png;base64,AAAA": {"bad_scheme"}, b"http://a@127.0.0.1/": {"credentials"}, b"http://a:b@93.184.216.34/x": {"credentials"},
    b"http://93.184.216.34/a\rb": {"not_text"}, b"http://93.184.216.34/a\0b": {"not_text"}, b"http://93.184.216.34/a\x01b": {"not_text"},
    b"http://93.184.216.34/" + b"a" * 8200: {"too_long"}, b"http://93.184.216.34:22/x": {"bad_port"},
}

NAMES = {
    "rebind.test": [[PUBLIC], [METADATA]],  # public the first time, then metadata
    "both.test": [[PUBLIC, METADATA]], "htob.test": [[METADATA, PUBLIC]],
    "mixed.test": [[PUBLIC, METADATA6]],  # A public, AAAA metadata
    "metadata.test": [[METADATA]], "loop.test": [["127.0.0.1"]], "mapped.test": [["::ffff:169.254.169.254"]],
    "good.test": [[PUBLIC]], "other.test": [[PUBLIC]],
}

# path on good.test → (Location, reasons, part of the message)
REDIRECTS = {
    "/metadata": (f"http://{METADATA}/latest/meta-data/", {"refused_address"}, "link_local"),
    "/metadata6": (f"http://[{METADATA6}]/latest/", {"refused_address"}, "unique_local"),
    "/metadata-by-name": ("http://metadata.test/", {"refused_address"}, "link_local"),
    "/loopback": ("http://127.1/", {"refused_address"}, "loopback"),
    "/to-both": ("http://both.test/", {"refused_address"}, "link_local"),
    "/file": ("file:///etc/passwd", {"redirect_refused"}, ""), "/gopher": ("gopher://93.184.216.34/", {"redirect_refused"}, ""),
    "/credentials": ("http://a:b@93.184.216.34/x", {"redirect_refused"}, ""), "/port": (f"http://{PUBLIC}:22/", {"redirect_refused"}, ""),
    "/loop": ("/loop", {"redirect_limit"}, ""), "/hop/6": ("/hop/5", {"redirect_limit"}, ""),
    "/long": ("/" + "x" * 9000, {"redirect_refused"}, ""),
}


class Pictures(http.server.BaseHTTPRequestHandler):
    """A picture for every path, but redirects for those above. Every answer sets a cookie."""

    protocol_version = "HTTP/1.1"
    seen = []  # (host, path, headers) of each request
    numbers = itertools.count()

    def do_GET(self):
        host = self.headers["Host"]
        self.seen.append((host, self.path, {name.lower(): value for name, value in self.headers.items()}))
        location = REDIRECTS.get(self.path, (None,))[0] if host.startswith("good.test") else None
        if host.startswith("good.test") and self.path.startswith("/hop/") and self.path != "/hop/0":
            location = f"/hop/{int(self.path[5:]) - 1}"
        body = b"" if location else self.picture()
        self.send_response(302 if location else 200)
        if location:
            self.send_header("Location", location)
        self.send_header("Set-Cookie", "session=secret; Path=/")
        self.send_header("Content-Type", "image/png")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def picture(self):
        out = io.BytesIO()
        number = next(self.numbers)
        Image.new("RGB", (8, 8), (number % 256, number // 256 % 256, 7)).save(out, "PNG")
        return out.getvalue()

    def log_message(self, *arguments):
        pass


class Metadata(Pictures):
    """What must never be asked."""

    seen = []


class Proxy(Pictures):
    seen = []


@pytest.fixture(scope="module")
def cage(servers):
    assert os.geteuid() == 0, "network name spaces need root"
    cage = Cage(f"grisaille-{os.getpid()}", [PUBLIC, PUBLIC6, *NEIGHBOURS, *WATCHED], WATCHED)
    cage.names.records.update(NAMES)
    for address in (PUBLIC, PUBLIC6, *NEIGHBOURS):
        cage.serve(address, 80, Pictures)
    for address in WATCHED:
        cage.serve(address, 80, Metadata)
    cage.serve("127.0.0.1", 80, Metadata)
    cage.serve(PUBLIC, PROXY_PORT, Proxy)
    cage.let_in(servers.redis.port)
    cage.let_in(servers.mongo.port)
    yield cage
    cage.close()


SETTINGS = {"fetch.allow_ranges": [], "fetch.connect_to": [], "retry.max_attempts": 2, "retry.base_ms": 50, "fetch.connect_timeout_ms": 2000,
            "fetch.timeout_ms": 10000}


@pytest.fixture
def caged(fleet, cage, tmp_path):
    """caged(env): the fleet, with one worker in the cage, that has a home with secrets in it."""
    home = tmp_path / "home"
    home.mkdir()
    (home / ".netrc").write_text("default login someone password secret\n")
    (home / ".curlrc").write_text(f"proxy = http://{PUBLIC}:{PROXY_PORT}\n")
    cluster = fleet(workers=0, settings=SETTINGS)
    proxy = f"http://{PUBLIC}:{PROXY_PORT}"
    env = {"HOME": str(home), **{name: proxy for name in ("http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")}}

    def start():
        worker = cluster.start("worker", env, cage.prefix())
        worker.probe_address()
        return worker

    cluster.start_caged = start
    cluster.caged_worker = start()
    return cluster


def outcomes(cluster, urls, seconds=120):
    """URL → (outcome or reason, the error's text)."""
    fates = cluster.fates(cluster.run(urls, seconds=seconds))
    texts = {url["url"]: (url.get("error") or {}).get("detail", "") for url in cluster.db.urls.find({})}
    return {url: (row.get("reason") or row["outcome"], texts.get(url, "")) for url, row in fates.items()}


def no_packet(verdicts, cage, attack):
    verdicts.check(attack + ": packets to the metadata servers and into the private network", "none", dict(cage.counter.packets) or "none")
    verdicts.check(attack + ": requests there and to what listens on loopback", "none", Metadata.seen or "none")


def test_every_form_of_an_address(caged, cage, verdicts):
    wanted = {f"http://{host}/x.png": ("refused_address", rule) for host, rule in REFUSED.items()}
    wanted |= {f"http://{host}/allowed.png": ("stored", "") for host in ALLOWED}
    receipt = caged.run(list(wanted))
    texts = {url["_id"]: url for url in caged.db.urls.find({})}
    rows = {row["raw"] if "raw" in row else row["url"]: row for row in caged.lines(receipt)}
    got = {}
    for url in texts.values():
        got[url["url"]] = ((url.get("error") or {}).get("reason") or "stored", (url.get("error") or {}).get("detail", ""))
    for number, (url, (reason, rule)) in enumerate(wanted.items(), 1):
        row = next(row for row in rows.values() if row["line"] == number)
        answer, text = got.get(row.get("url"), (row.get("reason"), ""))
        verdicts.check(url, f"{reason} {rule}".strip(), f"{answer} {text.split(':')[0] if reason != 'stored' else ''}".strip())
    no_packet(verdicts, cage, "all of them")


def test_lines_that_are_no_url_to_fetch(caged, cage, verdicts):
    receipt = caged.run(b"".join(line + b"\n" for line in INVALID))
    rows = {row["line"]: row for row in caged.lines(receipt)}
    for number, (line, reasons) in enumerate(INVALID.items(), 1):
        row = rows.get(number, {})
        verdicts.check(f"the line {line[:60]!r}", reasons, row.get("reason", row.get("outcome")))
    no_packet(verdicts, cage, "these lines")


def test_redirects(caged, cage, verdicts):
    urls = {f"http://good.test{path}": wanted for path, wanted in REDIRECTS.items()}
    got = outcomes(caged, [*urls, "http://good.test/hop/5"])
    for url, (location, reasons, part) in urls.items():
        reason, text = got[url]
        verdicts.check(f"302 to {location[:50]}", " or ".join(reasons) + (f", {part}" if part else ""), f"{reason}: {text}"[:80], reason in reasons and part in text)
    verdicts.check("five redirects", "stored", got["http://good.test/hop/5"][0])
    no_packet(verdicts, cage, "redirects")


def test_names_that_change_or_have_two_faces(caged, cage, verdicts):
    first = outcomes(caged, ["http://rebind.test/1", "http://good.test/1"])
    verdicts.check("rebind.test, public the first time", "stored", first["http://rebind.test/1"][0])
    assert caged.caged_worker.stop() == 0
    caged.start_caged()  # one that has to ask again
    urls = ["http://rebind.test/2", "http://both.test/", "http://htob.test/", "http://mixed.test/", "http://metadata.test/", "http://loop.test/",
            "http://mapped.test/"]
    got = outcomes(caged, urls)
    for url in urls:
        verdicts.check(f"{url} ({NAMES[url.split('/')[2]]})", "refused_address", got[url][0])
    verdicts.check("rebind.test was asked for again", "2 or more questions", cage.names.asked["rebind.test", 1], cage.names.asked["rebind.test", 1] >= 2)
    no_packet(verdicts, cage, "names")


@pytest.mark.long
def test_a_name_that_changes_while_the_worker_lives(caged, cage, verdicts):
    """libcurl keeps a name for a minute; the same process then hears another address."""
    cage.names.records["later.test"] = [[PUBLIC]]
    assert outcomes(caged, ["http://later.test/1"])["http://later.test/1"][0] == "stored"
    cage.names.records["later.test"] = [[METADATA]]
    numbers = itertools.count(2)

    def refused():
        url = f"http://later.test/{next(numbers)}"
        return outcomes(caged, [url])[url][0] == "refused_address"

    kit.wait_until(refused, 120, "the new address is heard", 5)
    verdicts.check("later.test changes to metadata under a living worker", "refused_address", "refused_address")
    no_packet(verdicts, cage, "a name that changed")


def test_nothing_of_the_surroundings_is_used(caged, cage, verdicts):
    Pictures.seen.clear()
    got = outcomes(caged, [f"http://good.test/plain/{number}" for number in range(4)] + ["http://other.test/plain"])
    verdicts.check("five pictures in surroundings full of traps", {"stored"}, " ".join({reason for reason, _ in got.values()}))
    headers = [headers for _, _, headers in Pictures.seen]
    verdicts.check("http_proxy, all_proxy, .curlrc: requests at the proxy", "none", Proxy.seen or "none")
    verdicts.check(".netrc: requests with Authorization", 0, sum("authorization" in one for one in headers))
    verdicts.check("Set-Cookie: later requests with a cookie", 0, sum("cookie" in one for one in headers))
    verdicts.check("Accept-Encoding, Referer: requests with either", 0, sum("accept-encoding" in one or "referer" in one for one in headers))
    assert len(headers) >= 5


def test_the_counter_of_packets_counts(cage):
    """The counter itself, last: one connection to a metadata server is seen."""
    for address in (METADATA, METADATA6):
        cage.connect(address, 80)
        kit.wait_until(lambda: cage.counter.packets[address] > 0, 10, "the counter saw a packet")
