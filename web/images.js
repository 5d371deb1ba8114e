// SPDX-License-Identifier: Apache-2.0
// Images: a gallery, newest first, with filters; a search by hash, by URL, or by dropping a picture.
import { get, picture, sha256 } from "./api.js";
import { dropZone, h, pager, replace, say } from "./dom.js";
import { bytes, time } from "./format.js";

export function tile(image, signal) {
  const hash = image.sums.source, place = h("span", { class: "none" });
  const item = h("li", {}, h("a", { href: "#/images/" + hash }, place,
    h("span", {}, `${image.width} × ${image.height}, ${bytes(image.bytes)}`),
    h("span", { class: "soft" }, [image.output, image.source?.host].filter(Boolean).join(", "))));
  new IntersectionObserver(async (seen, observer) => {
    if (!seen.some((entry) => entry.isIntersecting)) return;
    observer.disconnect();
    try {
      const url = await picture(image.sums.output, image.pipeline, image.output, signal);
      place.replaceWith(h("img", { src: url, alt: `Picture ${hash.slice(0, 12)}, ${image.width} by ${image.height}` }));
    } catch (error) {
      if (!signal.aborted) place.replaceWith(h("span", { class: "bad" }, error.reason || "not shown"));
    }
  }).observe(item);
  return item;
}

export default function images(main, { signal, query, every, act, look }) {
  const gallery = h("div"), what = h("input", { id: "what", type: "search", size: 40, placeholder: "SHA-256 (or its first 8 digits) or a URL" });
  const catalogField = h("input", { id: "by-catalog", type: "text", value: query.get("catalog") ?? "", size: 26 });
  const host = h("input", { id: "by-host", type: "text", value: query.get("host") ?? "", size: 20 });

  async function find(text) {
    if (/^[0-9a-fA-F]{8,64}$/.test(text)) return (location.hash = "#/images/" + text.toLowerCase());
    const got = await act(null, () => get("/v1/urls", { url: text }, signal));
    if (!got) return;
    if (!got.images.length) return say(got.verdict.reason ? `Not accepted: ${got.verdict.reason}.` : "No image of that URL is stored.");
    location.hash = "#/images/" + got.images[0].sums.source;
  }
  async function findFile(file) {
    if (!file) return;
    const sum = await sha256(file);
    if (!sum) return say("This browser computes sums only on a local or HTTPS page.");
    const found = await act(null, () => get("/v1/images/" + sum, {}, signal));
    if (found) location.hash = "#/images/" + sum;
  }
  const file = h("input", { type: "file", accept: "image/*", "aria-label": "Find a picture by its file", onchange: () => findFile(file.files[0]) });
  const drop = dropZone((files) => findFile(files[0]), h("p", {}, "Drop a picture to see whether it is stored (its sum is computed here; it is not sent)."), file);
  replace(main, h("h2", {}, "Images"),
    h("section", { class: "panel" }, h("form", { class: "row", role: "search", onsubmit: (event) => { event.preventDefault(); find(what.value.trim()); } },
      h("label", { for: "what" }, "Find by hash or URL", what), h("button", { class: "main" }, "Find")), h("p", {}), drop),
    h("section", { class: "panel" }, h("form", { class: "row", onsubmit: (event) => { event.preventDefault(); look({ catalog: catalogField.value.trim(), host: host.value.trim(), cursor: null }); } },
      h("label", { for: "by-catalog" }, "Of catalog", catalogField), h("label", { for: "by-host" }, "From host", host), h("button", {}, "Filter"))),
    gallery);

  every(0, async () => {
    const { images: rows, next } = await get("/v1/images", { limit: 48, catalog: query.get("catalog"), host: query.get("host"), cursor: query.get("cursor") }, signal);
    replace(gallery, rows.length ? h("ul", { class: "gallery" }, rows.map((image) => tile(image, signal))) : h("p", { class: "empty" }, "No image here yet."),
      pager({ query, look }, next, ["Newest", "Older"],
        rows.length > 0 && h("span", { class: "soft" }, `stored ${time(rows.at(-1).inserted_at)} to ${time(rows[0].inserted_at)}`)));
  });
}
