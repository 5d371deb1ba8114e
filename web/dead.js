// SPDX-License-Identifier: Apache-2.0
// Dead letters: by reason, host, catalog; another life for one or for all that match.
import { get, send } from "./api.js";
import { h, link, pager, replace, table } from "./dom.js";
import { count, time } from "./format.js";

export default function dead(main, { signal, query, every, act, look }) {
  const list = h("div"), names = ["reason", "host", "catalog"];
  const fields = names.map((name) => h("input", { id: "dead-" + name, type: "text", value: query.get(name) ?? "", size: name === "catalog" ? 26 : 16 }));
  const filter = () => Object.fromEntries(names.map((name, i) => [name, fields[i].value.trim()]));
  replace(main, h("h2", {}, "Dead letters"),
    h("section", { class: "panel" }, h("form", { class: "row", onsubmit: (event) => { event.preventDefault(); look({ ...filter(), cursor: null }); } },
      names.map((name, i) => h("label", { for: "dead-" + name }, name[0].toUpperCase() + name.slice(1), fields[i])), h("button", {}, "Filter"))),
    h("section", { class: "panel" }, list));

  const act1 = (path, row) => act((answer) => answer.dropped != null ? `${count(answer.dropped)} dropped.` : `${count(answer.retried)} retried.`, () =>
    send("POST", path, { query: row ? { url: row.url } : { ...filter(), ...(Object.values(filter()).every((value) => !value) && { all: "true" }) } })).then(draw);

  async function draw() {
    const asked = Object.fromEntries(names.map((name) => [name, query.get(name)]));
    const { dead: rows, next } = await get("/v1/dead", { ...asked, limit: 100, cursor: query.get("cursor") }, signal);
    replace(list,
      rows.length > 0 && h("div", { class: "row" },
        h("button", { type: "button", class: "main", onclick: () => confirm("Give every URL that matches another life?") && act1("/v1/dead/retry") }, "Retry all that match"),
        h("button", { type: "button", onclick: () => confirm("Take every URL that matches off this list? They stay dead.") && act1("/v1/dead/drop") }, "Drop all that match")),
      table("Dead letters, newest first", [
        { title: "URL", kind: "wide", cell: (row) => link(row.url) },
        { title: "Reason", cell: (row) => row.error?.reason ?? "" },
        { title: "Detail", kind: "wide", cell: (row) => row.error?.detail ?? "" },
        { title: "Tries", kind: "n", cell: (row) => count(row.attempts) },
        { title: "Died", kind: "t", cell: (row) => time(row.changed_at) },
        { title: "", cell: (row) => h("button", { type: "button", "aria-label": "Retry " + row.url, onclick: () => act1("/v1/dead/retry", row) }, "Retry") },
      ], rows, "Nothing is dead here. Good."),
      pager({ query, look }, next, ["Newest", "Older"]));
  }
  every(0, draw);
}
