# SPDX-License-Identifier: Apache-2.0
"""status --watch on a steady run: the time left that it shows in the middle is within 20 % of what it takes, and so is the rate."""
import os
import pty
import re
import subprocess
import threading
import time

import kit

URLS, CONCURRENCY, DELAY_MS = 90, 3, 400
ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|\x1b\[K")


class Terminal:
    """A command on a terminal of its own; what it shows, with the time at which it did."""

    def __init__(self, *words):
        self.shown, (ours, theirs) = [], pty.openpty()
        self.ours = ours
        self.child = subprocess.Popen([str(word) for word in words], stdin=theirs, stdout=theirs, stderr=theirs, env=kit.clean_environment(),
                                      start_new_session=True)
        os.close(theirs)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        rest = ""
        while True:
            try:
                part = os.read(self.ours, 65536).decode("utf-8", "replace")
            except OSError:  # the other end is closed
                return
            rest += part
            *lines, rest = re.split(r"[\r\n]+", rest)
            now = time.monotonic()
            self.shown += [(now, text) for line in lines if (text := ESCAPES.sub("", line))]

    def end(self):
        self.child.terminate()
        self.child.wait(30)
        self.reader.join(10)
        os.close(self.ours)


def seconds(text):
    units = {"s": 1, "m": 60, "min": 60, "h": 3600}
    return sum(int(number) * units[unit] for number, unit in re.findall(r"(\d+) ?(min|s|m|h)\b", text))


def off(claimed, truth):
    return abs(claimed - truth) / truth


def watch(cluster, name):
    """A run that the origin's delay makes steady; what was wrong with the readings in its middle."""
    command = [kit.find_binary(), "status", "--config", cluster.config, "--watch"]
    catalog = cluster.push([f"https://origin.test/fault/slow/{DELAY_MS}?{name}{n}" for n in range(URLS)], name)
    one, everything = Terminal(*command, catalog["id"]), Terminal(*command)
    try:
        cluster.wait_drained(catalog)
        ended = time.monotonic()
    finally:
        one.end()
        everything.end()
    bars = [(at, float(m[1]), seconds(m[2])) for at, text in one.shown if (m := re.search(r"([\d.]+) images/s, about ([^,]+),", text))]
    rates = [(at, float(m[1])) for at, text in everything.shown if (m := re.search(r"URLs a second\s+([\d.]+)", text)) and float(m[1]) > 0]
    takes = [(at, seconds(m[1])) for at, text in everything.shown if (m := re.search(r"what is queued takes\s+(.+)", text))]
    assert bars and rates and takes, (one.shown[-5:], everything.shown[-20:])
    began = bars[0][0]
    middle, speed = (began + ended) / 2, URLS / (ended - began)

    def in_the_middle(readings):
        return min(readings, key=lambda reading: abs(reading[0] - middle))

    at, rate, left = in_the_middle(bars)
    taken_at, taken = in_the_middle(takes)
    print(f"{name}: {left} s left shown, {ended - at:.1f} s in truth; {rate} images/s, {speed:.1f} in truth; of all: {taken} s, {ended - taken_at:.1f} s in truth")
    checks = {"time left": (left, ended - at), "rate": (rate, speed), "time left, all": (taken, ended - taken_at), "rate, all": (in_the_middle(rates)[1], speed)}
    # times are shown in whole seconds
    return {what: pair for what, pair in checks.items() if off(*pair) > 0.2 and not ("time" in what and abs(pair[0] - pair[1]) <= 1)}


def test_rate_and_time_left_are_right_on_a_steady_run(fleet, origin):
    cluster = fleet(workers=1, settings={"fetch.host_concurrency": CONCURRENCY})
    wrong = []
    for attempt in range(4):  # where the machine has other work, a run is not steady
        wrong.append(watch(cluster, f"steady{attempt}"))
        if not wrong[-1]:
            return
    raise AssertionError(wrong)
