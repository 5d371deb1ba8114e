# SPDX-License-Identifier: Apache-2.0
"""What `make bench` found, as plots (SVG) and as the tables of docs/performance.md."""
import html

COLOURS = ("#2f6f9f", "#c98a2b", "#5a9e6f", "#a14d4d", "#7a6aa8", "#8a8a8a", "#3aa6a0", "#b06fa0")
GOALS = (("celery", "grisaille", 12), ("asyncio", "grisaille", 5), ("img2dataset", "grisaille", 3), ("celery", "grisaille-structure", 22))


# --- numbers ------------------------------------------------------------------------------------------------------------


def find(told, system, corpus="progressive"):
    return next((run for run in told["results"] if run["system"] == system and run["corpus"] == corpus), None)


def cpu(told, system, corpus="progressive"):
    run = find(told, system, corpus)
    return run and run["cpu_ms"]["worker"]


def ratio_rows(told):
    """(what, found, goal, met) of every goal whose systems were measured."""
    rows = []
    for peer, ours, goal in GOALS:
        theirs, mine = cpu(told, peer), cpu(told, ours)
        if theirs and mine:
            rows.append((f"worker CPU an image: {peer} / {ours}", theirs / mine, f"≥ {goal}", theirs / mine >= goal))
    program, mine = find(told, "img2dataset"), cpu(told, "grisaille")
    if program and mine:
        found = (program["cpu_ms"]["worker"] + program["start_cpu_seconds"] * 1000 / program["images"]) / mine
        rows.append((f"worker CPU an image: img2dataset, with its start of {program['start_cpu_seconds']} s over {program['images']:,} pictures / grisaille", found, "≥ 3", found >= 3))
    for ours, limit in (("grisaille", "limit"), ("grisaille-structure", "limit-structure")):
        if cpu(told, ours) and cpu(told, limit):
            found = cpu(told, ours) / cpu(told, limit)
            rows.append((f"worker CPU an image: {ours} / {limit}", found, "≤ 1.25", found <= 1.25))
    for peer, goal in (("celery", 8), ("asyncio", 2.5)):
        theirs, mine = find(told, peer), find(told, "grisaille")
        if theirs and mine:
            found = mine["images_a_second"] / theirs["images_a_second"]
            rows.append((f"images a second: grisaille / {peer}", found, f"≥ {goal}", found >= goal))
    if "gray" in told:
        for way, goal in (("full", 0.2), ("portable", 0.4)):
            found = told["gray"][way]["ratio"]
            rows.append((f"gray alone, {way}: time / libjpeg-turbo's lossless transform", found, f"≤ {goal}", found <= goal))
    return rows


# --- tables -------------------------------------------------------------------------------------------------------------


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows])


def number(value, digits=2):
    return "" if value is None else f"{value:,.{digits}f}"


def headline(told):
    rows = []
    for run in (run for run in told["results"] if run["corpus"] == "progressive"):
        late, calls = run.get("latency", {}), run.get("syscalls", {})
        servers = run["cpu_ms"]
        rows.append((run["label"], number(servers["worker"], 3), number(servers.get("mongod")), number(servers.get("redis")),
                     number(sum(servers.get(role, 0) for role in ("scheduler", "api")) if "scheduler" in servers else None),
                     number(run["images_a_second"], 0), number(late.get("p50_ms"), 0), number(late.get("p99_ms"), 0),
                     number(run.get("peak_memory_bytes", 0) / 2**20, 0) if run.get("peak_memory_bytes") else "",
                     number(run.get("mongo_written_bytes", 0) / 1000, 0) if "mongo_written_bytes" in run else "",
                     number(run.get("mongo_round_trips")), number(run.get("redis_round_trips")), number(calls.get("total"), 1)))
    head = ("system", "worker CPU, ms", "mongod CPU", "Redis CPU", "scheduler + API CPU", "images/s", "p50, ms", "p99, ms", "peak memory, MiB",
            "written by mongod, kB", "round trips to MongoDB", "to Redis", "system calls")
    return table(head, rows)


def by_corpus(told):
    kinds = list(told["corpora"])
    systems = {run["system"]: run["label"] for run in told["results"]}
    rows = [(label, *(number(cpu(told, system, kind), 2) for kind in kinds)) for system, label in systems.items()
            if any(kind != "progressive" and cpu(told, system, kind) for kind in kinds)]
    return table(("worker CPU an image, ms", *kinds), rows)


def speed_by_corpus(told):
    kinds = list(told["corpora"])
    systems = {run["system"]: run["label"] for run in told["results"]}
    rows = [(label, *(number((find(told, system, kind) or {}).get("images_a_second"), 0) for kind in kinds)) for system, label in systems.items()
            if any(kind != "progressive" and cpu(told, system, kind) for kind in kinds)]
    return table(("images a second", *kinds), rows)


def goals(told):
    return table(("ratio", "found", "goal", ""), [(what, number(found, 2 if found < 3 else 1), goal, "met" if met else "**missed**") for what, found, goal, met in ratio_rows(told)])


def split(told):
    """Where the worker's time goes: its threads, its stages, and the limit's steps."""
    parts = []
    for system in ("grisaille", "grisaille-structure"):
        run = find(told, system)
        if run:
            parts.append(table((f"{run['label']}: thread", "CPU, ms an image"), [(name, number(ms, 3)) for name, ms in sorted(run["thread_ms"].items(), key=lambda i: -i[1]) if ms >= 0.001]))
            parts.append(table(("stage (its own metrics, by the clock)", "ms an image"), [(name, number(ms, 3)) for name, ms in run["stage_ms"].items()]))
    limit = find(told, "limit")
    if limit:
        parts.append(table(("the limit: step", "CPU, ms an image"), [(name, number(ms, 3)) for name, ms in limit["stage_ms"].items()]))
    return "\n\n".join(parts)


def growth(told):
    """What `make growth` found: a table a part."""
    return "\n\n".join(f"**{part}**, `SCALE={of['scale']:g}`{GROWTH[part](of)}" for part, of in told.items())


def grown_admission(of):
    rows = [(f"{int(urls):,}", f"{found['admitted_a_second']:,}", f"{found['bare_upserts_a_second']:,}", found["ratio"]) for urls, found in of.items() if urls != "scale"]
    return ":\n\n" + table(("URLs in the ledger", "admitted a second", "bare upserts a second", "ratio"), rows)


def grown_catalog(of):
    counts = of["counts"]
    tenth = of["peak_memory_mib_at_a_tenth"] or {}  # a small one may be over before anybody looked
    rows = [(role, tenth.get(role, ""), most) for role, most in of["peak_memory_mib"].items()]
    return (f": {of['lines']:,} lines pushed in {of['push_seconds']:,} s and finished after {of['finished_seconds']:,} s, {of['lines_a_second']:,} a second "
            f"({counts['accepted']:,} accepted, {counts['duplicate']:,} duplicates, {counts['dead']:,} dead letters).\n\n"
            + table(("process", "most memory until a tenth, MiB", "in all, MiB"), rows))


def grown_workers(of):
    return f", {of['images']:,} images:\n\n" + table(("workers", "images a second"), list(of["images_a_second"].items()))


def grown_hosts(of):
    rows = list(of["images_a_second_beside_slow_hosts"].items())
    return f", {of['images']:,} images of the fast host; it keeps {of['share'] * 100:.0f} % of its speed:\n\n" + table(("slow hosts beside it", "its images a second"), rows)


def grown_idle(of):
    return f", over {of['seconds']} s:\n\n" + table(("process", "% of a processor"), list(of["cpu_percent"].items()))


GROWTH = {"admission": grown_admission, "catalog": grown_catalog, "workers": grown_workers, "hosts": grown_hosts, "idle": grown_idle}


def setting(told):
    of = told["machine"]
    corpora = "; ".join(f"{kind} {c['count']} pictures of {c['bytes']:,} bytes and {c['pixels']:,} pixels on average" for kind, c in told["corpora"].items())
    return (f"{told['at'][:10]}, {of['processors']} × {of['processor']}, {of['memory_gib']} GiB, {of['system']}, kernel {of['kernel']}, load {of['load_before']:.1f} "
            f"before; {told['seconds']} s in all. Corpora: {corpora}.")


def markdown(told):
    return "\n\n".join([setting(told), headline(told), goals(told), by_corpus(told), speed_by_corpus(told), split(told)]) + "\n"


# --- plots --------------------------------------------------------------------------------------------------------------


def bars(title, rows, unit):
    """Horizontal bars; rows of (label, [(part, value)])."""
    left, width, step = 330, 430, 26
    most = max((sum(value for _, value in parts) for _, parts in rows), default=0) or 1
    names = list(dict.fromkeys(part for _, parts in rows for part, _ in parts))
    height = 60 + step * len(rows) + (24 if len(names) > 1 else 0)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + width + 90} {height}" font-family="sans-serif" font-size="13">',
           f'<rect width="100%" height="100%" fill="white"/><text x="12" y="22" font-size="15">{html.escape(title)}</text>']
    for row, (label, parts) in enumerate(rows):
        y, x = 40 + row * step, left
        out.append(f'<text x="{left - 8}" y="{y + 14}" text-anchor="end">{html.escape(label)}</text>')
        for part, value in parts:
            long = value * width / most
            out.append(f'<rect x="{x:.1f}" y="{y}" width="{max(long, 0.5):.1f}" height="18" fill="{COLOURS[names.index(part) % len(COLOURS)]}"/>')
            x += long
        total = sum(value for _, value in parts)
        out.append(f'<text x="{x + 6:.1f}" y="{y + 14}">{total:,.2f} {unit}</text>' if total < 100 else f'<text x="{x + 6:.1f}" y="{y + 14}">{total:,.0f} {unit}</text>')
    if len(names) > 1:
        x, y = left, height - 12
        for name in names:
            out.append(f'<rect x="{x}" y="{y - 11}" width="11" height="11" fill="{COLOURS[names.index(name) % len(COLOURS)]}"/><text x="{x + 15}" y="{y}">{html.escape(name)}</text>')
            x += 30 + 8 * len(name)
    return "\n".join(out + ["</svg>"]) + "\n"


def plots(told):
    runs = [run for run in told["results"] if run["corpus"] == "progressive"]
    roles = ("worker", "scheduler", "api", "mongod", "redis", "origin")
    found = {
        "bench-cpu.svg": bars("CPU an image by process, progressive JPEGs (ms)",
                              [(run["label"], [(role, run["cpu_ms"][role]) for role in roles if run["cpu_ms"].get(role)]) for run in runs], "ms"),
        "bench-speed.svg": bars("Images a second on two cores, all servers on them", [(run["label"], [("images/s", run["images_a_second"])]) for run in runs], ""),
    }
    limit = find(told, "limit")
    if limit:
        rows = [("the limit", list(limit["stage_ms"].items()))]
        rows += [(run["label"], list(run["thread_ms"].items())) for run in runs if run.get("thread_ms") and run["system"] == "grisaille"]
        found["bench-steps.svg"] = bars("Where the worker's CPU goes: the limit by step, Grisaille by thread (ms an image)", rows, "ms")
    return found


def write_report(told, folder):
    (folder / "bench.md").write_text(markdown(told))
    for name, text in plots(told).items():
        (folder / name).write_text(text)
