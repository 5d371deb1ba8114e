// SPDX-License-Identifier: Apache-2.0
// The HTTP API as the page uses it: the token of this tab, deadlines, problem details as errors, pictures as object URLs.

const TOKEN = "grisaille-token";
const DEADLINE_MS = 20000;

export const token = {
  get: () => sessionStorage.getItem(TOKEN) ?? "",
  set: (value) => (value ? sessionStorage.setItem(TOKEN, value) : sessionStorage.removeItem(TOKEN)),
};

/** A refusal. status 0: the API could not be reached. */
export class Problem extends Error {
  constructor(status, body) {
    super(body.detail || body.title || `status ${status}`);
    this.status = status;
    this.reason = body.reason ?? "";
    this.body = body;
  }
}

export async function request(method, path, { query, body, headers, signal, deadline = DEADLINE_MS } = {}) {
  const url = new URL(path, location.origin);
  for (const [name, value] of Object.entries(query ?? {})) if (value != null && value !== "") url.searchParams.set(name, value);
  const own = new AbortController();
  const late = deadline && setTimeout(() => own.abort("late"), deadline);
  signal?.addEventListener("abort", () => own.abort("left"));
  try {
    const answer = await fetch(url, {
      method, body, signal: own.signal, cache: "no-store", credentials: "omit", redirect: "error",
      headers: { Accept: "application/json", ...(token.get() && { Authorization: "Bearer " + token.get() }), ...headers },
    });
    if (!answer.ok) throw new Problem(answer.status, await answer.json().catch(() => ({})));
    return answer;
  } catch (error) {
    if (error instanceof Problem || signal?.aborted) throw error;
    const why = own.signal.aborted ? `The API did not answer within ${DEADLINE_MS / 1000} seconds.` : "The API can't be reached.";
    throw new Problem(0, { detail: why });
  } finally {
    clearTimeout(late);
  }
}

export const get = async (path, query, signal) => (await request("GET", path, { query, signal })).json();
export async function send(method, path, options) {
  const answer = await request(method, path, options);
  return answer.status === 204 ? {} : answer.json();
}

const pictures = new Map(); // id → object URL; the page lets go of them all when another view begins
export async function picture(hash, pipeline, output, signal) {
  const id = [hash, pipeline, output].join(" ");
  if (!pictures.has(id)) {
    const answer = await request("GET", `/v1/images/${hash}/content`, { query: { pipeline, output }, signal, headers: { Accept: "image/*" } });
    pictures.set(id, URL.createObjectURL(await answer.blob()));
  }
  return pictures.get(id);
}
export function forgetPictures() {
  for (const url of pictures.values()) URL.revokeObjectURL(url);
  pictures.clear();
}

/** A file as a catalog: text, or gzip by its first bytes. */
export async function push(file, name, pipeline) {
  const start = new Uint8Array(await file.slice(0, 2).arrayBuffer());
  const gzip = start[0] === 0x1f && start[1] === 0x8b;
  return send("POST", "/v1/catalogs", {
    query: { name, pipeline }, body: file, deadline: 0,
    headers: { "Content-Type": "text/plain", ...(gzip && { "Content-Encoding": "gzip" }) },
  });
}

/** SHA-256 of a file, hex; null where the browser has no way (a page that is neither local nor HTTPS). */
export async function sha256(file) {
  if (!crypto.subtle) return null;
  const sum = new Uint8Array(await crypto.subtle.digest("SHA-256", await file.arrayBuffer()));
  return Array.from(sum, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
