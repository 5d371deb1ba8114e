# SPDX-License-Identifier: Apache-2.0
"""The API over real HTTP: who may do what, bounds, caching, problems, and attempts to make it do something else."""
import gzip
import hashlib
import http.client
import json
import re
import shutil
import socket
import subprocess
import time

import pytest
import requests

import kit

HASH = "0" * 64


def is_problem(answer, status, reason=None):
    assert answer.status_code == status, (answer.status_code, answer.text[:500])
    assert answer.headers["Content-Type"] == "application/problem+json", answer.headers
    body = answer.json()
    assert body["status"] == status and body["title"] and body["type"] and body["detail"]
    assert reason is None or body["reason"] == reason, body
    return body


def digest(token):
    return hashlib.blake2b(token.encode(), digest_size=32).hexdigest()


TOKENS = [{"name": name, "digest": digest(name + "-token"), "scopes": scopes}
          for name, scopes in (("reader", ["read"]), ("pusher", ["push"]), ("boss", ["admin"]))]


def bearer(name):
    return {"Authorization": f"Bearer {name}-token"}


def address(cluster):
    host, port = cluster.url.removeprefix("http://").rsplit(":", 1)
    return host, int(port)


def raw(cluster, request, seconds=30):
    """What comes back for these bytes."""
    with socket.create_connection(address(cluster), timeout=seconds) as connection:
        connection.sendall(request)
        got = b""
        while data := connection.recv(65536):
            got += data
        return got


# --- access ---------------------------------------------------------------------------------------------------------------


def test_tokens_and_scopes(fleet):
    cluster = fleet(schedulers=0, workers=0, settings={"api.tokens": TOKENS, "api.listen": "0.0.0.0:0"})
    base = f"http://127.0.0.1:{cluster.url.rsplit(':', 1)[1]}"
    for path in ("/v1/catalogs", "/v1/stats", "/metrics", f"/v1/images/{HASH}"):
        answer = requests.get(base + path, timeout=30)
        is_problem(answer, 401, "unauthorized")
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        is_problem(requests.get(base + path, headers=bearer("stranger"), timeout=30), 401)
        is_problem(requests.get(base + path, headers={"Authorization": "Basic cmVhZGVyLXRva2Vu"}, timeout=30), 401)
        is_problem(requests.get(base + path, headers=bearer("pusher"), timeout=30), 403, "forbidden")
    for name in ("reader", "boss"):
        assert requests.get(base + "/v1/stats", headers=bearer(name), timeout=30).status_code == 200
    is_problem(requests.post(base + "/v1/catalogs", data=b"x", timeout=30), 401)
    is_problem(requests.post(base + "/v1/catalogs", data=b"x", headers=bearer("reader"), timeout=30), 403)
    assert cluster.db.catalogs.count_documents({}) == 0
    answer = requests.post(base + "/v1/catalogs", data=b"x", headers=bearer("pusher"), timeout=30)
    assert answer.status_code == 202
    assert cluster.db.catalogs.find_one()["by"] == "pusher"
    for path in ("/healthz", "/openapi.json"):
        assert requests.get(base + path, timeout=30).status_code == 200
    kit.wait_until(lambda: requests.get(base + "/readyz", timeout=30).status_code == 200, 30, "ready, without a token")
    assert "-token" not in "\n".join(daemon.log.read_text() for daemon in cluster.daemons)


@pytest.mark.parametrize("settings, says", [
    ({"api.listen": "0.0.0.0:0"}, "loopback"),
    ({"api.listen": "[::]:0"}, "loopback"),
    ({"api.listen": "nonsense"}, "nonsense"),
    ({"api.tokens": [{"name": "a", "digest": "00", "scopes": ["read"]}]}, "api.tokens[0].digest"),
    ({"api.tokens": [TOKENS[0], {"name": "a", "digest": "0" * 64, "scopes": ["write"]}]}, "api.tokens[1].scopes"),
])
def test_an_unsafe_or_wrong_listener_is_refused(fleet, tmp_path, settings, says):
    cluster = fleet(schedulers=0, workers=0, api=0, settings=settings)
    daemon = kit.Daemon("api", "refused", cluster.config, tmp_path)
    assert daemon.child.wait(60) == 2, kit.tail(daemon.log)
    assert says in daemon.log.read_text()
    assert not daemon.complaints()


# --- bounds ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def api(fleet):
    return fleet(schedulers=0, workers=0)


def test_a_catalog_over_the_maximum_is_413(fleet):
    cluster = fleet(schedulers=0, workers=0, settings={"api.max_catalog_bytes": 100_000})
    post = lambda **options: requests.post(cluster.url + "/v1/catalogs", timeout=60, **options)  # noqa: E731
    is_problem(post(data=b"a" * 100_001), 413, "body_too_large")
    is_problem(post(data=(b"a" * 1000 for _ in range(101))), 413, "body_too_large")  # chunked: no length announced
    is_problem(post(data=b"a" * 30_000_000), 413, "body_too_large")
    is_problem(post(data=gzip.compress(b"\n" * 50_000_000), headers={"Content-Encoding": "gzip"}), 413, "body_too_large")
    assert cluster.db.catalogs.count_documents({}) == 0 and cluster.db.chunks.count_documents({}) == 0
    assert post(data=b"a" * 100_000).status_code == 202
    assert requests.get(cluster.url + "/healthz", timeout=30).status_code == 200


def test_gzip_push_and_its_plain_bytes_back(api):
    text = b"".join(b"https://picsum.photos/id/%d/10\r\n" % n for n in range(30_000)) + b"\xff\x00 odd"
    packed = gzip.compress(text[:500_000]) + gzip.compress(text[500_000:])  # two members
    answer = requests.post(api.url + "/v1/catalogs?name=packed", data=packed, headers={"Content-Encoding": "gzip"}, timeout=60)
    assert answer.status_code == 202, answer.text
    catalog = answer.json()
    assert answer.headers["Location"] == f"/v1/catalogs/{catalog['id']}"
    assert catalog["sha256"] == hashlib.sha256(text).hexdigest() and catalog["bytes"] == len(text)
    back = requests.get(f"{api.url}/v1/catalogs/{catalog['id']}/raw", timeout=60)
    assert back.content == text and back.headers["X-Content-Type-Options"] == "nosniff"
    again = requests.post(api.url + "/v1/catalogs?name=packed", data=text, timeout=60)
    assert again.status_code == 200 and again.json()["id"] == catalog["id"] and again.json()["existed"]
    is_problem(requests.post(api.url + "/v1/catalogs", data=packed[:-5], headers={"Content-Encoding": "gzip"}, timeout=60), 400)
    is_problem(requests.post(api.url + "/v1/catalogs", data=b"plain", headers={"Content-Encoding": "gzip"}, timeout=60), 400)
    is_problem(requests.post(api.url + "/v1/catalogs", data=b"x", headers={"Content-Encoding": "br"}, timeout=60), 400)
    is_problem(requests.post(api.url + "/v1/catalogs?pipeline=nope", data=b"x", timeout=60), 404, "no_pipeline")
    assert api.db.catalogs.count_documents({}) == 1


def test_a_push_that_breaks_off_leaves_no_catalog(api):
    with socket.create_connection(address(api), timeout=30) as connection:
        connection.sendall(b"POST /v1/catalogs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n" + b"https://picsum.photos/1\n" * 1000)
        time.sleep(0.5)
    time.sleep(1)
    assert api.db.catalogs.count_documents({}) == 0
    assert requests.get(api.url + "/readyz", timeout=30).status_code == 200


def test_a_silent_client_is_dropped_and_others_are_served_meanwhile(api):
    start = time.monotonic()
    with socket.create_connection(address(api), timeout=90) as silent, socket.create_connection(address(api), timeout=90) as slow:
        silent.sendall(b"GET /healthz HTTP/1.1\r\nHo")
        slow.sendall(b"POST /v1/catalogs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nhalf a li")
        assert requests.get(api.url + "/healthz", timeout=10).status_code == 200
        while silent.recv(65536):
            pass
        while slow.recv(65536):
            pass
    assert 5 < time.monotonic() - start < 80
    assert api.db.catalogs.count_documents({}) == 0


# --- problems, and attempts at more ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("method, path, status", [
    ("GET", "/page", 404), ("GET", "/v1", 404), ("GET", "/v1/nothing", 404), ("GET", "//v1/stats", 404),
    ("GET", "/v1/catalogs/" + "0" * 24, 404), ("GET", "/v1/catalogs/nonsense/lines", 404), ("GET", f"/v1/images/{HASH}", 404),
    ("GET", f"/v1/images/{HASH}/content", 404), ("GET", "/v1/images/abc", 400), ("GET", "/v1/images?limit=0", 400), ("GET", "/v1/images?since=x", 400),
    ("GET", "/v1/images?cursor=nonsense", 400), ("GET", "/v1/catalogs?cursor=%7B%7D", 400), ("GET", "/v1/events?match=%28", 400),
    ("GET", "/v1/events?reason=nonsense", 400), ("GET", "/v1/images?host=%FF%FE", 400), ("GET", "/v1/urls", 400), ("GET", "/v1/stats%00", 400),
    ("GET", "/v1/stats%zz", 400), ("GET", "/v1/images?" + "&".join("a=1" for _ in range(100)), 400), ("DELETE", "/v1/catalogs", 405), ("PUT", "/v1/stats", 405),
    ("POST", "/healthz", 405), ("POST", "/v1/catalogs?name=a%0Ab", 400), ("POST", "/v1/catalogs?name=%C2%9B31m", 400),
])
def test_every_refusal_is_a_problem(api_once, method, path, status):
    connection = http.client.HTTPConnection(*address(api_once), timeout=30)
    connection.request(method, path, body=b"x" if method in ("POST", "PUT") else None)
    got = connection.getresponse()
    body = json.loads(got.read())
    connection.close()
    assert got.status == status == body["status"], body
    assert got.headers["Content-Type"] == "application/problem+json" and body["reason"] and body["detail"]
    assert status != 405 or got.headers["Allow"]


@pytest.fixture(scope="module")
def api_once(servers, tmp_path_factory):
    with kit.Cluster(servers, tmp_path_factory.mktemp("api"), schedulers=0, workers=0) as cluster:
        yield cluster


def test_path_traversal_reaches_no_file(api_once):
    for path in ("/../../../../etc/passwd", "/v1/../../etc/passwd", "/..%2f..%2fetc%2fpasswd", "/%2e%2e/%2e%2e/etc/passwd", "/v1/catalogs/..%2f..%2fetc/raw",
                 "/v1/images/..%2f..%2f/content", "/....//etc/passwd", "/etc/passwd"):
        answer = raw(api_once, f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        assert re.match(rb"HTTP/1\.1 (400|404) ", answer), answer[:200]
        assert b"root:" not in answer


OPERATORS = ('{"$gt":""}', '{"$ne":null}', "[$ne]", "$where", "'; return true; //", "a\u2028b", "*", ".*")


def test_operators_in_parameters_are_only_text(api_once):
    secret = requests.post(api_once.url + "/v1/catalogs?name=secret", data=b"https://picsum.photos/id/1/10\n", timeout=30).json()
    for text in OPERATORS:
        for path in ("/v1/images", "/v1/events"):
            for name in ("catalog", "host"):
                rows = requests.get(api_once.url + path, params={name: text}, timeout=30)
                assert rows.status_code == 200 and not rows.json()["images" if path == "/v1/images" else "events"], (path, name, text, rows.text)
            for name in ("catalog[$ne]", "host[$gt]", "$where"):
                assert requests.get(api_once.url + path, params={name: "1"}, timeout=30).status_code == 200
        assert requests.get(api_once.url + f"/v1/catalogs/{requests.utils.quote(text, safe='')}", timeout=30).status_code == 404
        assert requests.get(api_once.url + f"/v1/images/{requests.utils.quote(text, safe='')}", timeout=30).status_code == (404 if "/" in text else 400)
        assert requests.get(api_once.url + "/v1/urls", params={"url": text, "pipeline": text}, timeout=30).json()["verdict"]["kind"] == "bad"
        answer = requests.post(api_once.url + "/v1/catalogs", params={"pipeline": text}, data=b"x", timeout=30)
        assert is_problem(answer, 404)["reason"] == "no_pipeline"
        named = requests.post(api_once.url + "/v1/catalogs", params={"name": text}, data=secret["id"].encode(), timeout=30)
        assert named.status_code in (200, 202) and named.json()["name"] == text
        assert requests.get(api_once.url + f"/v1/catalogs/{named.json()['id']}", timeout=30).json()["name"] == text
    assert requests.get(f"{api_once.url}/v1/catalogs/{secret['id']}", timeout=30).json()["name"] == "secret"


def test_header_and_request_splitting_gain_nothing(api_once):
    answer = raw(api_once, b"GET /v1/urls?url=x%0d%0aX-Evil:%201 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert b"\r\nX-Evil" not in answer.split(b"\r\n\r\n")[0]
    answer = raw(api_once, b"POST /v1/catalogs?pipeline=%0d%0aX-Evil:1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx")
    assert b"\r\nX-Evil" not in answer and b" 404 " in answer[:20]
    for request in (b"\r\n\r\n\r\n", b"GET\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01", b"GET / HTTP/9.9\r\n\r\n", b"A" * 200_000,
                    b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X-Long: " + b"a" * 200_000 + b"\r\n\r\n"):
        with socket.create_connection(address(api_once), timeout=60) as connection:
            try:
                connection.sendall(request)
                connection.shutdown(socket.SHUT_WR)
                connection.recv(65536)
            except OSError:
                pass  # it may hang up at once
    assert requests.get(api_once.url + "/healthz", timeout=30).json() == {"status": "ok"}


# --- tables and probes ----------------------------------------------------------------------------------------------------


def test_probes_metrics_and_openapi(api_once):
    kit.wait_until(lambda: requests.get(api_once.url + "/readyz", timeout=30).status_code == 200, 30, "ready")
    assert requests.get(api_once.url + "/healthz", timeout=30).json() == {"status": "ok"}
    requests.get(api_once.url + "/v1/nonsense-with-a-name-of-its-own", timeout=30)
    answer = requests.get(api_once.url + "/metrics", timeout=30)
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert 'route="/healthz"' in answer.text and "nonsense-with-a-name" not in answer.text
    assert re.search(r'^grisaille_http_requests_total\{route="other",method="GET",code="404"\} ', answer.text, re.M)
    if shutil.which("promtool"):
        checked = subprocess.run(["promtool", "check", "metrics"], input=answer.content, capture_output=True, timeout=60)
        assert checked.returncode == 0, checked.stderr.decode()
    described = requests.get(api_once.url + "/openapi.json", timeout=30).json()
    for path, methods in described["paths"].items():
        filled = path.replace("{id}", "0" * 24).replace("{sha256}", HASH)
        for method in methods:
            got = requests.request(method, api_once.url + filled, timeout=30)
            assert got.status_code != 405 and not ("no such route" in got.text), (method, path, got.text[:200])
            if got.status_code >= 400:
                is_problem(got, got.status_code)
        if "get" in methods:
            head = requests.head(api_once.url + filled, timeout=30)
            assert head.content == b"" and head.status_code == requests.get(api_once.url + filled, timeout=30).status_code


def test_stats_tell_the_streams(api_once):
    stats = kit.wait_until(lambda: (lambda s: s if s["streams"] else None)(requests.get(api_once.url + "/v1/stats", timeout=30).json()), 30, "streams known")
    assert {"urls", "jobs", "inflight"} <= set(stats["streams"])


# --- images ---------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stored(servers, tmp_path_factory):
    """A fleet with one stored image: (cluster, its metadata, its bytes)."""
    with kit.Cluster(servers, tmp_path_factory.mktemp("stored"), workers=1) as cluster:
        cluster.run(["https://picsum.photos/id/7/60/40", "not a url"], name="one")
        image = cluster.get("/v1/images").json()["images"][0]
        yield cluster, image, cluster.get(f"/v1/images/{image['sums']['output']}/content").content


def test_content_is_what_its_sum_says_for_every_hash(stored):
    cluster, image, content = stored
    assert hashlib.sha256(content).hexdigest() == image["sums"]["output"]
    for hash in image["sums"]["source"], image["sums"]["base64"], image["sums"]["output"].upper():
        answer = cluster.get(f"/v1/images/{hash}/content")
        assert answer.content == content and answer.headers["Content-Type"] == image["content_type"]
    text = cluster.get(f"/v1/images/{image['sums']['source']}/base64")
    assert hashlib.sha256(text.content).hexdigest() == image["sums"]["base64"]
    found = cluster.get(f"/v1/images/{image['sums']['source']}").json()["images"]
    assert [row["id"] for row in found] == [image["id"]] and found[0]["urls"][0]["url"] == "https://picsum.photos/id/7/60/40"


def test_head_etag_and_range(stored):
    cluster, image, content = stored
    url = f"{cluster.url}/v1/images/{image['sums']['output']}/content"
    head = requests.head(url, timeout=30)
    assert head.status_code == 200 and head.content == b"" and int(head.headers["Content-Length"]) == len(content)
    etag = head.headers["ETag"]
    assert etag == f'"{image["sums"]["output"]}"' and "immutable" in head.headers["Cache-Control"]
    known = requests.get(url, headers={"If-None-Match": f'"x", {etag}'}, timeout=30)
    assert known.status_code == 304 and known.content == b"" and known.headers["ETag"] == etag
    part = requests.get(url, headers={"Range": "bytes=10-19"}, timeout=30)
    assert part.status_code == 206 and part.content == content[10:20] and part.headers["Content-Range"] == f"bytes 10-19/{len(content)}"
    assert requests.get(url, headers={"Range": "bytes=-5"}, timeout=30).content == content[-5:]
    assert requests.get(url, headers={"Range": "bytes=20-", "If-Range": etag}, timeout=30).content == content[20:]
    assert requests.get(url, headers={"Range": "bytes=20-", "If-Range": '"other"'}, timeout=30).content == content
    beyond = requests.get(url, headers={"Range": f"bytes={len(content)}-"}, timeout=30)
    is_problem(beyond, 416)
    assert beyond.headers["Content-Range"] == f"bytes */{len(content)}"


def test_lines_as_json_ndjson_and_csv(stored):
    cluster, image, _ = stored
    catalog = cluster.get("/v1/catalogs").json()["catalogs"][0]
    url = f"{cluster.url}/v1/catalogs/{catalog['id']}/lines"
    rows = requests.get(url, timeout=30).json()["lines"]
    assert [row["outcome"] for row in rows] == ["stored", "invalid"] and rows[0]["image"] == image["id"]
    streamed = requests.get(url, headers={"Accept": "application/x-ndjson"}, timeout=30)
    assert [json.loads(line) for line in streamed.text.splitlines()] == rows
    table = requests.get(url, headers={"Accept": "text/csv"}, timeout=30)
    assert table.headers["Content-Type"].startswith("text/csv") and len(table.text.splitlines()) == 3
    assert requests.head(url, headers={"Accept": "text/csv"}, timeout=30).content == b""


def test_a_spoiled_image_is_a_500_and_never_bytes(stored):
    cluster, image, content = stored
    document = cluster.db.images.find_one({"_id": image["id"]})
    data = document["data"]
    middle = len(data) // 2
    spoiled = data[:middle] + ("A" if data[middle] != "A" else "B") + data[middle + 1:]
    try:
        cluster.db.images.update_one({"_id": image["id"]}, {"$set": {"data": spoiled}})
        for tail in ("content", "base64"):
            answer = requests.get(f"{cluster.url}/v1/images/{image['sums']['output']}/{tail}", headers={"If-None-Match": "*"}, timeout=30)
            is_problem(answer, 500, "corrupt")
            assert "ETag" not in answer.headers
    finally:
        cluster.db.images.update_one({"_id": image["id"]}, {"$set": {"data": data}, "$unset": {"corrupt": ""}})
    assert cluster.get(f"/v1/images/{image['sums']['output']}/content").content == content
