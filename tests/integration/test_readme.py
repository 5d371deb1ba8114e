# SPDX-License-Identifier: Apache-2.0
"""The examples of README.md work: each block marked `<!-- test -->` runs, in order, in one shell, against a fleet."""
import os
import pathlib
import re
import subprocess
import sys

import kit

MARKED = re.compile(r"<!-- test -->\n```sh\n(.*?)```", re.S)
MUST_SHOW = ("push", "status", "errors", "get", "images", "explain", "pipelines", "worker", "token new")


def marked_blocks():
    text = (kit.ROOT / "README.md").read_text()
    blocks = MARKED.findall(text)
    assert text.count("<!-- test -->") == len(blocks), "a mark in README.md stands before no sh block"
    return blocks


def place_of(tmp_path, config):
    """A folder that looks like the checkout while `make up` runs, so that the examples leave nothing behind."""
    place = tmp_path / "checkout"
    (place / "demo-data").mkdir(parents=True)
    (place / "demo-data" / "grisaille.yaml").write_text(config.read_text())
    (place / "build").mkdir()
    (place / "build" / "grisaille").symlink_to(kit.find_binary())
    (place / "build" / "python3").symlink_to(sys.executable)  # the one that has pymongo
    for name in ("examples", "tools"):
        (place / name).symlink_to(kit.ROOT / name)
    return place


def at_these_addresses(script, cluster):
    """README.md names the default ports; the servers of the tests have others."""
    replace = {
        "redis://127.0.0.1:6379/0": cluster.servers.redis.url,
        "mongodb://127.0.0.1:27017/?replicaSet=grisaille": cluster.servers.mongo.uri,
        "http://127.0.0.1:8480": cluster.url,
        "127.0.0.1:8481": f"127.0.0.1:{kit.free_port()}",
    }
    for default, actual in replace.items():
        assert default in script, f"README.md no longer names {default}"
        script = script.replace(default, actual)
    return script


def test_the_examples_of_the_readme_work(fleet, origin, tmp_path):
    defaults = {"mongo.database": "grisaille", "redis.prefix": "{gri}"}
    cluster = fleet(workers=1, settings=defaults)
    cluster.database, cluster.prefix = defaults["mongo.database"], defaults["redis.prefix"]  # what the fixture drops
    place = place_of(tmp_path, cluster.config)
    script = at_these_addresses("\n".join(marked_blocks()), cluster)
    path = tmp_path / "readme.sh"
    path.write_text("set -euo pipefail -x\n" + script)
    result = subprocess.run(["bash", path], cwd=place, env={**kit.clean_environment(), "HOME": str(place)}, stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300)
    text = result.stdout.decode("utf-8", "replace")
    assert result.returncode == 0, f"exit {result.returncode}:\n{text[-6000:]}"
    assert "the numbers add up" in text and "rejected_by_rule" in text
    assert (place / "gray.jpg").read_bytes().startswith(b"\xff\xd8") and (place / "thumb.png").read_bytes().startswith(b"\x89PNG")


def test_the_readme_shows_each_thing_a_user_does():
    script = "\n".join(marked_blocks())
    missing = [word for word in MUST_SHOW if f"grisaille {word}" not in script]
    assert not missing, f"no tested example of: {missing}"


def test_links_between_the_pages_lead_somewhere():
    wrong = []
    pages = [*kit.ROOT.glob("*.md"), *(kit.ROOT / "docs").rglob("*.md")]
    for page in pages:
        for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
            target, _, anchor = link.partition("#")
            if "://" in link or link.startswith("mailto:"):
                continue
            to = (page.parent / target) if target else page
            if not to.exists():
                wrong.append(f"{page.relative_to(kit.ROOT)}: {link}")
            elif anchor and to.suffix == ".md" and anchor not in anchors(to):
                wrong.append(f"{page.relative_to(kit.ROOT)}: {link}: no such heading")
    assert not wrong, wrong


def anchors(page):
    """As forges make them of headings: lower case, no punctuation, spaces to hyphens."""
    heads = re.findall(r"^#+ (.*)$", page.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def test_pages_that_the_sources_name_exist():
    folders = ("include", "base", "catalog", "scheduler", "workers", "transforms", "adapters", "api", "cli", "tools", "tests")
    files = [kit.ROOT / "meson.build", *(path for folder in folders for path in (kit.ROOT / folder).rglob("*") if path.is_file())]
    missing = set()
    for path in files:
        if path.suffix in (".png", ".jpg", ".pyc"):
            continue
        for name in re.findall(r"(?<![\w/.])docs/[\w/-]+\.md", path.read_text(errors="replace")):
            if not pathlib.Path(kit.ROOT, name).exists():
                missing.add(f"{os.path.relpath(path, kit.ROOT)}: {name}")
    assert not missing, sorted(missing)
