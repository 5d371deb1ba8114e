#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Gray pictures equal Pillow's, pixel by pixel: compare_pillow.py <picture_tool>.

JPEG sources keep their luma (Pillow's draft("L") decodes just that); other sources give Pillow's convert("L")."""
import io
import itertools
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy
from PIL import Image

GRAY = {"name": "gray", "steps": [{"grayscale": {"method": "luma"}}], "output": {"format": "jpeg"}}
GRAY_PROGRESSIVE = {**GRAY, "output": {"format": "jpeg", "progressive": True}}
GRAY_PNG = {**GRAY, "output": {"format": "png"}}
SIZES = [(1, 1), (7, 13), (16, 16), (33, 17), (200, 300), (641, 479)]


def scene(size, seed=1):
    """A colour picture with smooth parts, edges and noise."""
    width, height = size
    rng = numpy.random.default_rng(seed)
    y, x = numpy.mgrid[0:height, 0:width]
    bands = [(numpy.sin(x / (9 + b)) + numpy.cos(y / (7 + 2 * b))) * 60 + 128 + 40 * ((x // 20 + y // 15) % 2) for b in range(3)]
    pixels = numpy.stack(bands, axis=-1) + rng.normal(0, 8, (height, width, 3))
    return Image.fromarray(numpy.clip(pixels, 0, 255).astype(numpy.uint8), "RGB")


def exif(orientation):
    data = Image.Exif()
    data[0x0112] = orientation
    data[0x9286] = "Picsum ID: 237"
    return data.tobytes()


def jpegs():
    for size, subsampling, progressive, optimise in itertools.product(SIZES, (0, 1, 2), (False, True), (False, True)):
        out = io.BytesIO()
        scene(size).save(out, "JPEG", quality=75, subsampling=subsampling, progressive=progressive, optimize=optimise, exif=exif(1))
        yield f"jpeg {size} subsampling {subsampling} progressive {progressive} optimise {optimise}", out.getvalue()
    for quality in (1, 30, 100):
        out = io.BytesIO()
        scene((321, 123)).save(out, "JPEG", quality=quality, progressive=True, comment=b"x" * 900)
        yield f"jpeg quality {quality}", out.getvalue()
    out = io.BytesIO()
    scene((99, 55)).convert("L").save(out, "JPEG", progressive=True)
    yield "gray jpeg", out.getvalue()


def others():
    for size in SIZES:
        image = scene(size)
        for name, made in (("RGB", image), ("L", image.convert("L")), ("P", image.quantize(64)), ("1", image.convert("1"))):
            out = io.BytesIO()
            made.save(out, "PNG")
            yield f"png {name} {size}", out.getvalue()
        out = io.BytesIO()
        image.save(out, "WEBP", lossless=True)
        yield f"webp {size}", out.getvalue()
        out = io.BytesIO()
        image.save(out, "GIF")
        yield f"gif {size}", out.getvalue()


def pillow_jpeg_luma(data):
    image = Image.open(io.BytesIO(data))
    image.draft("L", image.size)
    assert image.mode == "L"
    return numpy.asarray(image)


def pillow_gray(data):
    image = Image.open(io.BytesIO(data))
    return numpy.asarray(image.convert("RGB").convert("L"))


def run(tool, pipeline, cases, expected, way):
    with tempfile.TemporaryDirectory() as folder:
        names = []
        lines = []
        for number, (name, data) in enumerate(cases):
            source, output = pathlib.Path(folder, f"{number}.in"), pathlib.Path(folder, f"{number}.out")
            source.write_bytes(data)
            names.append((name, data, output))
            lines.append(f"{source}\t{output}\n")
        answer = subprocess.run([tool, json.dumps(pipeline)], input="".join(lines), capture_output=True, text=True, timeout=300)
        assert answer.returncode == 0, answer.stderr
        said = answer.stdout.splitlines()
        assert len(said) == len(names), answer.stdout
        for (name, data, output), line in zip(names, said):
            assert line.startswith(f"ok {way} "), f"{name}: {line}"
            image = Image.open(output)
            assert image.mode == "L", f"{name}: mode {image.mode}"
            assert not image.getexif(), f"{name}: EXIF was kept"
            want, got = expected(data), numpy.asarray(image)
            assert want.shape == got.shape, f"{name}: {want.shape} became {got.shape}"
            assert numpy.array_equal(want, got), f"{name}: {int((want != got).sum())} pixels differ"
        return len(names)


def main():
    tool = sys.argv[1]
    count = run(tool, GRAY, jpegs(), pillow_jpeg_luma, "lossless")
    count += run(tool, GRAY_PROGRESSIVE, jpegs(), pillow_jpeg_luma, "lossless")
    count += run(tool, GRAY_PNG, others(), pillow_gray, "encoded")
    print(f"{count} pictures equal Pillow's")


if __name__ == "__main__":
    main()
