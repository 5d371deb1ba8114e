# SPDX-License-Identifier: Apache-2.0
"""The image, really built with buildah on a Debian made here by debootstrap, and the program inside it really run.

GRISAILLE_IMAGE=tag tests one that is there; else it is built, which takes minutes."""
import json
import os
import pathlib
import subprocess

import pytest

import deploy_kit as d
import kit

BASE = "docker.io/library/debian:bookworm-slim"
STORAGE = ("--storage-driver", "vfs")
USER = 65532
LIMIT = 120 * 1000 * 1000


def buildah(*words, **options):
    done = d.run("buildah", *STORAGE, *words, **{"timeout": 1800, **options})
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout.strip()


def image_tool(*words, **env):
    done = d.run(d.ROOT / "tools" / "image", *words, timeout=3000, env={**os.environ, **env}, cwd=d.ROOT)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout.strip()


def mirror():
    """This machine's own way to Debian's packages."""
    done = d.run("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Component: main")
    return next(line for line in done.stdout.splitlines() if line.rstrip("/").endswith("/debian"))


def make_base(folder):
    """What a registry would give: Debian 12's smallest, without documents and translations, as the slim images are."""
    root = pathlib.Path(folder) / "root"
    done = d.run("debootstrap", "--variant=minbase", "bookworm", root, mirror(), timeout=1800)
    assert done.returncode == 0, done.stdout[-2000:]
    (root / "etc/apt/sources.list").write_text("")
    subprocess.run(["sh", "-c", 'cp -a /etc/apt/sources.list /etc/apt/sources.list.d "$1/etc/apt/" 2>/dev/null; rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/* '
                    '"$1"/usr/share/locale/* "$1"/usr/share/man/* "$1"/usr/share/info/*; find "$1/usr/share/doc" -type f ! -name copyright -delete', "sh", str(root)], check=True)
    container = buildah("from", "scratch")
    buildah("add", "-q", container, root, "/")
    buildah("commit", "-q", "--rm", container, BASE)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    assert os.getuid() == 0, "buildah's chroot isolation needs root"
    if d.run("buildah", *STORAGE, "inspect", "--type", "image", BASE).returncode != 0:
        make_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def lock(base):
    """Today's versions: the pinned ones may have left the mirror, and the test is not about that."""
    path = d.ROOT / "deploy" / "image" / "today.lock"
    image_tool("lock", str(path.relative_to(d.ROOT)))
    yield str(path.relative_to(d.ROOT))
    path.unlink()


@pytest.fixture(scope="module")
def image(request):
    asked = os.environ.get("GRISAILLE_IMAGE")
    if asked:
        return asked
    image_tool("build", "grisaille:test", LOCK=request.getfixturevalue("lock"), SOURCE_DATE_EPOCH="1700000000")
    return "localhost/grisaille:test"


@pytest.fixture(scope="module")
def settings(image):
    return json.loads(buildah("inspect", "--type", "image", image))["Docker"]["config"]


@pytest.fixture(scope="module")
def root(image, tmp_path_factory):
    """The image's file system, unpacked."""
    folder = tmp_path_factory.mktemp("image")
    image_tool("root", image, str(folder))
    # what a container runtime mounts; without it the MongoDB driver says so in a line of its own
    (folder / "dev" / "shm").mkdir(parents=True, exist_ok=True)
    (folder / "dev" / "shm").chmod(0o1777)
    return folder


def inside(root, *words, **options):
    """Runs in the image's file system as its user, with nothing of this machine's."""
    return d.run("/usr/sbin/chroot", f"--userspec={USER}:{USER}", root, *words, **{"env": {"PATH": "/usr/local/bin:/usr/bin:/bin"}, **options})


@pytest.mark.quick
def test_the_lock_pins_every_package_of_the_build():
    lines = (d.ROOT / "deploy" / "image" / "packages.lock").read_text().splitlines()
    pinned = dict(line.split("=", 1) for line in lines if not line.startswith("#"))
    wanted = d.run(d.ROOT / "tools" / "setup", "list").stdout.split()
    assert wanted and not [name for name in [*wanted, "ca-certificates"] if name not in pinned], "run tools/image lock"
    assert all(pinned.values())


def test_it_says_what_it_is_and_runs_as_nobody(settings):
    assert settings["User"] == f"{USER}:{USER}" and settings["StopSignal"] == "SIGTERM"
    assert settings["Healthcheck"]["Test"] == ["CMD", "/usr/local/bin/grisaille-healthcheck"]
    labels = {name.removeprefix("org.opencontainers.image."): value for name, value in settings["Labels"].items()}
    assert labels["title"] == "grisaille" and labels["licenses"] == "Apache-2.0" and labels["version"] and labels["revision"] != "unknown"


def test_it_is_small(image):
    size = int(image_tool("size", image))
    print(f"compressed: {size / 1e6:.1f} MB")
    assert size < LIMIT


def test_it_has_the_libraries_that_the_program_loads_and_no_compiler(root):
    assert "not found" not in inside(root, "ldd", "/usr/local/bin/grisaille").stdout
    for name in ("usr/bin/gcc", "usr/bin/meson", "usr/include/vips", "src"):
        assert not (root / name).exists(), name
    records = list((root / "var/lib/dpkg/status.d").iterdir())
    assert any(record.name == "libvips42" for record in records), "scanners would not see its libraries"
    assert all("Version:" in record.read_text() for record in records)


def test_the_program_inside_starts_and_tells_its_version(root, settings):
    done = inside(root, *settings["Entrypoint"], "version")
    assert done.returncode == 0 and done.stdout.startswith("grisaille "), done.stderr


def test_a_worker_from_the_image_makes_every_kind_of_picture_and_its_health_check_answers(servers, root, settings, tmp_path):
    """API and scheduler of this build, the worker of the image: as its user, in its file system, over real servers."""
    with kit.Cluster(servers, tmp_path, workers=0) as cluster:
        (root / "tmp").mkdir(exist_ok=True)
        (root / "tmp/grisaille.yaml").write_text(cluster.config.read_text().replace(str(servers.origin.ca), "/tmp/ca.pem"))
        (root / "tmp/ca.pem").write_bytes(servers.origin.ca.read_bytes())
        env = dict(entry.split("=", 1) for entry in settings["Env"])
        port = kit.free_port()
        env["GRISAILLE_METRICS_LISTEN"] = f"127.0.0.1:{port}"
        worker = kit.Process("image-worker", ["/usr/sbin/chroot", f"--userspec={USER}:{USER}", root, *settings["Entrypoint"], "worker", "--config", "/tmp/grisaille.yaml"], tmp_path, env)
        try:
            catalog = cluster.push([f"https://origin.test/id/{number}/64/48" for number in range(20)] + [f"https://origin.test/kind/{kind}/64/40/5" for kind in ("jpeg-cmyk", "png", "webp", "gif")])
            receipt = cluster.wait_drained(catalog)
            assert receipt["counts"]["stored"] == 24, (receipt, kit.tail(worker.log))
            assert inside(root, *settings["Healthcheck"]["Test"][1:], env=env).returncode == 0
            assert inside(root, *settings["Healthcheck"]["Test"][1:], env={**env, "GRISAILLE_METRICS_LISTEN": "127.0.0.1:1"}).returncode == 1
            status = pathlib.Path(f"/proc/{worker.pid}/status").read_text()
            assert f"Uid:\t{USER}\t{USER}\t{USER}\t{USER}" in status
            first = json.loads(worker.log.read_text().splitlines()[0])
            assert first["service.node.role"] == "worker" and first["ecs.version"]
        finally:
            assert worker.stop(90) == 0


@pytest.mark.slow
def test_the_same_commit_gives_the_same_image(base, lock):
    ids = []
    for _ in range(2):
        image_tool("build", "grisaille:again", LOCK=lock, SOURCE_DATE_EPOCH="1700000000")
        ids.append(json.loads(buildah("inspect", "--type", "image", "localhost/grisaille:again"))["FromImageID"])
    assert ids[0] == ids[1]
