#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""confined_run.py UID WRITABLE COMMAND…: the command in a mount name space of its own whose file systems are all read-only but
WRITABLE, as user UID, without a capability, with no_new_privs. As root only."""
import os
import subprocess
import sys

MOUNT_FLAGS = ("nosuid", "nodev", "noexec", "relatime", "noatime", "nodiratime")


def make_read_only(writable):
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    subprocess.run(["mount", "--bind", writable, writable], check=True)
    points = [line.split()[4].encode().decode("unicode_escape") for line in open("/proc/self/mountinfo")]
    for point in points:
        if point == writable or point.startswith(("/proc", "/sys")):
            continue
        # what can't be remounted is hidden below another mount
        subprocess.run(["mount", "-o", "remount,bind,ro", point], check=point == "/", stderr=subprocess.DEVNULL)


def main():
    user, writable, *command = sys.argv[1:]
    if os.environ.get("CONFINED") != "1":
        os.execvpe("unshare", ["unshare", "--mount", "--", sys.executable, __file__, *sys.argv[1:]], {**os.environ, "CONFINED": "1"})
    make_read_only(writable)
    os.execvp("setpriv", ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all",
                          "--ambient-caps=-all", *command])


if __name__ == "__main__":
    main()
