# SPDX-License-Identifier: Apache-2.0
"""The commands as a user types them: tables, messages for what is wrong, push to get, and `up` as a whole."""
import base64
import contextlib
import csv
import gzip
import hashlib
import io
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest
from PIL import Image

import kit

CATALOG_ID = re.compile(r"[0-9a-f]{24}")


def run(*words, env=None, stdin=b"", cwd=None, seconds=120):
    """The command's (exit status, standard output, standard error)."""
    done = subprocess.run([str(kit.find_binary()), *[str(word) for word in words]], input=stdin, capture_output=True, timeout=seconds, cwd=cwd,
                          env={**kit.clean_environment(), **(env or {})})
    error = done.stderr.decode("utf-8", "replace")
    assert "Sanitizer" not in error and "runtime error" not in error, error
    return done.returncode, done.stdout, error


def fine(*words, **options):
    status, out, error = run(*words, **options)
    assert status == 0, (words, status, error)
    return out.decode()


def wrong(*words, says, status=2, **options):
    """Ends with that status, tells all of `says` on standard error, nothing on standard output."""
    got, out, error = run(*words, **options)
    assert got == status, (words, got, error)
    for word in says:
        assert word in error, (words, word, error)
    assert not out, out
    assert len(error) < 2000
    return error


def write(path, text):
    path.write_text(text)
    return path


# --- tables ---------------------------------------------------------------------------------------------------------------


def test_help_lists_every_command_and_each_has_its_own():
    text = fine("help")
    listed = re.findall(r"^  ([a-z]+) +\S", text, re.M)
    assert {"up", "scheduler", "worker", "api", "push", "status", "get", "config", "version"} <= set(listed)
    assert fine() == text == fine("--help")
    for command in listed:
        own = fine(command, "--help")
        assert own.startswith(f"usage: grisaille {command} ")
        assert own == fine("help", command)
    as_json = json.loads(fine("help", "--json"))
    assert [row["name"] for row in as_json["commands"]] == listed
    assert json.loads(fine("help", "push", "--json"))["name"] == "push"


def test_version():
    assert re.fullmatch(r"grisaille \d+\.\d+\.\d+\n", fine("version"))
    assert fine("--version") == fine("version")
    assert json.loads(fine("version", "--json"))["version"] in fine("version")


def test_reasons_transforms_and_pipelines_are_tables_and_json():
    reasons = json.loads(fine("reasons", "--json"))
    assert {"no_scheme", "dns", "corrupt", "internal"} <= {row["reason"] for row in reasons}
    assert len(fine("reasons").splitlines()) == len(reasons)
    transforms = json.loads(fine("transforms", "--json"))
    assert "grayscale" in [row["name"] for row in transforms]
    assert "grayscale: " in fine("transforms")
    pipelines = json.loads(fine("pipelines", "--json"))
    assert re.fullmatch(r"gray@[0-9a-f]{11,12}", pipelines[0]["id"])
    assert pipelines[0]["id"] in fine("pipelines")


def test_config_tells_each_value_and_where_it_came_from(tmp_path):
    file = write(tmp_path / "g.yaml", "# one\nworker: {slots: 7}\nfetch:\n  timeout_ms: 1234\n")
    env = {"GRISAILLE_CONFIG": str(file), "GRISAILLE_LOG_LEVEL": "warn", "GRISAILLE_FETCH_TIMEOUT_MS": "4321"}
    rows = {row["key"]: row for row in json.loads(fine("config", "--json", "--set", "log.level=error", env=env))}
    assert (rows["worker.slots"]["value"], rows["worker.slots"]["source"]) == (7, f"file:{file}:2")
    assert (rows["fetch.timeout_ms"]["value"], rows["fetch.timeout_ms"]["source"]) == (4321, "environment:GRISAILLE_FETCH_TIMEOUT_MS")
    assert (rows["log.level"]["value"], rows["log.level"]["source"]) == ("error", "--set")
    assert rows["worker.batch"]["source"] == "default"
    text = fine("config", "--config", file)
    assert re.search(r"^worker\.slots +7  \(file:.*:2\)$", text, re.M)


def test_secrets_are_shown_as_stars(tmp_path):
    secret = write(tmp_path / "uri", "mongodb://root:s3cret@db.test:27017/?authSource=admin\n")
    for words in (["config"], ["config", "--json"]):
        out = fine(*words, "--set", "redis.url=redis://u:hunter2@cache.test:6379/0", env={"GRISAILLE_MONGO_URI_FILE": str(secret)})
        assert "s3cret" not in out and "hunter2" not in out and "***" in out
        assert "db.test" in out and "cache.test" in out
    error = wrong("config", "--set", "redis.url=" + "redis://u:hunter2@h/" + "x" * 3000, says=["redis.url"])
    assert "hunter2" not in error


def test_every_option_is_documented():
    rows = json.loads(fine("config", "--options", "--json"))
    assert len(rows) > 40 and all(len(row["help"]) > 5 for row in rows)
    text = fine("config", "--options")
    assert all(row["key"] in text for row in rows)


def test_a_token_is_new_each_time_and_its_digest_is_what_the_api_compares():
    one, two = (json.loads(fine("token", "new", "--scope", "read,push", "--json")) for _ in range(2))
    assert one["token"] != two["token"] and one["digest"] != two["digest"]
    assert hashlib.blake2b(one["token"].encode(), digest_size=32).hexdigest() == one["digest"]
    text = fine("token", "new", "--scope", "admin", "--name", "ops")
    assert "name: ops" in text and "scopes: [admin]" in text
    wrong("token", "new", says=["--scope"])
    wrong("token", "new", "--scope", "read,write", says=["--scope"])
    wrong("token", "new", "--scope", "read,", says=["--scope"])
    wrong("token", "old", "--scope", "read", says=["token new"])
    wrong("token", "new", "--scope", "read", "--name", "a b: c", says=["--name"])


def test_man_page_and_completions_are_well_formed(tmp_path):
    page = write(tmp_path / "grisaille.1", fine("help", "--man"))
    if shutil.which("groff"):
        formatted = subprocess.run(["groff", "-man", "-Tutf8", "-Kutf8", "-ww", str(page)], capture_output=True, timeout=60)
        assert formatted.returncode == 0 and not formatted.stderr, formatted.stderr
        text = re.sub(r"\x1b\[[0-9;]*m|.\x08", "", formatted.stdout.decode())
        assert "--retry-dead" in text and "redis.url" in text and "EXIT STATUS" in text
    script = write(tmp_path / "complete.bash", fine("help", "--completion", "bash"))

    def complete(line):
        words = line.split(" ")
        shell = f'source {script}; COMP_WORDS=({" ".join(repr(w) for w in words)}); COMP_CWORD={len(words) - 1}; _grisaille; printf "%s\\n" "${{COMPREPLY[@]}}"'
        return subprocess.run(["bash", "-c", shell], check=True, capture_output=True, timeout=60).stdout.decode().split()

    assert complete("grisaille pu") == ["push"]
    assert "--retry-dead" in complete("grisaille push --") and "--config" in complete("grisaille push --")
    assert complete("grisaille get --bas") == ["--base64"]
    assert "#compdef grisaille" in fine("help", "--completion", "zsh").splitlines()[0]
    wrong("help", "--completion", "fish", says=["bash", "zsh"])


# --- what is wrong is named, exit 2 ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("words, says", [
    (["pusch"], ["'pusch'", "grisaille help"]),
    (["--json"], ["'--json'", "comes first"]),
    (["help", "nonsense"], ["'nonsense'"]),
    (["push"], ["FILE", "--help"]),
    (["push", "--frobnicate", "x"], ["--frobnicate", "--help"]),
    (["push", "x", "--name"], ["--name", "no value"]),
    (["push", "x", "--wait=yes"], ["--wait"]),
    (["push", "x", "--format", "xml"], ["--format", "'xml'"]),
    (["push", "x", "--column", "url"], ["--column", "csv"]),
    (["images", "--limit", "0"], ["--limit", "1000", "'0'"]),
    (["images", "--limit", "ten"], ["--limit", "'ten'"]),
    (["status", "a", "b"], ["'b'"]),
    (["status", "nonsense"], ["'nonsense'", "24 hex", "grisaille catalogs"]),
    (["errors", "../stats"], ["'../stats'"]),
    (["errors", "0" * 24, "--format", "xml"], ["--format"]),
    (["get"], ["HASH"]),
    (["get", "0" * 64, "-o", ""], ["--output"]),
    (["up", "--workers", "0"], ["--workers"]),
    (["config", "--set"], ["--set", "no value"]),
    (["config", "--config="], ["--config"]),
    (["config", "--set", "nothing"], ["--set", "key=value"]),
    (["config", "--set", "worker.slot=1"], ["worker.slot", "worker.slots"]),
    (["config", "--set", "worker.slots=many"], ["worker.slots", "many", "integer", "10000"]),
    (["config", "--set", "worker.slots=10001"], ["worker.slots", "10001", "10000"]),
    (["config", "--set", "fetch.max_bytes=1KB"], ["fetch.max_bytes", "KiB"]),
    (["config", "--set", "log.level=loud"], ["log.level", "loud", "debug"]),
    (["config", "--set", "api.tokens={}"], ["api.tokens", "list"]),
    (["config", "--set", "worker.heartbeat_ms=20000"], ["worker.heartbeat_ms", "worker.lease_ms"]),
    (["config", "--set", "rules=[{name: x, when: {path: '('}}]"], ["rules", "x"]),
    (["config", "--config", "/nonexistent/g.yaml"], ["/nonexistent/g.yaml"]),
    (["config", "--config", "/"], ["/", "folder"]),
    (["config", "--set", "mongo.uri_FILE=/nonexistent/secret"], ["mongo.uri", "/nonexistent/secret"]),
    (["config", "--set", "plugins.dir=/nonexistent/plugins"], ["plugins.dir", "/nonexistent/plugins"]),
])
def test_wrong_words_are_named(words, says):
    wrong(*words, says=says)


@pytest.mark.parametrize("variable, value, says", [
    ("GRISAILLE_WORKER_SLOT", "1", ["GRISAILLE_WORKER_SLOT", "GRISAILLE_WORKER_SLOTS"]),
    ("GRISAILLE_WORKER_SLOTS", "x", ["GRISAILLE_WORKER_SLOTS", "worker.slots", "integer"]),
    ("GRISAILLE_MONGO_URI_FILE", "/nonexistent", ["GRISAILLE_MONGO_URI_FILE", "/nonexistent"]),
    ("GRISAILLE_CONFIG", "/nonexistent.yaml", ["/nonexistent.yaml"]),
])
def test_wrong_variables_are_named(variable, value, says):
    wrong("config", env={variable: value}, says=says)


@pytest.mark.parametrize("text, line, says", [
    ("redis:\n  url: redis://h\n  prefx: '{x}'\n", 3, ["prefx", "redis.prefix"]),
    ("a: 1\n", 1, ["a"]),
    ("worker:\n  slots: 3\nworker:\n  batch: 4\n", 3, ["worker", "twice"]),
    ("worker:\n\n  slots: [1]\n", 3, ["worker.slots"]),
    ("worker: {slots: '0'}\n", 1, ["worker.slots"]),
    ("worker:\n  slots: 1\n  - x\n", 3, []),
    ("log: {level: !mine info}\n", 1, ["tag"]),
    ("redis:\n  url_FILE: /nonexistent/x\n", 2, ["/nonexistent/x"]),
    ("# rules\nrules:\n  - name: fine\n  - name: broken\n    require: {path: '('}\n", None, ["rules", "broken"]),
    ("rules:\n  - {name: a, surprise: 1}\n", None, ["surprise"]),
    ("api:\n  tokens:\n    - {name: a, digest: '00', scopes: [read]}\n", 3, ["api.tokens[0].digest", "token new"]),
    ("api:\n  tokens:\n    - {name: a, digest: '%s', scopes: [write]}\n" % ("0" * 64), 3, ["api.tokens[0].scopes"]),
    ("api:\n  tokens:\n    - {name: a, digest: '%s', scope: [read]}\n" % ("0" * 64), 3, ["scope", "unknown"]),
    ("api:\n  tokens: [nonsense]\n", 2, ["api.tokens[0]"]),
    ("pipelines:\n  odd:\n    steps: [{nonsense: {}}]\n", 3, ["odd", "nonsense"]),
    ("pipelines:\n  odd:\n    steps: [{grayscale: {method: purple}}]\n", 3, ["grayscale", "method"]),
    ("pipelines:\n  odd:\n    steps: [{grayscale: {}}]\n    output: {format: jpeg, quality: 900}\n", 4, ["quality"]),
    ("pipelines:\n  odd:\n    outputs:\n      a: {steps: [grayscale]}\n      b:\n        steps:\n          - grayscale\n          - nonsense\n", 8, ["odd, output b, step 2", "nonsense"]),
    ("pipelines:\n  odd:\n    outputs:\n      a: {steps: [grayscale]}\n      b:\n        steps: [grayscale]\n        output: {format: gif}\n", 7, ["odd, output b", "gif"]),
    ("pipelines:\n  odd:\n    outputs:\n      a: {steps: [grayscale]}\n      b:\n        stepz: [grayscale]\n", 5, ["odd, output b", "stepz"]),
    ("pipelines:\n  odd:\n    outputs:\n      a: {steps: [grayscale]}\n      B c: {steps: [grayscale]}\n", 3, ["odd, output B c"]),
    ("pipelines:\n  good: {steps: [grayscale]}\n  odd:\n    stepz: [grayscale]\n", 3, ["odd", "stepz"]),
])
def test_a_wrong_file_is_named_with_its_line(tmp_path, text, line, says):
    file = write(tmp_path / "g.yaml", text)
    error = wrong("config", "--config", file, says=[str(file), *says])
    place = re.search(re.escape(str(file)) + r":(\d+)", error)
    assert place, error
    if line:
        assert int(place.group(1)) == line, error


def test_a_reader_of_the_output_that_goes_away_is_an_error_not_a_crash():
    with open("/dev/full", "wb") as full:
        done = subprocess.run([str(kit.find_binary()), "reasons"], stdout=full, stderr=subprocess.PIPE, timeout=60, env=kit.clean_environment())
    assert done.returncode == 1 and b"standard output" in done.stderr


@pytest.mark.parametrize("words", [["status"], ["catalogs"], ["images"], ["get", "0" * 64], ["explain", "https://picsum.photos/1"], ["errors", "0" * 24]])
def test_a_mongodb_that_is_away_is_exit_3_within_its_timeout(words):
    uri = f"mongodb://127.0.0.1:{kit.free_port()}"
    start = time.monotonic()
    error = wrong(*words, "--set", f"mongo.uri={uri}", "--set", "mongo.timeout_ms=500", says=["MongoDB"], status=3)
    assert time.monotonic() - start < 20, error
    status, out, _ = run(*words, "--json", "--set", f"mongo.uri={uri}", "--set", "mongo.timeout_ms=500")
    assert status == 3 and json.loads(out)["reason"] in ("unavailable", "store")


# --- push to get ----------------------------------------------------------------------------------------------------------


class Shell:
    """Commands with the fleet's configuration."""

    def __init__(self, cluster, folder):
        self.cluster, self.folder = cluster, pathlib.Path(folder)

    def fine(self, *words, **options):
        return fine(*words, "--config", self.cluster.config, cwd=self.folder, **options)

    def run(self, *words, **options):
        return run(*words, "--config", self.cluster.config, cwd=self.folder, **options)

    def json(self, *words, **options):
        return json.loads(self.fine(*words, "--json", **options))

    def push(self, text, *words, name="-"):
        """Waits for the catalog; (exit status, receipt)."""
        status, out, error = self.run("push", "--wait", "--json", *words, name, stdin=text if isinstance(text, bytes) else text.encode(), seconds=300)
        assert out, (status, error)
        return status, json.loads(out)


def url(number, size="40/30", host="picsum.photos"):
    return f"https://{host}/id/{number}/{size}"


@pytest.fixture
def shell(fleet, tmp_path):
    folder = tmp_path / "shell"
    folder.mkdir()
    return Shell(fleet(workers=1), folder)


def test_push_in_every_format(shell):
    formats = {
        "text": ([], "\n".join([url(1), "", "# note", url(1), url(2)]).encode()),
        "crlf": ([], "\r\n".join([url(1), url(2), ""]).encode()),
        "gzip": ([], gzip.compress("\n".join([url(1), url(3)]).encode())),
        "csv": (["--format", "csv", "--column", "link"], f'n,link\r\n"a, ""b""",{url(1)}\r\n2,"{url(4)}"\r\n'.encode()),
        "csv gzip": (["--format", "csv"], gzip.compress(f"\ufeffurl\n{url(5)}\n".encode())),
        "jsonl": (["--format", "jsonl"], (json.dumps({"url": url(6)}) + "\n" + json.dumps(url(7)) + "\nnonsense\n").encode()),
    }
    counts = {}
    for name, (words, data) in formats.items():
        status, receipt = shell.push(data, "--name", name, *words)
        assert status == 0 and receipt["state"] == "finished" and receipt["name"] == name, receipt
        counts[name] = receipt["counts"]
    assert (counts["text"]["lines"], counts["text"]["blank"], counts["text"]["duplicate"]) == (5, 2, 1)
    assert counts["crlf"]["duplicate"] == 2 and counts["crlf"]["lines"] == 2
    assert counts["gzip"]["accepted"] == 1 and counts["csv"]["accepted"] == 1 and counts["csv"]["lines"] == 2
    assert counts["csv gzip"]["accepted"] == 1
    assert (counts["jsonl"]["accepted"], counts["jsonl"]["invalid"]) == (2, 1)
    file = shell.folder / "from a file.txt"
    file.write_text(url(1) + "\n")
    ids = shell.fine("push", file, file).split()
    assert len(ids) == 2 and ids[0] == ids[1] and CATALOG_ID.fullmatch(ids[0])
    assert shell.json("status", ids[0])["name"] == "from a file.txt"
    status, _, error = shell.run("push", "no such file")
    assert status == 1 and "no such file" in error
    status, _, error = shell.run("push", "-", "--pipeline", "nope", stdin=b"x")
    assert status == 2 and "'nope'" in error and "grisaille pipelines" in error
    status, _, error = shell.run("push", "-", "--format", "csv", stdin=b"a,b\n1,2\n")
    assert status == 2 and "'url'" in error and "a,b" in error
    status, _, error = shell.run("push", "-", stdin=gzip.compress(os.urandom(5000))[:-9])
    assert status == 2 and "gzip" in error
    assert len(shell.json("catalogs")["catalogs"]) == len(formats) + 1


def test_dead_urls_make_wait_fail_also_as_duplicates_of_another_catalog(shell):
    dead = "https://picsum.photos/id/9/40/30?kind=404"
    if shell.cluster.servers.origin.get("/id/9/40/30?kind=404", host="picsum.photos").status_code != 404:
        dead = "https://untrusted.test/id/9/40/30"  # its certificate does not name it
    status, receipt = shell.push(dead + "\n")
    assert status == 1 and receipt["counts"]["dead"] == 1, receipt
    status, receipt = shell.push(dead + "\n" + url(1) + "\n")
    assert status == 1 and receipt["counts"]["dead"] == 0 and receipt["dead_duplicates"] == 1
    text = shell.fine("explain", dead)
    assert "dead" in text
    status, _, error = shell.run("get", dead)
    assert status == 1 and "dead" in error


def test_status_errors_get_images_explain(shell):
    lines = [url(1), "ftp://picsum.photos/2", 'he said "hi", \x1b[31mred', url(1), "not a url"]
    _, receipt = shell.push("\n".join(lines), "--name", "five")
    catalog = receipt["id"]
    text = shell.fine("status", catalog)
    assert "the numbers add up" in text and "five" in text
    assert shell.json("status", catalog)["counts"]["invalid"] == 3
    assert shell.json("status")["images"] == 1 and "images" in shell.fine("status")
    assert catalog in shell.fine("catalogs")

    text = shell.fine("errors", catalog)
    assert re.search(r"^ *2  bad_scheme +ftp://picsum.photos/2", text, re.M) and "\x1b" not in text and "\\x1b" in text
    rows = [json.loads(line) for line in shell.fine("errors", catalog, "--format", "json").splitlines()]
    assert [row["line"] for row in rows] == [2, 3, 5]
    table = list(csv.DictReader(io.StringIO(shell.fine("errors", catalog, "--format", "csv"))))
    assert [row["line"] for row in table] == ["2", "3", "5"] and table[1]["text"] == lines[2]

    image = shell.json("images")["images"][0]
    assert image["sums"]["output"][:16] in shell.fine("images", "--catalog", catalog, "--host", "picsum.photos", "--limit", "5")
    assert shell.json("images", "--since", "2090-01-01")["images"] == []
    status, _, error = shell.run("images", "--since", "yesterday")
    assert status == 2 and "since" in error

    sums = image["sums"]
    for name in ("source", "output", "base64"):
        status, out, _ = shell.run("get", sums[name].upper() if name == "output" else sums[name], "-o", "-")
        assert status == 0 and hashlib.sha256(out).hexdigest() == sums["output"]
    assert Image.open(io.BytesIO(out)).mode == "L"
    encoded = shell.fine("get", sums["source"], "--base64", "-o", "-")
    assert base64.b64decode(encoded, validate=True) == out
    assert json.loads(shell.fine("get", sums["source"], "--meta"))["images"][0]["id"] == image["id"]

    shell.fine("get", url(1))
    assert (shell.folder / f"{sums['source'][:16]}.jpg").read_bytes() == out
    shell.fine("get", sums["output"], "--base64")
    assert (shell.folder / f"{sums['output'][:16]}.txt").read_text() == encoded
    shell.fine("get", sums["output"], "-o", "my picture.jpg", "--pipeline", "gray")
    assert (shell.folder / "my picture.jpg").read_bytes() == out
    for words, says in ((["get", "0" * 64], "no image"), (["get", url(77)], "never asked"), (["get", sums["source"], "--pipeline", "nope"], "pipeline")):
        status, _, error = shell.run(*words)
        assert status == 1 and says in error, error
    assert not list(shell.folder.glob("*.part"))

    text = shell.fine("explain", "HTTPS://PICSUM.photos:443/id/1/40/30")
    assert url(1) in text and catalog in text and "done" in text
    assert "bad_scheme" in shell.fine("explain", "ftp://x/")
    explained = shell.json("explain", url(1))
    assert explained["verdict"]["kind"] == "url" and explained["records"][0]["state"] == "done"


def test_a_spoiled_image_is_never_written(shell):
    _, receipt = shell.push(url(1) + "\n")
    image = shell.json("images")["images"][0]
    spoiled = "!" + shell.cluster.db.images.find_one()["data"][1:]
    shell.cluster.db.images.update_one({"_id": image["id"]}, {"$set": {"data": spoiled}})
    status, _, error = shell.run("get", image["sums"]["output"], "-o", "x.jpg")
    assert status == 1 and "sum" in error
    assert not list(shell.folder.iterdir())
    status, out, _ = shell.run("get", image["sums"]["output"], "-o", "-")
    assert status == 1 and out == b""


# --- up -------------------------------------------------------------------------------------------------------------------


class Up:
    """`grisaille up` with its output read as it comes."""

    def __init__(self, folder, *words):
        self.folder = folder
        env = {**kit.clean_environment(), "GRISAILLE_MONGOD": str(kit.find_mongod())}
        self.child = subprocess.Popen([str(kit.find_binary()), "up", "--data", "data", "--json", *words], cwd=folder, env=env, stdin=subprocess.DEVNULL,
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
        self.out, self.error = b"", b""
        self.readers = [threading.Thread(target=self.read, args=(name,), daemon=True) for name in ("stdout", "stderr")]
        for reader in self.readers:
            reader.start()

    def read(self, name):
        pipe, mine = getattr(self.child, name), {"stdout": "out", "stderr": "error"}[name]
        while data := os.read(pipe.fileno(), 65536):
            setattr(self, mine, getattr(self, mine) + data)

    def logs(self):
        return "\n".join(f"--- {path.name}\n{kit.tail(path, 8)}" for path in sorted((self.folder / "data" / "logs").glob("*.log")))

    def announced(self):
        assert self.child.poll() is None, (self.error.decode(), self.logs())
        with contextlib.suppress(ValueError):
            return json.loads(self.out)

    def descendants(self):
        """Name by process id, of the children of `up`."""
        found = {}
        for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                fields = stat.read_text().rsplit(")", 1)[1].split()
                if int(fields[1]) == self.child.pid:
                    found[int(stat.parent.name)] = (stat.parent / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        return found


def exists(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_up_runs_all_restarts_what_dies_and_stops_all(tmp_path, session_origin):
    config = write(tmp_path / "g.yaml", json.dumps(kit.nest({
        "fetch.connect_to": session_origin.connect_to(), "fetch.ca_file": str(session_origin.ca), "fetch.allow_ranges": ["127.0.0.0/8"],
        "api.listen": f"127.0.0.1:{kit.free_port()}"})))
    up = Up(tmp_path, "--workers", "1", "--config", str(config))
    try:
        told = kit.wait_until(up.announced, 180, lambda: f"up announces\n{up.error.decode()}\n{up.logs()}")
        assert set(told) == {"api", "redis", "mongo", "config", "data"}
        assert b"starting Redis and MongoDB" in up.error
        env = {"GRISAILLE_CONFIG": told["config"]}
        effective = {row["key"]: row["value"] for row in json.loads(fine("config", "--json", env=env))}
        assert effective["fetch.connect_to"] == session_origin.connect_to()  # what up was given holds for the other commands
        kit.wait_until(lambda: run("status", env=env)[0] == 0, 60, "status answers")
        catalog = tmp_path / "catalog.txt"
        catalog.write_text("".join(url(n) + "\n" for n in range(20)))
        fine("push", "--wait", catalog, env=env, seconds=180)
        targets = json.loads((tmp_path / "data" / "prometheus" / "targets.json").read_text())
        assert len(targets[0]["targets"]) == 4  # scheduler, worker, api: their own, and the API's

        before = up.descendants()
        assert len(before) == 5, before
        worker = next(pid for pid, command in before.items() if " worker " in command)
        os.kill(worker, signal.SIGKILL)
        kit.wait_until(lambda: any(" worker " in c and p != worker for p, c in up.descendants().items()), 30, "the worker is started again")
        assert b"worker-1 ended (signal 9)" in up.error
        catalog.write_text("".join(url(n) + "\n" for n in range(20, 40)))
        fine("push", "--wait", catalog, env=env, seconds=180)
        assert len(json.loads(fine("images", "--json", "--limit", "100", env=env))["images"]) == 40

        # A changed configuration: SIGHUP goes on to every daemon, and the other commands' file is written anew.
        settings = json.loads(config.read_text())
        write(config, json.dumps({**settings, "pipelines": {"turned": {"steps": ["flip"]}}}))
        up.child.send_signal(signal.SIGHUP)
        daemons = ("scheduler", "worker-1", "api")
        kit.wait_until(lambda: all("config_reloaded" in (tmp_path / "data" / "logs" / f"{name}.log").read_text() for name in daemons), 60, "daemons reload")
        kit.wait_until(lambda: "turned" in fine("pipelines", env=env), 30, "commands see it")
        write(config, "pipelines: 7\n")
        up.child.send_signal(signal.SIGHUP)
        kit.wait_until(lambda: b"the configuration stays as it was: " in up.error, 30, "up refuses")
        assert "turned" in fine("pipelines", env=env)

        children = list(up.descendants())
        up.child.send_signal(signal.SIGTERM)
        assert up.child.wait(150) == 0, (up.error.decode(), up.logs())
        assert b"draining" in up.error
        assert not [pid for pid in children if exists(pid)]
        for port in (told["api"].rsplit(":", 1)[1], re.search(r":(\d+)/", told["redis"]).group(1), re.search(r":(\d+)/", told["mongo"]).group(1)):
            with socket.socket() as probe:
                assert probe.connect_ex(("127.0.0.1", int(port))) != 0
        assert len(up.out.decode().strip().splitlines()) == 7  # the announcement and nothing else
        assert not re.search(r"Sanitizer|runtime error", up.logs())
    finally:
        if up.child.poll() is None:
            up.child.kill()
            up.child.wait()


def test_up_with_a_wrong_configuration_or_mongod_says_so_and_leaves_nothing(tmp_path):
    status, out, error = run("up", "--data", tmp_path / "a", "--set", "worker.slots=0", cwd=tmp_path)
    assert status == 2 and "worker.slots" in error and not (tmp_path / "a").exists()
    status, out, error = run("up", "--data", tmp_path / "a" / "b" / "c", cwd=tmp_path)
    assert status == 1 and "can't make the folder" in error
    status, out, error = run("up", "--data", tmp_path / "b", cwd=tmp_path, env={"GRISAILLE_MONGOD": "/nonexistent/mongod"}, seconds=180)
    assert status == 3 and "/nonexistent/mongod" in error and "mongo could not be started" in error


def test_up_without_services_keeps_their_addresses_out_of_arguments_and_files(tmp_path, servers):
    """They may hold passwords: each daemon reads them from where they are configured."""
    config = write(tmp_path / "g.yaml", json.dumps(kit.nest({
        "redis.url": servers.redis.url, "redis.prefix": "{upns}", "mongo.uri": servers.mongo.uri, "mongo.database": "up_no_services",
        "api.listen": f"127.0.0.1:{kit.free_port()}"})))
    up = Up(tmp_path, "--workers", "1", "--no-services", "--config", str(config))
    try:
        told = kit.wait_until(up.announced, 120, lambda: f"up announces\n{up.error.decode()}\n{up.logs()}")
        assert told["mongo"] == servers.mongo.uri
        commands = up.descendants()
        assert len(commands) == 3 and not [command for command in commands.values() if "mongodb://" in command or "redis://" in command]
        assert told["config"] == str(config) and not list(pathlib.Path(told["data"]).glob("grisaille.yaml"))
        up.child.send_signal(signal.SIGINT)
        assert up.child.wait(150) == 0, (up.error.decode(), up.logs())
        assert not [pid for pid in commands if exists(pid)]
    finally:
        if up.child.poll() is None:
            up.child.kill()
            up.child.wait()
        servers.mongo.client.drop_database("up_no_services")
        servers.redis.client.delete(*(servers.redis.client.keys("{upns}:*") or ["{upns}:none"]))
