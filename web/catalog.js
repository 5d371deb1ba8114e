// SPDX-License-Identifier: Apache-2.0
// One catalog: live progress, its counts, its bad lines and other fates, pause, resume, cancel, delete.
import { get, send } from "./api.js";
import { card, facts, h, link, pager, replace, table } from "./dom.js";
import { bytes, count, duration, time } from "./format.js";
import { progress } from "./overview.js";

const OUTCOMES = ["invalid", "dead", "pending", "stored", "duplicate_content", "duplicate", "blank", "unchanged", "changed", "refresh_failed", "removed", "cancelled"];

/** Seconds left, from the speed since the page has been looking. */
function left(readings) {
  const first = readings[0], last = readings.at(-1), gone = first.pending - last.pending;
  return gone > 0 ? last.pending / (gone / ((last.at - first.at) / 1000)) : null;
}

export default function catalog(main, { signal, query, every, act, look }, id) {
  const head = h("div"), cards = h("dl", { class: "cards" }), about = h("div"), lines = h("div"), steps = h("div", { class: "row" });
  const outcome = h("select", { id: "outcome", onchange: () => look({ outcome: outcome.value, cursor: null }) },
    OUTCOMES.map((name) => h("option", { value: name }, name)));
  outcome.value = query.get("outcome") ?? "invalid";
  replace(main, head, cards, h("section", { class: "panel" }, h("h3", {}, "About"), about, h("p", {}), steps),
    h("section", { class: "panel" }, h("h3", {}, "Lines"), h("form", { class: "row" }, h("label", { for: "outcome" }, "Outcome", outcome)), lines));

  const steer = (verb, method, path, question) => h("button", { type: "button", class: question ? "danger" : null, onclick: async () => {
    if (question && !confirm(question)) return;
    await act(`Done: ${verb}.`, () => send(method, path));
    if (verb === "delete") location.hash = "#/catalogs"; else draw();
  } }, verb);

  const readings = [];
  async function draw() {
    const it = await get("/v1/catalogs/" + id, {}, signal), c = it.counts;
    if (it.state === "running" && c.duplicate != null) readings.push({ at: Date.now(), pending: c.pending });
    while (readings.length > 2 && readings[0].at < Date.now() - 60000) readings.shift();
    const seconds = readings.length > 1 ? left(readings) : null;
    replace(head, h("h2", {}, it.name || it.id, " ", h("span", { class: "badge" }, it.state)), progress(it),
      seconds != null && c.pending > 0 && h("p", { class: "soft" }, `About ${duration(seconds)} left.`));
    const { refreshed, ...counts } = c; // of a push with refresh: how what it asked for anew went
    const all = { ...counts, ...Object.fromEntries(Object.entries(refreshed ?? {}).map(([name, value]) => ["refresh " + name, value])) };
    replace(cards, Object.entries(all).map(([name, value]) => card(name.replace("_", " "), value == null ? "counting" : count(value))));
    replace(about, facts([["Id", h("code", {}, it.id)], ["Pushed", `${time(it.created_at)}${it.by ? " by " + it.by : ""}`],
      ["Finished", it.finished_at && time(it.finished_at)], ["Size", bytes(it.bytes)], ["Pipeline", it.pipeline], ["Rules", it.rules],
      ["SHA-256", h("code", {}, it.sha256)]]));
    const path = "/v1/catalogs/" + id;
    replace(steps,
      it.state === "running" && steer("pause", "POST", path + "/pause"),
      it.state === "paused" && steer("resume", "POST", path + "/resume"),
      ["running", "paused"].includes(it.state) && steer("cancel", "POST", path + "/cancel", "Cancel this catalog? What is not done yet will not be."),
      steer("delete", "DELETE", path, "Delete this catalog and the images that only it brought in? This can't be undone."));
  }
  every(2000, draw);
  every(0, async () => {
    const got = await get(`/v1/catalogs/${id}/lines`, { outcome: outcome.value, limit: 100, cursor: query.get("cursor") }, signal);
    replace(lines, table(`Lines: ${outcome.value}`, [
      { title: "Line", kind: "n", cell: (row) => count(row.line) },
      { title: "Text", kind: "wide", cell: (row) => row.url ? link(row.url) : h("code", {}, row.text ?? "") },
      { title: "Reason", cell: (row) => row.reason ?? "" },
      { title: "Image", kind: "wide", cell: (row) => row.image && h("a", { href: "#/images/" + row.image.slice(0, 64) }, row.image.slice(0, 12) + "…") },
    ], got.lines, `No line is ${outcome.value}.`),
    pager({ query, look }, got.next, ["First", "More"]));
  });
}
