# SPDX-License-Identifier: Apache-2.0
"""The systems that are compared: each is started, given URLs, watched until every picture is stored, and ended."""
import json
import os
import pathlib
import re
import resource
import shutil
import subprocess
import time

from bench_kit import Counts, Peak, Strace, kit, quantile

PEERS = pathlib.Path(__file__).resolve().parent / "peers"
DEADLINE = 400
GRAY = {"format": "jpeg", "quality": 75}


class System:
    """A service: takes URLs while it runs. Subclasses say how."""

    name = label = ""
    database = "bench"

    def __init__(self, servers, folder, python):
        self.servers, self.folder, self.python, self.parts = servers, pathlib.Path(folder), python, []
        self.collection = servers.mongo.client[self.database]["images"]

    def stored(self):
        return self.collection.estimated_document_count()

    def wait_stored(self, count):
        def look():
            for part in self.parts:
                part.must_live()
            return self.stored() >= count
        kit.wait_until(look, DEADLINE, lambda: f"{self.name}: {self.stored()} of {count} stored\n" + "\n".join(kit.tail(p.log, 15) for p in self.parts), 0.02)

    def run(self, urls):
        """Puts the URLs in and waits; what it took."""
        before, counts, peak = self.stored(), Counts(self.servers, self.roles(), self.watched()), Peak(self.roles()["worker"])
        began = time.monotonic()
        self.put(urls)
        self.wait_stored(before + len(urls))
        seconds = time.monotonic() - began
        self.settle()
        found = {"images": len(urls), "seconds": round(seconds, 3), "images_a_second": round(len(urls) / seconds, 1), **counts.since(len(urls))}
        found["peak_memory_bytes"] = peak.end()
        return found

    def paced(self, urls, rate):
        """URLs at a steady rate; the time of each from being put in to being stored, as quantiles."""
        before, sent, began = self.stored(), {}, time.monotonic()
        for number, url in enumerate(urls):
            time.sleep(max(0, began + number / rate - time.monotonic()))
            sent[url] = time.time()
            self.put_one(url)
        self.wait_stored(before + len(urls))
        self.settle()
        took = [(at - sent[url]) * 1000 for url, at in self.stored_at() if url in sent]
        return {"rate": rate, "images": len(took), "p50_ms": round(quantile(took, 0.5), 1), "p99_ms": round(quantile(took, 0.99), 1)}

    def syscalls(self, urls):
        """System calls an image while strace looks on."""
        trace, before = Strace(self.roles()["worker"], self.folder), self.stored()
        self.put(urls)
        self.wait_stored(before + len(urls))
        self.settle()
        calls = trace.end()
        return {name: round(number / len(urls), 2) for name, number in sorted(calls.items(), key=lambda item: -item[1]) if number >= len(urls) / 50}

    def settle(self):
        """Until what follows the storing is done, too."""

    def watched(self):
        return None

    def stop(self):
        for part in reversed(self.parts):
            try:
                part.stop(60)
            except AssertionError:
                pass
        self.servers.mongo.client.drop_database(self.database)
        self.servers.redis.client.flushall()


class Grisaille(System):
    """The product as shipped: one scheduler, one API, one worker with its defaults."""

    name, label = "grisaille", "Grisaille, verify: full"
    steps, output = [{"grayscale": {"method": "luma", "verify": "full"}}], GRAY

    def start(self):
        settings = {"fetch.allow_ports": [self.servers.origin.port], "worker.cpu_threads": 0, "retry.base_ms": 5000,
                    "pipelines": {"gray": {"steps": self.steps, "output": self.output}}}
        self.cluster = kit.Cluster(self.servers, self.folder, schedulers=1, workers=1, api=1, settings=settings)
        self.collection = self.cluster.db["images"]
        self.parts = self.cluster.daemons

    def roles(self):
        return {role: [daemon.pid for daemon in self.cluster.of(role)] for role in ("worker", "scheduler", "api")}

    def watched(self):
        return self.cluster.of("worker")[0].pid

    def put(self, urls):
        self.catalog = self.cluster.push(urls)

    def put_one(self, url):
        self.cluster.redis.xadd(self.cluster.key("urls"), {"url": url})

    def settle(self):
        self.cluster.wait_empty(DEADLINE)

    def stored_at(self):
        for row in self.cluster.db["urls"].find({"state": "done"}, {"url": 1, "done_at": 1}):
            yield row["url"], row["done_at"].timestamp() - time.timezone

    def stages(self):
        """Seconds and times of each stage so far, by the worker's own metrics."""
        text, found = self.cluster.of("worker")[0].metrics(), {}
        for what, stage, value in re.findall(r'^grisaille_stage_duration_seconds_(sum|count)\{stage="(\w+)"\} (\S+)', text, re.MULTILINE):
            found.setdefault(stage, {})[what] = float(value)
        return found

    def run(self, urls):
        before = self.stages()
        found = super().run(urls)
        after = self.stages()
        found["stage_ms"] = {stage: round((of["sum"] - before.get(stage, {}).get("sum", 0)) * 1000 / len(urls), 4) for stage, of in after.items()}
        return found

    def stop(self):
        self.cluster.stop(check=False)
        self.cluster.drop()
        self.servers.redis.client.flushall()


class GrisailleStructure(Grisaille):
    name, label = "grisaille-structure", "Grisaille, verify: structure"
    steps = [{"grayscale": {"method": "luma", "verify": "structure"}}]


class GrisailleVips(Grisaille):
    name, label = "grisaille-libvips", "(d) Grisaille with plain libvips"
    output = {**GRAY, "lossless": "never"}


class Peer(System):
    def environment(self):
        options = "replicaSet=rs0&w=majority&journal=true"
        return {"PEER_REDIS": self.servers.redis.url, "PEER_MONGO": f"mongodb://127.0.0.1:{self.servers.mongo.port}/?{options}",
                "PEER_DATABASE": self.database, "PYTHONPATH": str(PEERS), "NO_ALBUMENTATIONS_UPDATE": "1", "WANDB_MODE": "disabled"}

    def stored_at(self):
        for row in self.collection.find({}, {"url": 1, "stored_at": 1}):
            yield row["url"], row["stored_at"].timestamp() - time.timezone


class CeleryPeer(Peer):
    name, label = "celery", "(a) Celery, requests, Pillow, pymongo"

    def start(self):
        celery = pathlib.Path(self.python).parent / "celery"
        self.worker = kit.Process("celery", [celery, "-A", "celery_peer", "worker", "--pool", "prefork", "--concurrency", str(4 * os.cpu_count()),
                                             "--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "WARNING"], self.folder, self.environment())
        self.parts = [self.worker]

    def roles(self):
        return {"worker": [self.worker.pid]}

    def put(self, urls):
        subprocess.run([self.python, PEERS / "celery_peer.py"], input="\n".join(urls).encode(), env={**os.environ, **self.environment()}, check=True,
                       timeout=DEADLINE)

    def paced(self, urls, rate):
        self.feeder = subprocess.Popen([self.python, "-u", PEERS / "celery_peer.py"], stdin=subprocess.PIPE, env={**os.environ, **self.environment()})
        try:
            return super().paced(urls, rate)
        finally:
            self.feeder.stdin.close()
            self.feeder.wait(60)

    def put_one(self, url):
        self.feeder.stdin.write(url.encode() + b"\n")
        self.feeder.stdin.flush()


class AsyncioPeer(Peer):
    name, label = "asyncio", "(b) asyncio, aiohttp, PyTurboJPEG, bulk writes"

    def start(self):
        self.worker = kit.Process("asyncio", [self.python, PEERS / "asyncio_peer.py"], self.folder, self.environment())
        self.parts = [self.worker]
        kit.wait_until(lambda: self.worker.must_live() and "ready" in self.worker.log.read_text(), 60, lambda: kit.tail(self.worker.log))

    def roles(self):
        return {"worker": [self.worker.pid]}

    def put(self, urls):
        for first in range(0, len(urls), 1000):
            self.servers.redis.client.rpush("peer:urls", *urls[first:first + 1000])

    def put_one(self, url):
        self.servers.redis.client.rpush("peer:urls", url)


class Program:
    """A system that takes a list, does it and ends. What it costs to start is left out, by a run over one picture."""

    def __init__(self, servers, folder, python):
        self.servers, self.folder, self.python = servers, pathlib.Path(folder), python


class Img2dataset(Program):
    way = "copy"
    name, label = "img2dataset", "(c) img2dataset, without re-encoding (no gray, no database)"

    def once(self, urls):
        out, listed = self.folder / self.name, self.folder / f"{self.name}.txt"
        listed.write_text("\n".join(urls) + "\n")
        shutil.rmtree(out, ignore_errors=True)
        environment = {**kit.clean_environment(), "NO_ALBUMENTATIONS_UPDATE": "1", "WANDB_MODE": "disabled"}
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        with open(self.folder / f"{self.name}.log", "ab") as log:
            child = subprocess.Popen([self.python, PEERS / "img2dataset_peer.py", listed, out, self.way], stdout=log, stderr=log, env=environment)
            peak = Peak([child.pid])
            assert child.wait(DEADLINE) == 0, kit.tail(self.folder / f"{self.name}.log")
        seconds, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        made = sum(json.loads(path.read_text())["successes"] for path in out.glob("*_stats.json"))
        assert made == len(urls), f"{self.name}: {made} of {len(urls)}\n" + kit.tail(self.folder / f"{self.name}.log")
        shutil.rmtree(out)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, seconds, peak.end()

    def run(self, urls):
        self.once(urls[:1])  # the first run of all compiles its modules
        start_cpu, start_seconds, _ = self.once(urls[:1])
        cpu, seconds, peak = self.once(urls)
        count, seconds = len(urls) - 1, max(seconds - start_seconds, seconds / 5)
        return {"images": len(urls), "seconds": round(seconds, 3), "images_a_second": round(count / seconds, 1),
                "cpu_ms": {"worker": round((cpu - start_cpu) * 1000 / count, 4)}, "peak_memory_bytes": peak, "start_cpu_seconds": round(start_cpu, 2)}


class Img2datasetReencoding(Img2dataset):
    way = "reencode"
    name, label = "img2dataset-reencode", "(c) img2dataset, re-encoding (no gray, no database)"


class Limit(Program):
    """bench/limit_loop.c: only what must be done."""

    name, label = "limit", "the limit: a tight loop, verify: full"
    options = []

    def run(self, urls):
        paths = "".join(url.partition(str(self.servers.origin.port))[2] + "\n" for url in urls).encode()
        began = time.monotonic()
        command = [kit.find_binary().parent / "bench" / "limit_loop", self.servers.origin.port, self.servers.mongo.port, "limit", *self.options]
        done = subprocess.run([str(part) for part in command], input=paths, capture_output=True, timeout=DEADLINE)
        assert done.returncode == 0, done.stderr.decode()
        seconds, told = time.monotonic() - began, json.loads(done.stdout)
        self.servers.mongo.client.drop_database("limit")
        spent = {step: round(told[step] * 1000 / told["images"], 4) for step in ("receive", "gray", "sums", "base64", "build", "send")}
        return {"images": told["images"], "seconds": round(seconds, 3), "images_a_second": round(told["images"] / seconds, 1),
                "cpu_ms": {"worker": round(told["cpu_seconds"] * 1000 / told["images"], 4)}, "stage_ms": spent}


class LimitStructure(Limit):
    name, label, options = "limit-structure", "the limit, verify: structure", ["structure"]


SYSTEMS = [CeleryPeer, AsyncioPeer, Img2dataset, Img2datasetReencoding, GrisailleVips, Grisaille, GrisailleStructure, Limit, LimitStructure]
SERVICES = [CeleryPeer, AsyncioPeer, GrisailleVips, Grisaille, GrisailleStructure]
