# SPDX-License-Identifier: Apache-2.0
"""Peer (b), the best of Python: asyncio on uvloop, aiohttp, a process pool with PyTurboJPEG, pymongo's asynchronous bulk writes.

As their documentation advises: one ClientSession with a limited connector, CPU work in a ProcessPoolExecutor, unordered insert_many.
libjpeg-turbo's lossless transform makes JPEGs gray (faster than decoding and encoding); what is no JPEG goes to Pillow.
Reads URLs from the Redis list `peer:urls`. Environment: PEER_REDIS, PEER_MONGO, PEER_DATABASE, PEER_PROCESSES."""
import asyncio
import base64
import concurrent.futures
import datetime
import hashlib
import io
import os

import aiohttp
import pymongo
import redis.asyncio
import uvloop
from PIL import Image
from turbojpeg import TurboJPEG

IN_FLIGHT, BULK, BULK_WAIT = 128, 64, 0.005
turbo = None


def start():
    global turbo
    turbo = TurboJPEG()


def gray(source):
    """(gray JPEG, width, height)"""
    if source[:2] == b"\xff\xd8":
        width, height = turbo.decode_header(source)[:2]
        return turbo.crop(source, 0, 0, width, height, gray=True), width, height
    with Image.open(io.BytesIO(source)) as picture:
        out = io.BytesIO()
        picture.convert("L").save(out, "JPEG", quality=75)
        return out.getvalue(), *picture.size


def make(url, source):
    """In a process of the pool: the document."""
    made, width, height = gray(source)
    text = base64.b64encode(made)
    return {"_id": hashlib.sha256(url.encode()).hexdigest(), "url": url, "width": width, "height": height,
            "content_type": "image/jpeg", "data": text.decode(),
            "sums": {"source": hashlib.sha256(source).hexdigest(), "output": hashlib.sha256(made).hexdigest(),
                     "base64": hashlib.sha256(text).hexdigest()}}


async def feed(queue):
    client = redis.asyncio.from_url(os.environ["PEER_REDIS"], socket_timeout=None)
    while True:
        _, urls = await client.blmpop(0, 1, "peer:urls", direction="LEFT", count=64)
        for url in urls:
            await queue.put(url.decode())


async def work(session, pool, queue, documents):
    loop = asyncio.get_running_loop()
    while True:
        url = await queue.get()
        for attempt in range(8):
            try:
                async with session.get(url) as answer:
                    answer.raise_for_status()
                    source = await answer.read()
                break
            except aiohttp.ClientError:
                await asyncio.sleep(2**attempt / 10)
        await documents.put(await loop.run_in_executor(pool, make, url, source))


async def store(images, documents):
    while True:
        bulk = [await documents.get()]
        deadline = asyncio.get_running_loop().time() + BULK_WAIT
        while len(bulk) < BULK:
            try:
                async with asyncio.timeout_at(deadline):
                    bulk.append(await documents.get())
            except TimeoutError:
                break
        for document in bulk:
            document["stored_at"] = datetime.datetime.now(datetime.timezone.utc)
        try:
            await images.insert_many(bulk, ordered=False)
        except pymongo.errors.BulkWriteError as error:
            if any(failure["code"] != 11000 for failure in error.details["writeErrors"]):
                raise


async def main(pool):
    queue, documents = asyncio.Queue(IN_FLIGHT), asyncio.Queue(2 * BULK)
    images = pymongo.AsyncMongoClient(os.environ["PEER_MONGO"])[os.environ["PEER_DATABASE"]].images
    connector = aiohttp.TCPConnector(limit=64)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=30)) as session, asyncio.TaskGroup() as group:
        group.create_task(feed(queue))
        for _ in range(IN_FLIGHT):
            group.create_task(work(session, pool, queue, documents))
        for _ in range(2):
            group.create_task(store(images, documents))
        print("ready", flush=True)


if __name__ == "__main__":
    processes = int(os.environ.get("PEER_PROCESSES") or os.cpu_count())
    with concurrent.futures.ProcessPoolExecutor(processes, initializer=start) as executor:
        uvloop.run(main(executor))
