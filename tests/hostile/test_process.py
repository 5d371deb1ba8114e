# SPDX-License-Identifier: Apache-2.0
"""Every daemon as nobody, on a read-only file system, without capabilities; and plugins only from where others can't write."""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import pytest

import kit
from test_poison import make_suspects

NOBODY = 65534
CONFINE = pathlib.Path(__file__).resolve().parent / "confined_run.py"
PLUGIN = kit.find_binary().parent / "tests" / "hostile" / "plugins" / "plugin_intruder.so"


def status_of(pid):
    return dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)


def test_all_daemons_work_as_nobody_on_a_read_only_file_system(fleet, servers, origin, verdicts):
    assert os.geteuid() == 0
    with tempfile.TemporaryDirectory() as writable:
        os.chmod(writable, 0o700)
        os.chown(writable, NOBODY, NOBODY)
        for path in (servers.folder, *servers.folder.parents):  # what nobody reads: configuration and certificates
            if path != pathlib.Path("/") and path.stat().st_uid == 0:
                path.chmod(path.stat().st_mode | 0o055)
        cluster = fleet(workers=0, schedulers=0, settings={"worker.lease_ms": 2000, "worker.heartbeat_ms": 500})
        for path in (cluster.folder, *cluster.folder.parents):
            if path != pathlib.Path("/"):
                path.chmod(path.stat().st_mode | 0o055)
        cluster.config.chmod(0o644)
        assert cluster.of("api")[0].stop() == 0
        prefix = [sys.executable, CONFINE, NOBODY, writable]
        daemons = {role: cluster.start(role, {"HOME": writable, "TMPDIR": writable}, prefix) for role in ("api", "scheduler")}
        cluster.url = f"http://{daemons['api'].wait_address('api')}"
        urls = [f"https://picsum.photos/id/{number}/{40 + number}/30" for number in range(20)]
        catalog = cluster.push(urls)
        make_suspects(cluster, len(urls))  # so that the isolated child runs there too
        daemons["worker"] = cluster.start("worker", {"HOME": writable, "TMPDIR": writable}, prefix)
        receipt = cluster.wait_drained(catalog, 240)
        verdicts.check("20 suspicious pictures through confined daemons", 20, receipt["counts"]["stored"])
        more = [f"https://picsum.photos/id/{number}/{80 + number}/30" for number in range(20)]
        verdicts.check("20 ordinary ones", 20, cluster.wait_drained(cluster.push(more), 120)["counts"]["stored"])
        for role, daemon in daemons.items():
            status = status_of(daemon.pid)
            verdicts.check(f"{role}: user, capabilities, no_new_privs, seccomp", "65534, none, 1, 2",
                           ", ".join([status["Uid"].split()[0], "none" if not int(status["CapPrm"], 16) | int(status["CapBnd"], 16) else status["CapBnd"].strip(),
                                      status["NoNewPrivs"].strip(), status["Seccomp"].strip()]))
            mounts = pathlib.Path(f"/proc/{daemon.pid}/mountinfo").read_text().splitlines()
            root = next(line.split()[5] for line in mounts if line.split()[4] == "/")
            verdicts.check(f"{role}: its root file system", "read-only", root, "ro" in root.split(","))
        left = sorted(path.name for path in pathlib.Path(writable).rglob("*"))
        verdicts.check("files that the daemons left in the one writable folder", "none", left or "none")


def folder_with(top, spoil):
    """A plugin folder that `spoil` makes unfit."""
    folder = pathlib.Path(top) / "outer" / "plugins"
    folder.mkdir(parents=True)
    for path in (folder.parent, folder):
        path.chmod(0o755)
    shutil.copy(PLUGIN, folder / "plugin.so")
    (folder / "plugin.so").chmod(0o644)
    return spoil(folder) or folder


def link_to(folder):
    link = folder.parent / "link"
    link.symlink_to(folder)
    return link


def parent_link(folder):
    link = folder.parent.parent / "way"
    link.symlink_to(folder.parent)
    return link / "plugins"


def file_link(folder):
    (folder / "plugin.so").rename(folder.parent / "real.so")
    (folder / "plugin.so").symlink_to(folder.parent / "real.so")


SPOILED = {
    "a fit folder": (lambda folder: None, ""),
    "a folder that its group may write": (lambda folder: folder.chmod(0o775), "may be written by others"),
    "a folder that all may write": (lambda folder: folder.chmod(0o777), "may be written by others"),
    "a file that its group may write": (lambda folder: (folder / "plugin.so").chmod(0o664), "may be written by others"),
    "a file that all may write": (lambda folder: (folder / "plugin.so").chmod(0o666), "may be written by others"),
    "a folder of somebody else": (lambda folder: os.chown(folder, 1234, 1234), "belongs to user 1234"),
    "a file of somebody else": (lambda folder: os.chown(folder / "plugin.so", 1234, 1234), "belongs to user 1234"),
    "a parent that all may write": (lambda folder: folder.parent.chmod(0o777), "may be written by others"),
    "a parent of somebody else": (lambda folder: os.chown(folder.parent, 1234, 1234), "belongs to user 1234"),
    "a link in place of the file": (file_link, "links are not followed"),
    "a link in place of the folder": (link_to, ""),
    "a link on the way": (parent_link, ""),
    "a parent that all may write behind a link on the way": (lambda folder: (folder.parent.chmod(0o777), parent_link(folder))[1], "may be written by others"),
}


@pytest.mark.parametrize("case", SPOILED)
def test_plugins_come_only_from_where_others_can_not_write(case, verdicts):
    spoil, wanted = SPOILED[case]
    assert os.geteuid() == 0
    with tempfile.TemporaryDirectory(dir="/var/lib") as top:  # /tmp may be written by all
        os.chmod(top, 0o755)
        folder = folder_with(top, spoil)
        answer = subprocess.run([kit.find_binary(), "transforms", "--set", f"plugins.dir={folder}"], capture_output=True, text=True, timeout=60,
                                env={**kit.clean_environment(), "ASAN_OPTIONS": "detect_leaks=0"})
        loaded = answer.returncode == 0 and "intrude" in answer.stdout
        verdicts.check(case, wanted or "loaded", "loaded" if loaded else answer.stderr.strip()[-150:], (wanted in answer.stderr) if wanted else loaded)
