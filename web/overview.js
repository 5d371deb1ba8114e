// SPDX-License-Identifier: Apache-2.0
// Overview: rates, queue depth, what is in progress, outcomes and errors by reason over time.
import { get } from "./api.js";
import { bars } from "./chart.js";
import { card, h, replace, table } from "./dom.js";
import { count, duration, rate } from "./format.js";

const KEEP_MS = 30000;

/** Change a second over the readings of the last half minute; null with fewer than two. */
function speed(readings, of) {
  const first = readings[0], last = readings.at(-1);
  return first === last ? null : Math.max(0, of(last) - of(first)) / ((last.at - first.at) / 1000);
}

/** Rows of the roll-ups as points of equal steps; `name` picks the series. */
function points(rows, since, step, steps, name) {
  const out = Array.from({ length: steps }, (_, i) => ({ at: new Date(since + i * step), values: {} }));
  for (const row of rows) {
    const at = out[Math.floor((new Date(row.at) - since) / step)], series = name(row);
    if (at && series) at.values[series] = (at.values[series] ?? 0) + row.count;
  }
  return out;
}

export default function overview(main, { signal, every }) {
  const cards = h("dl", { class: "cards" }), outcomes = h("div"), errors = h("div"), running = h("div");
  replace(main, h("h2", {}, "Overview"), cards,
    h("div", { class: "two" },
      h("section", { class: "panel" }, h("h3", {}, "Finished URLs by outcome, last 2 hours"), outcomes),
      h("section", { class: "panel" }, h("h3", {}, "Dead by reason, last 24 hours"), errors)),
    h("section", { class: "panel" }, h("h3", {}, "Catalogs in progress"), running));

  const readings = [];
  every(2000, async () => {
    const now = await get("/v1/stats", {}, signal);
    readings.push({ at: Date.now(), ...now });
    while (readings.length > 2 && readings[0].at < Date.now() - KEEP_MS) readings.shift();
    const { urls, images, streams, catalogs } = now, total = urls.queued + urls.waiting + urls.done + urls.dead;
    replace(cards,
      card("Images stored", count(images), rate(speed(readings, (r) => r.images))),
      card("URLs finished", count(urls.done + urls.dead), rate(speed(readings, (r) => r.urls.done + r.urls.dead))),
      card("Queued", count(urls.queued), streams ? `${count(streams.jobs.pending)} with workers` : "Redis does not answer"),
      card("Waiting to retry", count(urls.waiting), now.oldest_waiting_ms > 0 ? "oldest " + duration(now.oldest_waiting_ms / 1000) : null),
      card("Dead", count(urls.dead), total ? (100 * urls.dead / total).toFixed(2) + " % of all" : null),
      card("Catalogs running", count(catalogs.running ?? 0), `${count(catalogs.finished ?? 0)} finished`));
  });
  every(5000, async () => {
    const { catalogs } = await get("/v1/catalogs", { limit: 50 }, signal);
    const open = catalogs.filter((one) => one.state === "running" || one.state === "paused").slice(0, 10);
    replace(running, table("Not finished yet", [
      { title: "Catalog", kind: "wide", cell: (one) => h("a", { href: "#/catalogs/" + one.id }, one.name || one.id) },
      { title: "State", cell: (one) => one.state },
      { title: "Done", cell: (one) => progress(one) },
      { title: "Pending", kind: "n", cell: (one) => count(one.counts.pending) },
    ], open, h("span", {}, "Nothing in progress. ", h("a", { href: "#/catalogs" }, "Push a catalog"), ".")));
  });
  every(15000, async () => {
    const minutes5 = 300000, hour = 3600000, end = Date.now();
    const since = Math.floor(end / minutes5) * minutes5 - 23 * minutes5, day = Math.floor(end / hour) * hour - 23 * hour;
    const recent = await get("/v1/stats", { since: new Date(since).toISOString(), by: "minute,outcome" }, signal);
    replace(outcomes, bars("Finished URLs by outcome, five minutes each", points(recent.rows, since, minutes5, 24, (row) => row.outcome)));
    const failed = await get("/v1/stats", { since: new Date(day).toISOString(), by: "hour,outcome,reason" }, signal);
    replace(errors, bars("Dead URLs by reason, an hour each", points(failed.rows, day, hour, 24, (row) => row.outcome === "dead" && row.reason),
      { empty: "No URL died in the last 24 hours." }));
  });
}

export function progress(catalog) {
  const { lines, pending, duplicate, accepted, blank, invalid } = catalog.counts;
  const finished = accepted - pending + invalid + blank + (duplicate ?? 0);
  const share = catalog.state === "finished" ? 1 : lines ? Math.min(1, finished / lines) : 0;
  const label = Math.floor(share * 100) + " %";
  return h("span", {}, h("progress", { max: 1, value: share, "aria-label": "done" }), h("small", {}, label));
}
