# SPDX-License-Identifier: Apache-2.0
"""Two of everything: each component is killed in turn while work runs and clients push and query through a balancer; no gap is
longer than docs/operations.md states for that component, and nothing is lost."""
import pathlib
import re
import threading
import time

import pytest
import requests

import deploy_kit as d
import kit
from fault_servers import Sentinels, fault_fleet, parts, rest, settle, slow_urls  # noqa: F401
from replica import ReplicaSet

# What this machine adds to a fail-over: the tests share it with others, and the stores' own timeouts are short here.
ALLOWANCE = 10


def stated():
    """Component → seconds, from the table in docs/operations.md."""
    text = (d.ROOT / "docs" / "operations.md").read_text()
    rows = re.findall(r"^\| (scheduler|worker|api|mongo|redis) \| (\d+) s \|", text, re.M)
    assert len(rows) == 5, rows
    return {name: int(seconds) for name, seconds in rows}


class Balancer(kit.Process):
    """haproxy before the API processes: a request that met a dead one is sent to another."""

    def __init__(self, folder, addresses):
        self.port = kit.free_port()
        servers = "\n".join(f"  server api{number} {address} check inter 500 fall 2 rise 1" for number, address in enumerate(addresses))
        config = pathlib.Path(folder) / "haproxy.cfg"
        config.write_text(f"""global
  maxconn 500
defaults
  mode http
  timeout connect 2s
  timeout client 60s
  timeout server 60s
  retries 3
  option redispatch 1
  retry-on conn-failure empty-response
frontend in
  bind 127.0.0.1:{self.port}
  default_backend api
backend api
  balance roundrobin
  option httpchk GET /healthz
{servers}
""")
        super().__init__("haproxy", ["/usr/sbin/haproxy", "-db", "-f", config], folder)
        self.url = f"http://127.0.0.1:{self.port}"
        kit.wait_until(self.answers, 60, lambda: f"the balancer answers\n{kit.tail(self.log)}")

    def answers(self):
        self.must_live()
        try:
            return requests.get(self.url + "/v1/stats", timeout=30).status_code == 200
        except requests.RequestException:
            return False

    def close(self):
        self.kill()


class Client(threading.Thread):
    """Pushes and queries again and again; a push without a 2xx is sent again, as every client has to."""

    def __init__(self, url):
        super().__init__(daemon=True)
        self.url, self.ended = url, threading.Event()
        self.catalogs, self.pushed = [], 0
        self.succeeded = {"push": time.monotonic(), "query": time.monotonic()}
        self.gap = {"push": 0.0, "query": 0.0}
        self.last = ""

    def ask(self, what, method, path, **options):
        try:
            answer = requests.request(method, self.url + path, timeout=5, **options)
        except requests.RequestException as error:
            self.last = f"{what}: {error}"
            answer = None
        now = time.monotonic()
        self.gap[what] = max(self.gap[what], now - self.succeeded[what])
        if answer is not None and answer.status_code in (200, 202):
            self.succeeded[what] = now
            return answer.json()
        self.last = self.last if answer is None else f"{what}: {answer.status_code} {answer.text[:200]}"
        return None

    def run(self):
        while not self.ended.is_set():
            # the first gap in the ids is 86, which answers 404
            url = f"https://origin.test/id/{self.pushed % 80}/64/48?client={self.pushed}\n"
            made = self.ask("push", "POST", "/v1/catalogs", params={"name": f"client-{self.pushed}"}, data=url.encode(), headers={"Content-Type": "text/plain"})
            if made:
                self.catalogs.append(made["id"])
                self.pushed += 1
            self.ask("query", "GET", "/v1/catalogs", params={"limit": 1})
            self.ended.wait(0.1)

    def start_measuring(self):
        self.gap.update(push=0.0, query=0.0)

    def wait_fine(self, since):
        kit.wait_until(lambda: min(self.succeeded.values()) > since, 120, lambda: f"push and query work again; {self.last}")

    def close(self):
        self.ended.set()
        self.join(30)


@pytest.fixture
def doubled(fault_fleet, parts, tmp_path):  # noqa: F811
    """A fleet with two of each on three mongods and three Redis with Sentinels, behind a balancer."""
    sentinels = parts(Sentinels(tmp_path))
    mongo = ReplicaSet(tmp_path)
    mongo.close = mongo.stop
    parts(mongo)
    cluster = fault_fleet(redis=sentinels, redis_url=sentinels.url, mongo=mongo, schedulers=2, workers=2, api=2)
    balancer = parts(Balancer(tmp_path, [daemon.wait_address("api") for daemon in cluster.of("api")]))
    return cluster, sentinels, mongo, balancer


def kill_daemon(cluster, role):
    victim = cluster.of(role)[0]
    victim.kill()


def test_any_one_component_may_die_during_a_run(doubled, parts):  # noqa: F811
    cluster, sentinels, mongo, balancer = doubled
    client = Client(balancer.url)
    client.start()
    parts(client)
    limits = stated()
    urls = slow_urls("failover", 600, ms=300)
    big = cluster.push(urls)
    rows = []

    def strike(component, kill, mend):
        client.start_measuring()
        kill()
        rest(3)
        client.wait_fine(time.monotonic())
        mend()
        rows.append((component, client.gap["push"], client.gap["query"]))
        print(f"{component}: push was away for {client.gap['push']:.1f} s, query for {client.gap['query']:.1f} s (stated: {limits[component]} s)")

    strike("scheduler", lambda: kill_daemon(cluster, "scheduler"), lambda: cluster.start("scheduler"))
    strike("worker", lambda: kill_daemon(cluster, "worker"), lambda: cluster.start("worker"))
    primary = mongo.wait_primary()
    strike("mongo", primary.kill, primary.start)
    kit.wait_until(primary.answers, 60, "the member is back")
    master = sentinels.wait_master()
    strike("redis", master.kill, master.start)
    sentinels.wait_master()
    # last: the one that is left keeps its address, and the balancer knows no other
    strike("api", lambda: kill_daemon(cluster, "api"), lambda: None)

    client.close()
    cluster.url = balancer.url
    cluster.redis = sentinels.wait_master(seconds=60).client
    settle(cluster, [big, *client.catalogs], len(urls) + client.pushed, seconds=240)
    late = [row for row in rows if max(row[1:]) > limits[row[0]] + ALLOWANCE]
    assert not late, late
