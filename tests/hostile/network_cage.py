# SPDX-License-Identifier: Apache-2.0
"""A network of its own for a worker: public addresses that are ours, names that we answer, a metadata server, and a counter of
packets. Redis and MongoDB are let in at 127.0.0.1; nothing gets out."""
import collections
import contextlib
import ctypes
import http.server
import os
import pathlib
import socket
import struct
import subprocess
import threading

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000
ETH_P_ALL = 3
NAME_SERVER = "127.0.0.53"
A, AAAA = 1, 28


def run(*command):
    subprocess.run([str(part) for part in command], check=True, capture_output=True, timeout=30)


def pump(source, sink):
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    for end in (source, sink):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


class Names(threading.Thread):
    """A DNS server. records: name → a list of answers, each a list of addresses: the nth question gets the nth, the last for ever.
    A question is one kind of record of one name: A and AAAA count apart."""

    def __init__(self, sock):
        super().__init__(daemon=True)
        self.sock, self.records, self.asked = sock, {}, collections.Counter()

    def answer(self, question):
        at, labels = 12, []
        while question[at]:
            labels.append(question[at + 1:at + 1 + question[at]].decode())
            at += 1 + question[at]
        name, (kind, _) = ".".join(labels).lower(), struct.unpack_from(">HH", question, at + 1)
        known, number = self.records.get(name), self.asked[name, kind]
        self.asked[name, kind] += 1
        addresses = known[min(number, len(known) - 1)] if known else []
        family, size = (socket.AF_INET, 4) if kind == A else (socket.AF_INET6, 16)
        wanted = [address for address in addresses if (":" in address) == (kind == AAAA)] if kind in (A, AAAA) else []
        head = question[:2] + struct.pack(">HHHHH", 0x8580 if known else 0x8583, 1, len(wanted), 0, 0)
        body = b"".join(b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 0, size) + socket.inet_pton(family, address) for address in wanted)
        return head + question[12:at + 5] + body

    def run(self):
        while self.sock.fileno() >= 0:  # closed: the test is over
            with contextlib.suppress(OSError):
                question, who = self.sock.recvfrom(4096)
                self.sock.sendto(self.answer(question), who)


class Counter(threading.Thread):
    """Counts packets to addresses, whatever becomes of them."""

    def __init__(self, sock, addresses):
        super().__init__(daemon=True)
        self.sock, self.packets = sock, collections.Counter()
        self.watched = {socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address): address for address in addresses}

    def run(self):
        while self.sock.fileno() >= 0:
            with contextlib.suppress(OSError):
                frame = self.sock.recv(65536)  # Ethernet, as on every loopback
                kind, packet = frame[12:14], frame[14:]
                to = packet[16:20] if kind == b"\x08\x00" else packet[24:40] if kind == b"\x86\xdd" else b""
                if to in self.watched:
                    self.packets[self.watched[to]] += 1


class Cage:
    def __init__(self, name, addresses, watched=()):
        self.name, self.sockets, self.folder = name, [], pathlib.Path("/etc/netns") / name
        run("ip", "netns", "add", name)
        try:
            run("ip", "-n", name, "link", "set", "lo", "up")
            for address in addresses:
                run("ip", "-n", name, "addr", "add", address + ("/128" if ":" in address else "/32"), "dev", "lo")
            self.folder.mkdir(parents=True)
            (self.folder / "resolv.conf").write_text(f"nameserver {NAME_SERVER}\noptions timeout:2 attempts:2\n")
            self.names = Names(self.socket(socket.AF_INET, socket.SOCK_DGRAM, (NAME_SERVER, 53)))
            self.counter = Counter(self.socket(socket.AF_PACKET, socket.SOCK_RAW, ("lo", ETH_P_ALL), socket.htons(ETH_P_ALL)), watched)
            self.names.start()
            self.counter.start()
        except BaseException:
            self.close()
            raise

    def enter(self, action):
        """action() on a thread within; its answer."""
        box = {}

        def inside():
            fd = os.open(f"/run/netns/{self.name}", os.O_RDONLY)
            try:
                assert LIBC.setns(fd, CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
                box["answer"] = action()
            except BaseException as error:  # told by the caller
                box["error"] = error
            finally:
                os.close(fd)

        thread = threading.Thread(target=inside)
        thread.start()
        thread.join()
        if "error" in box:
            raise box["error"]
        return box["answer"]

    def socket(self, family, kind, address, protocol=0):
        """One within, bound; it stays there, whoever uses it."""
        def make():
            sock = socket.socket(family, kind, protocol)
            if kind == socket.SOCK_STREAM:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(address)
            if kind != socket.SOCK_STREAM:
                sock.settimeout(1)
            if kind == socket.SOCK_STREAM:
                sock.listen(128)
            return sock
        self.sockets.append(self.enter(make))
        return self.sockets[-1]

    def connect(self, address, port):
        """From within, for the counter's own proof."""
        self.enter(lambda: socket.create_connection((address, port), timeout=5).close())

    def serve(self, address, port, handler):
        """An HTTP server within."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        server = http.server.ThreadingHTTPServer((address, port), handler, bind_and_activate=False)
        server.socket.close()
        server.socket = self.socket(family, socket.SOCK_STREAM, (address, port))
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server

    def let_in(self, port):
        """127.0.0.1:port within is 127.0.0.1:port outside."""
        listener = self.socket(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", port))

        def accept():
            with contextlib.suppress(OSError):
                while True:
                    inner, _ = listener.accept()
                    outer = socket.create_connection(("127.0.0.1", port))
                    for pair in ((inner, outer), (outer, inner)):
                        threading.Thread(target=pump, args=pair, daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()

    def prefix(self):
        """What runs a command within, with the resolver's configuration of the cage."""
        return ["ip", "netns", "exec", self.name]

    def close(self):
        for sock in self.sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        with contextlib.suppress(subprocess.CalledProcessError):
            run("ip", "netns", "del", self.name)
        with contextlib.suppress(OSError):
            (self.folder / "resolv.conf").unlink()
            self.folder.rmdir()
