# SPDX-License-Identifier: Apache-2.0
"""Every kind of source becomes a gray JPEG of the right size and look, or is refused with its reason."""
import hashlib

import numpy

from pictures import difference, gray_on_white, luma, stored

BASE = "https://origin.test/kind/"
SIZE = (64, 40)
# kind → (type of the source, most mean difference from Pillow's gray, None: not compared)
KINDS = {
    "jpeg": ("image/jpeg", 0), "jpeg-gray": ("image/jpeg", 0), "jpeg-sequential": ("image/jpeg", 0), "jpeg-cmyk": ("image/jpeg", None),
    "exif-rotated": ("image/jpeg", 4), "webp": ("image/webp", 4), "png": ("image/png", 4), "png-gray": ("image/png", 4), "png-alpha": ("image/png", 6),
    "png16": ("image/png", 4), "gif": ("image/gif", 4),
}


def test_every_kind_becomes_a_gray_jpeg(fleet, origin):
    cluster = fleet(workers=1)
    urls = {kind: f"{BASE}{kind}/{SIZE[0]}/{SIZE[1]}/5" for kind in KINDS}
    receipt = cluster.run(list(urls.values()) + [BASE + "svg", BASE + "gif-animated/32/32/5"])
    fates = cluster.fates(receipt)
    assert fates[BASE + "gif-animated/32/32/5"]["reason"] == "too_many_frames"
    assert fates[BASE + "svg"]["reason"] in ("not_image", "unsupported_format")
    wrong = []
    for kind, (type, most) in KINDS.items():
        image = cluster.db.images.find_one({"source.url": urls[kind]})
        if image is None:
            wrong.append((kind, fates[urls[kind]]))
            continue
        source = origin.fetch(urls[kind])
        assert hashlib.sha256(source).hexdigest() == image["sums"]["source"]
        upright = SIZE[::-1] if kind == "exif-rotated" else SIZE
        if (image["content_type"], image["source"]["content_type"]) != ("image/jpeg", type):
            wrong.append((kind, image["content_type"], image["source"]["content_type"]))
        if (image["width"], image["height"]) != upright or (image["source"]["width"], image["source"]["height"]) != SIZE:
            wrong.append((kind, "size", image["width"], image["height"], image["source"]))
        if most == 0 and not numpy.array_equal(stored(image), luma(source)):
            wrong.append((kind, "its luma is not the source's, pixel by pixel"))
        elif most and difference(stored(image), gray_on_white(source)) > most:
            wrong.append((kind, "differs by", difference(stored(image), gray_on_white(source))))
    assert not wrong, "\n".join(map(str, wrong))
    cluster.verify()
