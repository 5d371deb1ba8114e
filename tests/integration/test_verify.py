# SPDX-License-Identifier: Apache-2.0
"""The store check finds what it is there to find: one wrong thing at a time in an otherwise right database."""
import base64
import copy
import datetime
import hashlib
import io
import json

import pytest
from PIL import Image

from oracle import document_sum, sha256, verify_store

PIPELINE = "gray@0123456789ab"


def jpeg(level, size=(16, 12)):
    out = io.BytesIO()
    Image.new("L", size, level).save(out, "JPEG")
    return out.getvalue()


def document(number):
    source, output = b"source %d" % number, jpeg(number * 20)
    text = base64.b64encode(output).decode()
    now = datetime.datetime(2026, 11, 21, 9, 30, 0, 123000, tzinfo=datetime.timezone.utc)
    url = f"https://picsum.photos/id/{number}/16/12"
    image = {
        "_id": f"{sha256(source)}:{PIPELINE}", "job": f"{sha256(url.encode())}:gray", "pipeline": PIPELINE, "data": text, "content_type": "image/jpeg",
        "width": 16, "height": 12, "bytes": len(output), "made_by": "grisaille test", "fetched_at": now, "inserted_at": now,
        "source": {"url": url, "final_url": url, "host": "picsum.photos", "content_type": "image/jpeg", "width": 16, "height": 12, "bytes": len(source)},
        "sums": {"source": sha256(source), "output": sha256(output), "base64": sha256(text.encode())},
    }
    image["sums"]["document"] = document_sum(image)
    return image


class Rows(list):
    """As much of a collection as the oracle reads."""

    def find(self, query=None, fields=None):
        return iter(self)


class Database:
    def __init__(self):
        self.images = Rows(document(number) for number in range(1, 4))
        self.urls = Rows({"_id": image["job"], "url": image["source"]["url"], "state": "done", "images": [image["_id"]]} for image in self.images)
        self.pipelines = Rows()


def spoil_output(db):
    db.images[0]["data"] = base64.b64encode(jpeg(200)).decode()


def spoil_text(db):
    db.images[0]["data"] = "!" + db.images[0]["data"][1:]


def spoil_field(db):
    db.images[0]["source"]["final_url"] = "https://elsewhere.test/"


def spoil_size(db):
    db.images[0]["width"] = 17
    db.images[0]["sums"]["document"] = document_sum(db.images[0])


def spoil_colour(db):
    out = io.BytesIO()
    Image.new("RGB", (16, 12)).save(out, "JPEG")
    image = db.images[0]
    image["data"] = base64.b64encode(out.getvalue()).decode()
    image["bytes"] = len(out.getvalue())
    image["sums"].update(output=sha256(out.getvalue()), base64=hashlib.sha256(image["data"].encode()).hexdigest())
    image["sums"]["document"] = document_sum(image)


def twin(db):
    copied = copy.deepcopy(db.images[0])
    copied["_id"] += "x"
    db.images.append(copied)


def half_a_set(db):
    """A pipeline of two outputs of which the URL links one."""
    db.pipelines.append({"_id": PIPELINE, "body": json.dumps({"outputs": {"": {}, "thumb": {}}})})
    db.urls[0]["pipeline"] = PIPELINE


@pytest.mark.parametrize("spoil", [
    half_a_set, spoil_output, spoil_text, spoil_field, spoil_size, spoil_colour, twin,
    lambda db: db.images.pop(),
    lambda db: db.urls.pop(),
    lambda db: db.urls[0].update(images=[]),
    lambda db: db.urls[0].update(state="queued"),
    lambda db: db.urls[0].update(state="dead"),
    lambda db: db.images[0]["sums"].update(source="0" * 64),
])
def test_one_wrong_thing_is_found(spoil):
    db = Database()
    assert verify_store(db) == 3
    spoil(db)
    with pytest.raises(AssertionError):
        verify_store(db)


def test_the_document_sum_is_over_named_lines_in_a_fixed_order():
    """Written out once by hand, so that a change of the format can't go unseen."""
    image = {"_id": "a:gray@1", "job": "k:gray", "pipeline": "gray@1", "content_type": "image/jpeg", "width": 1, "height": 2, "bytes": 3,
             "source": {"url": "u", "final_url": "f\\x\ny", "host": "h", "content_type": "image/png", "width": 4, "height": 5, "bytes": 6, "provider_id": "7"},
             "sums": {"source": "s", "output": "o", "base64": "b"}, "made_by": "m",
             "fetched_at": datetime.datetime(1970, 1, 1, 0, 0, 1, 5000), "inserted_at": datetime.datetime(1970, 1, 1, 0, 0, 2)}
    text = (b"_id=a:gray@1\njob=k:gray\npipeline=gray@1\noutput=\ncontent_type=image/jpeg\nwidth=1\nheight=2\nbytes=3\nsource.url=u\n"
            b"source.final_url=f\\\\x\\ny\nsource.host=h\nsource.content_type=image/png\nsource.width=4\nsource.height=5\nsource.bytes=6\n"
            b"source.etag=\nsource.last_modified=\nsource.provider_id=7\nsums.source=s\nsums.output=o\nsums.base64=b\nmade_by=m\nnote=\n"
            b"fetched_at=1005\ninserted_at=2000\n")
    assert document_sum(image) == hashlib.sha256(text).hexdigest()
