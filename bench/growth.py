#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`make growth`: what millions of URLs do to speed and memory. growth.py --out DIR [--scale X] [PART…]

admission  admission rate into a ledger of 0, 1 and 10 million URLs, against bare bulk upserts of the same documents into it
catalog    10 million lines, every second one a duplicate: pushed, admitted, queued, and taken by a worker that ends each job as a dead
           letter (its address is refused), until the catalog is finished; time, and memory of each process at a tenth and at the end
workers    images a second by 1, 2 and 4 workers
hosts      one fast host alone, then beside 1,000 slow ones
idle       CPU of each process of a fleet without work
--scale multiplies all numbers of URLs. Writes DIR/growth.json after each part; parts that were not asked for stay in it."""
import argparse
import asyncio
import concurrent.futures
import io
import json
import pathlib
import shutil
import statistics
import tempfile
import threading
import time

import numpy
import pymongo
import requests
from PIL import Image

from bench_kit import Servers, cpu_seconds, kit, memory_bytes

LONG = 6 * 3600
FILLS = (0, 1_000_000, 10_000_000)
BULK = 1000
OLD, BARE = "0123456789abcdef01234567", "0123456789abcdef01234568"  # catalogs


def say(text):
    print(f"[{time.strftime('%H:%M:%S')}] {text}", flush=True)


def lines(first, count, step=1, base="https://picsum.photos"):
    """Catalog bytes, in pieces: URLs of numbers from `first`; step 2: each of them twice, some lines apart."""
    for at in range(first, first + count, 10_000):
        rows = range(at, min(at + 10_000, first + count))
        if step == 2:
            rows = [first + (row - first) // 2 if row % 2 == 0 else max(first, first + (row - first) // 2 - 3) for row in rows]
        yield "".join(f"{base}/id/{row}/300/200\n" for row in rows).encode()


def wait_admitted(cluster, id):
    chunks = cluster.db["catalog_chunks"]
    pending = {"catalog": id, "admitted": False}
    kit.wait_until(lambda: chunks.find_one(pending, {"_id": 1}) is None, LONG, "every chunk admitted", 0.2)


class Memory(threading.Thread):
    """The most of each process so far, looked at once a second."""

    def __init__(self, roles):
        super().__init__(daemon=True)
        self.roles, self.most, self.over = roles, {}, threading.Event()
        self.start()

    def run(self):
        while not self.over.wait(1):
            for role, pids in self.roles.items():
                self.most[role] = max(self.most.get(role, 0), memory_bytes(pids))

    def told(self):
        return {role: round(most / 2**20, 1) for role, most in list(self.most.items())}

    def end(self):
        self.over.set()
        self.join()
        return self.told()


class Growth:
    def __init__(self, servers, folder, scale):
        self.servers, self.folder, self.scale = servers, folder, scale

    def fleet(self, workers=0, schedulers=1, **settings):
        return kit.Cluster(self.servers, self.folder, schedulers=schedulers, workers=workers, settings={"worker.cpu_threads": 0, **settings})

    @staticmethod
    def roles(cluster):
        return {daemon.name.rsplit("-", 2)[0] + daemon.name.rsplit("-", 1)[1]: [daemon.pid] for daemon in cluster.daemons}

    def admit(self, cluster, first, count):
        """Pushes new URLs; lines admitted a second."""
        id = kit.catalog_id(cluster.push(b"".join(lines(first, count))))
        began = time.monotonic()
        wait_admitted(cluster, id)
        return count / (time.monotonic() - began)

    # --- parts

    def admission(self):
        sample, found = max(40_000, int(200_000 * self.scale)), {}
        # room for all samples in the queue, for there is no worker; a catalog's share is a tenth of it
        cluster = self.fleet(**{"dispatch.window": 20 * sample})
        filled = 0
        try:
            for fill in FILLS:
                want = int(fill * self.scale)
                self.bulks(insert, cluster, 10**9 + filled, want - filled)
                filled = want
                ours, bare = [], []
                for turn in range(3):
                    ours.append(self.admit(cluster, 2 * 10**9 + fill * 10 + turn * sample, sample // 2))
                    bare.append(self.bulks(upsert, cluster, 3 * 10**9 + fill * 10 + turn * sample, sample // 2))
                    cluster.db["urls"].delete_many({"first.catalog": BARE})  # nobody shall repair what has no job
                ours, bare = statistics.median(ours), statistics.median(bare)
                found[str(want)] = {"admitted_a_second": round(ours), "bare_upserts_a_second": round(bare), "ratio": round(ours / bare, 2)}
                say(f"ledger of {want}: {ours:.0f} admitted a second, bare upserts {bare:.0f}, ratio {ours / bare:.2f}")
        finally:
            cluster.stop(check=False)
            cluster.drop()
        return found

    def bulks(self, write, cluster, first, count):
        """Documents of the ledger's form, written by two processes, a thousand a bulk; how many a second."""
        tasks = [(first + at, min(BULK, count - at)) for at in range(0, count, BULK)]
        with concurrent.futures.ProcessPoolExecutor(2, initializer=connect, initargs=(self.servers.mongo.uri, cluster.database)) as pool:
            list(pool.map(write, [(first, 0)] * 8))  # both are there, and connected
            began = time.monotonic()
            list(pool.map(write, tasks, chunksize=max(1, min(100, len(tasks) // 8))))
            return count / (time.monotonic() - began)

    def catalog(self):
        count = int(10_000_000 * self.scale)
        cluster = self.fleet(workers=1)
        try:
            memory = Memory({**self.roles(cluster), **self.servers.roles})
            began = time.monotonic()
            answer = requests.post(cluster.url + "/v1/catalogs", params={"name": "growth"}, data=lines(0, count, 2, "http://10.0.0.1"), timeout=LONG, headers={"Content-Type": "text/plain"})
            assert answer.status_code == 202, answer.text[:300]
            pushed = time.monotonic() - began
            say(f"{count} lines pushed in {pushed:.1f} s")
            id, tenth, told = kit.catalog_id(answer.json()), None, time.monotonic()
            while (state := cluster.db["catalogs"].find_one({"_id": id})["state"]) != "finished":
                assert all(daemon.alive() for daemon in cluster.daemons) and time.monotonic() - began < LONG, (state, cluster.tails())
                urls = cluster.db["urls"].estimated_document_count()
                tenth = tenth or (memory.told() if urls >= count / 20 else None)
                if time.monotonic() - told > 30:
                    told = time.monotonic()
                    say(f"{urls} URLs in the ledger after {told - began:.0f} s; {cluster.inflight()} in the queue; MiB: {memory.told()}")
                time.sleep(1)
            took = time.monotonic() - began
            receipt = cluster.catalog(id)
            found = {"lines": count, "urls": cluster.db["urls"].estimated_document_count(), "push_seconds": round(pushed, 1), "finished_seconds": round(took, 1),
                     "lines_a_second": round(count / took), "counts": receipt["counts"], "peak_memory_mib_at_a_tenth": tenth, "peak_memory_mib": memory.end()}
        finally:
            cluster.stop(check=False)
            cluster.drop()
        return found

    def workers(self):
        count, found = max(400, int(20_000 * self.scale)), {}
        names = self.draw(count)
        for number in (1, 2, 4):
            cluster = self.fleet(workers=number, **{"fetch.allow_ports": [self.servers.origin.port]})
            try:
                began = time.monotonic()
                cluster.wait_drained(cluster.push([f"{self.servers.origin.base}/{name}" for name in names]), LONG)
                found[str(number)] = round(count / (time.monotonic() - began), 1)
                say(f"{number} workers: {found[str(number)]} images a second")
            finally:
                cluster.stop(check=False)
                cluster.drop()
        return {"images": count, "images_a_second": found}

    def draw(self, count):
        """Pictures that differ, small, made once."""
        rng = numpy.random.RandomState(7)
        base = rng.randint(0, 255, (30, 40, 3)).astype("uint8")
        picture = Image.fromarray(base).resize((320, 240), Image.BICUBIC)
        out = io.BytesIO()
        picture.save(out, "JPEG", quality=75, progressive=True)
        body = out.getvalue()
        files = self.folder / "files"
        for number in range(count):
            (files / f"{number}.jpg").write_bytes(body[:2] + b"\xff\xfe\x00\x0a%08d" % number + body[2:])  # a comment of its own
        return [f"{number}.jpg" for number in range(count)]

    def hosts(self):
        count, slow = max(400, int(20_000 * self.scale)), max(20, int(1000 * self.scale))
        names, found = self.draw(count), {}
        sloth = Sloth()
        settings = {"fetch.allow_ports": [self.servers.origin.port], "fetch.timeout_ms": 10000,
                    "fetch.connect_to": [f"fast.test:80:127.0.0.1:{self.servers.origin.port}", f"::127.0.0.1:{sloth.port}"]}
        try:
            for crowd in (0, slow):
                cluster = self.fleet(workers=1, **settings)
                try:
                    if crowd:
                        cluster.push([f"http://slow{number % crowd}.test/{number}" for number in range(crowd * 5)], "slow")
                        time.sleep(5)  # the slow ones have taken what they can get
                    began = time.monotonic()
                    cluster.wait_drained(cluster.push([f"http://fast.test/{name}" for name in names], "fast"), LONG)
                    found[str(crowd)] = round(count / (time.monotonic() - began), 1)
                    say(f"beside {crowd} slow hosts: {found[str(crowd)]} images a second of the fast one")
                finally:
                    cluster.stop(check=False)
                    cluster.drop()
        finally:
            sloth.end()
        return {"images": count, "images_a_second_beside_slow_hosts": found, "share": round(found[str(slow)] / found["0"], 2)}

    def idle(self):
        cluster, seconds = self.fleet(workers=2), 60
        try:
            time.sleep(10)
            before = {role: cpu_seconds(pids) for role, pids in self.roles(cluster).items()}
            time.sleep(seconds)
            return {"seconds": seconds, "cpu_percent": {role: round((cpu_seconds(pids) - before[role]) * 100 / seconds, 2) for role, pids in self.roles(cluster).items()}}
        finally:
            cluster.stop(check=False)
            cluster.drop()


def ledger(first, count, at, state, catalog):
    """(key, fields) of URLs as admission writes them; the key as the ledger's are: uniform."""
    for number in range(first, first + count):
        yield f"{number * 0x9E3779B97F4A7C15 % 2**64:016x}{number:048x}:gray", {
            "url": f"https://picsum.photos/id/{number}/300/200", "host": "picsum.photos", "pipeline": "gray@0123456789ab", "state": state, "run": 1, "attempts": 0,
            "created_at": at, "queued_at": at, "changed_at": at, "first": {"catalog": catalog, "line": number}}


def connect(uri, name):
    global database
    database = pymongo.MongoClient(uri, w="majority", journal=True)[name]


def server_time():
    return database.client.admin.command("hello")["localTime"]


def upsert(task):
    """What admission must do at the least, as durable as it does it."""
    changes = [pymongo.UpdateOne({"_id": key}, {"$setOnInsert": fields}, upsert=True) for key, fields in ledger(*task, server_time(), "queued", BARE)]
    if changes:
        database.urls.bulk_write(changes, ordered=False)


def insert(task):
    """A ledger that is there already; nothing is measured."""
    documents = [{"_id": key, **fields} for key, fields in ledger(*task, server_time(), "done", OLD)]
    if documents:
        database.urls.insert_many(documents, ordered=False)


class Sloth:
    """A server that takes five seconds to say no."""

    def __init__(self):
        self.loop, self.ready = asyncio.new_event_loop(), threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        self.ready.wait(30)

    def run(self):
        async def answer(reader, writer):
            try:
                await reader.readuntil(b"\r\n\r\n")
                await asyncio.sleep(5)
                writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                await writer.drain()
            except (OSError, asyncio.IncompleteReadError):
                pass
            writer.close()

        server = self.loop.run_until_complete(asyncio.start_server(answer, "127.0.0.1", 0, backlog=1024))
        self.port = server.sockets[0].getsockname()[1]
        self.ready.set()
        self.loop.run_forever()

    def end(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)


PARTS = ("admission", "catalog", "workers", "hosts", "idle")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--scale", type=float, default=1)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    args = parser.parse_args()
    if wrong := set(args.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(wrong))}")
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / "growth.json"
    told = json.loads(path.read_text()) if path.exists() else {}
    for part in args.parts or PARTS:
        folder = pathlib.Path(tempfile.mkdtemp(prefix="grisaille-growth-"))
        (folder / "files").mkdir()
        folder.chmod(0o755)
        servers = Servers(folder, folder / "files")
        try:
            told[part] = {"scale": args.scale, **getattr(Growth(servers, folder, args.scale), part)()}
        finally:
            servers.stop()
            shutil.rmtree(folder, ignore_errors=True)
        path.write_text(json.dumps(told, indent=1) + "\n")
        say(f"{part}: {json.dumps(told[part])}")


if __name__ == "__main__":
    main()
