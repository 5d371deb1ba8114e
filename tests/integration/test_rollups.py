# SPDX-License-Identifier: Apache-2.0
"""Roll-ups become hours and days, and hours go after a while: whatever the span, the sums stay."""
import collections
import datetime
import random

import kit

DAY = datetime.timedelta(days=1)
UTC = datetime.timezone.utc
SUMS = ("count", "bytes", "ms", "total_ms", "within")


def fill(db, today, days):
    """An hour's rows for two hosts in each hour of so many days, and one slice of today."""
    rows = []
    for hour in range(24 * days):
        for host in ("a.test", "b.test"):
            rows.append(row(today - DAY * days + datetime.timedelta(hours=hour), host, 3600000, hour + 1))
    rows.append(row(today, "a.test", 300000, 5))
    db.rollups.insert_many(rows)
    return rows


def row(at, host, span, count):
    key = {"at": at, "host": host, "pipeline": "gray", "outcome": "stored", "reason": "", "span": span}
    return {"_id": key, **key, "count": count, "bytes": 7 * count, "ms": 3 * count, "total_ms": 11 * count, "within": count}


def stats(cluster, **params):
    return cluster.get("/v1/stats", **params).json()["rows"]


def expected(rows, since, until=None, host=None):
    """By day and host, in Python."""
    sums = {}
    for each in rows:
        if each["at"] >= since and (until is None or each["at"] < until) and host in (None, each["host"]):
            of = sums.setdefault((each["at"].strftime("%Y-%m-%dT00:00:00.000Z"), each["host"]), dict.fromkeys(SUMS, 0))
            for name in SUMS:
                of[name] += each[name]
    return sums


def by_day(cluster, **params):
    return {(each["at"], each["host"]): {name: each[name] for name in SUMS} for each in stats(cluster, by="day,host", **params)}


def text(at):
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def test_days_say_what_their_hours_said_and_hours_go_in_time(fleet):
    cluster = fleet(workers=0, schedulers=0, settings={"scheduler.upkeep_ms": 100, "rollups.keep_days": 3})
    today = datetime.datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    rows = fill(cluster.db, today, 6)
    # a program before days were made: hours alone
    cluster.db.meta.update_one({"_id": "rollup"}, {"$set": {"until": today, "hours": today}}, upsert=True)
    asked = [{"since": text(today - 7 * DAY)}, {"since": text(today - 5 * DAY), "until": text(today - DAY)},
             {"since": text(today - 2 * DAY + datetime.timedelta(hours=5)), "until": text(today - DAY + datetime.timedelta(hours=3))},
             {"since": text(today - 3 * DAY), "host": "b.test"}]
    whole = [by_day(cluster, **params) for params in asked]
    assert whole[0] == expected(rows, today - 7 * DAY) and len(whole[0]) == 13
    assert whole[2] == expected(rows, today - 2 * DAY + datetime.timedelta(hours=5), today - DAY + datetime.timedelta(hours=3))

    cluster.start("scheduler")
    cluster.start("scheduler")
    kit.wait_until(lambda: (m := cluster.db.meta.find_one({"_id": "rollup"})) and m.get("kept") == (today - 3 * DAY).replace(tzinfo=None)
                   and m["days"] == today.replace(tzinfo=None), 60, lambda: (cluster.db.meta.find_one({"_id": "rollup"}), cluster.tails(20)))
    # three days of hours, beside that of today's slice once it is over
    kit.wait_until(lambda: cluster.db.rollups.count_documents({"span": 3600000, "at": {"$lt": today}}) == 3 * 24 * 2, 60, "old hours are gone")
    assert cluster.db.rollups.count_documents({"span": 86400000}) == 6 * 2
    assert [by_day(cluster, **params) for params in asked] == whole
    # by the hour as long as there are hours, by the day before
    hours = stats(cluster, by="hour,host", since=text(today - 7 * DAY), host="a.test")
    assert len(hours) == 3 + 3 * 24 + 1 and sum(each["count"] for each in hours) == sum(each["count"] for each in rows if each["host"] == "a.test")
    assert sum(each["count"] for each in stats(cluster, by="outcome", since=text(today - 7 * DAY))) == sum(each["count"] for each in rows)

    # done again after a crash in between: nothing is counted twice
    cluster.db.meta.update_one({"_id": "rollup"}, {"$set": {"days": today - 2 * DAY}})
    kit.wait_until(lambda: cluster.db.meta.find_one({"_id": "rollup"})["days"].replace(tzinfo=UTC) == today, 60, lambda: cluster.tails(20))
    assert [by_day(cluster, **params) for params in asked] == whole

    # each of these by an index
    def plan(span):
        found = cluster.db.rollups.find({"span": span, "at": {"$gte": today - 7 * DAY}, "host": "a.test"}).hint("span").explain()
        return found["executionStats"]

    assert plan(86400000)["totalDocsExamined"] == 6 and plan(86400000)["totalKeysExamined"] <= 20


def finished(number, at):
    """A URL of the ledger that became done then."""
    return {"_id": f"{number:064x}:gray", "url": f"https://a.test/{number}", "host": f"h{number % 3}.test", "pipeline": "gray@0123456789ab", "state": "done", "run": 1,
            "attempts": 1, "made": number % 5 > 0, "bytes": number, "ms": 3, "created_at": at - datetime.timedelta(seconds=number % 600), "changed_at": at, "done_at": at}


def slice_of(at):
    return at.replace(minute=at.minute - at.minute % 5, second=0, microsecond=0)


def hour_of(at):
    return at.replace(minute=0, second=0, microsecond=0)


def test_slices_are_the_sum_of_their_minutes_and_no_command_looks_at_more_than_one(fleet):
    cluster = fleet(workers=0, schedulers=0, settings={"scheduler.upkeep_ms": 100})
    now, dice = datetime.datetime.now(UTC), random.Random(7)
    rows = [finished(number, now - datetime.timedelta(seconds=dice.uniform(1, 1500))) for number in range(3000)]
    cluster.db.urls.insert_many(rows)
    minutes = collections.Counter(each["done_at"].replace(second=0, microsecond=0) for each in rows)
    cluster.db.command("profile", 2)
    cluster.start("scheduler")

    def made_and_expected():
        """By slices, and by the hour where the slices are summed and gone."""
        hours = list(cluster.db.rollups.find({"span": 3600000}))
        summed = {each["at"] for each in hours}
        found = hours + [each for each in cluster.db.rollups.find({"span": 300000}) if hour_of(each["at"]) not in summed]
        finished_at = [(each["done_at"].replace(tzinfo=None), each["host"], "stored" if each["made"] else "duplicate_content") for each in rows]
        expected = collections.Counter((hour_of(at) if hour_of(at) in summed else slice_of(at), host, outcome) for at, host, outcome in finished_at)
        return {(each["at"], each["host"], each["outcome"]): each["count"] for each in found}, expected

    def right():
        made, expected = made_and_expected()
        return made == expected

    kit.wait_until(right, 60, lambda: (made_and_expected(), cluster.tails(20)))
    meta = cluster.db.meta.find_one({"_id": "rollup"})
    assert slice_of(now) - datetime.timedelta(minutes=10) <= meta["until"].replace(tzinfo=UTC) <= slice_of(now)
    # closed minutes are not read again, and none is read with another
    kit.wait_until(lambda: cluster.db.meta.find_one({"_id": "rollup"})["minutes"].replace(tzinfo=UTC) >= now - datetime.timedelta(minutes=3), 60, "minutes are closed")
    since = datetime.datetime.now(UTC)
    kit.wait_until(lambda: len(reads(cluster.db, since)) >= 6, 60, "it goes on")
    everything = reads(cluster.db, now)
    cluster.db.command("profile", 0)
    assert max(each["keysExamined"] for each in everything) <= max(minutes.values()) + 2
    recent = sum(count for minute, count in minutes.items() if minute >= now - datetime.timedelta(minutes=4))
    assert max(each["keysExamined"] for each in everything if each["ts"].replace(tzinfo=UTC) > since) <= recent
    # stale sums are replaced: as if a scheduler had ended between a minute and its slice
    newest = max(made_and_expected()[0])
    cluster.db.rollups.update_one({"span": 300000, "at": newest[0], "host": newest[1], "outcome": newest[2]}, {"$set": {"count": 10**6}})
    kit.wait_until(right, 60, made_and_expected)


def reads(db, since):
    """Commands that read URLs by the time at which they were finished."""
    return list(db.system.profile.find({"ns": db.name + ".urls", "command.aggregate": "urls", "command.hint": "done", "ts": {"$gte": since}}))
