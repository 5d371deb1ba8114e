// SPDX-License-Identifier: Apache-2.0
// One source picture: every image made of it, verified as it is shown, its metadata, and where it came from.
import { get, picture, send } from "./api.js";
import { facts, h, link, replace, table } from "./dom.js";
import { bytes, time } from "./format.js";

function shown(image, signal) {
  const figure = h("figure", {}, h("p", { class: "soft" }, "Loading and verifying…"));
  picture(image.sums.output, image.pipeline, image.output, signal).then(
    (url) => replace(figure, h("img", { src: url, alt: `The stored picture, ${image.width} by ${image.height}` }),
      h("figcaption", {}, h("a", { href: url, download: image.sums.output + "." + image.content_type.split("/")[1] }, "Save"))),
    (error) => !signal.aborted && replace(figure, h("p", { class: "bad" }, error.message)));
  return figure;
}

const code = (text) => text && h("code", {}, text);

export default function image(main, { signal, every, act }, hash) {
  replace(main, h("h2", {}, "Image"));
  const takeDown = async (source) => {
    const why = prompt("Take this picture down? It is removed for all pipelines and never fetched again. The reason, for the record:");
    if (why) await act("Taken down.", () => send("DELETE", "/v1/images/" + source, { query: { reason: why } }));
  };
  every(0, async () => {
    const { images } = await get("/v1/images/" + hash.toLowerCase(), {}, signal);
    replace(main, h("h2", {}, images.length > 1 ? `${images.length} images` : "Image"), images.map((it) => h("section", { class: "panel" },
      h("div", { class: "two" }, it.removed ? h("p", { class: "warn" }, "This picture was taken down.") : shown(it, signal),
        h("div", {}, it.corrupt && h("p", { class: "bad" }, `Damaged: ${it.corrupt.stage ?? "sum"}. grisaille scrub --repair fetches it again.`),
          facts([["Size", `${it.width} × ${it.height}, ${bytes(it.bytes)}, ${it.content_type}`], ["Pipeline", it.pipeline], ["Output", it.output],
            ["Stored", time(it.inserted_at)], ["Fetched", time(it.fetched_at)], ["Source", link(it.source.url)],
            ["Final address", it.source.final_url !== it.source.url ? link(it.source.final_url) : null],
            ["Source was", `${it.source.width} × ${it.source.height}, ${bytes(it.source.bytes)}, ${it.source.content_type}`],
            ["Provider's id", it.source.provider_id], ["Made by", it.made_by], ["Note", it.note],
            ["SHA-256 of source", code(it.sums.source)], ["SHA-256 of output", code(it.sums.output)], ["SHA-256 of base64", code(it.sums.base64)]]),
          h("p", {}), h("div", { class: "row" }, h("button", { type: "button", class: "danger", onclick: () => takeDown(it.sums.source) }, "Take down")))),
      table("URLs that lead to it", [
        { title: "URL", kind: "wide", cell: (row) => link(row.url) },
        { title: "First catalog", cell: (row) => (row.catalog ?? row.first?.catalog) && h("a", { href: "#/catalogs/" + (row.catalog ?? row.first.catalog) }, "line " + (row.line ?? row.first.line)) },
        { title: "Accepted", kind: "t", cell: (row) => time(row.created_at) },
      ], it.urls ?? [], "No URL leads to it any more."))));
  });
}
