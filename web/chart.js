// SPDX-License-Identifier: Apache-2.0
// Stacked bars over time, with a legend, and the same figures as a table for who can't see them.
import { h, svg, table } from "./dom.js";
import { count } from "./format.js";

const WIDTH = 640, HEIGHT = 180, LEFT = 46, BOTTOM = 20, TOP = 8, SERIES = 8;

function ceiling(value) {
  if (value <= 1) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * power).find((edge) => edge >= value);
}

/** The largest series by name; what is beyond seven becomes "other". points: [{at: Date, values: {name: number}}] */
function shorten(points) {
  const sums = new Map();
  for (const point of points) for (const [name, value] of Object.entries(point.values)) sums.set(name, (sums.get(name) ?? 0) + value);
  const names = [...sums].filter(([, sum]) => sum > 0).sort((a, b) => b[1] - a[1]).map(([name]) => name);
  if (names.length <= SERIES) return names;
  const rest = names.splice(SERIES - 1);
  for (const point of points) point.values.other = rest.reduce((sum, name) => sum + (point.values[name] ?? 0), 0);
  return [...names, "other"];
}

export function bars(title, points, { empty = "Nothing in this time.", clock = (at) => at.toTimeString().slice(0, 5) } = {}) {
  const names = shorten(points);
  if (!names.length) return h("p", { class: "empty" }, empty);
  const top = ceiling(Math.max(...points.map((point) => names.reduce((sum, name) => sum + (point.values[name] ?? 0), 0))));
  const step = (WIDTH - LEFT) / points.length, y = (value) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / top);
  const drawn = [];
  for (const edge of [0, top / 2, top]) {
    drawn.push(svg("line", { class: "grid", x1: LEFT, x2: WIDTH, y1: y(edge), y2: y(edge) }));
    drawn.push(svg("text", { x: LEFT - 6, y: y(edge) + 4, "text-anchor": "end" }, count(edge)));
  }
  points.forEach((point, i) => {
    let below = 0;
    names.forEach((name, k) => {
      const value = point.values[name] ?? 0;
      if (!value) return;
      drawn.push(svg("rect", { class: `k${k + 1}`, x: LEFT + i * step + step * 0.1, width: Math.max(1, step * 0.8), y: y(below + value), height: Math.max(0.5, y(below) - y(below + value)) },
        svg("title", {}, `${clock(point.at)} ${name}: ${count(value)}`)));
      below += value;
    });
  });
  for (let i = 0; i < points.length; i += Math.max(1, Math.ceil(points.length / 8)))
    drawn.push(svg("text", { x: LEFT + i * step, y: HEIGHT - 5 }, clock(points[i].at)));
  const columns = [{ title: "from", kind: "t", cell: (point) => clock(point.at) },
    ...names.map((name) => ({ title: name, kind: "n", cell: (point) => count(point.values[name] ?? 0) }))];
  return h("figure", {},
    svg("svg", { class: "chart", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": title }, drawn),
    h("ul", { class: "legend" }, names.map((name, k) => h("li", {}, h("i", { class: `k${k + 1}` }), name))),
    h("details", {}, h("summary", {}, "As a table"), table(title, columns, points.filter((p) => names.some((n) => p.values[n])), empty)));
}
