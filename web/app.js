// SPDX-License-Identifier: Apache-2.0
// The page: which view belongs to the address, its life (an AbortSignal, repeated readings), trouble and the token dialog.
import { Problem, forgetPictures, token } from "./api.js";
import { h, replace, say } from "./dom.js";
import catalog from "./catalog.js";
import catalogs from "./catalogs.js";
import dead from "./dead.js";
import events from "./events.js";
import image from "./image.js";
import images from "./images.js";
import overview from "./overview.js";
import services from "./services.js";

const views = [
  [/^\/$/, overview, "Overview"],
  [/^\/catalogs$/, catalogs, "Catalogs"],
  [/^\/catalogs\/([0-9a-f]{24})$/, catalog, "Catalog"],
  [/^\/images$/, images, "Images"],
  [/^\/images\/([0-9A-Fa-f]{8,64})$/, image, "Image"],
  [/^\/dead$/, dead, "Dead letters"],
  [/^\/events$/, events, "Events"],
  [/^\/services$/, services, "Services"],
];

const main = document.getElementById("main");
const trouble = document.getElementById("trouble");
let leave = new AbortController();

/** Tells what is wrong until the next reading succeeds. */
function tell(error) {
  if (error?.status === 401) return askToken(error.message);
  trouble.textContent = error ? explain(error) : "";
  trouble.hidden = !error;
}

function explain(error) {
  if (error.status === 0) return error.message + " The page keeps trying.";
  if (error.status === 403) return "Not allowed with this token: " + error.message;
  return error.message;
}

/** What a view gets: signal (aborted when it is left), query, every(ms, f): now and again, failures told and tried again. */
function life(query) {
  const signal = leave.signal;
  const every = async (ms, read) => {
    while (!signal.aborted) {
      try {
        await read();
        if (!signal.aborted) tell(null);
      } catch (error) {
        if (!signal.aborted && !(error instanceof Problem)) console.error(error);
        if (!signal.aborted) tell(error);
      }
      if (!ms) return;
      await new Promise((go) => {
        const timer = setTimeout(wake, document.hidden ? ms * 5 : ms);
        signal.addEventListener("abort", wake, { once: true });
        function wake() { clearTimeout(timer); signal.removeEventListener("abort", wake); go(); }
      });
    }
  };
  const act = async (what, deed) => {
    try {
      const answer = await deed();
      tell(null);
      if (what) say(typeof what === "function" ? what(answer) : what);
      return answer;
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      tell(error);
      return null;
    }
  };
  const look = (changes) => {
    const next = new URLSearchParams(query);
    for (const [name, value] of Object.entries(changes)) value ? next.set(name, value) : next.delete(name);
    const text = next.toString();
    location.hash = location.hash.split("?")[0] + (text ? "?" + text : "");
  };
  return { signal, query, every, act, look };
}

function show() {
  const [path, search] = (location.hash.slice(1) || "/").split("?");
  const found = views.map(([pattern, view, title]) => [path.match(pattern), view, title]).find(([match]) => match);
  const samePath = main.dataset.path === path;
  leave.abort();
  leave = new AbortController();
  forgetPictures();
  for (const item of document.querySelectorAll("nav a")) {
    const own = item.getAttribute("href").slice(1);
    if (own === path || (own !== "/" && path.startsWith(own + "/"))) item.setAttribute("aria-current", "page");
    else item.removeAttribute("aria-current");
  }
  const [match, view, title] = found ?? [[], (place) => replace(place, h("h2", {}, "No such page"), h("p", {}, h("a", { href: "#/" }, "To the overview"))), "No such page"];
  document.title = title + " · Grisaille";
  main.replaceChildren();
  main.dataset.path = path;
  trouble.hidden = true;
  view(main, life(new URLSearchParams(search)), ...match.slice(1));
  if (!samePath && show.again) main.focus({ preventScroll: true });
  show.again = true;
}

const dialog = document.getElementById("token-dialog");
const field = document.getElementById("token");
function askToken(why) {
  if (why) document.getElementById("token-why").textContent = why + " It is kept for this tab only, and forgotten when the tab closes.";
  field.value = "";
  if (!dialog.open) dialog.showModal();
}
document.getElementById("token-open").addEventListener("click", () => askToken());
dialog.addEventListener("close", () => {
  if (dialog.returnValue === "use" && field.value.trim()) token.set(field.value.trim());
  else if (dialog.returnValue === "forget") token.set("");
  else return;
  field.value = "";
  say(token.get() ? "Token set for this tab." : "Token forgotten.");
  show();
});

addEventListener("hashchange", show);
show();
