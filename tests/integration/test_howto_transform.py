# SPDX-License-Identifier: Apache-2.0
"""docs/howto/write-a-transform.md, followed word for word: its files are written, its commands run, in the order of the page."""
import os
import re
import subprocess

from PIL import Image

import kit


def test_the_page_can_be_followed(tmp_path):
    page = (kit.ROOT / "docs" / "howto" / "write-a-transform.md").read_text()
    blocks = re.findall(r"```(sh|c|yaml)\n(.*?)```", page, re.S)
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "grisaille").symlink_to(kit.find_binary())
    (tmp_path / "grisaille.pc").write_text(f"Name: grisaille\nDescription: plugins\nVersion: 0\nRequires: vips\nplugindir=/nowhere\nCflags: -I{kit.ROOT}/include\n")
    env = {**kit.clean_environment(), "PKG_CONFIG_PATH": str(tmp_path), "PATH": f"{programs}:{os.environ['PATH']}"}
    folder, said = tmp_path, ""
    for language, text in blocks:
        if language == "c":
            (folder / "posterise.c").write_text(text)
            continue
        if language == "yaml":
            (folder / "grisaille.yaml").write_text(text)
            continue
        done = subprocess.run(["sh", "-euc", "umask 022\n" + text], cwd=folder, env=env, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"
        said += done.stdout
        if "\ncd posterise" in text:
            folder = tmp_path / "posterise"
    assert {language for language, _ in blocks} == {"sh", "c", "yaml"}
    for part in ("posterise works", "refused, as it should be", "megapixels/s", "poster@"):
        assert part in said, said
    made = Image.open(folder / "out.png")
    assert all(len(set(band.getdata())) <= 3 for band in made.split())
    assert Image.open(folder / "poster.png").width == 320
