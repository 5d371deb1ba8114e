// SPDX-License-Identifier: Apache-2.0
// Builds elements. Text is only ever set as text, never parsed as HTML: what comes from catalogs and servers is hostile.

/** h("a", {href: "#/", onclick: f, class: "x"}, "text", child, null, [more]) */
export function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  set(element, attributes);
  element.append(...flat(children));
  return element;
}

export function svg(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes ?? {})) if (value != null) element.setAttribute(name, value);
  element.append(...flat(children));
  return element;
}

function set(element, attributes) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value == null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked" || name === "max") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
}

const flat = (children) => children.flat(Infinity).filter((child) => child != null && child !== false);

export const replace = (element, ...children) => element.replaceChildren(...flat(children));

/** Only web addresses become links: a catalog may hold javascript: or worse. */
export function link(url) {
  return /^https?:\/\//i.test(url ?? "") ? h("a", { href: url, rel: "noreferrer noopener", target: "_blank" }, url) : (url ?? "");
}

let quiet;
/** Says something once, to eyes and to screen readers. */
export function say(text) {
  const place = document.getElementById("said");
  place.textContent = text;
  clearTimeout(quiet);
  quiet = setTimeout(() => (place.textContent = ""), 6000);
}

/** A table. columns: [{title, cell(row), kind: "n" | "wide" | "t"}]; empty: what to say where there are no rows. */
export function table(caption, columns, rows, empty) {
  if (!rows.length) return h("p", { class: "empty" }, empty);
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    h("table", {}, h("caption", {}, caption),
      h("thead", {}, h("tr", {}, columns.map((c) => h("th", { scope: "col", class: c.kind }, c.title)))),
      h("tbody", {}, rows.map((row) => h("tr", {}, columns.map((c) => h("td", { class: c.kind }, c.cell(row))))))));
}

/** Pairs of name and value; null values are left out. */
export const facts = (pairs) => h("dl", { class: "facts" },
  pairs.filter(([, value]) => value != null && value !== "").map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));

export const card = (name, value, more) => h("div", { class: "card" }, h("dt", {}, name), h("dd", {}, value, more && h("small", {}, more)));

/** Where files can be dropped; take(files). */
export function dropZone(take, ...children) {
  const zone = h("div", { class: "drop",
    ondragover: (event) => { event.preventDefault(); zone.classList.add("over"); },
    ondragleave: () => zone.classList.remove("over"),
    ondrop: (event) => { event.preventDefault(); zone.classList.remove("over"); take(event.dataTransfer.files); },
  }, ...children);
  return zone;
}

/** Buttons below a list: back to its start, and on to the page at the cursor `next`. */
export const pager = ({ query, look }, next, [first, more], ...children) => h("div", { class: "row" },
  query.get("cursor") && h("button", { type: "button", onclick: () => look({ cursor: null }) }, first),
  next && h("button", { type: "button", onclick: () => look({ cursor: next }) }, more), ...children);
