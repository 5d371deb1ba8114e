# SPDX-License-Identifier: Apache-2.0
"""The webhook: signed, sent again until it is taken, by whichever scheduler lives; never more than one message a finish."""
import base64
import collections
import contextlib
import hashlib
import hmac
import http.server
import json
import pathlib
import secrets
import subprocess
import threading
import time

import pytest

import kit

BASE = "https://origin.test"
Call = collections.namedtuple("Call", "id timestamp signature body agent port")


class Receiver:
    """A local server that keeps what it is sent; answer(call) gives the status of the next ones."""

    def __init__(self):
        receiver = self
        self.calls, self.answer, self.lock = [], lambda call: 200, threading.Lock()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                call = Call(self.headers["webhook-id"], self.headers["webhook-timestamp"], self.headers["webhook-signature"], body,
                            self.headers["User-Agent"], self.client_address[1])
                with receiver.lock:
                    receiver.calls.append(call)
                try:
                    self.send_response(receiver.answer(call))
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                except OSError:
                    self.close_connection = True

        self.server = kit.HttpServer(Handler)
        self.url = f"http://127.0.0.1:{self.server.port}/hook"

    def of(self, catalog):
        with self.lock:
            return [call for call in self.calls if json.loads(call.body)["data"]["id"] == catalog["id"]]

    def stop(self):
        self.server.stop()


def secret():
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def verify(call, key):
    """As the Standard Webhooks specification says, by means of Python alone."""
    mac = hmac.new(base64.b64decode(key.removeprefix("whsec_")), f"{call.id}.{call.timestamp}.".encode() + call.body, hashlib.sha256).digest()
    signatures = [text.removeprefix("v1,") for text in call.signature.split(" ")]
    return base64.b64encode(mac).decode() in signatures and abs(time.time() - int(call.timestamp)) < 120


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.stop()


def wait_notice(cluster, catalog, state):
    return kit.wait_until(lambda: (n := cluster.db.catalogs.find_one({"_id": catalog["id"]}).get("notice")) and n["state"] == state and n, 60,
                          lambda: (cluster.db.catalogs.find_one({"_id": catalog["id"]}), cluster.tails(20)))


def test_a_finished_catalog_is_told_once_signed_and_again_until_it_is_taken(fleet, origin, receiver, tmp_path):
    key, other = secret(), secret()
    file = tmp_path / "secret"
    file.write_text(f"{key} {other}\n")
    killed = []
    settings = {"webhook.url": receiver.url, "webhook.secret_FILE": str(file), "webhook.timeout_ms": 1000, "webhook.retry_ms": 100,
                "retry.max_attempts": 1}
    cluster = fleet(settings=settings, schedulers=2)

    # plain: one request, which anyone who has either secret can verify
    plain = cluster.run([f"{BASE}/id/{n}/20/20" for n in range(3)] + [f"{BASE}/fault/404?hook"], "plain")
    wait_notice(cluster, plain, "sent")
    call, = receiver.of(plain)
    assert verify(call, key) and verify(call, other) and not verify(call, secret())
    assert not verify(call._replace(body=call.body.replace(b"plain", b"plane")), key)
    body = json.loads(call.body)
    assert body["type"] == "catalog.finished" and body["timestamp"] == body["data"]["finished_at"]
    assert body["data"]["name"] == "plain" and body["data"]["counts"] == plain["counts"] and plain["counts"]["dead"] == 1
    assert call.agent.startswith("grisaille/")

    # a receiver that fails twice is asked again, with the same id and a signature of its own
    receiver.answer = lambda call: 500 if len(receiver.calls) < 4 else 204
    again = cluster.run([f"{BASE}/id/7/21/21"], "again")
    notice = wait_notice(cluster, again, "sent")
    calls = receiver.of(again)
    assert len(calls) == notice["attempts"] == 3 and len({call.id for call in calls}) == 1 and all(verify(call, key) for call in calls)
    assert json.loads(calls[0].body) == json.loads(calls[2].body)

    # the sender dies while the receiver has the message and has not answered: another sends it again, under the same id
    def kill_sender(call):
        with receiver.lock:
            if killed:
                return 200
            holders = [d for d in cluster.of("scheduler") if holds_port(d, call.port)]
            killed.extend(holders)
        assert len(holders) == 1
        holders[0].kill()
        return 200

    receiver.answer = kill_sender
    crash = cluster.run([f"{BASE}/id/8/21/21"], "crash")
    wait_notice(cluster, crash, "sent")
    calls = receiver.of(crash)
    assert killed and len(calls) == 2 and len({call.id for call in calls}) == 1 and all(verify(call, key) for call in calls)
    assert len({call.id for call in receiver.calls}) == 3

    # another finish of the same catalog is another message
    receiver.answer = lambda call: 200
    command = [kit.find_binary(), "dead", "--config", cluster.config, "retry", "--catalog", plain["id"], "--yes"]
    subprocess.run([str(word) for word in command], check=True, timeout=60, env=kit.clean_environment(), capture_output=True)
    kit.wait_until(lambda: len(receiver.of(plain)) == 2, 60, lambda: cluster.tails(20))
    assert len({call.id for call in receiver.of(plain)}) == 2

    # 410: nobody will ever listen there; the end is told as an event and in the catalog
    receiver.answer = lambda call: 410
    gone = cluster.run([f"{BASE}/id/9/21/21"], "gone")
    notice = wait_notice(cluster, gone, "given_up")
    assert notice["attempts"] == 1 and "410" in notice["detail"]
    assert cluster.catalog(gone["id"])["notice"]["state"] == "given_up"
    event = kit.wait_until(lambda: cluster.get("/v1/events", event="webhook_given_up").json()["events"], 30, "an event tells of it")[0]
    assert event["catalog"] == gone["id"] and event["level"] == "error" and "410" in event["detail"]
    metrics = cluster.of("scheduler")[0].metrics()
    assert 'grisaille_webhooks_total{outcome="given_up"} 1' in metrics and "grisaille_webhook_seconds_count" in metrics


def holds_port(daemon, port):
    """Is this one's the connection whose near end has that port?"""
    inodes = {row[9] for line in pathlib.Path(f"/proc/{daemon.pid}/net/tcp").read_text().splitlines()[1:]
              if (row := line.split())[1].endswith(f":{port:04X}")}
    held = set()
    for fd in pathlib.Path(f"/proc/{daemon.pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            held.add(str(fd.readlink()))
    return any(f"socket:[{inode}]" in held for inode in inodes)


def test_a_receiver_that_is_away_too_long_is_given_up_and_stops_nothing(fleet, origin):
    cluster = fleet(workers=1, settings={"webhook.url": f"http://127.0.0.1:{kit.free_port()}/", "webhook.secret": secret(),
                                         "webhook.retry_ms": 100, "webhook.max_age": 1})
    catalog = cluster.run([f"{BASE}/id/{n}/22/22" for n in range(3)], "away")
    notice = wait_notice(cluster, catalog, "given_up")
    assert notice["attempts"] >= 1 and "connect" in notice["detail"].lower()
    assert cluster.run([f"{BASE}/id/4/22/22"], "next")["state"] == "finished"


@pytest.mark.parametrize("settings, message", [
    ({"webhook.url": "http://127.0.0.1:1/"}, "webhook.secret"),
    ({"webhook.url": "http://127.0.0.1:1/", "webhook.secret": "whsec_c2hvcnQ="}, "24 to 64"),
    ({"webhook.url": "ftp://127.0.0.1/", "webhook.secret": "whsec_" + "A" * 44}, "webhook.url"),
])
def test_a_wrong_setting_ends_the_scheduler_with_a_reason(servers, tmp_path, settings, message):
    sets = [word for name, value in {"mongo.uri": servers.mongo.uri, "mongo.database": "webhook_wrong", "redis.url": servers.redis.url,
                                     "metrics.listen": "", **settings}.items() for word in ("--set", f"{name}={value}")]
    done = subprocess.run([str(kit.find_binary()), "scheduler", *sets], capture_output=True, timeout=60, env=kit.clean_environment(), cwd=tmp_path)
    servers.mongo.client.drop_database("webhook_wrong")
    assert done.returncode == 2 and message in done.stderr.decode(), done.stderr.decode()[-1000:]
    assert "c2hvcnQ" not in done.stderr.decode()
