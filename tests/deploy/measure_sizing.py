#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""tests/deploy/measure_sizing.py [IMAGES]: what one image costs, as JSON, for tools/sizing: a release build (GRISAILLE_BIN) fetches
IMAGES pictures of 1200 x 800 from the local origin into real Redis and MongoDB, one worker, one scheduler; CPU by the processes'
own clocks, disk by MongoDB's statistics after a checkpoint."""
import json
import pathlib
import re
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "integration"))

import kit  # noqa: E402


def figure(text, name, labels=""):
    return sum(float(value) for value in re.findall(rf"^{name}{{?[^\n]*{re.escape(labels)}[^\n]*}}? (\S+)$|^{name} (\S+)$", text, re.M) for value in value if value)


def main(images):
    with tempfile.TemporaryDirectory() as folder:
        servers = kit.Servers(folder)
        cluster = kit.Cluster(servers, folder, workers=1, api=1)
        try:
            before = {daemon.role: figure(daemon.metrics(), "process_cpu_seconds_total") for daemon in cluster.daemons}
            mongo_before = cpu_of(servers.mongo.pid)
            redis_before = cpu_of(servers.redis.pid)
            stored = 0
            for part in range(0, images, 250):  # the origin has 1,084 pictures, each in any size
                receipt = cluster.run([f"https://picsum.photos/id/{number % 1000}/1200/{800 + number // 1000}" for number in range(part, min(images, part + 250))])
                stored += receipt["counts"]["stored"]
            texts = {daemon.role: daemon.metrics() for daemon in cluster.daemons}
            servers.mongo.client.admin.command("fsync")
            size = {name: cluster.db.command("collStats", name) for name in ("images", "urls")}
            out = {
                "images": stored,
                "source_bytes": figure(texts["worker"], "grisaille_fetch_bytes_total") / stored,
                "output_bytes": figure(texts["worker"], "grisaille_image_size_bytes_sum") / stored,
                "cpu_seconds": {role: (figure(texts[role], "process_cpu_seconds_total") - before[role]) / stored for role in texts},
                "cpu_seconds_stores": {"mongod": (cpu_of(servers.mongo.pid) - mongo_before) / stored, "redis": (cpu_of(servers.redis.pid) - redis_before) / stored},
                "memory_bytes": {role: figure(texts[role], "process_resident_memory_bytes") for role in texts},
                "mongo_bytes": {name: {"data": stats["size"] / stored, "disk": stats["storageSize"] / stored, "indexes": stats["totalIndexSize"] / stored} for name, stats in size.items()},
            }
            print(json.dumps(out, indent=1))
        finally:
            cluster.stop(check=False)
            servers.stop()


def cpu_of(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    import os
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
