# SPDX-License-Identifier: Apache-2.0
"""The stand-in for picsum.photos behaves as the real one does, and its faults are the faults they claim to be."""
import http.client
import io
import re
import socket
import subprocess
import time

import pytest
import requests
from PIL import Image

NO_STORE = "private, no-cache, no-store, must-revalidate"


@pytest.fixture
def site(session_origin):
    session_origin.reset_stats()
    return session_origin


def front(site, target, **options):
    return site.get(target, host="picsum.photos", **options)


def picture(site, target):
    location = front(site, target).headers["Location"]
    return site.get(location.removeprefix("https://fastly.picsum.photos"), host="fastly.picsum.photos")


def test_the_front_redirects_to_a_signed_url_on_another_host(site):
    answer = front(site, "/id/1/200/300")
    assert answer.status_code == 302
    assert re.fullmatch(r"https://fastly\.picsum\.photos/id/1/200/300\.jpg\?hmac=[A-Za-z0-9_-]{43}", answer.headers["Location"])
    assert answer.headers["Cache-Control"] == NO_STORE
    assert answer.headers["Vary"] == "Origin" and answer.headers["Content-Length"] == "0"


def test_effects_and_sizes_stand_in_the_location(site):
    def path(target):
        return front(site, target).headers["Location"].removeprefix("https://fastly.picsum.photos").split("hmac=")[0]

    assert path("/id/1/200/300.webp?grayscale=false&blur&random=7") == "/id/1/200/300.webp?blur=5&grayscale&"
    assert path("/id/1/200") == "/id/1/200/200.jpg?"
    assert path("/id/1/200/0") == "/id/1/200/1200.jpg?"
    assert path("/id/1/20/20?random=9") == path("/id/1/20/20")


def test_without_id_or_seed_the_picture_is_random_with_one_it_stays(site):
    assert len({front(site, "/200/300").headers["Location"] for _ in range(12)}) > 3
    for target in ("/id/5/200/300", "/seed/lake/200/300"):
        assert len({front(site, target).headers["Location"] for _ in range(5)}) == 1


def test_the_image_host_serves_a_progressive_jpeg_as_picsum_does(site):
    answer = picture(site, "/id/1/200/300")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "image/jpeg"
    assert answer.headers["Content-Disposition"] == 'inline; filename="1-200x300.jpg"'
    assert answer.headers["Picsum-Id"] == "1" and answer.headers["Timing-Allow-Origin"] == "*"
    assert answer.headers["Cache-Control"] == "public, max-age=2592000, stale-while-revalidate=60, stale-if-error=43200, immutable"
    assert not {"ETag", "Last-Modified", "Accept-Ranges", "Content-Encoding"} & set(answer.headers)
    data = answer.content
    assert int(answer.headers["Content-Length"]) == len(data)
    assert data[:4] == b"\xff\xd8\xff\xe1" and int.from_bytes(data[4:6], "big") == 2 + 218
    assert b"Picsum ID: 1" in data[:240] and b"JFIF" not in data
    image = Image.open(io.BytesIO(data))
    assert image.size == (200, 300) and image.mode == "RGB" and image.info["progressive"]
    assert data.count(b"\xff\xda") == 10, "the ten scans of libjpeg's script"
    assert [component[1:3] for component in image.layer] == [(2, 2), (1, 1), (1, 1)], "4:2:0"
    assert picture(site, "/id/1/200/300").content == data, "the same URL, the same bytes"


def test_gray_blurred_and_webp(site):
    assert Image.open(io.BytesIO(picture(site, "/id/2/64/48?grayscale").content)).mode == "L"
    webp = picture(site, "/id/2/64/48.webp?blur=3")
    assert webp.headers["Content-Type"] == "image/webp" and webp.headers["Content-Disposition"].endswith('"2-64x48-blur_3.webp"')
    assert Image.open(io.BytesIO(webp.content)).size == (64, 48)


def test_ids_have_pictures_of_their_own(site):
    assert len({picture(site, f"/id/{id}/48/48").content[224:] for id in range(40)}) == 40


@pytest.mark.parametrize("target,status,text", [
    ("/6000/300", 400, "Invalid size"), ("/200/99999999999999", 400, "Invalid size"), ("/200/300.png", 400, "Invalid file extension"),
    ("/200.5/300", 400, "Invalid file extension"), ("/200/300?blur=11", 400, "Invalid blur amount"), ("/200/300?blur=x", 400, "Invalid blur amount"),
    ("/id/01/200/300", 404, "Image does not exist"), ("/id/86/200/300", 404, "Image does not exist"), ("/id/9999/20/20", 404, "Image does not exist"),
    ("/abc/300", 404, "page not found"), ("/200/300/400", 404, "page not found"), ("/-1/300", 404, "page not found"), ("/", 404, "page not found"),
])
def test_errors(site, target, status, text):
    answer = front(site, target)
    assert (answer.status_code, answer.text.strip()) == (status, text)
    assert answer.headers["Content-Type"].startswith("text/plain") and answer.headers["Cache-Control"] == NO_STORE
    assert front(site, target, headers={"Accept": "application/json"}).json() == {"error": text}


def test_a_wrong_signature_or_another_parameter_is_refused(site):
    target = front(site, "/id/1/200/300").headers["Location"].removeprefix("https://fastly.picsum.photos")
    for wrong in (target + "&x=1", target[:-1] + ("A" if target[-1] != "A" else "B"), target.replace("200", "201"), target.split("?")[0]):
        answer = site.get(wrong, host="fastly.picsum.photos")
        assert (answer.status_code, answer.text.strip()) == (400, "Invalid parameters")


def test_methods_and_the_slash_at_the_end(site):
    for method in ("HEAD", "POST", "PUT", "DELETE", "OPTIONS"):
        assert requests.request(method, site.base + "/id/1/20/20", timeout=20).status_code == 405
    answer = front(site, "/200/300/?grayscale")
    assert answer.status_code == 301 and answer.headers["Location"] == "/200/300?grayscale"


def test_an_idle_connection_is_closed_after_five_seconds(site):
    with socket.create_connection(("127.0.0.1", site.http_port), timeout=15) as wire:
        for _ in range(2):  # it is kept between requests
            wire.sendall(b"GET /id/1/20/20 HTTP/1.1\r\nHost: picsum.photos\r\n\r\n")
            assert wire.recv(4096).startswith(b"HTTP/1.1 302")
        start = time.monotonic()
        assert wire.recv(4096) == b""
        assert 3 < time.monotonic() - start < 9


def test_tls_for_both_names(site):
    for host in ("picsum.photos", "fastly.picsum.photos", "origin.test", "other.test"):
        out = subprocess.run(["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code} %{http_version}", "--cacert", site.ca, "--connect-to",
                              f"{host}:443:127.0.0.1:{site.https_port}", f"https://{host}/kind/same/1"], capture_output=True, text=True, timeout=20)
        assert out.stdout == "200 1.1", out.stderr


@pytest.mark.parametrize("kind,format,mode,size", [
    ("jpeg", "JPEG", "RGB", (40, 30)), ("jpeg-gray", "JPEG", "L", (40, 30)), ("jpeg-sequential", "JPEG", "RGB", (40, 30)), ("jpeg-cmyk", "JPEG", "CMYK", (40, 30)),
    ("exif-rotated", "JPEG", "RGB", (40, 30)), ("webp", "WEBP", "RGB", (40, 30)), ("png", "PNG", "RGB", (40, 30)), ("png-gray", "PNG", "L", (40, 30)),
    ("png-alpha", "PNG", "RGBA", (40, 30)), ("png16", "PNG", "RGB", (40, 30)), ("gif", "GIF", "P", (40, 30)), ("gif-animated", "GIF", "P", (40, 30)),
])
def test_kinds(site, kind, format, mode, size):
    answer = site.get(f"/kind/{kind}/40/30/3")
    image = Image.open(io.BytesIO(answer.content))
    image.load()
    assert (image.format, image.mode, image.size) == (format, mode, size)
    assert answer.headers["Content-Type"] == Image.MIME[format]
    assert site.get(f"/kind/{kind}/40/30/3").content == answer.content
    assert site.get(f"/kind/{kind}/40/30/4").content != answer.content
    assert getattr(image, "n_frames", 1) == (4 if kind == "gif-animated" else 1)
    assert image.getexif().get(0x0112, 1) == (6 if kind == "exif-rotated" else 1)
    if kind == "png16":
        assert answer.content[24] == 16


def test_kinds_that_repeat_or_break(site):
    assert site.get("/kind/same/1").content == site.get("/kind/same/two").content
    assert "svg" in site.get("/kind/svg").headers["Content-Type"]
    whole, half = site.get("/kind/jpeg-sequential/64/64/1").content, site.get("/kind/half-jpeg/64/64/1").content
    assert half == whole[:len(whole) // 2]


def test_faults_that_break_the_transfer(site):
    for target in ("/fault/truncate", "/fault/lie"):
        wire = http.client.HTTPConnection("127.0.0.1", site.http_port, timeout=15)
        wire.request("GET", target)
        with pytest.raises(http.client.IncompleteRead):
            wire.getresponse().read()
    with socket.create_connection(("127.0.0.1", site.http_port), timeout=15) as wire:
        wire.sendall(b"GET /fault/reset HTTP/1.1\r\nHost: x\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            while wire.recv(4096):
                pass


def test_faults_in_time(site):
    start = time.monotonic()
    assert site.get("/fault/slow/300").status_code == 200
    assert time.monotonic() - start >= 0.3
    with requests.get(site.base + "/fault/stall", stream=True, timeout=2) as answer:
        assert answer.status_code == 200
        with pytest.raises(requests.exceptions.ConnectionError):
            next(answer.iter_content(1))
    start = time.monotonic()
    size = len(site.get("/fault/drip/4000").content)
    assert time.monotonic() - start >= 0.8 * size / 4000


def test_faults_that_pass(site):
    for target, status in (("/fault/429?after=3&times=2&key=a", 429), ("/fault/503?after=1&times=2&key=b", 503), ("/fault/flaky?times=2&key=c", 500)):
        answers = [site.get(target) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [status, status, 200]
        if "after" in target:
            assert answers[0].headers["Retry-After"] == target.split("after=")[1][0]
        Image.open(io.BytesIO(answers[2].content)).load()


def test_faults_that_stay(site):
    assert [site.get(f"/fault/{status}").status_code for status in (500, 404, 410)] == [500, 404, 410]
    assert site.get("/fault/loop").headers["Location"] == "/fault/loop"
    assert site.get("/fault/redirect?to=file%3A///etc/passwd").headers["Location"] == "file:///etc/passwd"
    html = site.get("/fault/html")
    assert html.headers["Content-Type"] == "image/png" and "<html>" in html.text
    assert site.get("/fault/empty").content == b""
    with requests.get(site.base + "/fault/huge", stream=True, timeout=20) as answer:
        seen = 0
        for chunk in answer.iter_content(1 << 20):
            seen += len(chunk)
            if seen > 64 << 20:
                return
    pytest.fail(f"it ended after {seen} bytes")


def test_it_counts_what_was_asked(site):
    for _ in range(3):
        front(site, "/id/3/20/20?grayscale")
    site.get("/kind/same/9", host="other.test")
    assert site.count("https://picsum.photos/id/3/20/20?grayscale") == 3
    assert site.counts("other.test/") == {"other.test/kind/same/9": 1}
    requests_seen = site.stats()["requests"]
    assert requests_seen["front"] == 3 and requests_seen["kind"] == 1 and requests_seen["image"] == 0
