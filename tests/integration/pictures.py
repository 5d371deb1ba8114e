# SPDX-License-Identifier: Apache-2.0
"""How a stored gray picture compares with what Pillow makes of its source."""
import base64
import io

import numpy
from PIL import Image, ImageOps


def luma(source):
    """The luma channel of a JPEG as libjpeg decodes it: no colour conversion in between."""
    picture = Image.open(io.BytesIO(source))
    picture.draft("L", picture.size)
    picture.load()
    assert picture.mode == "L", picture.mode
    return numpy.asarray(picture)


def stored(image):
    picture = Image.open(io.BytesIO(base64.b64decode(image["data"])))
    picture.load()
    assert picture.mode == "L", picture.mode
    return numpy.asarray(picture)


def gray_on_white(source):
    """Any picture as gray, upright, without alpha, 8 bits."""
    picture = ImageOps.exif_transpose(Image.open(io.BytesIO(source)))
    if picture.mode in ("RGBA", "LA", "P"):
        picture = picture.convert("RGBA")
        ground = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(ground, picture).convert("RGB")
    return numpy.asarray(picture.convert("L"))


def difference(a, b):
    """Mean difference of two pictures in gray levels."""
    assert a.shape == b.shape, f"{a.shape} and {b.shape}"
    return float(numpy.abs(a.astype(int) - b.astype(int)).mean())
