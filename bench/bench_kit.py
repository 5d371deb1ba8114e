# SPDX-License-Identifier: Apache-2.0
"""What measurements stand on: real servers, an origin that costs nearly nothing, and counts read from the kernel and the servers."""
import pathlib
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time

import requests

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "integration"))

import kit  # noqa: E402

TICK = 100  # of /proc/PID/stat, a second


class Nginx(kit.Process):
    """The origin of the measurements: files in memory, sent by sendfile, connections kept."""

    CONFIG = """
        daemon off; worker_processes 1; worker_rlimit_nofile {descriptors}; pid {folder}/nginx.pid; error_log {folder}/nginx-error.log;
        events {{ worker_connections 2048; }}
        http {{
            types {{ image/jpeg jpg; image/png png; image/webp webp; }}
            access_log off; sendfile on; tcp_nopush on; tcp_nodelay on; keepalive_requests 1000000; keepalive_timeout 60s; etag off;
            open_file_cache max={kept} inactive=1h; open_file_cache_valid 1h;
            client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder}; uwsgi_temp_path {folder}; scgi_temp_path {folder};
            server {{ listen 127.0.0.1:{port} backlog=1024; root {files}; }}
        }}"""

    def __init__(self, folder, files):
        self.port = kit.free_port()
        config = pathlib.Path(folder) / "nginx.conf"
        descriptors = min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], 65536)
        config.write_text(self.CONFIG.format(folder=folder, files=files, port=self.port, descriptors=descriptors, kept=descriptors // 2))
        super().__init__("nginx", [shutil.which("nginx") or "/usr/sbin/nginx", "-c", config, "-p", folder, "-e", f"{folder}/nginx-error.log"], folder)
        self.base = f"http://127.0.0.1:{self.port}"
        self.ca = "/etc/ssl/certs/ca-certificates.crt"
        kit.wait_until(lambda: self.must_live() and self.answers(), kit.START_SECONDS, lambda: kit.tail(self.log))

    def answers(self):
        try:
            return requests.get(self.base + "/", timeout=5).status_code in (403, 404)
        except requests.ConnectionError:
            return False

    def connect_to(self):
        return []


class Servers:
    """Redis, mongod and nginx of a run; `files` is what nginx serves."""

    def __init__(self, folder, files, cache_gb="1"):
        self.folder = pathlib.Path(folder)
        self.redis = kit.Redis(folder)
        self.mongo = kit.Mongo(folder, cache_gb)
        self.origin = Nginx(folder, files)
        self.roles = {"redis": [self.redis.pid], "mongod": [self.mongo.pid], "origin": [self.origin.pid]}

    def stop(self):
        for part in (self.origin, self.mongo, self.redis):
            try:
                part.stop(30)
            except AssertionError:
                pass


# --- the kernel's counts ------------------------------------------------------------------------------------------------


def read(path):
    try:
        return pathlib.Path(path).read_text()
    except OSError:
        return ""


def family(pid):
    """The process and all that descend from it."""
    found = [pid]
    for one in found:
        for task in pathlib.Path(f"/proc/{one}/task").glob("*") if pathlib.Path(f"/proc/{one}/task").exists() else []:
            found += [int(child) for child in read(task / "children").split()]
    return found


def cpu_seconds(pids):
    """User and system time of processes, their threads, and children that they waited for."""
    ticks = 0
    for pid in pids:
        for member in family(pid):
            fields = read(f"/proc/{member}/stat").rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15])) if fields else 0
    return ticks / TICK


def thread_seconds(pid):
    """CPU of a process by the names of its threads, numbers at their end left out."""
    found = {}
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*"):
        name = re.sub(r"[-#]?\d+$", "", read(task / "comm").strip())
        spent = read(task / "schedstat").split()
        found[name] = found.get(name, 0) + (int(spent[0]) / 1e9 if spent else 0)
    return found


def memory_bytes(pids):
    """Proportional set size: memory that processes share is counted once."""
    total = 0
    for pid in pids:
        for member in family(pid):
            found = re.search(r"^Pss:\s+(\d+) kB", read(f"/proc/{member}/smaps_rollup"), re.MULTILINE)
            total += int(found[1]) * 1024 if found else 0
    return total


def written_bytes(pid):
    found = re.search(r"^write_bytes: (\d+)", read(f"/proc/{pid}/io"), re.MULTILINE)
    return int(found[1]) if found else 0


class Peak:
    """The most memory that some processes had together, looked at twice a second."""

    def __init__(self, pids):
        self.pids, self.most, self.over = pids, 0, threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True)
        self.thread.start()

    def watch(self):
        while True:
            self.most = max(self.most, memory_bytes(self.pids))
            if self.over.wait(0.5):
                return

    def end(self):
        self.over.set()
        self.thread.join()
        return self.most


class Counts:
    """What a system and the servers have spent since this was made."""

    def __init__(self, servers, roles, watched=None):
        self.servers, self.roles, self.watched = servers, {**servers.roles, **roles}, watched
        self.first, self.began = self.now(), time.monotonic()

    def now(self):
        mongo = self.servers.mongo.client.admin.command("serverStatus")
        redis = self.servers.redis.client.info("stats")
        return {"cpu": {role: cpu_seconds(pids) for role, pids in self.roles.items()},
                "threads": thread_seconds(self.watched) if self.watched else {},
                "mongo_requests": int(mongo["network"]["numRequests"]), "redis_reads": int(redis["total_reads_processed"]),
                "written": written_bytes(self.servers.mongo.pid)}

    def since(self, images):
        """Per image: CPU milliseconds, round trips, bytes written by mongod."""
        now = self.now()
        spent = {key: {name: round((value - self.first[key].get(name, 0)) * 1000 / images, 4) for name, value in now[key].items()}
                 for key in ("cpu", "threads")}
        return {"cpu_ms": spent["cpu"], "thread_ms": spent["threads"],
                "mongo_round_trips": round((now["mongo_requests"] - self.first["mongo_requests"]) / images, 3),
                "redis_round_trips": round((now["redis_reads"] - self.first["redis_reads"]) / images, 3),
                "mongo_written_bytes": round((now["written"] - self.first["written"]) / images)}


class Strace:
    """Counts system calls of processes (and of their threads and children) while it is attached."""

    def __init__(self, pids, folder):
        self.out = tempfile.NamedTemporaryFile(dir=folder, prefix="strace-")
        members = [str(member) for pid in pids for member in family(pid)]
        self.child = subprocess.Popen(["strace", "-f", "-c", "-U", "calls,name", "-o", self.out.name, "-p", ",".join(members)],
                                      stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.child.stderr.readline()  # "Process … attached"
        time.sleep(1)  # and the rest of them

    def end(self):
        """{name: calls}, "total" among them."""
        self.child.send_signal(2)
        self.child.communicate(timeout=30)
        calls = {}
        for line in pathlib.Path(self.out.name).read_text().splitlines():
            fields = line.split()
            if len(fields) == 2 and fields[0].isdigit():
                calls[fields[1]] = int(fields[0])
        return calls


def quantile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None
