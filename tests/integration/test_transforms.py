# SPDX-License-Identifier: Apache-2.0
"""Each built-in transform against what Pillow or plain arithmetic makes of the same pixels, on pictures of every kind.

A tolerance is (mean difference, largest difference) in levels of 8 bits; None: that one is not asked."""
import json
import math
import subprocess

import numpy
import pytest
from PIL import Image, ImageChops, ImageFilter, ImageOps

import kit
import picture_cases

EXACT, ROUNDED = (0, 0), (0.6, 1)


def grisaille(*words, check=True, cwd=None):
    done = subprocess.run([kit.find_binary(), *map(str, words)], capture_output=True, text=True, timeout=300, env=kit.clean_environment(), cwd=cwd)
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


def sets(values):
    return [word for name, value in values.items() for word in ("--set", f"{name}={str(value).lower() if isinstance(value, bool) else value}")]


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """name → (path, the picture that every step is given). What Pillow reads by other rules (CMYK, and alpha, whose product it
    rounds where libvips cuts) is what we decode ourselves."""
    folder = tmp_path_factory.mktemp("sources")
    found = {}
    for name, (ending, data, picture) in picture_cases.cases().items():
        path = folder / f"{name}.{ending}"
        path.write_bytes(data)
        found[name] = (path, picture)
    for name in ("cmyk", "rgba"):
        path, picture = found[name]
        grisaille("transforms", "try", "adjust", path, folder / f"{name}_read.png")
        found[name] = (path, Image.open(folder / f"{name}_read.png"))
        assert picture is None or difference(found[name][1], picture) <= (0.6, 1)
    assert difference(found["cmyk"][1], found["rgb"][1])[0] < 40
    return found


def rgb(image):
    return image.convert("RGB")


def tones(table):
    return lambda image: image.point([max(0, min(255, math.floor(table(t) + 0.5))) for t in range(256)] * len(image.getbands()))


def fitted(image, width, height):
    scale = min(width / image.width, height / image.height, 1)
    return max(1, math.floor(image.width * scale + 0.5)), max(1, math.floor(image.height * scale + 0.5))


def scaled(width, height, kernel=Image.LANCZOS):
    return lambda image: image.resize(fitted(image, width, height), kernel)


def covered(width, height):
    def make(image):
        scale = min(1, max(width / image.width, height / image.height))
        size = [max(1, math.floor(side * scale + 0.5)) for side in image.size]
        return cut(min(width, size[0]), min(height, size[1]))(image.resize(size, Image.LANCZOS))

    return make


def cut(width, height, across=0.5, down=0.5):
    def make(image):
        w, h = min(width, image.width), min(height, image.height)
        left, top = int((image.width - w) * across), int((image.height - h) * down)
        return image.crop((left, top, left + w, top + h))

    return make


def laid(width, height, color, across=0.5, down=0.5):
    def make(image):
        w, h = max(width, image.width), max(height, image.height)
        gray = len(set(color)) == 1 and image.mode == "L"
        ground = Image.new("L" if gray else "RGB", (w, h), color[0] if gray else color)
        ground.paste(image if gray else rgb(image), (int((w - image.width) * across), int((h - image.height) * down)))
        return ground

    return make


def gaussian(sigma):
    """A true Gaussian; what Pillow's GaussianBlur approximates by boxes."""
    reach = math.ceil(sigma * 4)
    weights = numpy.exp(-0.5 * (numpy.arange(-reach, reach + 1) / sigma) ** 2)
    weights /= weights.sum()

    def blurred(image):
        pixels = numpy.asarray(image, dtype=float)
        for axis in (0, 1):
            pad = [(0, 0)] * pixels.ndim
            pad[axis] = (reach, reach)
            wide = numpy.pad(pixels, pad, mode="edge")
            pixels = sum(w * numpy.take(wide, numpy.arange(pixels.shape[axis]) + i, axis=axis) for i, w in enumerate(weights))
        return pixels

    return blurred


def as_image(pixels):
    return Image.fromarray(numpy.clip(numpy.floor(pixels + 0.5), 0, 255).astype(numpy.uint8))


def sharpened(sigma, amount, threshold):
    def make(image):
        pixels, blurred = numpy.asarray(image, dtype=float), numpy.asarray(as_image(gaussian(sigma)(image)), dtype=float)
        mask = pixels - blurred
        return as_image(numpy.where(numpy.abs(mask) > threshold, pixels + mask * amount / 100, pixels))

    return make


def luminance(image):
    """Linear light, weighed as CIE Y of sRGB, and back."""
    if image.mode == "L":
        return image
    linear = numpy.asarray(image, dtype=float) / 255
    linear = numpy.where(linear <= 0.04045, linear / 12.92, ((linear + 0.055) / 1.055) ** 2.4)
    y = linear @ [0.2126, 0.7152, 0.0722]
    return as_image(255 * numpy.where(y <= 0.0031308, 12.92 * y, 1.055 * y ** (1 / 2.4) - 0.055))


def sepia(image):
    return rgb(image).convert("RGB", (0.393, 0.769, 0.189, 0, 0.349, 0.686, 0.168, 0, 0.272, 0.534, 0.131, 0))


def turned(image):
    return image.rotate(-30, Image.BILINEAR, expand=True, fillcolor=255 if image.mode == "L" else (255, 255, 255))


# transform, parameters, reference, tolerance. The reference gets the upright picture on white, "L" or "RGB".
TABLE = [
    ("grayscale", {}, lambda image: image.convert("L"), EXACT),
    ("grayscale", {"method": "luminance"}, luminance, (1.5, 8)),
    ("resize", {"width": 40, "height": 40}, scaled(40, 40), (3, 12)),
    ("resize", {"width": 40, "height": 40, "fit": "cover"}, covered(40, 40), (1.2, 12)),
    ("resize", {"width": 50, "height": 20, "fit": "stretch"}, lambda image: image.resize((min(50, image.width), min(20, image.height)), Image.LANCZOS), (2, 12)),
    ("resize", {"scale": 2, "enlarge": True, "kernel": "cubic"}, lambda image: image.resize((image.width * 2, image.height * 2), Image.BICUBIC), (2.5, 40)),
    ("resize", {"scale": 0.5, "kernel": "linear"}, lambda image: image.resize([max(1, math.floor(s / 2 + 0.5)) for s in image.size], Image.BILINEAR), (1.5, 20)),
    ("resize", {"width": 5000}, lambda image: image, EXACT),
    ("thumbnail", {"width": 32}, scaled(32, 32), (3, 14)),
    ("thumbnail", {"width": 32, "height": 24, "crop": "centre"}, covered(32, 24), (1.5, 14)),
    ("crop", {"width": 30, "height": 20}, cut(30, 20), EXACT),
    ("crop", {"width": 30, "height": 20, "at": "bottom_right"}, cut(30, 20, 1, 1), EXACT),
    ("crop", {"width": 30, "at": "top_left"}, cut(30, 10**6, 0, 0), EXACT),
    ("crop", {"width": 30, "height": 20, "at": "box", "left": 0, "top": 0}, cut(30, 20, 0, 0), EXACT),
    ("pad", {"width": 120, "height": 90}, laid(120, 90, (255, 255, 255)), EXACT),
    ("pad", {"width": 120, "height": 90, "at": "top_left", "color": "#204060"}, laid(120, 90, (0x20, 0x40, 0x60), 0, 0), EXACT),
    ("rotate", {}, lambda image: image.transpose(Image.ROTATE_270), EXACT),
    ("rotate", {"angle": 180}, lambda image: image.transpose(Image.ROTATE_180), EXACT),
    ("rotate", {"angle": -90}, lambda image: image.transpose(Image.ROTATE_90), EXACT),
    ("flip", {}, ImageOps.mirror, EXACT),
    ("flip", {"direction": "vertical"}, ImageOps.flip, EXACT),
    ("flip", {"direction": "both"}, lambda image: image.transpose(Image.ROTATE_180), EXACT),
    ("blur", {"sigma": 3}, lambda image: as_image(gaussian(3)(image)), (1.0, 4)),
    ("sharpen", {"sigma": 1.5, "amount": 150, "threshold": 3}, sharpened(1.5, 150, 3), (1.5, None)),
    ("adjust", {"brightness": 1.3}, tones(lambda t: t * 1.3), ROUNDED),
    ("adjust", {"contrast": 1.8}, tones(lambda t: (t - 127.5) * 1.8 + 127.5), ROUNDED),
    ("adjust", {"gamma": 2.2}, tones(lambda t: 255 * (t / 255) ** (1 / 2.2)), ROUNDED),
    ("threshold", {"level": 100}, lambda image: image.convert("L").point([255 * (t >= 100) for t in range(256)]), EXACT),
    ("equalise", {}, ImageOps.equalize, EXACT),
    ("invert", {}, ImageOps.invert, EXACT),
    ("sepia", {}, sepia, ROUNDED),
    ("sepia", {"strength": 0}, rgb, EXACT),
    ("tint", {}, lambda image: ImageOps.colorize(image.convert("L"), "black", "white", "#704214"), (1.0, 2)),
]


def difference(got, want):
    assert got.size == want.size and got.mode == want.mode, f"{got.mode} {got.size}, not {want.mode} {want.size}"
    apart = numpy.abs(numpy.asarray(got, dtype=int) - numpy.asarray(want, dtype=int))
    return float(apart.mean()), int(apart.max())


@pytest.mark.parametrize("name, values, reference, tolerance", TABLE, ids=[f"{row[0]} {json.dumps(row[1])}" for row in TABLE])
def test_a_built_in_is_what_the_reference_makes(sources, tmp_path, name, values, reference, tolerance):
    pairs = [word for source, (path, _) in sources.items() for word in (path, tmp_path / f"{source}.png")]
    grisaille("transforms", "try", name, *sets(values), *pairs)
    wrong = []
    for source, (_, picture) in sources.items():
        mean, most = difference(Image.open(tmp_path / f"{source}.png"), reference(picture))
        if mean > tolerance[0] or (tolerance[1] is not None and most > tolerance[1]):
            wrong.append(f"{source}: mean {mean:.2f}, largest {most}")
    assert not wrong, f"tolerance {tolerance}: {wrong}"


def test_another_angle_turns_about_the_middle_onto_the_background(sources, tmp_path):
    path, picture = sources["rgb"]
    grisaille("transforms", "try", "rotate", "--set", "angle=30", path, tmp_path / "out.png")
    got, want = Image.open(tmp_path / "out.png"), turned(picture)
    assert abs(got.width - want.width) <= 2 and abs(got.height - want.height) <= 2
    assert got.getpixel((0, 0)) == (255, 255, 255)
    mean, _ = difference(cut(60, 40)(got), cut(60, 40)(want))
    assert mean < 12, mean  # half a pixel apart at most
    assert difference(cut(60, 40)(got), cut(60, 40)(picture))[0] > 20


def test_attention_and_entropy_find_what_stands_out(tmp_path):
    picture = Image.new("RGB", (400, 100), (120, 120, 125))
    picture.paste(picture_cases.scene(60, 60), (310, 20))
    picture.save(tmp_path / "in.png")
    for at in ("attention", "entropy"):
        grisaille("transforms", "try", "crop", *sets({"width": 100, "height": 100, "at": at}), tmp_path / "in.png", tmp_path / "out.png")
        got = Image.open(tmp_path / "out.png")
        assert got.size == (100, 100)
        lefts = [left for left in range(301) if not ImageChops.difference(got, picture.crop((left, 0, left + 100, 100))).getbbox()]
        assert lefts and max(lefts) >= 270, f"{at}: cut out at {lefts[:3]}"


def test_a_watermark_lies_where_it_is_said_and_nowhere_else(tmp_path):
    picture = Image.new("RGB", (400, 200), (40, 40, 40))
    picture.save(tmp_path / "in.png")
    Image.new("RGBA", (50, 50), (255, 0, 0, 255)).save(tmp_path / "mark.png")
    values = {"image": tmp_path / "mark.png", "at": "top_left", "size": 10, "margin": 5, "opacity": 50}
    grisaille("transforms", "try", "watermark", *sets(values), tmp_path / "in.png", tmp_path / "out.png")
    want = picture.copy()
    want.paste((147, 20, 20), (20, 20, 60, 60))
    mean, most = difference(Image.open(tmp_path / "out.png"), want)
    assert most <= 2, (mean, most)
    grisaille("transforms", "try", "watermark", *sets({"text": "grisaille & <co>", "at": "bottom_right"}), tmp_path / "in.png", tmp_path / "out.png")
    box = ImageChops.difference(Image.open(tmp_path / "out.png"), picture).getbbox()
    assert box and box[0] >= 280 and box[1] >= 100 and box[2] <= 396 and box[3] <= 196, box
    wrong = grisaille("transforms", "try", "watermark", *sets({"image": tmp_path / "mark.png", "sha256": "0" * 64}), tmp_path / "in.png", tmp_path / "out.png", check=False)
    assert wrong.returncode != 0 and "SHA-256" in wrong.stderr


def test_formats_and_what_they_keep(sources, tmp_path):
    path, picture = sources["exif"]

    def made(name, output=""):
        grisaille("transforms", "try", "adjust", *(["--output", output] if output else []), path, tmp_path / name)
        return Image.open(tmp_path / name)

    sizes = {q: (made(f"{q}.jpg", f"quality={q}"), (tmp_path / f"{q}.jpg").stat().st_size)[1] for q in (20, 60, 95)}
    assert sizes[20] < sizes[60] < sizes[95]
    assert made("p.jpg", "progressive=true").info.get("progressive") and not made("s.jpg").info.get("progressive")
    assert difference(made("l.webp", "lossless=true").convert("RGB"), picture) == (0, 0)
    assert difference(made("w.webp").convert("RGB"), picture)[0] < 6
    assert made("i.png", "progressive=true").info.get("interlace") == 1
    assert not made("bare.jpg").getexif()
    kept = made("kept.jpg", "metadata=keep").getexif()
    assert kept.get(0x010E) == "a scene" and kept.get(0x0112, 1) == 1


def test_a_source_that_needs_no_encoding_is_not_encoded(sources, tmp_path):
    path, picture = sources["rgb"]
    (tmp_path / "g.yaml").write_text("pipelines:\n  kept:\n    steps: [require: { min_width: 10 }, grayscale]\n")
    said = grisaille("pipelines", "try", "kept", "--json", "--config", tmp_path / "g.yaml", path, tmp_path / "out.jpg")
    assert json.loads(said.stdout)["lossless"] is True
    picture = Image.open(path)
    picture.draft("L", picture.size)
    assert difference(Image.open(tmp_path / "out.jpg"), picture) == (0, 0)


@pytest.mark.parametrize("values, reason", [({"min_width": 97}, "too_small"), ({"max_aspect": 1}, "bad_aspect"), ({"min_aspect": 2}, "bad_aspect"),
                                            ({"min_entropy": 7.99}, "low_entropy"), ({"not_blank": True}, None), ({"min_width": 96, "min_height": 72}, None)])
def test_require_refuses_with_a_reason_of_its_own(sources, tmp_path, values, reason):
    done = grisaille("transforms", "try", "require", *sets(values), sources["rgb"][0], tmp_path / "out.png", check=False)
    assert (done.returncode == 0) is (reason is None)
    assert reason is None or f": {reason}: require: " in done.stderr


def test_a_blank_picture_is_refused_and_facts_are_right(sources, tmp_path):
    Image.new("RGB", (64, 64), (250, 250, 250)).save(tmp_path / "white.png")
    done = grisaille("transforms", "try", "require", "--set", "not_blank=true", tmp_path / "white.png", tmp_path / "out.png", check=False)
    assert done.returncode == 1 and ": blank_image: " in done.stderr
    for name in ("rgb", "gray", "one"):
        path, picture = sources[name]
        facts = json.loads(grisaille("transforms", "try", "analyse", "--json", path, tmp_path / "out.png").stdout)["facts"]["analyse"]
        gray = numpy.asarray(picture.convert("L"), dtype=float)
        shares = numpy.bincount(gray.astype(int).ravel(), minlength=256) / gray.size
        assert abs(facts["entropy"] + sum(s * math.log2(s) for s in shares if s)) < 1e-3
        assert abs(facts["mean"] - gray.mean()) < 1e-3 and abs(facts["deviation"] - gray.std()) < 1e-3
        boxes = numpy.asarray(picture.convert("RGB")).reshape(-1, 3) // 16
        found, counts = numpy.unique(boxes, axis=0, return_counts=True)
        best = [tuple(box * 16 + 8) for box in found[counts == counts.max()]]
        assert tuple(bytes.fromhex(facts["dominant"][1:])) in best
    blurred = tmp_path / "blurred.png"
    grisaille("transforms", "try", "blur", sources["rgb"][0], blurred)
    sharp, soft = (json.loads(grisaille("transforms", "try", "analyse", "--json", path, tmp_path / "out.png").stdout)["facts"]["analyse"]["sharpness"]
                   for path in (sources["rgb"][0], blurred))
    assert soft < sharp / 10


def test_diff_tells_what_another_file_would_change(tmp_path):
    (tmp_path / "old.yaml").write_text("pipelines:\n  a: { steps: [grayscale] }\n  b: { steps: [blur] }\n  c: { steps: [flip] }\n")
    (tmp_path / "new.yaml").write_text("pipelines:\n  a: { steps: [grayscale: { method: luma }], output: { format: jpeg } }\n  b: { steps: [blur: { sigma: 3 }] }\n  d: { steps: [flip] }\n")
    rows = json.loads(grisaille("pipelines", "diff", tmp_path / "new.yaml", "--config", tmp_path / "old.yaml", "--json").stdout)
    assert {row["name"]: row["what"] for row in rows if row["kind"] == "pipeline"} == {"gray": "same", "a": "same", "b": "changed", "c": "gone", "d": "new"}
    changed = next(row for row in rows if row["name"] == "b")
    assert changed["before"].startswith("b@") and changed["after"].startswith("b@") and changed["before"] != changed["after"]
    assert [(change["path"], change["after"]) for change in changed["changes"]] == [("steps[0].blur.sigma", 3)]
    assert [row["what"] for row in rows if row["kind"] == "rules"] == ["same"]
    (tmp_path / "rules.yaml").write_text("rules:\n- name: all\n  limit: { concurrency: 3 }\n")
    said = grisaille("pipelines", "diff", tmp_path / "old.yaml", tmp_path / "rules.yaml").stdout
    assert "rules@" in said and "rules[0].name: picsum sizes → all" in said and "rules[0].limit.concurrency: 32 → 3" in said
    (tmp_path / "bad.yaml").write_text("pipelines:\n  a: { steps: [nonsense] }\n")
    bad = grisaille("pipelines", "diff", tmp_path / "bad.yaml", check=False)
    assert bad.returncode == 2 and "nonsense" in bad.stderr
