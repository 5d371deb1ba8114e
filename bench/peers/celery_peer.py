# SPDX-License-Identifier: Apache-2.0
"""Peer (a), the pipeline people write today: Celery (prefork), requests.Session, Pillow, pymongo.

As their documentation advises: ignored results, late acknowledgement because the task is idempotent, one Session and one MongoClient
a process made after the fork, a timeout on each request, draft("L") so that libjpeg decodes luma alone, write concern in the URI.
Environment: PEER_REDIS, PEER_MONGO, PEER_DATABASE. As a program it puts the URLs of standard input into the queue."""
import base64
import datetime
import hashlib
import io
import os
import sys

import pymongo
import requests
from celery import Celery
from celery.signals import worker_process_init
from PIL import Image

app = Celery("peer", broker=os.environ["PEER_REDIS"])
app.conf.update(task_ignore_result=True, task_acks_late=True, worker_prefetch_multiplier=16, broker_connection_retry_on_startup=True,
                worker_send_task_events=False, task_store_errors_even_if_ignored=False)
session = images = None


@worker_process_init.connect
def start(**_):
    global session, images
    session = requests.Session()
    session.trust_env = False
    images = pymongo.MongoClient(os.environ["PEER_MONGO"])[os.environ["PEER_DATABASE"]].images


def gray(source):
    with Image.open(io.BytesIO(source)) as picture:
        picture.draft("L", picture.size)
        out = io.BytesIO()
        made = picture.convert("L")
        made.save(out, "JPEG", quality=75)
        return out.getvalue(), made.size


@app.task(name="gray", autoretry_for=(requests.RequestException,), retry_backoff=True, max_retries=8)
def fetch(url):
    answer = session.get(url, timeout=(5, 30))
    answer.raise_for_status()
    made, (width, height) = gray(answer.content)
    text = base64.b64encode(made)
    document = {"_id": hashlib.sha256(url.encode()).hexdigest(), "url": url, "width": width, "height": height,
                "content_type": "image/jpeg", "data": text.decode(),
                "sums": {"source": hashlib.sha256(answer.content).hexdigest(), "output": hashlib.sha256(made).hexdigest(),
                         "base64": hashlib.sha256(text).hexdigest()},
                "stored_at": datetime.datetime.now(datetime.timezone.utc)}
    try:
        images.insert_one(document)
    except pymongo.errors.DuplicateKeyError:
        pass


if __name__ == "__main__":
    with app.producer_pool.acquire(block=True) as producer:
        for line in sys.stdin:
            fetch.apply_async((line.strip(),), producer=producer)
