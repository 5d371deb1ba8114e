# SPDX-License-Identifier: Apache-2.0
"""The oracle against a table written by hand: each way a line can be wrong, and each way to spell one URL."""
import pytest

from kit import make_catalog
from oracle import expected, judge, split_lines

A = "https://picsum.photos/200/300"

INVALID = [
    (b"picsum.photos/200/300", "no_scheme"),
    (b"/200/300", "no_scheme"),
    (b"hello", "no_scheme"),
    (b"htps://picsum.photos/200/300", "bad_scheme"),
    (b"ftp://picsum.photos/200/300", "bad_scheme"),
    (b"http//picsum.photos/200/300", "bad_scheme"),
    (b"https///picsum.photos/200/300", "bad_scheme"),
    (b"https:///picsum.photos/200/300", "bad_host"),
    (b"https://", "bad_host"),
    (b"https://:443/200/300", "bad_host"),
    (b"https://picsum..photos/200/300", "bad_host"),
    (b"https://pic sum.photos/200/300", "bad_host"),
    (b"https://" + b"a" * 64 + b".test/1", "bad_host"),
    (b"https://-picsum.photos/200/300", "bad_host"),
    (b"https://pic\x00sum.photos/200/300", "bad_host"),
    (b'h"ttps://picsum.photos/200/300', "bad_scheme"),
    (b"https://picsum.photos:8443/200/300", "bad_port"),
    (b"https://picsum.photos:99999/200/300", "bad_port"),
    (b"https://user:pw@picsum.photos/200/300", "credentials"),
    (b"https://user@picsum.photos/200/300", "credentials"),
    (b"https://picsum.photos/200/300?" + b"x" * 9000, "too_long"),
    (b"https://picsum.photos/200/300\x00", "not_text"),
    (b"https://picsum.photos/20\x010/300", "not_text"),
    (b"https://picsum.photos/200/300?\xff", "not_text"),
    (b"https://other.test/\xc3\x28", "not_text"),
    (b"https://picsum.photos", "bad_path"),
    (b"https://picsum.photos/", "bad_path"),
    (b"https://picsum.photos/abc/300", "bad_path"),
    (b"https://picsum.photos/200/", "bad_path"),
    (b"https://picsum.photos/200/300/", "bad_path"),
    (b"https://picsum.photos/200//300", "bad_path"),
    (b"https://picsum.photos//200/300", "bad_path"),
    (b"https://picsum.photos/200/300/400", "bad_path"),
    (b"https://picsum.photos/200/300.png", "bad_path"),
    (b"https://picsum.photos/200/300.JPG", "bad_path"),
    (b"https://picsum.photos/200/300.", "bad_path"),
    (b"https://picsum.photos/200.5/300", "bad_path"),
    (b"https://picsum.photos/200%2F300", "bad_path"),
    (b"https://picsum.photos/id/5", "bad_path"),
    (b"https://picsum.photos/id/x/200/300", "bad_path"),
    (b"https://picsum.photos/seed//200/300", "bad_path"),
    (b"https://picsum.photos/6000/300.png", "bad_path"),
    (b"https://picsum.photos/5001/300", "bad_size"),
    (b"https://picsum.photos/200/99999999999999999999", "bad_size"),
    (b"https://picsum.photos/-1/300", "bad_size"),
    (b"https://picsum.photos/id/7/200/-300.jpg", "bad_size"),
    (b"https://picsum.photos/-200", "bad_size"),
    # the first reason in the order of the table counts
    (b"ftp:///200/300", "bad_scheme"),
    (b"https://u@picsum.photos:81/200/300", "bad_port"),
    (b"https://u@picsum.photos/abc", "credentials"),
    (b"https://picsum.photos:81/abc", "bad_port"),
]

SAME = [
    A, "HTTPS://picsum.photos/200/300", "https://PicSum.Photos/200/300", "https://picsum.photos:443/200/300", "https://picsum.photos./200/300",
    "https://picsum.photos.:443/200/300", A + "#top", A + "?random=7", A + "?random=7&x", A + "?", "https://picsum.photos/%32%30%30/300",
    "https://picsum.photos/./200/300", "https://picsum.photos/x/../200/300", "https://picsum.photos/../200/300", f'"{A}"', f"'{A}'", f"  {A}\t", f"{A}\r",
    f'\t"{A}" \r', "\ufeff" + A, f'\ufeff"{A}"',
]

CANONICAL = [
    ("https://picsum.photos/0/0", "https://picsum.photos/0/0"),
    ("https://picsum.photos/200", "https://picsum.photos/200"),
    ("https://picsum.photos/5000/5000.webp", "https://picsum.photos/5000/5000.webp"),
    ("http://picsum.photos:80/200", "http://picsum.photos/200"),
    ("http://picsum.photos:443/200", "http://picsum.photos:443/200"),
    ("https://picsum.photos/200/300?grayscale", "https://picsum.photos/200/300?grayscale"),
    ("https://picsum.photos/200/300?random=1&grayscale&x=2&blur=2", "https://picsum.photos/200/300?grayscale&blur=2"),
    ("https://picsum.photos/seed/a%2fb/200/300", "https://picsum.photos/seed/a%2Fb/200/300"),
    ("https://picsum.photos/seed/caf\u00e9/200/300", "https://picsum.photos/seed/caf%C3%A9/200/300"),
    ("https://other.test", "https://other.test/"),
    ("https://Other.test/A/../b/./c/?q=%7ea%2f#f", "https://other.test/b/c/?q=~a%2F"),
    ("https://b\u00fccher.test/x", "https://xn--bcher-kva.test/x"),
    ("https://127.0.0.1/x.jpg", "https://127.0.0.1/x.jpg"),
    ("https://fastly.picsum.photos/id/1/20/20.jpg?hmac=x", "https://fastly.picsum.photos/id/1/20/20.jpg?hmac=x"),
]


@pytest.mark.parametrize("line,reason", INVALID)
def test_a_malformed_line_has_its_reason(line, reason):
    assert judge(line) == ("invalid", reason)


@pytest.mark.parametrize("line", SAME)
def test_every_spelling_has_one_canonical_form(line):
    assert judge(line.encode()) == ("url", A)


@pytest.mark.parametrize("line,url", CANONICAL)
def test_a_canonical_form(line, url):
    assert judge(line.encode()) == ("url", url)
    assert judge(url.encode()) == ("url", url), "a canonical form is its own"


@pytest.mark.parametrize("line", [b"", b"   ", b"\t \r", b"#", b"# https://picsum.photos/200/300", b"\xef\xbb\xbf", b"\xef\xbb\xbf# x"])
def test_a_blank_line(line):
    assert judge(line).kind == "blank"


def test_the_end_of_the_last_line_makes_no_line():
    assert split_lines(b"a\nb\n") == [b"a", b"b"]
    assert split_lines(b"a\nb") == [b"a", b"b"]
    assert split_lines(b"a\n\n") == [b"a", b""]
    assert split_lines(b"") == []


def test_counts_add_up_for_the_sample_catalog():
    want = expected(make_catalog(1000))
    counts = want.counts
    assert counts["lines"] == 1000
    assert counts["lines"] == counts["blank"] + counts["invalid"] + counts["accepted"] + counts["duplicate"]
    assert counts["duplicate"] > 100 and counts["blank"] > 20
    reasons = {fate.value for fate in want.fates if fate.kind == "invalid"}
    assert reasons == {"no_scheme", "bad_scheme", "bad_host", "bad_port", "credentials", "too_long", "not_text", "bad_path", "bad_size"}


def test_a_clean_catalog_has_no_bad_line_and_no_duplicate():
    want = expected(make_catalog(5000, "--clean", "--max-size", "32"))
    assert want.counts == {"lines": 5000, "blank": 0, "invalid": 0, "accepted": 5000, "duplicate": 0}
