# SPDX-License-Identifier: Apache-2.0
"""Source pictures of every kind, each with the upright 8-bit picture that Pillow reads from it."""
import io
import struct
import zlib

import numpy
from PIL import Image, ImageOps


def scene(width, height, seed=1):
    """Smooth parts, edges and some noise; colours that are not gray."""
    rng = numpy.random.default_rng(seed)
    y, x = numpy.mgrid[0:height, 0:width]
    bands = [120 + 70 * numpy.sin(x / (17 + 5 * b) + b) + 50 * numpy.cos(y / (13 + 3 * b)) + 25 * ((x // 16 + y // 12) % 2) for b in range(3)]
    pixels = numpy.stack(bands, axis=-1) + rng.normal(0, 3, (height, width, 3))
    return Image.fromarray(numpy.clip(pixels, 0, 255).astype(numpy.uint8), "RGB")


def saved(image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def png16(pixels):
    """A 16-bit PNG of an array of height × width (× 3), which Pillow can't write."""
    height, width = pixels.shape[:2]
    rows = pixels.astype(">u2").reshape(height, -1)
    raw = b"".join(b"\0" + row.tobytes() for row in rows)

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 16, 2 if pixels.ndim == 3 else 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")


def on_white(image):
    ground = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(ground, image.convert("RGBA")).convert("RGB")


def rgba(image):
    width, height = image.size
    alpha = Image.fromarray(numpy.tile(numpy.linspace(0, 255, width).astype(numpy.uint8), (height, 1)), "L")
    image = image.copy()
    image.putalpha(alpha)
    return image


def exif(orientation):
    data = Image.Exif()
    data[0x0112] = orientation
    data[0x010E] = "a scene"
    return data.tobytes()


def read(data):
    return ImageOps.exif_transpose(Image.open(io.BytesIO(data)))


def cases():
    """name → (file's ending, its bytes, the picture as Pillow has it, or None: Pillow reads it by other rules)"""
    base = scene(96, 72)
    deep = numpy.asarray(base).astype(numpy.uint32) * 257
    made = {
        "gray": ("png", saved(base.convert("L"), "PNG")),
        "rgb": ("jpg", saved(base, "JPEG", quality=92)),
        "exif": ("jpg", saved(base, "JPEG", quality=92, exif=exif(6))),
        "one": ("png", saved(Image.new("RGB", (1, 1), (200, 30, 90)), "PNG")),
        "wide": ("png", saved(scene(2000, 3), "PNG")),
    }
    found = {name: (ending, data, read(data)) for name, (ending, data) in made.items()}
    found["rgba"] = ("png", saved(rgba(base), "PNG"), on_white(rgba(base)))
    found["deep"] = ("png", png16(deep), base)
    found["deep_gray"] = ("png", png16(deep[:, :, 0]), base.getchannel(0))
    found["cmyk"] = ("jpg", saved(base.convert("CMYK"), "JPEG", quality=92), None)
    return found
