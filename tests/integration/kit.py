# SPDX-License-Identifier: Apache-2.0
"""Real servers and the product's daemons for the integration tests: free ports, a folder of their own, a deadline on every wait."""
import contextlib
import ctypes
import http.server
import itertools
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import pymongo
import redis as redis_client
import requests
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
# every name a test catalog may use; all of them are the origin, but its certificate does not name the last one
HOSTS = ("picsum.photos", "fastly.picsum.photos", "origin.test", "other.test", "limited.test", "busy.test", "slow.test", "untrusted.test")
START_SECONDS = 60
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(check, seconds, what, pause=0.1):
    """The first true answer of check(); AssertionError with `what` (text or function) past the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        answer = check()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what() if callable(what) else what}")
        time.sleep(pause)


def tail(path, lines=30):
    try:
        with open(path, "rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 200_000))
            return "\n".join(line[:600] for line in file.read().decode("utf-8", "replace").splitlines()[-lines:])
    except OSError as error:
        return f"({error})"


PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


def end_with_parent():
    """In the child: an interrupted test run leaves no server behind."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def clean_environment():
    """Without GRISAILLE_…: what is set for these tests is no configuration of the product. And as the image has it: no counters of the
    MongoDB driver in shared memory, where a killed process leaves them to the next of its number, with a line on standard error."""
    # One by one: pytest takes variables of its own away while threads of a test start daemons.
    read = {name: os.environ.get(name) for name in os.environ if not name.startswith("GRISAILLE_")}
    return {**{name: value for name, value in read.items() if value is not None}, "MONGOC_DISABLE_SHM": "1"}


class Process:
    """A child with its output in a file; ended by its own id."""

    def __init__(self, name, arguments, folder, env=None, stdout=None):
        self.name, self.asked = name, False
        self.log = pathlib.Path(folder) / f"{name}.log"
        with open(self.log, "ab") as log:
            self.child = subprocess.Popen([str(a) for a in arguments], stdin=subprocess.DEVNULL, stdout=stdout or log, stderr=log,
                                          env={**clean_environment(), **(env or {})}, cwd=folder, start_new_session=True, preexec_fn=end_with_parent)

    @property
    def pid(self):
        return self.child.pid

    def alive(self):
        return self.child.poll() is None

    def must_live(self):
        assert self.alive(), f"{self.name} ended with {self.child.returncode}:\n{tail(self.log)}"
        return True

    def complaints(self):
        """Reports of sanitizers and broken invariants."""
        marks = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "WARNING: ThreadSanitizer", "runtime error:", "assertion failed", "Assertion")
        return [line[:300] for line in self.log.read_text(errors="replace").splitlines() if any(mark in line for mark in marks)]

    def kill(self):
        """As a crash: no warning."""
        with contextlib.suppress(ProcessLookupError):
            self.child.send_signal(signal.SIGKILL)
        self.child.wait(30)

    def ask(self):
        """SIGTERM, once."""
        self.asked = True
        self.child.send_signal(signal.SIGTERM)

    def stop(self, seconds=60):
        """As an operator: SIGTERM; the exit status."""
        if self.alive() and not self.asked:
            self.ask()
        try:
            return self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} did not end within {seconds} s of SIGTERM:\n{tail(self.log)}") from None


# --- servers ----------------------------------------------------------------------------------------------------------


class Redis(Process):
    def __init__(self, folder):
        self.port = free_port()
        data = pathlib.Path(folder) / "redis"
        data.mkdir()
        super().__init__("redis", ["redis-server", "--port", self.port, "--bind", "127.0.0.1", "--dir", data, "--appendonly", "yes", "--save", "",
                                   "--maxmemory-policy", "noeviction"], folder)
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.client = redis_client.Redis(port=self.port, socket_timeout=30)
        wait_until(lambda: self.must_live() and self.answers(), START_SECONDS, lambda: tail(self.log))

    def answers(self):
        try:
            return self.client.ping()
        except redis_client.RedisError:
            return False


def find_mongod():
    asked = os.environ.get("GRISAILLE_MONGOD")
    for path in (asked, shutil.which("mongod"), ROOT / ".tools" / "mongod"):
        if path and os.access(path, os.X_OK):
            return path
    raise AssertionError("no mongod: run tools/setup, or set GRISAILLE_MONGOD")


class Mongo(Process):
    """A replica set of one node."""

    def __init__(self, folder, cache_gb="0.25"):
        self.port = free_port()
        data = pathlib.Path(folder) / "mongo"
        data.mkdir()
        super().__init__("mongod", [find_mongod(), "--port", self.port, "--bind_ip", "127.0.0.1", "--dbpath", data, "--replSet", "rs0",
                                    "--setParameter", "enableTestCommands=1", "--wiredTigerCacheSizeGB", cache_gb, "--nounixsocket", "--quiet"], folder)
        self.uri = f"mongodb://127.0.0.1:{self.port}/?replicaSet=rs0"
        direct = pymongo.MongoClient(f"mongodb://127.0.0.1:{self.port}/?directConnection=true", serverSelectionTimeoutMS=500)
        wait_until(lambda: self.must_live() and self.initiate(direct), START_SECONDS, lambda: tail(self.log))
        wait_until(lambda: direct.admin.command("hello").get("isWritablePrimary"), START_SECONDS, "no primary")
        direct.close()
        self.client = pymongo.MongoClient(self.uri, serverSelectionTimeoutMS=20000)

    def initiate(self, direct):
        config = {"_id": "rs0", "members": [{"_id": 0, "host": f"127.0.0.1:{self.port}"}]}
        try:
            direct.admin.command("replSetInitiate", config)
        except pymongo.errors.OperationFailure as error:
            return error.code == 23  # already initialised
        except pymongo.errors.PyMongoError:
            return False
        return True

    @contextlib.contextmanager
    def slow(self, ms, *commands):
        """While the block lasts the server takes so long before it begins such a command of the product."""
        admin, data = self.client.admin, {"failCommands": commands, "blockConnection": True, "blockTimeMS": ms, "appName": "grisaille"}
        admin.command("configureFailPoint", "failCommand", mode="alwaysOn", data=data)
        try:
            yield
        finally:
            admin.command("configureFailPoint", "failCommand", mode="off")


def find_binary():
    return pathlib.Path(os.environ.get("GRISAILLE_BIN") or ROOT / "build-asan" / "grisaille").absolute()


def find_origin():
    """The origin built beside the product."""
    asked = os.environ.get("GRISAILLE_ORIGIN")
    path = pathlib.Path(asked) if asked else find_binary().parent / "tests" / "origin" / "grisaille-origin"
    assert os.access(path, os.X_OK), f"{path} is not there: build first (ninja), or set GRISAILLE_ORIGIN"
    return path.absolute()


class Origin(Process):
    """The picsum-like server, with TLS by a certificate made for this run."""

    def __init__(self, folder, seed="1"):
        certs = pathlib.Path(folder) / "certs"
        subprocess.run([ROOT / "tests" / "origin" / "make-cert", certs], check=True, timeout=60)
        self.ca = certs / "ca.pem"
        # libvips and its parts keep memory until the process ends; leaks are looked for in the product, not here
        env = {"ASAN_OPTIONS": "detect_leaks=0", "LC_ALL": "C.UTF-8"}
        super().__init__("origin", [find_origin(), "--listen-http", "127.0.0.1:0", "--listen-https", "127.0.0.1:0", "--cert", certs / "server.pem",
                                    "--key", certs / "server.key", "--seed", seed], folder, env)
        line = wait_until(lambda: self.must_live() and self.first_line(), START_SECONDS, lambda: tail(self.log))
        self.http_port, self.https_port = line["http_port"], line["https_port"]
        self.base = f"http://127.0.0.1:{self.http_port}"
        self.session = requests.Session()
        self.session.trust_env = False

    def first_line(self):
        for line in self.log.read_text(errors="replace").splitlines():
            if line.startswith("{") and "listening" in line:
                return json.loads(line)
        return None

    def connect_to(self):
        return [f"{host}:{port}:127.0.0.1:{to}" for host in HOSTS for port, to in ((443, self.https_port), (80, self.http_port))]

    def get(self, target, host=None, **options):
        headers = {**options.pop("headers", {}), **({"Host": host} if host else {})}
        for attempt in (1, 2):  # an idle connection may have been closed: that is what the origin does
            try:
                return self.session.get(self.base + target, headers=headers, timeout=60, allow_redirects=False, **options)
            except requests.ConnectionError:
                if attempt == 2:
                    raise

    def fetch(self, url):
        """The bytes behind a URL of any of the hosts, with no redirect followed."""
        scheme, rest = url.split("://", 1)
        host, slash, target = rest.partition("/")
        answer = self.get(slash + target or "/", host=host)
        assert answer.status_code == 200, f"{url}: {answer.status_code} {answer.text[:200]}"
        return answer.content

    def reset_stats(self):
        self.get("/stats/reset")

    def stats(self):
        return self.get("/stats").json()

    def count(self, url):
        """How often the origin was asked for it."""
        return self.get("/stats", params={"url": url.split("://", 1)[1]}).json()["count"]

    def counts(self, prefix):
        return self.get("/stats", params={"urls": prefix}).json()["counts"]


class Servers:
    """All of them, for a whole session of tests."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.parts = []
        try:
            self.redis = self.keep(Redis(folder))
            self.mongo = self.keep(Mongo(folder))
            self.origin = self.keep(Origin(folder))
        except BaseException:
            self.stop()
            raise

    def keep(self, part):
        self.parts.append(part)
        return part

    def stop(self):
        for part in reversed(self.parts):
            with contextlib.suppress(AssertionError):
                part.stop(20)


# --- the product ------------------------------------------------------------------------------------------------------


class Daemon(Process):
    """`grisaille scheduler`, `worker` or `api`."""

    def __init__(self, role, name, config, folder, env=None, prefix=()):
        binary = find_binary()
        assert os.access(binary, os.X_OK), f"{binary} is not there: build first (make build-asan), or set GRISAILLE_BIN"
        self.role = role
        super().__init__(name, [*prefix, binary, role, "--config", config], folder, env)

    def entries(self):
        """Its log, line by line, as objects; what is no JSON (a sanitizer's report) as {"text": …}."""
        for line in self.log.read_text(errors="replace").splitlines():
            try:
                yield json.loads(line)
            except ValueError:
                yield {"text": line}

    def address(self, what):
        for entry in self.entries():
            if entry.get("event") == "listening" and entry.get("what") == what:
                return entry["address"]
            if entry.get("event.action") == "listening" and entry.get("grisaille.what") == what:  # log.format: ecs
                return entry["server.address"]
        return None

    def wait_address(self, what):
        return wait_until(lambda: self.must_live() and self.address(what), START_SECONDS, lambda: f"{self.name} listens for {what}\n{tail(self.log)}")

    def probe_address(self):
        """Where its metrics and probes are: of their own, or the API's."""
        return wait_until(lambda: self.must_live() and (self.address("metrics") or self.address("api")), START_SECONDS,
                          lambda: f"{self.name} listens\n{tail(self.log)}")

    def metrics(self):
        answer = requests.get(f"http://{self.probe_address()}/metrics", timeout=30)
        answer.raise_for_status()
        return answer.text


def nest(settings):
    """{"redis.url": …} → {"redis": {"url": …}}."""
    out = {}
    for key, value in settings.items():
        *path, last = key.split(".")
        at = out
        for part in path:
            at = at.setdefault(part, {})
        at[last] = value
    return out


class HttpServer:
    """Answers with `handler` (a BaseHTTPRequestHandler, which keeps quiet here) on a free port of 127.0.0.1, a thread a connection, until stop()."""

    def __init__(self, handler):
        handler.log_message = lambda *words: None
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class Cluster:
    """A fleet on a database and key prefix of its own. Extra settings by their dotted names.

    As a context: stopped and dropped at the end; unless an error ended it, all daemons must have ended well."""

    numbers = itertools.count(1)

    def __init__(self, servers, folder, schedulers=1, workers=2, api=1, settings=None):
        self.servers, self.folder = servers, pathlib.Path(folder)
        self.number = next(self.numbers)
        self.database = f"test{os.getpid()}_{self.number}"
        self.prefix = "{t%dn%d}" % (os.getpid(), self.number)
        self.redis = servers.redis.client
        self.db = servers.mongo.client[self.database]
        self.daemons, self.names = [], itertools.count(1)
        self.config = self.write_config(settings or {})
        self.url = None
        try:
            # the API first: it makes collections and indexes, the others find them
            for role, count in (("api", api), ("scheduler", schedulers), ("worker", workers)):
                for _ in range(count):
                    self.start(role)
            for daemon in self.daemons:
                daemon.probe_address()
            if api:
                self.url = f"http://{self.of('api')[0].wait_address('api')}"
        except BaseException:
            self.stop(check=False)
            raise

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        try:
            self.stop(check=kind is None)
        finally:
            self.drop()

    def write_config(self, extra):
        settings = {
            "redis.url": self.servers.redis.url, "redis.prefix": self.prefix,
            "mongo.uri": self.servers.mongo.uri, "mongo.database": self.database,
            "api.listen": "127.0.0.1:0", "metrics.listen": "127.0.0.1:0",
            "fetch.connect_to": self.servers.origin.connect_to(), "fetch.ca_file": str(self.servers.origin.ca),
            "fetch.allow_ranges": ["127.0.0.0/8"], "retry.base_ms": 200, "worker.cpu_threads": 2,
            **extra,
        }
        path = self.folder / f"grisaille-{self.number}.yaml"
        path.write_text(yaml.safe_dump(nest(settings)))
        return path

    # --- daemons

    def start(self, role, env=None, prefix=()):
        """prefix: a command that runs the daemon in surroundings of its own."""
        daemon = Daemon(role, f"{role}-{self.number}-{next(self.names)}", self.config, self.folder, env, prefix)
        self.daemons.append(daemon)
        return daemon

    def of(self, role):
        return [daemon for daemon in self.daemons if daemon.role == role and daemon.alive()]

    def key(self, name):
        return f"{self.prefix}:{name}"

    def stop(self, check=True):
        """Ends all; with `check`, each must end with 0 and without a complaint in its log."""
        for daemon in self.daemons:
            if daemon.alive():
                daemon.ask()
        wrong = []
        for daemon in self.daemons:
            killed = daemon.child.returncode == -signal.SIGKILL
            try:
                status = daemon.stop(90)
            except AssertionError as error:
                wrong.append(str(error))
                continue
            if status != 0 and not killed:
                wrong.append(f"{daemon.name} ended with {status}:\n{tail(daemon.log)}")
            wrong += [f"{daemon.name}: {line}" for line in daemon.complaints()]
        assert not check or not wrong, "\n".join(wrong)

    def drop(self):
        """Leaves nothing of this fleet in the servers."""
        self.servers.mongo.client.drop_database(self.database)
        keys = self.redis.keys(f"{self.prefix}:*")
        if keys:
            self.redis.unlink(*keys)

    # --- over HTTP

    def get(self, path, status=200, **params):
        answer = requests.get(self.url + path, params=params, timeout=120)
        assert answer.status_code == status, f"GET {path}: {answer.status_code} {answer.text[:500]}"
        return answer

    def push(self, data, name="", status=202, **params):
        """Pushes catalog bytes (or a list of URLs); the catalog as the API answered it. status: the one expected, or those."""
        if not isinstance(data, (bytes, bytearray)):
            data = "".join(url + "\n" for url in data).encode()
        answer = requests.post(self.url + "/v1/catalogs", params={"name": name, **params}, data=data, timeout=300, headers={"Content-Type": "text/plain"})
        assert answer.status_code in (status if isinstance(status, tuple) else (status,)), f"push: {answer.status_code} {answer.text[:500]}"
        return answer.json()

    def catalog(self, id):
        return self.get(f"/v1/catalogs/{id}").json()

    def wait_drained(self, catalog, seconds=240):
        """Waits until the catalog is finished; its receipt."""
        id = catalog_id(catalog)
        last = {}

        def finished():
            last.update(self.catalog(id))
            for daemon in self.daemons:
                assert daemon.alive() or daemon.child.returncode in (0, -signal.SIGKILL), \
                    f"{daemon.name} ended with {daemon.child.returncode}:\n{tail(daemon.log)}"
            return last["state"] == "finished"

        wait_until(finished, seconds, lambda: f"catalog finished: {last.get('state')} {last.get('counts')}\n{self.tails()}", 0.3)
        return last

    def run(self, data, name="", seconds=240):
        """Pushes and waits; the receipt."""
        return self.wait_drained(self.push(data, name), seconds)

    def lines(self, catalog, outcome=None):
        """Every line's fate, page by page."""
        rows, cursor = [], None
        while True:
            params = {"limit": 1000, **({"outcome": outcome} if outcome else {}), **({"cursor": cursor} if cursor else {})}
            page = self.get(f"/v1/catalogs/{catalog_id(catalog)}/lines", **params).json()
            rows += page["lines"]
            cursor = page["next"]
            if not cursor:
                return rows

    def fates(self, catalog):
        """URL → its accepted line's fate."""
        return {row["url"]: row for row in self.lines(catalog) if row.get("url") and row["outcome"] != "duplicate"}

    def pause_host(self, host):
        """Returns when every worker knows of it: they ask every two seconds whether any host is paused."""
        answer = requests.post(f"{self.url}/v1/hosts/{host}/pause", timeout=60)
        assert answer.status_code == 200, answer.text
        time.sleep(2.5)

    # --- looking inside

    def wait_empty(self, seconds=60):
        """Streams, pending lists and inflight become empty."""
        from oracle import problems_of_streams

        wait_until(lambda: not problems_of_streams(self.redis, self.prefix), seconds, lambda: str(problems_of_streams(self.redis, self.prefix)))

    def verify(self, sample=None):
        from oracle import verify_store

        self.wait_empty()
        return verify_store(self.db, self.redis, self.prefix, sample)

    def inflight(self):
        return self.redis.hlen(self.key("inflight"))

    def tails(self, lines=15):
        return "\n".join(f"--- {daemon.name}\n{tail(daemon.log, lines)}" for daemon in self.daemons)


def catalog_id(catalog):
    return (catalog.get("id") or catalog.get("_id")) if isinstance(catalog, dict) else catalog


def make_catalog(lines, *options):
    """The bytes of a sample catalog."""
    command = [sys.executable, ROOT / "tools" / "make-catalog", "--lines", str(lines), *options]
    return subprocess.run([str(c) for c in command], check=True, capture_output=True, timeout=300).stdout
