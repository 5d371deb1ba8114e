#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the Lua scripts given as arguments into one C header: GRI_REDIS_SCRIPT(name, sha1, body) a script.

The SHA-1 is what EVALSHA asks for, so that the program needs none of its own.
"""
import hashlib
import pathlib
import sys


def c_string(text: str) -> str:
    lines = []
    for line in text.splitlines(keepends=True):
        escaped = line.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
        lines.append(f'    "{escaped}"')
    return "\n".join(lines)


def without_comments(text: str) -> str:
    """Whole-line comments are for people; the server need not keep them."""
    return "".join(line for line in text.splitlines(keepends=True) if not line.lstrip().startswith("--"))


def main() -> None:
    out, *scripts = sys.argv[1:]
    with open(out, "w", encoding="utf-8") as header:
        header.write("/* SPDX-License-Identifier: Apache-2.0 */\n/* Made by embed.py from adapters/lua; not to be edited. */\n")
        for name in scripts:
            path = pathlib.Path(name)
            body = without_comments(path.read_text(encoding="utf-8"))
            sha = hashlib.sha1(body.encode()).hexdigest()
            header.write(f'GRI_REDIS_SCRIPT({path.stem}, "{sha}",\n{c_string(body)})\n')


if __name__ == "__main__":
    main()
