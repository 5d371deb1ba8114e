#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Cuts photographs as picsum does: make_jpeg_corpus.py PHOTOS OUT [COUNT] [--sequential]

PHOTOS: a folder of photographs, searched deeply. OUT gets COUNT (400) JPEGs of 200×300 to 1280×720, quality 75, 4:2:0, the same at
every run. Photographs are, for one, in Debian's lomiri-wallpapers-20.04, gnome-backgrounds and plasma-workspace-wallpapers:
apt-get download PACKAGE && dpkg-deb -x PACKAGE*.deb PHOTOS"""
import argparse
import pathlib
import random

from PIL import Image, ImageOps

SIZES = [(200, 300), (300, 200), (400, 300), (640, 480), (800, 600), (600, 900), (1024, 768), (1280, 720)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("count", type=int, nargs="?", default=400)
    parser.add_argument("--sequential", action="store_true")
    args = parser.parse_args()
    paths = sorted(p for p in args.photos.rglob("*") if p.is_file() and p.suffix.lower() in (".jpg", ".jpeg", ".png"))
    photos = []
    for path in paths:
        with Image.open(path) as image:
            if min(image.size) >= 720:
                image = image.convert("RGB")
                image.thumbnail((2560, 1920), Image.LANCZOS)
                photos.append(image)
    if not photos:
        raise SystemExit(f"{args.photos}: no photograph of 720 pixels or more")
    args.out.mkdir(parents=True, exist_ok=True)
    rng = random.Random(20261121)
    pixels = size = 0
    for number in range(args.count):
        photo, wanted = photos[number % len(photos)], rng.choice(SIZES)
        zoom = rng.uniform(1, 1.6)
        box = [side / zoom for side in photo.size]
        left, top = (rng.uniform(0, side - part) for side, part in zip(photo.size, box))
        part = photo.crop((int(left), int(top), int(left + box[0]), int(top + box[1])))
        picture = ImageOps.fit(part, wanted, Image.LANCZOS)
        path = args.out / f"{number:05}.jpg"
        picture.save(path, "JPEG", quality=75, subsampling=2, progressive=not args.sequential)
        pixels += wanted[0] * wanted[1]
        size += path.stat().st_size
    print(f"{args.count} pictures of {len(photos)} photographs, on average {size // args.count} bytes, {pixels // args.count} pixels")


if __name__ == "__main__":
    main()
