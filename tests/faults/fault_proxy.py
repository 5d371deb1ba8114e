# SPDX-License-Identifier: Apache-2.0
"""A TCP proxy that misbehaves on demand, to be put between any two processes. What it does may be changed at any moment.

proxy = FaultProxy(port_of_the_server); clients connect to proxy.port; proxy.latency(0.2), proxy.heal(), …; proxy.close().
"""
import asyncio
import collections
import contextlib
import itertools
import random
import socket
import struct
import threading
import time

CHUNK = 65536
REQUESTS, REPLIES = "requests", "replies"
Rule = collections.namedtuple("Rule", "kind value way", defaults=(None, None))
PASS = Rule("pass")


class Connection:
    """Both sides of one, and how many bytes each way may still carry (None: any)."""

    def __init__(self, number, client):
        self.number, self.client, self.server = number, client, None
        self.began = time.monotonic()
        self.left = {REQUESTS: None, REPLIES: None}

    def writers(self):
        return [writer for writer in (self.client, self.server) if writer]

    def close(self):
        """The orderly way: what was written still arrives."""
        for writer in self.writers():
            with contextlib.suppress(Exception):
                writer.close()

    def reset(self):
        for writer in self.writers():
            with contextlib.suppress(Exception):
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()


class FaultProxy:
    """Runs on a thread of its own; every method may be called from the test's."""

    PATIENCE = 0.3  # with cut_each: seconds that every second connection lives unharmed, so that something gets done

    def __init__(self, to_port, port=0, host="127.0.0.1"):
        self.to, self.host = (host, to_port), host
        self.rule, self.cuts, self.connections = PASS, None, {}
        self.accepted = self.faults = 0  # connections accepted, and broken by a rule
        self.numbers = itertools.count(1)
        self.loop = asyncio.new_event_loop()
        self.open_road = asyncio.Event()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True, name="fault-proxy")
        self.thread.start()
        self.port = self.call(self.listen(port))

    def call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(30)

    async def listen(self, port):
        self.open_road.set()
        self.server = await asyncio.start_server(self.serve, self.host, port)
        return self.server.sockets[0].getsockname()[1]

    # --- what it shall do

    def follow(self, rule, cuts=None):
        async def change():
            self.cuts, self.rule = cuts, rule
            if rule.kind == "black_hole":
                self.open_road.clear()
            else:
                self.open_road.set()
        self.call(change())

    def heal(self):
        """New connections work. Those that were to be cut are not any more; what a black hole held back goes on."""
        self.follow(PASS)

    def latency(self, seconds):
        """Each piece, either way, comes so much later."""
        self.follow(Rule("latency", seconds))

    def black_hole(self):
        """Connections are accepted, nothing is ever passed on."""
        self.follow(Rule("black_hole"))

    def reset(self):
        """Every connection is reset as soon as something moves on it."""
        self.follow(Rule("reset"))

    def cut(self, size, way=REPLIES):
        """New connections end after so many bytes one way."""
        self.follow(Rule("cut", size, way))

    def cut_each(self, first=0, way=REPLIES):
        """Connections end after `first` bytes, then one byte more each time; self.next_cut tells how far it is. Every second
        one lives PATIENCE seconds first, and is then cut so many bytes later."""
        self.next_cut = first
        self.follow(Rule("cut_each", first, way), itertools.count(first))

    def trickle(self):
        """One byte at a time."""
        self.follow(Rule("trickle"))

    def flaky(self, chance, seed=1):
        """Each piece resets its connection with this probability."""
        self.random = random.Random(seed)
        self.follow(Rule("flaky", chance))

    def drop(self):
        """Resets all connections there are."""
        async def reset_all():
            for connection in list(self.connections.values()):
                connection.reset()
        self.call(reset_all())

    def close(self):
        async def end():
            self.server.close()
            for connection in list(self.connections.values()):
                connection.reset()
            tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        with contextlib.suppress(Exception):
            self.call(end())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)

    # --- how it does it

    def take_cut(self):
        self.next_cut = next(self.cuts)
        return self.next_cut

    def limit_at_start(self, connection):
        if self.rule.kind == "cut":
            connection.left[self.rule.way] = self.rule.value
        elif self.rule.kind == "cut_each" and connection.number % 2:
            connection.left[self.rule.way] = self.take_cut()

    async def serve(self, reader, writer):
        connection = Connection(next(self.numbers), writer)
        self.connections[connection.number] = connection
        self.accepted += 1
        try:
            await self.open_road.wait()
            self.limit_at_start(connection)
            there, connection.server = await asyncio.open_connection(*self.to)
            pumps = [asyncio.ensure_future(self.pump(connection, reader, connection.server, REQUESTS)),
                     asyncio.ensure_future(self.pump(connection, there, writer, REPLIES))]
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            connection.close()
        except OSError:
            connection.reset()  # nobody is there
        except asyncio.CancelledError:
            connection.reset()
        finally:
            del self.connections[connection.number]

    async def pump(self, connection, reader, writer, way):
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                data = await reader.read(CHUNK)
                await self.open_road.wait()
                if not data or not await self.forward(connection, data, writer, way):
                    return

    def room(self, connection, way):
        """How many bytes may go; None: all."""
        rule = self.rule
        if rule.kind not in ("cut", "cut_each") or rule.way != way:
            return None
        if rule.kind == "cut_each" and connection.left[way] is None and time.monotonic() > connection.began + self.PATIENCE:
            connection.left[way] = self.take_cut()
        return connection.left[way]

    async def forward(self, connection, data, writer, way):
        rule, room = self.rule, self.room(connection, way)
        if rule.kind == "reset" or (rule.kind == "flaky" and self.random.random() < rule.value):
            self.faults += 1
            connection.reset()
            return False
        if rule.kind == "latency":
            await asyncio.sleep(rule.value)
        if rule.kind == "trickle":
            for byte in data:
                writer.write(bytes((byte,)))
                await writer.drain()
                await asyncio.sleep(0)
            return True
        if room is not None:
            connection.left[way] = max(0, room - len(data))
            if room <= len(data):
                self.faults += 1
                writer.write(data[:room])
                await writer.drain()
                return False
        writer.write(data)
        await writer.drain()
        return True
