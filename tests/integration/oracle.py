# SPDX-License-Identifier: Apache-2.0
"""What must become of a catalog, and what must hold in the stores afterwards; written from the documents alone.

An implementation of its own: it shares nothing with the product, so that both can't be wrong in the same way.
"""
import base64
import collections
import hashlib
import json
import io
import re

from PIL import Image

URL_MAX = 8192
UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
# what may stand unescaped in a path or query (RFC 3986); all else is written as %XX
PATH_SAFE = UNRESERVED | frozenset(b"!$&'()*+,;=:@/")
QUERY_SAFE = PATH_SAFE | frozenset(b"?")
DEFAULT_PORTS = {"http": 80, "https": 443}
PICSUM_PATH = re.compile(r"/((id/[0-9]+|seed/[^/]+)/)?(-?[0-9]+)(/(-?[0-9]+))?(\.jpg|\.webp)?")
PICSUM_SIZE_MAX = 5000
PICSUM_PARAMETERS = ("grayscale", "blur")

Fate = collections.namedtuple("Fate", "kind value")  # ("blank", None), ("invalid", reason), ("url", canonical)
BLANK = Fate("blank", None)


def bad(reason):
    return Fate("invalid", reason)


# --- lines ------------------------------------------------------------------------------------------------------------


def split_lines(data):
    """The lines of a catalog as bytes; the end of the last line makes no line of its own."""
    lines = data.split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    return lines


def trim(line):
    blanks = b" \t\r"
    line = line.strip(blanks)
    if line.startswith(b"\xef\xbb\xbf"):
        line = line[3:].strip(blanks)
    if len(line) >= 2 and line[:1] == line[-1:] and line[:1] in (b'"', b"'"):
        line = line[1:-1].strip(blanks)
    return line


# --- canonical URL ----------------------------------------------------------------------------------------------------


def normalise_escapes(raw, safe):
    out, at = bytearray(), 0
    while at < len(raw):
        byte = raw[at]
        if byte == 0x25 and re.fullmatch(rb"[0-9A-Fa-f]{2}", raw[at + 1:at + 3]):
            value = int(raw[at + 1:at + 3], 16)
            out += bytes([value]) if value in UNRESERVED else b"%%%02X" % value
            at += 3
            continue
        out += bytes([byte]) if byte in safe else b"%%%02X" % byte
        at += 1
    return bytes(out).decode("ascii")


def remove_dots(path):
    out = []
    parts = path.split("/")[1:]
    for number, part in enumerate(parts):
        last = number + 1 == len(parts)
        if part == "..":
            if out:
                out.pop()
            if last:
                out.append("")
        elif part == ".":
            if last:
                out.append("")
        else:
            out.append(part)
    return "/" + "/".join(out)


def canonical_host(raw):
    """The host's one form, or None if it can't be one."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return None
    host = text.lower()
    if host.endswith("."):
        host = host[:-1]
    if not host.isascii():
        try:
            host = host.encode("idna").decode("ascii")
        except UnicodeError:
            return None
    if not host or len(host) > 253 or not re.fullmatch(r"[a-z0-9._-]+", host):
        return None
    labels = host.split(".")
    return host if all(0 < len(label) < 64 and label[0] != "-" != label[-1] for label in labels) else None


def split_scheme(line):
    """(scheme or None, rest or None, reason or None)."""
    found = re.match(rb"([A-Za-z][A-Za-z0-9+.-]*)://(.*)\Z", line, re.S)
    if found:
        scheme = found.group(1).decode().lower()
        return (scheme, found.group(2), None) if scheme in DEFAULT_PORTS else (None, None, "bad_scheme")
    if re.match(rb"[^/?#]+://", line) or re.match(rb"[A-Za-z]+//", line):
        return None, None, "bad_scheme"
    return None, None, "no_scheme"


def not_text(line):
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return True
    return any(byte < 0x20 or byte == 0x7F for byte in line)


def split_authority(rest):
    end = min((at for at in (rest.find(c) for c in (b"/", b"?", b"#")) if at >= 0), default=len(rest))
    authority, tail = rest[:end], rest[end:]
    user, _, hostport = authority.rpartition(b"@")
    host, colon, port = hostport.partition(b":")
    return user, b"@" in authority, host, port if colon else b"", tail


def judge_picsum(path, query):
    """The shipped rule: (reason, None) or (None, query)."""
    found = PICSUM_PATH.fullmatch(path)
    if not found:
        return "bad_path", None
    sizes = [int(size) for size in (found.group(3), found.group(5)) if size]
    if any(size < 0 or size > PICSUM_SIZE_MAX for size in sizes):
        return "bad_size", None
    kept = [pair for pair in query.split("&") if pair.split("=")[0] in PICSUM_PARAMETERS] if query else []
    return None, "&".join(kept)


def judge(line, allow_ports=()):
    """The fate of one line; of several reasons the first in the documents' order."""
    line = trim(line)
    if not line or line.startswith(b"#"):
        return BLANK
    scheme, rest, reason = split_scheme(line)
    if reason:
        return bad(reason)
    _, credentials, raw_host, raw_port, tail = split_authority(rest)
    host = canonical_host(raw_host)
    if host is None:
        return bad("bad_host")
    port = DEFAULT_PORTS[scheme]
    if raw_port:
        if not raw_port.isdigit() or int(raw_port) not in {80, 443, *allow_ports}:
            return bad("bad_port")
        port = int(raw_port)
    if credentials:
        return bad("credentials")
    if len(line) > URL_MAX:
        return bad("too_long")
    if not_text(line):
        return bad("not_text")
    tail = tail.split(b"#")[0]
    raw_path, _, raw_query = tail.partition(b"?")
    path = remove_dots(normalise_escapes(raw_path or b"/", PATH_SAFE))
    query = normalise_escapes(raw_query, QUERY_SAFE)
    if host == "picsum.photos":
        reason, query = judge_picsum(path, query)
        if reason:
            return bad(reason)
    where = host if port == DEFAULT_PORTS[scheme] else f"{host}:{port}"
    return Fate("url", f"{scheme}://{where}{path}" + (f"?{query}" if query else ""))


class Expected:
    """What a catalog must come to: `fates` by line (index 0 is line 1), `groups` canonical URL → its line numbers."""

    def __init__(self, data):
        self.lines = split_lines(data)
        self.fates = [judge(line) for line in self.lines]
        self.groups = collections.defaultdict(list)
        for number, fate in enumerate(self.fates, 1):
            if fate.kind == "url":
                self.groups[fate.value].append(number)
        self.counts = {
            "lines": len(self.lines),
            "blank": sum(fate.kind == "blank" for fate in self.fates),
            "invalid": sum(fate.kind == "invalid" for fate in self.fates),
            "accepted": len(self.groups),
            "duplicate": sum(len(numbers) - 1 for numbers in self.groups.values()),
        }


def expected(data):
    return Expected(data)


def check_receipt(counts):
    """The receipt of a finished catalog adds up."""
    assert counts["pending"] == 0, counts
    assert counts["lines"] == counts["blank"] + counts["accepted"] + counts["duplicate"] + counts["invalid"], counts
    assert counts["accepted"] == counts["stored"] + counts["duplicate_content"] + counts["dead"], counts


def check_lines(data, lines):
    """Every line's fate, as the API told it, is the expected one, and of equal URLs exactly one was accepted."""
    want = expected(data)
    assert [row["line"] for row in lines] == list(range(1, len(want.fates) + 1))
    wrong = []
    taken = collections.Counter()
    for row, fate, raw in zip(lines, want.fates, want.lines):
        got = row["outcome"]
        if fate.kind == "blank":
            right = got == "blank"
        elif fate.kind == "invalid":
            right = got == "invalid" and row.get("reason") == fate.value
        else:
            right = got in ("stored", "duplicate_content", "dead", "duplicate", "removed", "unchanged", "changed", "refresh_failed") and row.get("url") == fate.value
            taken[fate.value] += got != "duplicate"
        if not right:
            wrong.append((row["line"], raw[:120], fate, {k: row.get(k) for k in ("outcome", "reason", "url", "text")}))
    assert not wrong, f"{len(wrong)} lines judged otherwise, first: {wrong[:10]}"
    twice = {url: taken[url] for url in want.groups if taken[url] != 1}
    assert not twice, f"of equal URLs exactly one is accepted: {list(twice.items())[:10]}"
    return want


# --- the stores -------------------------------------------------------------------------------------------------------

DOCUMENT_FIELDS = (
    "_id job pipeline output content_type width height bytes source.url source.final_url source.host source.content_type "
    "source.width source.height source.bytes source.etag source.last_modified source.provider_id sums.source sums.output "
    "sums.base64 made_by note facts phash fetched_at inserted_at"
).split()


def field(document, name):
    for part in name.split("."):
        document = document.get(part) if isinstance(document, dict) else None
    return document


def canonical(value):
    """JSON with sorted keys and 17 digits, as facts are summed."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(key)}:{canonical(value[key])}" for key in sorted(value)) + "}"
    return format(value, ".17g") if isinstance(value, float) else json.dumps(value, ensure_ascii=False)


def document_sum(document):
    """sums.document: SHA-256 over "name=value" lines in a fixed order; absent texts are empty, absent facts or phash no line, times Unix ms."""
    text = []
    for name in DOCUMENT_FIELDS:
        value = field(document, name)
        if name == "facts":
            if value is None:
                continue
            value = canonical(value)
        if name == "phash" and value is None:
            continue
        if value is None:
            value = ""
        elif hasattr(value, "timestamp"):
            value = unix_ms(value)
        value = str(value).replace("\\", "\\\\").replace("\n", "\\n")
        text.append(f"{name}={value}\n")
    return hashlib.sha256("".join(text).encode()).hexdigest()


def unix_ms(time):
    import datetime

    if time.tzinfo is None:
        time = time.replace(tzinfo=datetime.timezone.utc)
    return round(time.timestamp() * 1000)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def problems_of_image(image, mode="L"):
    """Everything that is wrong with one image document, as texts."""
    wrong = []

    def check(right, text):
        if not right:
            wrong.append(f"{image['_id']}: {text}")

    sums = image["sums"]
    check(image["_id"] == f"{sums['source']}:{image['pipeline']}" + (f"/{image['output']}" if image.get("output") else ""), "_id is not its source and pipeline")
    data = image["data"]
    text = data.encode() if isinstance(data, str) else bytes(data)
    check(sha256(text) == sums["base64"], "sums.base64")
    try:
        output = base64.b64decode(text, validate=True)
    except ValueError as error:
        return wrong + [f"{image['_id']}: base64 does not decode: {error}"]
    check(sha256(output) == sums["output"], "sums.output")
    check(len(output) == image["bytes"], "bytes")
    check(document_sum(image) == sums["document"], "sums.document")
    try:
        with Image.open(io.BytesIO(output)) as picture:
            picture.load()
            check(picture.mode == mode, f"mode {picture.mode}, not {mode}")
            check(picture.size == (image["width"], image["height"]), f"size {picture.size}, not the recorded one")
            check(Image.MIME[picture.format] == image["content_type"], f"format {picture.format}")
    except Exception as error:  # whatever Pillow says of a broken file
        check(False, f"does not open: {error}")
    return wrong


def problems_of_links(db):
    """URLs and images hold together: every link leads to an image, every image is linked by the job that made it, and of a pipeline with
    several outputs all are linked or none."""
    wrong, linked = [], collections.defaultdict(set)
    outputs = {row["_id"]: set(json.loads(row["body"])["outputs"]) for row in db.pipelines.find({}) if '"outputs"' in row["body"]}
    ids = {image["_id"]: image["job"] for image in db.images.find({}, {"job": 1})}
    for url in db.urls.find({}, {"state": 1, "images": 1, "url": 1, "pipeline": 1}):
        if url["state"] not in ("done", "dead"):
            wrong.append(f"{url['url']}: still {url['state']}")
        if url["state"] == "done" and not url.get("images"):
            wrong.append(f"{url['url']}: done without an image")
        sets = collections.defaultdict(set)
        for image in url.get("images") or []:
            made, _, output = image.partition("/")
            sets[made].add(output)
            linked[image].add((url["_id"], url["state"]))
            if image not in ids:
                wrong.append(f"{url['url']}: links {image}, which is not there")
        wrong += [f"{url['url']}: links {sorted(names)} of {made}" for made, names in sets.items()
                  if made.endswith(f":{url.get('pipeline')}") and names != outputs.get(url["pipeline"], names)]
    for image, job in ids.items():
        job = job.split("#")[0]  # of a URL that was fetched anew: key#renewal
        if (job, "done") not in linked[image]:
            wrong.append(f"{image}: its job {job} is not done or does not link it")
    return wrong


def verify_store(db, redis=None, prefix=None, sample=None):
    """The oracle of the protocol, once all is drained. Raises AssertionError with the first problems found.

    db: a pymongo database; redis, prefix: the stream's server and key prefix; sample: verify at most so many pictures.
    """
    wrong = problems_of_links(db)
    seen = collections.Counter()
    for number, image in enumerate(db.images.find({})):
        seen[image["sums"]["source"], image["pipeline"], image.get("output") or ""] += 1
        if image.get("removed"):
            continue  # its picture was taken down
        if sample is None or number < sample:
            wrong += problems_of_image(image)
    wrong += [f"{key}: {count} images of one source" for key, count in seen.items() if count > 1]
    if redis is not None:
        wrong += problems_of_streams(redis, prefix)
    assert not wrong, f"{len(wrong)} problems, first: {wrong[:10]}"
    return sum(seen.values())


def problems_of_streams(redis, prefix):
    """Streams, pending lists and inflight are empty."""
    wrong = []
    for name, group in (("urls", "scheduler"), ("jobs", "workers")):
        key = f"{prefix}:{name}"
        if not redis.exists(key):
            continue
        if redis.xlen(key):
            wrong.append(f"{key} holds {redis.xlen(key)} entries")
        pending = redis.xpending(key, group)["pending"]
        if pending:
            wrong.append(f"{key} has {pending} pending entries")
    inflight = redis.hlen(f"{prefix}:inflight")
    return wrong + ([f"{inflight} jobs inflight"] if inflight else [])
