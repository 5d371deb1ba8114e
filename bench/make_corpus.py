#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Cuts and scales photographs as picsum does: make_corpus.py PHOTOS OUT [COUNT] [--kind KIND]

PHOTOS: a folder of photographs, searched deeply. OUT gets COUNT (400) pictures of 150×150 to 1280×720, each of them unique, also
among kinds, the same at every run. KIND: progressive (as picsum sends them: quality 75, 4:2:0, ten scans, EXIF with its id), sequential, png, webp, or mixed
(six in ten progressive, two sequential, one PNG, one WebP). Photographs are, for one, in Debian's lomiri-wallpapers-16.04 and -20.04:
apt-get download PACKAGE && dpkg-deb -x PACKAGE*.deb PHOTOS"""
import argparse
import multiprocessing
import pathlib
import random

from PIL import Image

SIZES = [(150, 150), (200, 200), (200, 300), (300, 200), (400, 300), (640, 360), (640, 480), (800, 600), (600, 900), (1024, 768), (1280, 720)]
KINDS = {"progressive": ["progressive"], "sequential": ["sequential"], "png": ["png"], "webp": ["webp"],
         "mixed": 6 * ["progressive"] + 2 * ["sequential"] + ["png", "webp"]}
SUFFIXES = {"progressive": "jpg", "sequential": "jpg", "png": "png", "webp": "webp"}
SEED = 20261121
photos = []  # loaded once, before the processes that cut them are forked


def load(source):
    if photos:
        return
    for path in sorted(p for p in source.rglob("*") if p.is_file() and p.suffix.lower() in (".jpg", ".jpeg", ".png")):
        with Image.open(path) as image:
            if min(image.size) >= 720:
                image = image.convert("RGB")
                image.thumbnail((2560, 1920), Image.LANCZOS)
                photos.append(image)


def cut(kind, number):
    """The largest box of the wanted shape, less a random zoom, at a random place; no two corpora have a picture in common."""
    rng = random.Random(f"{SEED} {kind} {number}")
    photo, wanted, zoom = photos[number % len(photos)], rng.choice(SIZES), rng.uniform(1, 1.6)
    scale = min(photo.size[0] / wanted[0], photo.size[1] / wanted[1]) / zoom
    box = [side * scale for side in wanted]
    left, top = (rng.uniform(0, side - part) for side, part in zip(photo.size, box))
    return photo.resize(wanted, Image.LANCZOS, box=(left, top, left + box[0], top + box[1]), reducing_gap=2.0)


def exif(number):
    made = Image.Exif()
    made[0x9286] = b"ASCII\0\0\0Picsum ID: %d" % number
    return made


def save(task):
    folder, kind, number = task
    names = KINDS[kind]
    form = names[number % len(names)]
    path = folder / f"{number:05}.{SUFFIXES[form]}"
    picture = cut(kind, number)
    if form == "png":
        picture.save(path, "PNG", compress_level=6)
    elif form == "webp":
        picture.save(path, "WEBP", quality=75)
    else:
        picture.save(path, "JPEG", quality=75, subsampling=2, progressive=form == "progressive", exif=exif(number))
    return path.stat().st_size, picture.size[0] * picture.size[1]


def make(source, out, count, kind):
    """{count, bytes and pixels on average}"""
    load(source)
    if not photos:
        raise SystemExit(f"{source}: no photograph of 720 pixels or more")
    out.mkdir(parents=True, exist_ok=True)
    with multiprocessing.get_context("fork").Pool() as pool:
        made = pool.map(save, [(out, kind, number) for number in range(count)], chunksize=8)
    return {"count": count, "bytes": sum(m[0] for m in made) // count, "pixels": sum(m[1] for m in made) // count}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("count", type=int, nargs="?", default=400)
    parser.add_argument("--kind", choices=KINDS, default="progressive")
    args = parser.parse_args()
    print("{count} pictures, on average {bytes} bytes, {pixels} pixels".format(**make(args.photos, args.out, args.count, args.kind)))


if __name__ == "__main__":
    main()
