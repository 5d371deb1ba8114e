# SPDX-License-Identifier: Apache-2.0
"""An origin that misbehaves in every known way: each way has its outcome and its reason."""
import time

from oracle import check_receipt

ATTEMPTS = 3
QUICK = {
    "retry.max_attempts": ATTEMPTS, "retry.base_ms": 100, "fetch.timeout_ms": 3000, "fetch.connect_timeout_ms": 1500, "fetch.max_bytes": 1 << 20,
}
BASE = "https://origin.test"
# target → (reasons allowed, how often the origin is asked; None: not told)
DEAD = {
    "/fault/404": ("http_4xx", 1),
    "/fault/410": ("http_4xx", 1),
    "/fault/500": ("http_5xx", ATTEMPTS),
    "/fault/503": ("http_5xx", ATTEMPTS),
    "/fault/html": ("not_image", 1),
    "/fault/empty": ("empty", 1),
    "/fault/huge": ("too_large", 1),
    "/fault/huge?length=1": ("too_large", 1),
    "/fault/loop": ("redirect_limit", None),
    "/fault/hops/6?too_many": ("redirect_limit", 1),
    "/fault/redirect?to=file:///etc/passwd": ("redirect_refused", 1),
    "/fault/redirect?to=ftp://origin.test/x": ("redirect_refused", 1),
    "/fault/redirect?to=https://origin.test:8443/x": ("redirect_refused", 1),
    "/fault/redirect?to=http://169.254.169.254/latest": ("refused_address", 1),
    "/fault/truncate": ("truncated", ATTEMPTS),
    "/fault/lie": ("truncated", ATTEMPTS),
    "/fault/reset": ("connect", None),
    "/fault/stall": ("timeout", ATTEMPTS),
    "/fault/slow/6000": ("timeout", ATTEMPTS),
    "/fault/drip/10": ("timeout too_slow", ATTEMPTS),
    "/kind/half-jpeg/64/64/1": ("corrupt_image", 1),
    "/kind/half-progressive/64/64/1": ("corrupt_image", 1),
    "/kind/svg": ("not_image unsupported_format", 1),
    "/kind/gif-animated/32/32/1": ("too_many_frames", 1),
}
STORED = {
    "/fault/slow/300": 1,
    "/fault/hops/5?as_many_as_allowed": 1,
    "/fault/flaky?times=1&key=once": 2,
    "/fault/flaky?times=2&key=twice": ATTEMPTS,
    "/fault/drip/20000": 1,
    "/fault/redirect?to=https://other.test/kind/jpeg/40/30/5": 1,
}
ELSEWHERE = {
    "https://192.0.2.1/x.jpg": "refused_address",
    "http://10.0.0.1/x.jpg": "refused_address",
    "http://[::1]/x.jpg": "refused_address",
    "https://untrusted.test/kind/same/1": "tls",
    "https://closed.test/x.jpg": "connect",
}


def test_each_fault_has_its_reason_and_its_number_of_tries(fleet, origin):
    closed = [*origin.connect_to(), "closed.test:443:127.0.0.1:9"]
    cluster = fleet(workers=2, settings={**QUICK, "fetch.connect_to": closed})
    urls = [BASE + target for target in (*DEAD, *STORED)] + list(ELSEWHERE)
    receipt = cluster.run(urls, seconds=180)
    check_receipt(receipt["counts"])
    fates = cluster.fates(receipt)
    wrong = []
    for target, (reasons, times) in DEAD.items():
        row = fates[BASE + target]
        if row["outcome"] != "dead" or row["reason"] not in reasons.split():
            wrong.append((target, row))
        elif times is not None and origin.count(BASE + target) != times:
            wrong.append((target, f"asked {origin.count(BASE + target)} times, not {times}"))
    for target, times in STORED.items():
        row = fates[BASE + target]
        if row["outcome"] not in ("stored", "duplicate_content") or origin.count(BASE + target) != times:
            wrong.append((target, row, origin.count(BASE + target)))
    for url, reason in ELSEWHERE.items():
        if (fates[url]["outcome"], fates[url].get("reason")) != ("dead", reason):
            wrong.append((url, fates[url]))
    assert not wrong, "\n".join(map(str, wrong))
    assert cluster.verify() == receipt["counts"]["stored"]


def test_every_failed_try_leaves_an_event(fleet, origin):
    cluster = fleet(workers=1, settings=QUICK)
    url = BASE + "/fault/500?n=1"
    cluster.run([url])
    events = cluster.get("/v1/urls", url=url).json()
    text = str(events)
    assert "http_5xx" in text and "dead" in text
    kinds = {event["event"] for event in cluster.db.events.find({"reason": "http_5xx"})}
    assert {"attempt_failed", "dead_letter"} <= kinds, kinds


def test_retry_after_is_honoured_and_a_429_charges_no_attempt(fleet, origin):
    cluster = fleet(workers=2, settings={"retry.base_ms": 100, "retry.max_attempts": 2})
    limited = "https://limited.test/fault/429?after=3&times=3&key=limited"
    busy = "https://busy.test/fault/503?after=3&times=1&key=busy"
    started = time.monotonic()
    receipt = cluster.run([limited, busy], seconds=120)
    took = time.monotonic() - started
    assert receipt["counts"]["stored"] == 2, cluster.lines(receipt)
    assert took >= 9, f"three times three seconds were asked for, it took {took:.1f}"
    assert (origin.count(limited), origin.count(busy)) == (4, 2)
    record = cluster.db.urls.find_one({"url": limited})
    assert record["attempts"] == 0, record
    cluster.verify()


def test_a_limited_host_holds_up_no_other(fleet, origin):
    cluster = fleet(workers=1, settings={"retry.base_ms": 100})
    slow = [f"https://slow.test/fault/429?after=30&times=1&key=hold&n={number}" for number in range(30)]
    cluster.push(slow, "slow")
    counts = cluster.run([f"https://other.test/kind/jpeg/16/16/{number}" for number in range(60)], "quick", seconds=25)["counts"]
    assert (counts["accepted"], counts["dead"]) == (60, 0)


def test_a_host_that_always_says_429_ends_as_rate_limited(fleet, origin):
    cluster = fleet(workers=1, settings={"retry.max_age": 4, "retry.base_ms": 100})
    url = "https://limited.test/fault/429?after=1&key=never"
    receipt = cluster.run([url], seconds=90)
    row = cluster.fates(receipt)[url]
    assert (row["outcome"], row["reason"]) == ("dead", "rate_limited")
