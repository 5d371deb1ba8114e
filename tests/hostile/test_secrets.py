# SPDX-License-Identifier: Apache-2.0
"""Secrets planted everywhere a secret may stand, then looked for everywhere else: logs, answers, `ps`, `config`, errors."""
import json
import pathlib
import subprocess

import requests

import kit
from test_api import digest

REDIS_WORD, MONGO_WORD, TOKEN = "planted-redis-word", "planted-mongo-word", "planted-api-token"
URL_WORD, NAME_WORD = "planted-url-password", "planted-url-user"
SECRETS = (REDIS_WORD, MONGO_WORD, TOKEN, URL_WORD)
TOKENS = [{"name": "all", "digest": digest(TOKEN), "scopes": ["admin"]}]
BEARER = {"Authorization": f"Bearer {TOKEN}"}


def leaks(text):
    text = text if isinstance(text, str) else text.decode("utf-8", "replace")
    return sorted(word for word in SECRETS if word in text)


def found(verdicts, where, text):
    verdicts.check(f"secrets in {where}", "none", ", ".join(leaks(text)) or "none")


def test_no_secret_shows_anywhere(fleet, servers, verdicts, tmp_path):
    """Passwords and tokens, in use, show up nowhere"""
    servers.redis.client.execute_command("ACL", "SETUSER", "planted", "on", f">{REDIS_WORD}", "~*", "&*", "+@all")
    try:
        settings = {"redis.url": servers.redis.url.replace("redis://", f"redis://planted:{REDIS_WORD}@"), "api.tokens": TOKENS, "log.level": "debug",
                    "worker.cpu_threads": 1}
        cluster = fleet(workers=1, settings=settings)
        lines = [f"https://{NAME_WORD}:{URL_WORD}@picsum.photos/id/1/9/9", "https://picsum.photos/id/2/9/9", "nonsense"]
        answer = requests.post(cluster.url + "/v1/catalogs", data="\n".join(lines).encode(), headers=BEARER, timeout=60)
        assert answer.status_code == 202, answer.text
        id = answer.json()["id"]
        kit.wait_until(lambda: requests.get(f"{cluster.url}/v1/catalogs/{id}", headers=BEARER, timeout=60).json()["state"] == "finished", 120, cluster.tails)
        # raw and the rejected line's text are the catalog itself, for those who may read it
        paths = ["/v1/catalogs", f"/v1/catalogs/{id}", "/v1/events", "/v1/stats", "/metrics", "/openapi.json", "/v1/pipelines", "/readyz", "/v1/urls?url=x"]
        for path in paths:
            answer = requests.get(cluster.url + path, headers=BEARER, timeout=60)
            found(verdicts, f"GET {path}", json.dumps(dict(answer.headers)) + answer.text)
        wrong = requests.get(cluster.url + "/v1/stats", headers={"Authorization": f"Bearer {TOKEN}x"}, timeout=60)
        verdicts.check("a wrong token", 401, wrong.status_code)
        found(verdicts, "the answer to a wrong token", json.dumps(dict(wrong.headers)) + wrong.text)
        for daemon in cluster.daemons:
            found(verdicts, f"ps of {daemon.role} (/proc/…/cmdline)", pathlib.Path(f"/proc/{daemon.pid}/cmdline").read_bytes())
            limits = pathlib.Path(f"/proc/{daemon.pid}/limits").read_text()
            core = next(line for line in limits.splitlines() if line.startswith("Max core file size")).split()[4]
            verdicts.check(f"core dumps of {daemon.role}", "0", core)
        cluster.stop()
        for daemon in cluster.daemons:
            found(verdicts, f"the debug log of {daemon.role}", daemon.log.read_text(errors="replace"))
    finally:
        servers.redis.client.execute_command("ACL", "DELUSER", "planted")


def run(verdicts, where, arguments, folder, env=None):
    answer = subprocess.run([str(kit.find_binary()), *arguments], capture_output=True, text=True, timeout=120, cwd=folder, env={**kit.clean_environment(), **(env or {})})
    found(verdicts, where, answer.stdout + answer.stderr)
    return answer


def test_no_secret_in_what_the_command_line_prints(verdicts, tmp_path):
    redis_url = f"redis://user:{REDIS_WORD}@127.0.0.1:1/0"
    mongo_uri = f"mongodb://user:{MONGO_WORD}@127.0.0.1:1/?replicaSet=rs0&authMechanismProperties=AWS_SESSION_TOKEN:{TOKEN}"
    secret = tmp_path / "secret"
    secret.write_text(redis_url + "\n")
    settings = ["--set", f"redis.url={redis_url}", "--set", f"mongo.uri={mongo_uri}", "--set", "mongo.timeout_ms=500"]
    run(verdicts, "`config`", ["config", *settings], tmp_path)
    run(verdicts, "`config --json`", ["config", "--json", *settings], tmp_path)
    run(verdicts, "`config`, from the environment", ["config"], tmp_path, {"GRISAILLE_MONGO_URI": mongo_uri, "GRISAILLE_REDIS_URL_FILE": str(secret)})
    run(verdicts, "the error when MongoDB is away", ["catalogs", *settings], tmp_path)
    run(verdicts, "the error of a bad redis.url", ["catalogs", "--set", f"redis.url=redis://user:{REDIS_WORD}@a:99999/"], tmp_path)
    run(verdicts, "the error of a bad mongo.uri", ["catalogs", "--set", f"mongo.uri=mongodb://user:{MONGO_WORD}@[::1/?x"], tmp_path)
    run(verdicts, "the error of an odd mongo.uri", ["catalogs", "--set", f"mongo.uri=mongodb://user:{MONGO_WORD}@host:abc/?a=b"], tmp_path)
    config = tmp_path / "grisaille.yaml"
    for text in (f"redis:\n  url: redis://:{REDIS_WORD}@a:0/\n", f"mongo: {{uri: 'mongo://u:{MONGO_WORD}@h'}}\n", f"redis:\n  url: [redis://:{REDIS_WORD}@a]\n",
                 f"api: {{tokens: [{{name: a, digest: {TOKEN}, scopes: [read]}}]}}\n"):
        config.write_text(text)
        run(verdicts, f"the error of a file with {text[:16].strip()!r}…", ["catalogs", "--config", str(config), "--set", "mongo.timeout_ms=500"], tmp_path)
        run(verdicts, f"`config` of a file with {text[:16].strip()!r}…", ["config", "--config", str(config)], tmp_path)
