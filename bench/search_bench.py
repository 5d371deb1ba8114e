# SPDX-License-Identifier: Apache-2.0
"""How fast a search over two weeks is: a seeded history (10 million URLs, 1 million events at SCALE=1) is written straight into a private
MongoDB with CACHE_GB of memory (by itself it would take half of the machine's), then every kind of question is asked over HTTP. Prints each
question's median and worst, and by which indexes it was answered; exits 1 where the median of all is over 1 s, the worst over 10 s, or a
collection was scanned. SCALE=0.01 takes a minute, SCALE=1 the better part of an hour, most of it for writing and indexing."""
import argparse
import datetime
import hashlib
import multiprocessing
import pathlib
import random
import statistics
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests" / "integration"))

import kit  # noqa: E402
import pymongo  # noqa: E402
import requests  # noqa: E402

URLS, EVENTS, IMAGES, CATALOGS, HOSTS, DAYS, BATCH = 10_000_000, 1_000_000, 100_000, 2000, 200, 14, 5000
CACHE_GB = "4"
REASONS = ["http_4xx", "http_5xx", "timeout", "not_image", "corrupt_image", "dns", "connect", "too_large"]
PIPELINE = "gray@0123456789ab"
NOW = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)


def url_of(n):
    return f"https://host{n % HOSTS}.test/id/{n}/320/200"


def key_of(n):
    return hashlib.sha256(url_of(n).encode()).hexdigest() + ":gray"


def catalog_of(n, catalogs):
    return "%024x" % (n % catalogs + 1)


def when(n, total):
    return NOW - datetime.timedelta(days=DAYS) * (1 - n / total)


def url_document(n, total, catalogs, images):
    at, host = when(n, total), f"host{n % HOSTS}.test"
    document = {"_id": key_of(n), "url": url_of(n), "host": host, "pipeline": PIPELINE, "run": 1, "attempts": 0, "created_at": at, "queued_at": at,
                "changed_at": at, "first": {"catalog": catalog_of(n, catalogs), "line": n // catalogs + 1}}
    if n % 50 == 0:
        reason = REASONS[n // 50 % len(REASONS)]
        return {**document, "state": "dead", "done_at": at, "attempts": 8, "error": {"class": "permanent", "reason": reason, "detail": f"{host}: {reason} at try 8", "at": at}}
    return {**document, "state": "done", "done_at": at, "made": True, "images": [image_id(n % images)], "bytes": 40000, "ms": 120}


def image_id(n):
    return hashlib.sha256(b"source %d" % n).hexdigest() + ":" + PIPELINE


def image_document(n, images):
    text, at = "QUJD" * 500, when(n, images)
    return {"_id": image_id(n), "job": key_of(n), "pipeline": PIPELINE, "output": "", "content_type": "image/jpeg", "width": 320, "height": 200, "bytes": 1500,
            "source": {"url": url_of(n), "final_url": url_of(n), "host": f"host{n % HOSTS}.test", "content_type": "image/jpeg", "width": 320, "height": 200, "bytes": 40000},
            "sums": {"source": image_id(n)[:64], "output": hashlib.sha256(b"output %d" % n).hexdigest(), "base64": hashlib.sha256(b"base64 %d" % n).hexdigest(), "document": "0" * 64},
            "phash": "%016x" % random.Random(n).getrandbits(64), "made_by": "bench", "note": "", "fetched_at": at, "inserted_at": at, "data": text}


def phash_document(n):
    value = random.Random(n).getrandbits(64)
    return {"_id": image_id(n), "hash": "%016x" % value, "bands": [(value >> 16 * band & 0xFFFF) | band << 16 for band in range(4)]}


def event_document(n, events, catalogs):
    reason, host = REASONS[n % len(REASONS)], f"host{n * 7 % HOSTS}.test"
    return {"time": when(n, events), "level": "error" if n % 4 == 0 else "warn", "event": "dead_letter" if n % 4 == 0 else "attempt_failed", "reason": reason,
            "host": host, "catalog": catalog_of(n, catalogs), "key": key_of(n), "url": url_of(n), "detail": f"{host}: {reason} after {n % 3000} ms, request {n}", "worker": f"w{n % 32}",
            "attempt": n % 8 + 1, "ms": n % 3000}


def rollup_documents():
    for hour in range(int(DAYS * 24)):
        at = NOW.replace(minute=0, second=0) - datetime.timedelta(hours=hour)
        for host in range(HOSTS):
            for outcome, reason, count in (("stored", "", 140), ("dead", REASONS[host % len(REASONS)], 3), ("retry", "timeout", 5)):
                id_ = {"at": at, "host": f"host{host}.test", "pipeline": "gray", "outcome": outcome, "reason": reason, "span": 3600000}
                yield {"_id": id_, **id_, "count": count, "bytes": 40000 * count, "ms": 120 * count, "total_ms": 900 * count, "within": count}


def fill(task):
    """A share of one collection, in a process of its own."""
    uri, database, kind, first, last, sizes = task
    client = pymongo.MongoClient(uri, w=1, journal=False)
    collection = client[database][kind]
    make = {"urls": lambda n: url_document(n, sizes["urls"], sizes["catalogs"], sizes["images"]), "images": lambda n: image_document(n, sizes["images"]),
            "phashes": phash_document, "events": lambda n: event_document(n, sizes["events"], sizes["catalogs"])}[kind]
    for start in range(first, last, BATCH):
        collection.insert_many([make(n) for n in range(start, min(start + BATCH, last))], ordered=False)
    client.close()


def generate(uri, database, sizes):
    tasks = []
    for kind, count in (("urls", sizes["urls"]), ("images", sizes["images"]), ("phashes", sizes["images"]), ("events", sizes["events"])):
        share = max(BATCH, count // 16)
        tasks += [(uri, database, kind, first, min(first + share, count), sizes) for first in range(0, count, share)]
    with multiprocessing.Pool(2) as pool:
        pool.map(fill, tasks, chunksize=1)
    db = pymongo.MongoClient(uri)[database]
    db.rollups.insert_many(rollup_documents(), ordered=False)
    db.meta.insert_one({"_id": "rollup", "until": NOW, "hours": NOW + datetime.timedelta(hours=1)})
    db.catalogs.insert_many([{"_id": catalog_of(n, sizes["catalogs"]), "name": f"catalog {n}", "sha256": "%064x" % n, "bytes": 1, "lines": 1, "blank": 0, "chunks": 0, "state": "finished",
                              "pipeline": PIPELINE, "rules": "rules@0123456789ab", "by": "bench", "created_at": when(n, sizes["catalogs"]), "finished_at": NOW} for n in range(sizes["catalogs"])])


def questions(sizes, dice):
    """(name, path, parameters): one of each kind, about something at random."""
    n, image, host = dice.randrange(sizes["urls"]), dice.randrange(sizes["images"]), f"host{dice.randrange(HOSTS)}.test"
    catalog, reason = catalog_of(n, sizes["catalogs"]), dice.choice(REASONS)
    since = (NOW - datetime.timedelta(days=dice.randrange(1, DAYS))).strftime("%Y-%m-%dT%H:%M:%SZ")
    sum_ = hashlib.sha256(b"output %d" % image).hexdigest()
    return [
        ("events, newest", "/v1/events", {}), ("events by reason", "/v1/events", {"reason": reason, "since": "2w"}), ("events by host", "/v1/events", {"host": host, "since": "2w"}),
        ("events by catalog", "/v1/events", {"catalog": catalog}), ("events by host and reason", "/v1/events", {"host": host, "reason": reason}),
        ("events of a day", "/v1/events", {"since": since, "level": "error"}), ("events by a pattern", "/v1/events", {"match": f"request {n % sizes['events']}$", "host": host}),
        ("events by a pattern, all", "/v1/events", {"match": f"request {dice.randrange(sizes['events'])}$"}),
        ("a URL's history", "/v1/urls", {"url": url_of(n)}), ("an image by its hash", f"/v1/images/{sum_}", {}), ("an image by 10 digits", f"/v1/images/{sum_[:10]}", {}),
        ("images of a host", "/v1/images", {"host": host}), ("images of a catalog", "/v1/images", {"catalog": catalog}), ("images since", "/v1/images", {"since": since}),
        ("images that look alike", f"/v1/images/{sum_}/similar", {"within": 6}), ("dead letters", "/v1/dead", {}), ("dead letters by reason", "/v1/dead", {"reason": reason}),
        ("dead letters by host", "/v1/dead", {"host": host}), ("dead letters of a catalog", "/v1/dead", {"catalog": catalog}),
        ("numbers by day and host", "/v1/stats", {"by": "day,host,outcome", "since": "2w"}), ("numbers by hour", "/v1/stats", {"by": "hour,outcome", "since": "2w", "host": host}),
        ("totals", "/v1/stats", {}), ("catalogs", "/v1/catalogs", {"limit": 20}), ("a catalog", f"/v1/catalogs/{catalog}", {}),
    ]


def plans(db, base, sizes, seed):
    """Each kind of question once more under the profiler: by which indexes it was answered; a scan of a collection is an error."""
    dice, session, found = random.Random(seed), requests.Session(), {}
    for name, path, params in questions(sizes, dice):
        db.command("profile", 2)
        assert session.get(base + path, params=params, timeout=120).status_code == 200, name
        db.command("profile", 0)
        rows = db.system.profile.find({"op": {"$in": ["query", "command", "getmore"]}, "ns": {"$regex": r"^bench\.(urls|images|events|rollups|catalogs|phashes|catalog_errors)$"}}, {"ns": 1, "planSummary": 1})
        found[name] = sorted({f"{row['ns'].split('.')[1]}: {row['planSummary']}" for row in rows if row.get("planSummary")})
        db.drop_collection("system.profile")
        assert found[name] and not [plan for plan in found[name] if "COLLSCAN" in plan], (name, found[name])
    return found


def wait_days(db):
    """A scheduler sums the hours into days, as it would have done day by day."""
    today = NOW.replace(hour=0, minute=0, second=0, tzinfo=None)
    kit.wait_until(lambda: (db.meta.find_one({"_id": "rollup"}) or {}).get("days") == today, 3600, "days are made")


def answers(session, base, path, params):
    """Seconds of each answer: a search that ends early, with nothing found, is gone on with."""
    cursor = None
    while True:
        began = time.monotonic()
        answer = session.get(base + path, params={**params, **({"cursor": cursor} if cursor else {})}, timeout=120)
        yield time.monotonic() - began
        assert answer.status_code == 200, (path, params, answer.status_code, answer.text[:300])
        found = answer.json()
        cursor = found.get("next") if "match" in params and not found["events"] else None
        if not cursor:
            return


def ask(base, sizes, rounds, seed):
    """Question → seconds until it was answered whole."""
    took, dice, session, longest = {}, random.Random(seed), requests.Session(), 0.0
    for _ in range(rounds):
        for name, path, params in questions(sizes, dice):
            parts = list(answers(session, base, path, params))
            took.setdefault(name, []).append(sum(parts))
            longest = max(longest, *parts)
    print(f"the longest answer took {longest * 1000:.0f} ms; searches that ended early were gone on with, and are told whole")
    return took


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--scale", type=float, default=1.0)
    options.add_argument("--rounds", type=int, default=10)
    options.add_argument("--seed", type=int, default=1)
    asked = options.parse_args()
    sizes = {"urls": int(URLS * asked.scale), "events": int(EVENTS * asked.scale), "images": max(1000, int(IMAGES * asked.scale)), "catalogs": max(20, int(CATALOGS * asked.scale))}
    with tempfile.TemporaryDirectory() as folder:
        servers = []
        try:
            mongo, redis = kit.Mongo(folder, CACHE_GB), kit.Redis(folder)
            servers += [mongo, redis]
            began = time.monotonic()
            generate(mongo.uri, "bench", sizes)
            print(f"{sizes['urls']:,} URLs, {sizes['events']:,} events, {sizes['images']:,} images written in {time.monotonic() - began:.0f} s", flush=True)
            began = time.monotonic()
            config = pathlib.Path(folder) / "grisaille.yaml"
            config.write_text(f"redis: {{url: '{redis.url}'}}\nmongo: {{uri: '{mongo.uri}', database: bench, timeout_ms: 120000}}\napi: {{listen: '127.0.0.1:0'}}\nmetrics: {{listen: ''}}\nscheduler: {{upkeep_ms: 100}}\n")
            kit.START_SECONDS = 7200
            api = kit.Daemon("api", "api", config, folder)
            servers.append(api)
            base = "http://" + api.wait_address("api")
            print(f"indexed in {time.monotonic() - began:.0f} s", flush=True)
            began = time.monotonic()
            scheduler = kit.Daemon("scheduler", "scheduler", config, folder)
            servers.append(scheduler)
            wait_days(mongo.client["bench"])
            assert scheduler.stop(120) == 0
            print(f"days summed in {time.monotonic() - began:.0f} s", flush=True)
            took = ask(base, sizes, asked.rounds, asked.seed)
            every = sorted(second for seconds in took.values() for second in seconds)
            for name, seconds in took.items():
                print(f"{name:28} median {statistics.median(seconds) * 1000:9.1f} ms   worst {max(seconds) * 1000:9.1f} ms")
            median, worst = statistics.median(every), every[-1]
            print(f"{'all':28} median {median * 1000:9.1f} ms   worst {worst * 1000:9.1f} ms", flush=True)
            for name, indexes in plans(mongo.client["bench"], base, sizes, asked.seed).items():
                print(f"{name:28} {'; '.join(indexes)}")
        finally:
            for server in reversed(servers):
                server.stop(120)
    return 0 if median < 1 and worst < 10 else 1


if __name__ == "__main__":
    sys.exit(main())
