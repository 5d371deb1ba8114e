# SPDX-License-Identifier: Apache-2.0
"""How well near-duplicates are found: similar_bench.py PHOTOS. Each photograph of the folder and four quarters of it, 640 pixels wide, go
through a fleet, and so do altered copies of each; then it is asked which originals look like each copy, within N bits. Prints, by what
was done to the copy and by N, the recall (of the copies, whose original was found) and the precision (of all that was found, the right ones); exits 1 where
at N = 6 copies that were resized, recompressed or brightened by a tenth have a recall under 0.95 or a precision under 0.99."""
import http.server
import pathlib
import sys
import tempfile
import urllib.parse

from PIL import Image, ImageEnhance, ImageFilter

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests" / "integration"))

import kit  # noqa: E402

WIDTH, BITS = 640, (0, 2, 4, 6, 8, 10, 11)


def scaled(image, factor):
    return image.resize((max(1, round(image.width * factor)), max(1, round(image.height * factor))), Image.LANCZOS)


def shaved(image, part):
    dx, dy = round(image.width * part), round(image.height * part)
    return image.crop((dx, dy, image.width - dx, image.height - dy))


# what is done to a copy, and the JPEG quality it is saved with
CHANGES = {
    "resized to 75 %": (lambda image: scaled(image, 0.75), 90),
    "resized to 33 %": (lambda image: scaled(image, 0.33), 90),
    "resized to 150 %": (lambda image: scaled(image, 1.5), 90),
    "recompressed, quality 60": (lambda image: image, 60),
    "recompressed, quality 20": (lambda image: image, 20),
    "brightened by 10 %": (lambda image: ImageEnhance.Brightness(image).enhance(1.1), 90),
    "brightened by 25 %": (lambda image: ImageEnhance.Brightness(image).enhance(1.25), 90),
    "contrast up by 20 %": (lambda image: ImageEnhance.Contrast(image).enhance(1.2), 90),
    "blurred, 2 pixels": (lambda image: image.filter(ImageFilter.GaussianBlur(2)), 90),
    "all three: 75 %, +10 %, quality 60": (lambda image: ImageEnhance.Brightness(scaled(image, 0.75)).enhance(1.1), 60),
    "cut by 1 % at each side": (lambda image: shaved(image, 0.01), 90),
    "cut by 5 % at each side": (lambda image: shaved(image, 0.05), 90),
}
REQUIRED = [name for name in CHANGES if name.startswith(("resized", "recompressed", "brightened by 10", "all"))]


def originals(photos):
    for path in sorted(p for p in photos.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png")):
        with Image.open(path) as image:
            image = image.convert("RGB")
        w, h = image.width // 2, image.height // 2
        for box in ((0, 0, 2 * w, 2 * h), (0, 0, w, h), (w, 0, 2 * w, h), (0, h, w, 2 * h), (w, h, 2 * w, 2 * h)):
            part = image.crop(box)
            yield part.resize((WIDTH, round(WIDTH * part.height / part.width)), Image.LANCZOS)


def serve(folder):
    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *words):
            super().__init__(*words, directory=folder)

    return kit.HttpServer(Handler)


def ask(cluster, phash):
    """[(number of the original, distance)] of the originals that look like it."""
    found = cluster.get("/v1/similar", phash=phash, within=max(BITS), limit=1000).json()["images"] if phash else []  # none: of one level all over
    places = [(pathlib.PurePosixPath(urllib.parse.urlsplit(image["source"]["url"]).path), image["distance"]) for image in found]
    return [(int(path.stem), distance) for path, distance in places if path.parent.name == "original"]


def measure(cluster, folder, count):
    """By what was done to the copies: of each, what looks like it. Copies take the same way as originals, and so get their hashes."""
    kinds = {name: folder / f"copies-{number}" for number, name in enumerate(CHANGES)}
    for name, (change, quality) in CHANGES.items():
        kinds[name].mkdir()
        for number in range(count):
            with Image.open(folder / "original" / f"{number}.jpg") as image:
                change(image).save(kinds[name] / f"{number}.jpg", quality=quality)
    cluster.run([url(kind.name, number) for kind in kinds.values() for number in range(count)], "copies", seconds=1200)
    hashes = {image["source"]["url"]: image.get("phash") for image in cluster.db.images.find({}, {"source.url": 1, "phash": 1})}
    return {name: [ask(cluster, hashes[url(kind.name, number)]) for number in range(count)] for name, kind in kinds.items()}


def url(folder, number):
    return f"http://photos.test/{folder}/{number}.jpg"


def rates(answers, bits):
    """Recall and precision: copy n is to find original n."""
    near = [[number for number, distance in answer if distance <= bits] for answer in answers]
    right, all_found = sum(n in numbers for n, numbers in enumerate(near)), sum(map(len, near))
    return right / len(near), right / all_found if all_found else 1.0


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        count = 0
        (folder / "original").mkdir()
        for count, image in enumerate(originals(pathlib.Path(sys.argv[1])), 1):
            image.save(folder / "original" / f"{count - 1}.jpg", quality=92)
        server = serve(folder)
        servers, cluster = kit.Servers(folder), None
        try:
            cluster = kit.Cluster(servers, folder, workers=1, settings={"fetch.connect_to": [f"photos.test:80:127.0.0.1:{server.port}"]})
            catalog = cluster.run([url("original", n) for n in range(count)], "photos")
            assert catalog["counts"]["stored"] == count, catalog
            found = measure(cluster, folder, count)
        finally:
            if cluster:
                cluster.stop(check=False)
            servers.stop()
            server.stop()
    print(f"{count} photographs and quarters of them; recall / precision by the bits that may differ")
    print("| copy | " + " | ".join(f"≤ {bits}" for bits in BITS) + " |\n|---|" + "---|" * len(BITS))
    for change, answers in found.items():
        print(f"| {change} | " + " | ".join("%.2f / %.2f" % rates(answers, bits) for bits in BITS) + " |")
    everything = [rates(found[change], 6) for change in REQUIRED]
    return 0 if min(recall for recall, _ in everything) >= 0.95 and min(precision for _, precision in everything) >= 0.99 else 1


if __name__ == "__main__":
    sys.exit(main())
