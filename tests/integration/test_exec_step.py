# SPDX-License-Identifier: Apache-2.0
"""The exec step: programs of every manner as a step of a pipeline, and the limits that hold them."""
import json
import subprocess
import textwrap

import pytest
from PIL import Image, ImageOps

import kit
import picture_cases

PYTHON = "/usr/bin/python3"
SERVER = """
    import io, os, sys
    from PIL import Image, ImageOps
    count = 0
    while line := sys.stdin.buffer.readline():
        picture = Image.open(io.BytesIO(sys.stdin.buffer.read(int(line))))
        count += 1
        out = io.BytesIO()
        {answer}
        sys.stdout.buffer.write(b"%d\\n" % len(out.getvalue()) + out.getvalue())
        sys.stdout.buffer.flush()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("exec")
    picture_cases.scene(60, 40).save(root / "in.png")
    picture_cases.scene(60, 40).save(root / "in.jpg", quality=90)
    return root


def script(folder, name, text):
    (folder / name).write_text(textwrap.dedent(text))
    return f"{PYTHON} -I {folder / name}"


def attempt(folder, command, *words, files=("in.png", "out.png"), **values):
    values = {"command": command, **values}
    sets = [word for name, value in values.items() for word in ("--set", f"{name}={value}")]
    return subprocess.run([kit.find_binary(), "transforms", "try", "exec", "--json", *sets, *words, *(folder / name for name in files)],
                          capture_output=True, text=True, timeout=120, env=kit.clean_environment())


def test_a_filter_of_bytes_is_a_step(folder):
    done = attempt(folder, "/bin/cat")
    assert done.returncode == 0, done.stderr
    assert Image.open(folder / "out.png").tobytes() == Image.open(folder / "in.png").tobytes()


def test_one_child_serves_many_pictures(folder):
    answer = "ImageOps.invert(picture.convert('RGB')).save(out, 'PNG'); print(os.getpid(), file=open(sys.argv[1], 'a'))"
    command = script(folder, "serve.py", SERVER.format(answer=answer)) + f" {folder / 'pids'}"
    done = attempt(folder, command, files=("in.png", "a.png") * 3, mode="serve", children=1)
    assert done.returncode == 0, done.stderr
    assert Image.open(folder / "a.png").tobytes() == ImageOps.invert(Image.open(folder / "in.png")).tobytes()
    pids = (folder / "pids").read_text().split()
    assert len(pids) >= 3 and len(set(pids)) == 1


def test_facts_come_as_json(folder):
    command = script(folder, "facts.py", """
        import json, sys
        data = sys.stdin.buffer.read()
        print(json.dumps({"bytes": len(data), "kind": data[:3].hex(), "half": 0.5}))
    """)
    done = attempt(folder, command, files=("in.jpg", "out.png"), gives="facts")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["facts"] == {"exec": {"bytes": (folder / "in.jpg").stat().st_size, "kind": "ffd8ff", "half": 0.5}}
    for text in ("[1]", '{"a": [1]}', '{"A b": 1}', "{"):
        refused = attempt(folder, script(folder, "bad.py", f"print('''{text}''')"), gives="facts")
        assert refused.returncode == 1 and "fact" in refused.stderr, refused.stderr


@pytest.mark.parametrize("text, values, part", [
    ("import time; time.sleep(600)", {"timeout_ms": 700}, "did not answer in time"),
    ("import sys; sys.exit('no such model')", {}, "ended with status 1: no such model"),
    ("import os; os.abort()", {}, "was ended by signal 6"),
    ("x = bytearray(900 << 20)", {"memory_mb": 256}, "MemoryError"),
    ("import sys; sys.stdout.buffer.write(bytes(3 << 20))", {"output_mb": 1}, "gives more bytes than it may"),
    ("print('hello')", {}, "gave a picture that can't be read"),
    ("print('hello', flush=True); input()", {"mode": "serve"}, "answered without a frame"),
    ("import sys; sys.exit(3)", {"mode": "serve"}, "ended"),
    ("import socket; socket.socket()", {}, "Permission denied"),
])
def test_what_a_program_does_wrong_is_told(folder, text, values, part):
    done = attempt(folder, script(folder, "wrong.py", text), **values)
    assert done.returncode == 1 and part in done.stderr, done.stderr


def test_network_is_there_where_it_is_allowed_and_a_program_that_is_not_there_is_told(folder):
    done = attempt(folder, script(folder, "net.py", "import socket, sys; socket.socket(); sys.stdout.buffer.write(sys.stdin.buffer.read())"), network="true")
    assert done.returncode == 0, done.stderr
    assert "can't be run" in attempt(folder, "/nowhere/model").stderr
    assert "absolute path" in attempt(folder, "model").stderr
