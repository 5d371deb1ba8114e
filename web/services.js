// SPDX-License-Identifier: Apache-2.0
// Services: who is alive, what each is doing, by its last reading; paused hosts.
import { get, send } from "./api.js";
import { h, replace, table } from "./dom.js";
import { bytes, count, duration, time } from "./format.js";

export default function services(main, { signal, every, act }) {
  const list = h("div"), hosts = h("div");
  const host = h("input", { id: "host", type: "text", size: 24, placeholder: "picsum.photos" });
  const steer = (name, verb) => act(`${name}: ${verb}d.`, () => send("POST", `/v1/hosts/${encodeURIComponent(name)}/${verb}`)).then(drawHosts);
  replace(main, h("h2", {}, "Services"), h("section", { class: "panel" }, list),
    h("section", { class: "panel" }, h("h3", {}, "Paused hosts"), hosts,
      h("form", { class: "row", onsubmit: (event) => { event.preventDefault(); if (host.value.trim()) steer(host.value.trim(), "pause"); host.value = ""; } },
        h("label", { for: "host" }, "Host", host), h("button", {}, "Pause"))));
  async function drawHosts() {
    const got = await get("/v1/hosts", {}, signal);
    replace(hosts, table("Their URLs wait until they are resumed", [
      { title: "Host", kind: "wide", cell: (row) => row.host }, { title: "By", cell: (row) => row.by ?? "" }, { title: "Since", kind: "t", cell: (row) => time(row.at) },
      { title: "", cell: (row) => h("button", { type: "button", onclick: () => steer(row.host, "resume") }, "Resume") },
    ], got.paused, "None."));
  }
  every(15000, drawHosts);
  every(3000, async () => {
    const { services: rows } = await get("/v1/services", {}, signal);
    replace(list, table("Processes of the last hour", [
      { title: "Role", cell: (row) => row.role },
      { title: "Process", kind: "wide", cell: (row) => row.id },
      { title: "State", cell: (row) => h("span", { class: row.state === "alive" ? "good" : row.state === "silent" ? "bad" : "soft" }, row.state) },
      { title: "Doing", kind: "wide", cell: (row) => Object.entries(row.readings ?? {}).map(([name, value]) => `${name.replaceAll("_", " ")} ${name.endsWith("bytes") ? bytes(value) : count(value)}`).join(", ") },
      { title: "Last reading", kind: "t", cell: (row) => duration(row.age_ms / 1000) + " ago" },
      { title: "Up", kind: "t", cell: (row) => duration(row.up_ms / 1000) },
      { title: "Version", cell: (row) => row.version ?? "" },
    ], rows, "No process has reported in the last hour."));
  });
}
