# SPDX-License-Identifier: Apache-2.0
"""What is installed is complete and works from where it stands; the documents are what the program says."""
import os
import re
import shutil
import subprocess

import pytest

import kit


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The build that is under test, installed below a folder; the folder's prefix."""
    assert shutil.which("meson"), "meson is not here: run tools/setup build"
    root = tmp_path_factory.mktemp("destdir")
    build = kit.find_binary().parent
    subprocess.run(["meson", "install", "-C", build, "--no-rebuild", "--destdir", root], check=True, capture_output=True, timeout=300)
    binaries = list(root.rglob("bin/grisaille"))
    assert len(binaries) == 1
    return binaries[0].parent.parent


def test_program_man_page_completions_and_header_are_there(installed):
    out = subprocess.run([installed / "bin" / "grisaille", "version"], check=True, capture_output=True, timeout=60, env=kit.clean_environment())
    assert out.stdout.startswith(b"grisaille ")
    assert ".SH COMMANDS" in (installed / "share/man/man1/grisaille.1").read_text()
    assert "complete -o filenames -F _grisaille grisaille" in (installed / "share/bash-completion/completions/grisaille").read_text()
    assert (installed / "share/zsh/site-functions/_grisaille").read_text().startswith("#compdef grisaille")
    assert [path.name for path in (installed / "include/grisaille").iterdir()] == ["transform.h"]


def test_a_plugin_is_built_with_what_is_installed_and_pkg_config(installed, tmp_path):
    config = next(installed.rglob("pkgconfig/grisaille.pc")).read_text()
    (tmp_path / "grisaille.pc").write_text(re.sub(r"^prefix=.*", f"prefix={installed}", config, flags=re.M))  # DESTDIR is not where it says

    def ask(*words):
        return subprocess.run(["pkg-config", *words, "grisaille"], check=True, capture_output=True, timeout=60,
                              env={**kit.clean_environment(), "PKG_CONFIG_PATH": str(tmp_path)}).stdout.decode().split()

    assert ask("--modversion") and ask("--variable=plugindir")[0].endswith("/grisaille/plugins")
    source = re.search(r"```c\n(.*?)```", (kit.ROOT / "docs" / "transforms.md").read_text(), re.S).group(1)
    (tmp_path / "negate.c").write_text(source)
    folder = tmp_path / "plugins"
    folder.mkdir(mode=0o755)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", folder / "negate.so", tmp_path / "negate.c", *ask("--cflags", "--libs")], check=True, timeout=120)
    os.chmod(folder / "negate.so", 0o755)
    listed = subprocess.run([installed / "bin" / "grisaille", "transforms", "--set", f"plugins.dir={folder}"], capture_output=True, timeout=60, env=kit.clean_environment())
    assert listed.returncode == 0 and b"negate: " in listed.stdout, listed.stderr


def test_the_documents_are_up_to_date():
    checked = subprocess.run([kit.ROOT / "tools" / "make-docs", "--check", kit.find_binary()], capture_output=True, timeout=120)
    assert checked.returncode == 0, checked.stdout.decode() + checked.stderr.decode()
