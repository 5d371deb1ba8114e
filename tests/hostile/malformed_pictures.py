# SPDX-License-Identifier: Apache-2.0
"""Pictures that strangers make: named ones with their reasons, and mutations of good ones. The same bytes in every run."""
import io
import random
import struct
import zlib

from PIL import Image

ANY = {"corrupt_image", "not_image", "unsupported_format", "too_many_pixels", "too_many_frames", "decode_timeout", "output_too_large", "too_large"}


def base_image(size=(64, 48), mode="RGB"):
    rng = random.Random(5)
    image = Image.frombytes("RGB", size, bytes(rng.randrange(256) for _ in range(size[0] * size[1] * 3)))
    return image.convert(mode)


def saved(image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def good():
    image = base_image()
    return {"jpeg": saved(image, "JPEG", quality=80), "progressive": saved(image, "JPEG", quality=80, progressive=True), "png": saved(image, "PNG"),
            "webp": saved(image, "WEBP", quality=80), "lossless-webp": saved(image, "WEBP", lossless=True), "gif": saved(image, "GIF")}


def png_chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, bits=8, colour=0, data=b""):
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)) + png_chunk(b"IDAT", zlib.compress(data, 9)) + \
        png_chunk(b"IEND", b"")


def jpeg_sized(width, height):
    data = bytearray(good()["jpeg"])
    at = data.index(b"\xff\xc0")
    data[at + 5:at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def jpeg_scans(count):
    """A progressive JPEG whose last scan is repeated."""
    data = good()["progressive"]
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * count + b"\xff\xd9"


def gif_frames(count):
    """Frames of one pixel, each unlike the one before."""
    frames = [Image.new("P", (1, 1), number % 2) for number in range(count)]
    for frame in frames:
        frame.putpalette([0, 0, 0, 255, 255, 255])
    return saved(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=10, loop=0)


def gif_screen(width, height):
    """A screen of that size with a small picture on it."""
    data = good()["gif"]
    return data[:6] + struct.pack("<HH", width, height) + data[10:]


def exif(orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


SVG = b"""<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]>
<svg xmlns="http://www.w3.org/2000/svg" width="10" height="10"><text>&x;</text><image href="http://169.254.169.254/"/></svg>"""


def named():
    """name → (bytes, reasons; "stored" among them where the picture is fine)."""
    image = base_image()
    made = good()
    return {
        "jpeg-64250x64250": (jpeg_sized(64250, 64250), {"too_many_pixels"}),
        "jpeg-65535x65535": (jpeg_sized(65535, 65535), {"too_many_pixels"}),
        "jpeg-0x0": (jpeg_sized(0, 0), {"corrupt_image", "unsupported_format"}),
        "png-100000x100000": (png(100000, 100000), {"too_many_pixels"}),
        "png-1x60000000": (png(1, 60000000), {"too_many_pixels", "corrupt_image"}),
        "png-2147483647-squared": (png(2**31 - 1, 2**31 - 1), {"too_many_pixels", "corrupt_image"}),
        "png-bomb-7000x7000": (png(7000, 7000, data=bytes(7001 * 7000)), {"stored"}),
        "png-bomb-announced-small": (png(10, 10, data=bytes(50_000_000)), {"stored", "corrupt_image"}),
        "gif-10000-frames": (gif_frames(10000), {"too_many_frames"}),
        "gif-65535x65535": (gif_screen(65535, 65535), {"too_many_pixels", "corrupt_image", "stored"}),  # libnsgif takes such a screen for a mistake
        "jpeg-1000-scans": (jpeg_scans(1000), {"corrupt_image", "unsupported_format", "too_many_scans"}),
        "svg-external-entity": (SVG, {"unsupported_format", "not_image"}),
        "html-as-png": (b"<!DOCTYPE html><html></html>", {"not_image"}),
        "zero-bytes": (b"", {"empty"}),
        "cmyk-jpeg": (saved(base_image(mode="CMYK"), "JPEG"), {"stored"}),
        "16-bit-png": (png(8, 8, 16, 2, b"".join(b"\0" + bytes(48) for _ in range(8))), {"stored"}),
        **{f"exif-rotated-{turn}": (saved(base_image((30 + turn, 20)), "JPEG", exif=exif(turn)), {"stored"}) for turn in range(1, 9)},
        "half-a-jpeg": (made["jpeg"][:len(made["jpeg"]) // 2], {"corrupt_image"}),
        "half-a-progressive-jpeg": (made["progressive"][:len(made["progressive"]) // 2], {"corrupt_image"}),
        "half-a-webp": (made["webp"][:len(made["webp"]) // 2], {"corrupt_image"}),
        "half-a-gif": (made["gif"][:len(made["gif"]) // 2], {"corrupt_image"}),
        "half-a-png": (made["png"][:len(made["png"]) // 2], {"corrupt_image"}),
        "bmp": (saved(image, "BMP"), {"unsupported_format"}), "tiff": (saved(image, "TIFF"), {"unsupported_format"}),
        "ico": (saved(image, "ICO"), {"unsupported_format", "not_image"}),
        "animated-webp": (saved(image, "WEBP", save_all=True, append_images=[base_image((64, 48)).rotate(180)], duration=10), {"too_many_frames"}),
    }


def pieces(kind, data):
    """Where segments, chunks or blocks begin."""
    if kind in ("jpeg", "progressive"):
        return [at for at in range(2, len(data) - 1) if data[at] == 0xff and data[at + 1] not in (0, 0xff)]
    at, step, found = {"png": (8, 12), "webp": (12, 8), "lossless-webp": (12, 8)}.get(kind, (len(data), 1))[0:2] + ([],)
    while at < len(data) - 8:
        found.append(at)
        size = struct.unpack(">I" if kind == "png" else "<I", data[at:at + 4] if kind == "png" else data[at + 4:at + 8])[0]
        at += size + step + (size % 2 if kind != "png" else 0)
    return found or list(range(13, len(data), max(1, len(data) // 30)))


def mutations(every):
    """name → (bytes, reasons). `every`: of the flips, one of so many."""
    out = {}
    rng = random.Random(11)
    for kind, data in good().items():
        starts = pieces(kind, data)
        for at in starts:
            out[f"{kind}-cut-{at}"] = (data[:at], ANY)
            for extra in (1, 3):
                if at + extra < len(data) - 1:
                    out[f"{kind}-cut-{at + extra}"] = (data[:at + extra], ANY)
            for name, raw in (("zero", b"\0\0"), ("huge", b"\xff\xff")):
                offset = at + (2 if kind in ("jpeg", "progressive") else 6 if kind.endswith("webp") else 2)
                out[f"{kind}-length-{name}-{at}"] = (data[:offset] + raw + data[offset + 2:], ANY | {"stored"})
        for number in range(0, len(data), every):
            place, bit = rng.randrange(12, len(data)), 1 << rng.randrange(8)
            out[f"{kind}-flip-{place}-{bit}"] = (data[:place] + bytes([data[place] ^ bit]) + data[place + 1:], ANY | {"stored"})
        for number in range(20):
            place = rng.randrange(12, len(data) - 8)
            out[f"{kind}-noise-{number}"] = (data[:place] + rng.randbytes(8) + data[place + 8:], ANY | {"stored"})
    return out
