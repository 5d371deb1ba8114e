# SPDX-License-Identifier: Apache-2.0
"""A server that speaks HTTP by hand, and wrong on request: /ATTACK/anything. Every host name is it, on 127.0.0.1.

hostile_origin.py SECONDS: the same in a process of its own, which answers after so long, for as long as its standard input is open;
prints its port."""
import contextlib
import gzip
import io
import itertools
import socket
import socketserver
import subprocess
import sys
import threading
import time

from PIL import Image

CHUNK = 64 * 1024


def picture(number, size=(24, 16), kind="PNG"):
    """A small picture, another one for each number."""
    out = io.BytesIO()
    Image.new("RGB", size, (number % 256, number // 256 % 256, 90)).save(out, kind)
    return out.getvalue()


def head(*lines, status="200 OK", kind="image/png"):
    return "\r\n".join([f"HTTP/1.1 {status}", f"Content-Type: {kind}", *lines, "", ""]).encode()


def whole(body, kind="image/png", *lines):
    return head(f"Content-Length: {len(body)}", *lines, kind=kind) + body


class Peer:
    """One connection, for an attack to write to."""

    def __init__(self, sock, over):
        self.sock, self.over = sock, over

    def send(self, data):
        self.sock.sendall(data)

    def drip(self, data, seconds=1.0):
        for at in range(len(data)):
            self.send(data[at:at + 1])
            if self.over.wait(seconds):
                return

    def for_ever(self, data, first=b"", pause=0.0):
        """Until the other side has had enough (the send fails), or 300 s."""
        self.send(first)
        end = time.monotonic() + 300
        while time.monotonic() < end and not self.over.wait(pause):
            self.send(data)

    def silence(self):
        self.over.wait(300)


GOOD = picture(1)
BOMB = gzip.compress(bytes(64 << 20), 9)  # 64 KiB that would be 64 MiB


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


CHUNKED = head("Transfer-Encoding: chunked")
ATTACKS = {
    # bytes
    "gzip-bomb": lambda peer: peer.send(whole(BOMB, "image/png", "Content-Encoding: gzip")),
    "endless": lambda peer: peer.for_ever(bytes(CHUNK), head("Connection: close")),
    "endless-chunks": lambda peer: peer.for_ever(chunk(bytes(CHUNK)), CHUNKED),
    "header-flood": lambda peer: peer.for_ever(b"X-Flood: " + b"a" * 1000 + b"\r\n", b"HTTP/1.1 200 OK\r\n"),
    "one-long-header": lambda peer: peer.send(b"HTTP/1.1 200 OK\r\nX-Long: " + b"a" * (1 << 20) + b"\r\n\r\n"),
    "continue-flood": lambda peer: peer.for_ever(b"HTTP/1.1 100 Continue\r\n\r\n"),
    "trailer-flood": lambda peer: peer.for_ever(b"X-Trailer: " + b"a" * 1000 + b"\r\n", CHUNKED + chunk(GOOD) + b"0\r\n"),
    "announced-petabyte": lambda peer: (peer.send(head("Content-Length: 1125899906842624") + GOOD), peer.silence()),
    # time and speed
    "drip": lambda peer: (peer.send(head(f"Content-Length: {len(GOOD)}")), peer.drip(GOOD)),
    "slow-headers": lambda peer: peer.drip(head("X: " + "y" * 1000)),
    "no-answer": lambda peer: peer.silence(),
    "just-fast-enough": lambda peer: peer.for_ever(bytes(512), head("Content-Length: 2000000"), 0.25),
    "silence-in-body": lambda peer: (peer.send(head("Content-Length: 1000") + GOOD), peer.silence()),
    # lengths
    "length-too-long": lambda peer: peer.send(head(f"Content-Length: {len(GOOD) + 500}", "Connection: close") + GOOD),
    "length-too-short": lambda peer: peer.send(head(f"Content-Length: {len(GOOD) - 20}", "Connection: close") + GOOD),
    "length-negative": lambda peer: peer.send(head("Content-Length: -5", "Connection: close") + GOOD),
    "length-overflows": lambda peer: peer.send(head("Content-Length: 99999999999999999999999999", "Connection: close") + GOOD),
    "length-is-text": lambda peer: peer.send(head("Content-Length: many", "Connection: close") + GOOD),
    "no-bytes": lambda peer: peer.send(head("Content-Length: 0", "Connection: close")),
    # chunks
    "chunk-garbage": lambda peer: peer.send(CHUNKED + b"zzzz\r\n" + GOOD),
    "chunk-overflows": lambda peer: peer.send(CHUNKED + b"ffffffffffffffffff\r\n" + GOOD),
    "chunk-cut": lambda peer: peer.send(CHUNKED + b"1000\r\n" + GOOD),
    "chunk-without-end": lambda peer: peer.send(CHUNKED + chunk(GOOD)),
    "chunk-wrong-end": lambda peer: peer.send(CHUNKED + b"%x\r\n%sXX\r\n0\r\n\r\n" % (len(GOOD), GOOD)),
    # no answers, and others than it seems
    "not-http": lambda peer: peer.send(b"220 mail.example ESMTP\r\n"),
    "binary": lambda peer: peer.send(bytes(range(256)) * 40),
    "hang-up": lambda peer: None,
    "status-999": lambda peer: peer.send(head("Content-Length: 0", status="999 What")),
    "html-as-png": lambda peer: peer.send(whole(b"<!DOCTYPE html><html><body>hello</body></html>")),
    "header-with-nul": lambda peer: peer.send(b"HTTP/1.1 200 OK\r\nX-A: b\0c\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(GOOD) + GOOD),
}


class Handler(socketserver.BaseRequestHandler):
    def requests(self):
        data = b""
        while True:
            while b"\r\n\r\n" not in data:
                more = self.request.recv(CHUNK)
                if not more:
                    return
                data += more
            request, data = data.split(b"\r\n\r\n", 1)
            yield request.split(b" ", 2)[1].decode()

    def handle(self):
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(OSError):
            for path in self.requests():
                name = path.split("/")[1].split("?")[0]
                if name in ATTACKS:
                    ATTACKS[name](Peer(self.request, self.server.over))
                    return  # and the connection ends
                time.sleep(self.server.latency)
                kind, body = self.server.files.get(path) or ("image/png", picture(next(self.server.numbers)))
                self.request.sendall(whole(body, kind))


class HostileOrigin(socketserver.ThreadingTCPServer):
    """files: path → (content type, bytes); any other path is a small new picture."""

    daemon_threads, allow_reuse_address, request_queue_size = True, True, 1024

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.latency, self.over, self.numbers = {}, 0.0, threading.Event(), itertools.count(2)
        self.port = self.server_address[1]
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, client_address):
        pass  # the worker has hung up, as it should

    def connect_to(self, *hosts):
        """For fetch.connect_to; without hosts: every host that there is."""
        return [f"{host}:80:127.0.0.1:{self.port}" for host in hosts or ("",)]

    def close(self):
        self.over.set()
        self.shutdown()
        self.server_close()


@contextlib.contextmanager
def distant_origin(seconds):
    """The port of one in a process of its own, so that what it serves does not wait for what this one does."""
    child = subprocess.Popen([sys.executable, __file__, str(seconds)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield int(child.stdout.readline())
    finally:
        child.stdin.close()
        child.wait(20)


if __name__ == "__main__":
    origin = HostileOrigin()
    origin.latency = float(sys.argv[1])
    print(origin.port, flush=True)
    sys.stdin.read()
