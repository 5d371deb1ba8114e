# SPDX-License-Identifier: Apache-2.0
"""A stranger at the API's port: without a token, slow, many, malformed, from a page in a browser, with operators for text."""
import concurrent.futures
import contextlib
import http.client
import json
import socket
import subprocess
import time
import urllib.parse

import pytest
import requests

import kit
from test_api import HASH, TOKENS, address, bearer

STANDARD = {"Content-Security-Policy": "default-src 'none'", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY",
            "Cross-Origin-Resource-Policy": "same-origin"}


@pytest.fixture(scope="module")
def fleets(servers, tmp_path_factory):
    """Two APIs: `open` without tokens, few connections; `guarded` with tokens."""
    with contextlib.ExitStack() as stack:
        made = {}
        for name, settings in (("open", {"api.max_connections": 24}), ("guarded", {"api.tokens": TOKENS, "api.max_catalog_bytes": "1MiB"})):
            made[name] = stack.enter_context(kit.Cluster(servers, tmp_path_factory.mktemp(name), schedulers=0, workers=0, settings=settings))
        yield made


@pytest.fixture
def opened(fleets):
    return fleets["open"]


@pytest.fixture
def guarded(fleets):
    return fleets["guarded"]


def routes(cluster):
    """Every (method, path) of the description, parameters filled in."""
    described = requests.get(cluster.url + "/openapi.json", timeout=60).json()
    for path, item in described["paths"].items():
        filled = path.replace("{sha256}", HASH).replace("{id}", "0" * 24).replace("{host}", "a.example").replace("{name}", "x").replace("{key}", HASH)
        for method, operation in item.items():
            if method in ("get", "post", "put", "delete", "patch"):
                yield method.upper(), filled.replace("{", "").replace("}", ""), operation


def send(cluster, data, seconds=60, pause=None):
    """What comes back for these bytes; "closed" for nothing."""
    with socket.create_connection(address(cluster), timeout=seconds) as connection:
        with contextlib.suppress(OSError):
            connection.sendall(data)
        got = b""
        with contextlib.suppress(OSError):
            while data := connection.recv(65536):
                got += data
        return got


def test_every_route_asks_for_its_scope(guarded, verdicts):
    """No route answers a stranger, nor a token without its scope"""
    wrong = []
    for method, path, operation in routes(guarded):
        if not operation["security"]:
            continue
        for header, allowed in ((None, {401}), ({"Authorization": "Bearer "}, {401}), ({"Authorization": "Bearer " + "0" * 64}, {401}),
                                ({"Authorization": "Basic cmVhZGVyOnJlYWRlcg=="}, {401}), ({"Cookie": "token=reader-token"}, {401})):
            answer = requests.request(method, guarded.url + path, headers=header, timeout=60)
            if answer.status_code not in allowed:
                wrong.append(f"{method} {path} {header}: {answer.status_code}")
        lesser = bearer("reader" if method != "GET" else "pusher")
        answer = requests.request(method, guarded.url + path, headers=lesser, timeout=60)
        if answer.status_code != 403:
            wrong.append(f"{method} {path} {lesser}: {answer.status_code}")
    verdicts.check("every route × no, empty, wrong, basic, cookie token; a token without the scope", "401 and 403", wrong[:5] or "401 and 403")


def test_every_answer_has_the_security_headers(opened, verdicts):
    lacking = []
    for method, path, _ in routes(opened):
        answer = requests.request(method, opened.url + path, timeout=60, stream=True)
        answer.close()
        for name, value in STANDARD.items():
            page = name == "Content-Security-Policy" and "default-src 'none'" not in answer.headers.get(name, "")
            if name not in answer.headers or (not page and not answer.headers[name].startswith(value)):
                lacking.append(f"{method} {path}: {name}={answer.headers.get(name)}")
            if page and "unsafe" in answer.headers.get(name, "unsafe"):
                lacking.append(f"{method} {path}: {answer.headers.get(name)}")
            if "Set-Cookie" in answer.headers or "Access-Control-Allow-Origin" in answer.headers:
                lacking.append(f"{method} {path}: a cookie, or other origins allowed")
    verdicts.check("headers against sniffing, framing, scripts, referrers; no cookie, no CORS", "on every route", lacking[:5] or "on every route")


@pytest.mark.parametrize("attack, headers, expected", [
    ("a page of another site pushes (Origin)", {"Origin": "https://evil.example"}, 403),
    ("a sandboxed page pushes (Origin: null)", {"Origin": "null"}, 403),
    ("DNS rebinding: another name for this machine (Host)", {"Host": "evil.example"}, 403),
    ("DNS rebinding, and its own origin", {"Host": "evil.example", "Origin": "http://evil.example"}, 403),
    ("another port of this machine pushes", {"Origin": "http://localhost:1"}, 403),
])
def test_a_page_of_another_site_changes_nothing(opened, verdicts, attack, headers, expected):
    before = opened.db.catalogs.count_documents({})
    answer = requests.post(opened.url + "/v1/catalogs", data=b"http://a.example/\n", headers={"Content-Type": "text/plain", **headers}, timeout=60)
    verdicts.check(attack, expected, answer.status_code)
    verdicts.check(attack + ": catalogs made", 0, opened.db.catalogs.count_documents({}) - before)


def test_a_rebound_name_reads_nothing(opened, verdicts):
    got = {requests.get(opened.url + path, headers={"Host": "evil.example"}, timeout=60).status_code for path in ("/v1/catalogs", "/v1/stats", "/metrics", "/v1/events")}
    verdicts.check("DNS rebinding: reading by another name", {403}, got, ok=got == {403})
    preflight = requests.options(opened.url + "/v1/catalogs", timeout=60,
                                 headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"})
    verdicts.check("a CORS preflight of another site", "405, nothing allowed", f"{preflight.status_code}, " + (
        "nothing allowed" if not any(name.lower().startswith("access-control") for name in preflight.headers) else str(preflight.headers)))


OPERATORS = ["$ne", '{"$ne":null}', '{"$gt":""}', "{$where: '1==1'}", "'; return true; //", "a.b.c", ".", "$", "..", "%00", "a%00b", "%FF%FE", "[$ne]", '{"$regex":".*"}',
             "%F0%9F%98%80", "1e309", "-9223372036854775809", "x" * 5000, "%0d%0aX: y", "*", "$$ROOT", "\\u0000"]


def test_operators_in_every_parameter_are_only_text(opened, verdicts):
    """NoSQL injection: typed BSON only"""
    opened.push(["http://a.example/1"], name="kept")
    broken, tried = [], 0
    for method, path, operation in routes(opened):
        if method != "GET" or "follow" in path:
            continue
        names = [parameter["name"] for parameter in operation.get("parameters", []) if parameter["in"] == "query" and parameter["name"] != "follow"]
        for name in names:
            for value in OPERATORS:
                for form in (f"{name}={value}", f"{name}[$ne]={value}", f"{name}.$gt={value}"):
                    tried += 1
                    answer = requests.get(f"{opened.url}{path}?{form}", timeout=60)
                    if answer.status_code >= 500 and not (answer.status_code in (501, 503) and "ready" in path):
                        broken.append(f"{path}?{form}: {answer.status_code} {answer.text[:100]}")
    verdicts.check(f"{tried} requests with $ne, $where, dots, NULs, bad UTF-8 in each parameter", "no 5xx", broken[:5] or "no 5xx")
    verdicts.check("…; afterwards the database", 1, opened.db.catalogs.count_documents({"name": "kept"}))
    named = '{"$ne": null}'
    made = opened.push(["http://a.example/2"], name=named)
    verdicts.check("a catalog named with an operator", named, opened.db.catalogs.find_one({"name": named})["name"] if made else None)


@pytest.mark.parametrize("path", ["/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/..%2f..%2fetc%2fpasswd", "/static/../../etc/passwd", "//etc/passwd", "/v1/%2e%2e/metrics/..",
                                  "/index.html/../../../etc/passwd", "/v1/images/..%2f..%2fetc%2fpasswd/content", "/%5c..%5c..%5cetc%5cpasswd"])
def test_path_traversal(opened, verdicts, path):
    got = send(opened, f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    verdicts.check(f"GET {path}", "400 or 404, no file", got.split(b"\r\n")[0].decode() if b"root:" not in got else "a file!", ok=got.split(b" ")[1] in (b"400", b"404") and b"root:" not in got)


@pytest.mark.parametrize("attack, data, statuses, ours", [
    ("headers of 40 KiB", b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: " + b"y" * 40_000 + b"\r\n\r\n", {431}, True),
    ("a target of 40 KiB", b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", {414, 431}, True),
    ("headers of 1 MiB", b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 180_000 + b"\r\n", {0, 400, 413, 431}, False),
    ("a target of 1 MiB", b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\n\r\n", {0, 414, 431}, False),
    ("not HTTP", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)) + b"\r\n\r\n", {0, 400, 403, 404, 405, 505}, False),
    ("a length that is no number", b"POST /v1/catalogs HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n", {0, 400}, False),
    ("a negative length", b"POST /v1/catalogs HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n", {0, 400, 413}, False),
    ("a length past 64 bits", b"POST /v1/catalogs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999999\r\n\r\n", {0, 400, 413}, False),
    ("a chunk that is no chunk", b"POST /v1/catalogs HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n", {0, 400}, False),
    ("65 parameters", b"GET /v1/stats?" + b"&".join(b"a%d=1" % n for n in range(65)) + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", {400}, True),
    ("no Host", b"GET /v1/stats HTTP/1.1\r\nConnection: close\r\n\r\n", {400, 200}, False),
])
def test_malformed_requests(opened, verdicts, attack, data, statuses, ours):
    """Refusals are JSON where the request can be parsed at all; else libmicrohttpd's own, which is HTML"""
    got = send(opened, data)
    status = int(got.split(b" ")[1]) if got.startswith(b"HTTP/1.") else 0
    verdicts.check(attack, statuses, status)
    if ours:
        verdicts.check(attack + ": the refusal", "a problem document", "a problem document" if b"application/problem+json" in got else got[-100:])
    verdicts.check(attack + ": afterwards", 200, requests.get(opened.url + "/healthz", timeout=60).status_code)


class Crowd:
    """Connections that each say `head` and then a byte now and then."""

    def __init__(self, cluster, count, head, drip=b""):
        self.drip, self.sockets = drip, []
        for _ in range(count):
            with contextlib.suppress(OSError):
                connection = socket.create_connection(address(cluster), timeout=10)
                connection.sendall(head)
                connection.settimeout(0)
                self.sockets.append(connection)

    def tick(self):
        """Sends the drip; how many are still open."""
        for connection in list(self.sockets):
            try:
                if self.drip:
                    connection.send(self.drip)
                if connection.recv(1) == b"":
                    raise ConnectionError
            except BlockingIOError:
                continue
            except OSError:
                connection.close()
                self.sockets.remove(connection)
        return len(self.sockets)

    def close(self):
        for connection in self.sockets:
            connection.close()


@pytest.mark.parametrize("attack, head, drip", [
    ("200 connections that say nothing", b"", b""),
    ("200 connections, a header now and then (slowloris)", b"GET / HTTP/1.1\r\nHost: localhost\r\n", b"X: y\r\n"),
])
def test_too_many_connections_while_others_are_answered(opened, verdicts, attack, head, drip):
    """24 places, 200 strangers: others are answered"""
    crowd = Crowd(opened, 200, head, drip)
    slowest, answered = 0.0, 0
    try:
        for _ in range(20):
            began = time.monotonic()
            answered += requests.get(opened.url + "/healthz", timeout=60).status_code == 200
            slowest = max(slowest, time.monotonic() - began)
            crowd.tick()
    finally:
        crowd.close()
    verdicts.check(attack + ": others answered meanwhile", 20, answered)
    verdicts.check(attack + ": the slowest of them", "within 20 s", f"{slowest:.2f} s", ok=slowest < 20)


@pytest.mark.long
@pytest.mark.parametrize("attack, head, drip", [
    ("slowloris in the headers", b"GET / HTTP/1.1\r\nHost: localhost\r\n", b"X: y\r\n"),
    ("slowloris in the body", b"POST /v1/catalogs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n", b"h"),
    ("a connection that says nothing", b"", b""),
])
def test_slow_clients_are_dropped(opened, verdicts, attack, head, drip):
    crowd, began = Crowd(opened, 8, head, drip), time.monotonic()
    while crowd.tick() and time.monotonic() - began < 150:
        time.sleep(0.5)
    left, took = len(crowd.sockets), time.monotonic() - began
    crowd.close()
    verdicts.check(f"{attack}: 8 of them", "all dropped within 100 s", f"{left} left after {took:.0f} s", ok=left == 0 and took < 100)


@pytest.mark.long
def test_slow_readers_of_large_answers_are_dropped(opened, verdicts):
    """A byte a second of a large answer"""
    id = opened.push(b"".join(b"https://a.example/%0200d\n" % n for n in range(200_000)), name="large")["id"]
    with socket.socket() as reader:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader.settimeout(10)
        reader.connect(address(opened))
        reader.sendall(f"GET /v1/catalogs/{id}/raw HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        began, daemon = time.monotonic(), opened.of("api")[0]

        def dropped():
            reader.recv(1)
            return str(reader.getsockname()[1]) not in subprocess.run(
                ["ss", "-tnH", "state", "established", f"( dport = :{reader.getsockname()[1]} )"], capture_output=True, text=True, timeout=30).stdout

        try:
            kit.wait_until(dropped, 150, "the slow reader is dropped", 1)
            took = time.monotonic() - began
        except OSError:
            took = time.monotonic() - began
    verdicts.check("a reader of 40 MB that takes a byte a second", "dropped within 100 s", f"{took:.0f} s", ok=took < 100)
    assert daemon.alive()


def test_bodies_over_the_maximum(guarded, verdicts):
    for attack, body, headers in (("a body of 2 MB where 1 MiB is the maximum", b"x" * 2_000_000, {}), ("the same in chunks", (b"x" * 10_000 for _ in range(200)), {})):
        answer = requests.post(guarded.url + "/v1/catalogs", data=body, headers={**bearer("pusher"), **headers}, timeout=120)
        verdicts.check(attack, 413, answer.status_code)
    answer = send(guarded, b"GET /v1/stats HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n" + b"x" * 100_000)
    verdicts.check("a body of 100 MB with a GET", b"413", answer.split(b" ")[1] if answer else b"closed", ok=answer.startswith(b"HTTP/1.1 4"))
    verdicts.check("catalogs made", 0, guarded.db.catalogs.count_documents({}))
