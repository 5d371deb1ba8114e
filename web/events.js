// SPDX-License-Identifier: Apache-2.0
// Events: a search over what is worth troubleshooting.
import { get } from "./api.js";
import { h, link, pager, replace, table } from "./dom.js";
import { time } from "./format.js";

const FIELDS = [["reason", "Reason", 16], ["host", "Host", 18], ["catalog", "Catalog", 26], ["match", "Message matches", 24]];
const SPANS = [["", "all kept"], ["1h", "last hour"], ["24h", "last day"], ["7d", "last week"], ["14d", "last two weeks"]];

export default function events(main, { signal, query, every, look }) {
  const list = h("div"), fields = FIELDS.map(([name, , size]) => h("input", { id: "event-" + name, type: "text", size, value: query.get(name) ?? "" }));
  const span = h("select", { id: "event-since" }, SPANS.map(([value, title]) => h("option", { value }, title)));
  span.value = query.get("since") ?? "";
  const ask = (event) => {
    event.preventDefault();
    look({ ...Object.fromEntries(FIELDS.map(([name], i) => [name, fields[i].value.trim()])), since: span.value, cursor: null });
  };
  replace(main, h("h2", {}, "Events"),
    h("section", { class: "panel" }, h("form", { class: "row", role: "search", onsubmit: ask },
      FIELDS.map(([name, title], i) => h("label", { for: "event-" + name }, title, fields[i])), h("label", { for: "event-since" }, "Time", span),
      h("button", { class: "main" }, "Search"))),
    h("section", { class: "panel" }, list));
  every(query.get("cursor") ? 0 : 10000, async () => {
    const asked = Object.fromEntries([...FIELDS.map(([name]) => name), "since", "cursor"].map((name) => [name, query.get(name)]));
    const { events: rows, next } = await get("/v1/events", { ...asked, limit: 100 }, signal);
    replace(list, table("Events, newest first", [
      { title: "Time", kind: "t", cell: (row) => time(row.time) },
      { title: "Level", cell: (row) => h("span", { class: row.level === "error" ? "bad" : row.level === "warn" ? "warn" : "soft" }, row.level) },
      { title: "Event", cell: (row) => row.event },
      { title: "Reason", cell: (row) => row.reason ?? "" },
      { title: "Detail", kind: "wide", cell: (row) => row.detail ?? "" },
      { title: "URL", kind: "wide", cell: (row) => link(row.url) },
      { title: "Catalog", cell: (row) => row.catalog && h("a", { href: "#/catalogs/" + row.catalog }, "open") },
    ], rows, next ? "None in what was searched so far; the button goes on." : "No event matches."),
    pager({ query, look }, next, ["Newest", "Older"]));
  });
}
