// SPDX-License-Identifier: Apache-2.0
// Catalogs: the list, newest first, and the place to push one (drop, choose or type).
import { get, push } from "./api.js";
import { dropZone, h, pager, replace, say, table } from "./dom.js";
import { bytes, count, several, time } from "./format.js";
import { progress } from "./overview.js";

export default function catalogs(main, { signal, query, every, act, look }) {
  const list = h("div"), result = h("div", { role: "status" });
  const file = h("input", { type: "file", multiple: true, id: "file", "aria-label": "Catalog files, one URL a line, plain or gzip" });
  const text = h("input", { id: "url", type: "text", placeholder: "https://picsum.photos/640/480", size: 40 });
  const pipeline = h("select", { id: "pipeline" });

  async function sendAll(files) {
    for (const one of files) {
      say(`Sending ${one.name}…`);
      const catalog = await act((got) => `${one.name} is in: ${several(got.counts.lines, "line")}.`, () => push(one, one.name, pipeline.value));
      if (catalog) result.append(h("p", {}, h("a", { href: "#/catalogs/" + catalog.id }, one.name), ` is in: ${several(catalog.counts.lines, "line")}.`));
    }
    file.value = "";
    draw();
  }
  const drop = dropZone(sendAll, h("p", {}, "Drop catalogs here: text with one URL a line, plain or gzip."),
    h("div", { class: "row" }, file, h("button", { type: "button", class: "main", onclick: () => sendAll(file.files) }, "Push files")));
  const one = h("form", { class: "row", onsubmit: (event) => {
    event.preventDefault();
    if (text.value.trim()) sendAll([new File([text.value.trim() + "\n"], "from the page " + new Date().toISOString().slice(0, 19))]);
    text.value = "";
  } }, h("label", { for: "url" }, "Or a single URL", text), h("label", { for: "pipeline" }, "Pipeline", pipeline), h("button", {}, "Push URL"));

  replace(main, h("h2", {}, "Catalogs"), h("section", { class: "panel" }, h("h3", {}, "Push a catalog"), drop, h("p", {}), one, result),
    h("section", { class: "panel" }, list));

  async function draw() {
    const { catalogs: rows, next } = await get("/v1/catalogs", { limit: 50, cursor: query.get("cursor") }, signal);
    replace(list, table("Catalogs, newest first", [
      { title: "Name", kind: "wide", cell: (c) => h("a", { href: "#/catalogs/" + c.id }, c.name || c.id) },
      { title: "State", cell: (c) => c.state },
      { title: "Progress", cell: (c) => progress(c) },
      { title: "Lines", kind: "n", cell: (c) => count(c.counts.lines) },
      { title: "Stored", kind: "n", cell: (c) => count(c.counts.stored) },
      { title: "Invalid", kind: "n", cell: (c) => count(c.counts.invalid) },
      { title: "Dead", kind: "n", cell: (c) => count(c.counts.dead) },
      { title: "Size", kind: "n", cell: (c) => bytes(c.bytes) },
      { title: "Pushed", kind: "t", cell: (c) => time(c.created_at) },
      { title: "By", cell: (c) => c.by ?? "" },
    ], rows, "No catalog yet. Push one above."),
    pager({ query, look }, next, ["Newest", "Older"]));
  }
  every(0, async () => {
    const { pipelines } = await get("/v1/pipelines", {}, signal);
    replace(pipeline, pipelines.map((p) => h("option", { value: p.name }, p.name)));
    if (pipelines.some((p) => p.name === "gray")) pipeline.value = "gray";
  });
  every(4000, draw);
}
