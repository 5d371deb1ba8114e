# SPDX-License-Identifier: Apache-2.0
"""TLS on every way: to MongoDB (the driver's), to Redis (a tunnel: hiredis 0.14 has none), to the API's clients (nginx). The two
examples are what runs here, with other ports and paths."""
import contextlib
import pathlib
import socket
import subprocess

import pymongo
import pytest
import redis
import requests

import kit
from test_api import TOKENS, bearer

URLS = [f"https://picsum.photos/id/{n}/48/32" for n in range(1, 9)]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run([kit.ROOT / "tests" / "origin" / "make-cert", folder], check=True, timeout=60)
    subprocess.run([kit.ROOT / "tests" / "origin" / "make-cert", folder / "other"], check=True, timeout=60)
    (folder / "both.pem").write_bytes((folder / "server.key").read_bytes() + (folder / "server.pem").read_bytes())
    return folder


@contextlib.contextmanager
def running(name, arguments, folder, ready):
    process = kit.Process(name, arguments, folder)
    try:
        kit.wait_until(lambda: process.must_live() and ready(), kit.START_SECONDS, lambda: kit.tail(process.log))
        yield process
    finally:
        with contextlib.suppress(AssertionError):
            process.stop(20)


def accepts(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
        return True
    return False


def example(name, folder, replacements):
    text = (kit.ROOT / "examples" / name).read_text()
    for old, new in replacements.items():
        assert old in text, f"examples/{name} has no {old}"
        text = text.replace(old, str(new))
    path = pathlib.Path(folder) / name
    path.write_text(text)
    return path


def run_catalog(cluster):
    receipt = cluster.run(URLS)
    return receipt["counts"]["stored"]


@pytest.fixture(scope="module")
def tls_mongo(certificates, tmp_path_factory):
    folder, port = tmp_path_factory.mktemp("mongo-tls"), kit.free_port()
    (folder / "db").mkdir()
    direct = pymongo.MongoClient(f"mongodb://127.0.0.1:{port}/?directConnection=true&tls=true", tlsCAFile=str(certificates / "ca.pem"),
                                 serverSelectionTimeoutMS=500)
    config = {"_id": "rs0", "members": [{"_id": 0, "host": f"127.0.0.1:{port}"}]}

    def initiated():
        try:
            direct.admin.command("replSetInitiate", config)
        except pymongo.errors.OperationFailure as error:
            return error.code == 23
        except pymongo.errors.PyMongoError:
            return False
        return True

    arguments = [kit.find_mongod(), "--port", port, "--bind_ip", "127.0.0.1", "--dbpath", folder / "db", "--replSet", "rs0", "--tlsMode", "requireTLS",
                 "--tlsCertificateKeyFile", certificates / "both.pem", "--tlsCAFile", certificates / "ca.pem", "--tlsAllowConnectionsWithoutCertificates",
                 "--wiredTigerCacheSizeGB", "0.25", "--nounixsocket", "--quiet"]
    with running("mongod-tls", arguments, folder, initiated):
        kit.wait_until(lambda: direct.admin.command("hello").get("isWritablePrimary"), kit.START_SECONDS, "no primary")
        yield port
        direct.close()


def mongo_uri(port, ca):
    return f"mongodb://127.0.0.1:{port}/?replicaSet=rs0&tls=true&tlsCAFile={ca}"


def test_mongodb_over_tls(fleet, tls_mongo, certificates, verdicts):
    """MongoDB over TLS carries a catalog"""
    cluster = fleet(workers=1, settings={"mongo.uri": mongo_uri(tls_mongo, certificates / "ca.pem")})
    verdicts.check("MongoDB that speaks TLS only, its authority known", len(URLS), run_catalog(cluster))


@pytest.mark.parametrize("attack, options", [
    ("a man in the middle: MongoDB with a certificate of another authority", "tls=true&tlsCAFile={other}"),
    ("MongoDB asked without TLS where it wants it", "tls=false"),
])
def test_mongodb_that_can_not_be_trusted_is_not_used(servers, tls_mongo, certificates, verdicts, tmp_path, attack, options):
    uri = f"mongodb://127.0.0.1:{tls_mongo}/?replicaSet=rs0&" + options.format(other=certificates / "other" / "ca.pem")
    answer = subprocess.run([str(kit.find_binary()), "catalogs", "--set", f"mongo.uri={uri}", "--set", "mongo.timeout_ms=3000"], capture_output=True, text=True,
                            timeout=120, env=kit.clean_environment(), cwd=tmp_path)
    verdicts.check(attack, "refused: exit status not 0, an error that names MongoDB", f"exit {answer.returncode}: {answer.stderr.strip()[:160]}",
                   ok=answer.returncode != 0 and "mongo" in answer.stderr.lower() and not answer.stdout)


@pytest.fixture(scope="module")
def tls_redis(certificates, tmp_path_factory):
    folder, port = tmp_path_factory.mktemp("redis-tls"), kit.free_port()
    client = redis.Redis(host="127.0.0.1", port=port, password="tunnel-word", ssl=True, ssl_ca_certs=str(certificates / "ca.pem"), ssl_check_hostname=False)

    def answers():
        with contextlib.suppress(redis.RedisError):
            return client.ping()
        return False

    arguments = ["redis-server", "--port", 0, "--tls-port", port, "--bind", "127.0.0.1", "--tls-cert-file", certificates / "server.pem", "--tls-key-file",
                 certificates / "server.key", "--tls-ca-cert-file", certificates / "ca.pem", "--tls-auth-clients", "no", "--requirepass", "tunnel-word", "--dir", folder,
                 "--save", "", "--maxmemory-policy", "noeviction"]
    with running("redis-tls", arguments, folder, answers):
        yield port


def stunnel(certificates, folder, port, local, ca="ca.pem"):
    """The example's tunnel; localhost is one of the names in the test's certificate."""
    return example("stunnel-redis.conf", folder, {
        "accept = 127.0.0.1:6390": f"accept = 127.0.0.1:{local}", "connect = redis.example.org:6379": f"connect = 127.0.0.1:{port}",
        "CAfile = /etc/grisaille/redis-ca.pem": f"CAfile = {certificates / ca}", "checkHost = redis.example.org": "checkHost = localhost"})


def test_redis_over_tls_by_the_documented_tunnel(fleet, tls_redis, certificates, verdicts, tmp_path):
    """Redis over TLS: the example's tunnel carries a catalog"""
    local = kit.free_port()
    with running("stunnel", ["stunnel4", stunnel(certificates, tmp_path, tls_redis, local)], tmp_path, lambda: accepts(local)):
        cluster = fleet(workers=1, settings={"redis.url": f"redis://:tunnel-word@127.0.0.1:{local}/0"})
        verdicts.check("Redis that speaks TLS only, behind examples/stunnel-redis.conf", len(URLS), run_catalog(cluster))
        cluster.stop()


def test_the_tunnel_refuses_a_redis_it_does_not_know(tls_redis, certificates, verdicts, tmp_path):
    local = kit.free_port()
    with running("stunnel-other", ["stunnel4", stunnel(certificates, tmp_path, tls_redis, local, "other/ca.pem")], tmp_path, lambda: accepts(local)):
        try:
            got = redis.Redis(host="127.0.0.1", port=local, password="tunnel-word", socket_timeout=20).ping()
        except redis.RedisError as error:
            got = f"refused ({type(error).__name__})"
    verdicts.check("a man in the middle: Redis with a certificate of another authority", "refused (ConnectionError)", got)


def test_rediss_is_refused_with_the_way_out(verdicts, tmp_path):
    answer = subprocess.run([str(kit.find_binary()), "worker", "--set", "redis.url=rediss://:planted-word@localhost/0"], capture_output=True, text=True, timeout=120,
                            env=kit.clean_environment(), cwd=tmp_path)
    verdicts.check("redis.url: rediss://…", "exit 2; the tunnel is named, the password is not", f"exit {answer.returncode}: {answer.stderr.strip()[-200:]}",
                   ok=answer.returncode == 2 and "tunnel" in answer.stderr and "planted-word" not in answer.stderr + answer.stdout)


def test_clients_over_tls_by_the_documented_proxy(fleet, certificates, verdicts, tmp_path):
    """The API behind nginx with TLS, as the example has it"""
    cluster = fleet(schedulers=0, workers=0, settings={"api.tokens": TOKENS})
    port, inside = kit.free_port(), cluster.url.removeprefix("http://")
    config = example("nginx.conf", tmp_path, {
        "pid /run/nginx-grisaille.pid;": f"pid {tmp_path}/nginx.pid;", "listen 443 ssl;": f"listen 127.0.0.1:{port} ssl;",
        "/etc/grisaille/server.pem": certificates / "server.pem", "/etc/grisaille/server.key": certificates / "server.key",
        "http://127.0.0.1:8480": f"http://{inside}"})
    with running("nginx", ["nginx", "-p", tmp_path, "-c", config, "-g", "daemon off;"], tmp_path, lambda: accepts(port)):
        base, session = f"https://localhost:{port}", requests.Session()
        session.trust_env, session.verify = False, str(certificates / "ca.pem")
        verdicts.check("through the proxy, no token", 401, session.get(base + "/v1/catalogs", timeout=60).status_code)
        body = b"".join(b"https://picsum.photos/id/%d/9/9\n" % n for n in range(100_000))
        pushed = session.post(base + "/v1/catalogs", data=(body[i:i + 65536] for i in range(0, len(body), 65536)), headers=bearer("pusher"), timeout=300)
        verdicts.check("through the proxy, a chunked push of 3 MB", 202, pushed.status_code)
        raw = session.get(f"{base}/v1/catalogs/{pushed.json()['id']}/raw", headers=bearer("reader"), timeout=300)
        verdicts.check("through the proxy, its bytes back", True, raw.content == body)
        verdicts.check("through the proxy, the API's headers and the proxy's", True,
                       "nosniff" in raw.headers.get("X-Content-Type-Options", "") and "max-age" in raw.headers.get("Strict-Transport-Security", ""))
        refused = session.post(base + "/v1/catalogs", data=b"x" * 200_000, headers=bearer("reader"), timeout=60)
        verdicts.check("through the proxy, a push with a token that may only read", 403, refused.status_code)
