// SPDX-License-Identifier: Apache-2.0
// Numbers, sizes, times and durations as people read them.

const numbers = new Intl.NumberFormat("en");
export const count = (n) => (n == null ? "–" : numbers.format(n));
/** "1 line", "2 lines" */
export const several = (n, one) => `${count(n)} ${one}${n === 1 ? "" : "s"}`;
export const rate = (n) => (n == null || !isFinite(n) ? "–" : n >= 100 ? numbers.format(Math.round(n)) : n.toFixed(1)) + "/s";

export function bytes(n) {
  if (n == null) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  for (; n >= 1024 && unit < units.length - 1; unit++) n /= 1024;
  return (unit && n < 100 ? n.toFixed(1) : Math.round(n)) + " " + units[unit];
}

export function duration(seconds) {
  if (seconds == null || !isFinite(seconds)) return "–";
  if (seconds < 1) return Math.round(seconds * 1000) + " ms";
  if (seconds < 90) return Math.round(seconds) + " s";
  if (seconds < 5400) return Math.round(seconds / 60) + " min";
  if (seconds < 172800) return Math.round(seconds / 3600) + " h";
  return Math.round(seconds / 86400) + " days";
}

export const time = (text) => {
  const at = new Date(text ?? NaN);
  return isNaN(at) ? "–" : at.toLocaleString("sv-SE", { hour12: false });
};
export const ago = (text) => {
  const at = new Date(text ?? NaN);
  return isNaN(at) ? "–" : duration(Math.max(0, (Date.now() - at) / 1000)) + " ago";
};
