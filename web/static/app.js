// The page: what is asked (a drawing, a file, sketches of the gallery) and what is shown.

import { MAX_K, addView, curl, explain, getClasses, getMap, getSketch, placeOnMap, search } from "./api.js";
import { Canvas } from "./canvas.js";
import { calledSo, card, isSign, start } from "./card.js";
import { fromFragment, toFragment } from "./link.js";
import { GalleryMap } from "./map.js";
import { hasClass, narrow, narrowed, offer, onNarrow } from "./narrow.js";
import { become, explainRegions, hideRegions, looksAt, showItem } from "./pictured.js";

// A cat in a hurry, to start from.
const EXAMPLE = [
  [[60, 52, 58, 92, 128, 164, 198, 206, 196], [92, 60, 22, 62, 56, 62, 20, 58, 92]],
  [[60, 44, 48, 84, 130, 178, 212, 216, 196], [92, 130, 172, 208, 218, 206, 172, 128, 92]],
  [[98, 94, 100, 104, 98], [116, 126, 134, 124, 116]],
  [[158, 154, 160, 164, 158], [116, 126, 134, 124, 116]],
  [[120, 138, 129, 120], [150, 150, 162, 150]],
  [[129, 126, 112, 100], [162, 178, 184, 176]],
  [[129, 134, 148, 158], [162, 178, 184, 176]],
  [[96, 30], [158, 146]],
  [[96, 32], [168, 176]],
  [[164, 232], [158, 146]],
  [[164, 230], [168, 176]],
];
const PAGE = 24; // results, and as many more with each "More"
const AREA = 120; // sketches of an area of the map that are shown

const $ = (id) => document.getElementById(id);
const [paper, picture, hint, legend, guesses, status, results, more] = [
  ...["paper", "picture", "hint", "legend", "guesses", "status", "results", "more"].map($),
];
const canvas = new Canvas($("canvas"), (strokes) => ask(strokes.length ? { strokes } : null));

const map = new GalleryMap($("map"), showArea);

let gallery = null; // what the server says of it: { classes, sets, examples, far, doodles, snapshot }
let query = null; // { strokes }, { file }, { id }, { like, unlike }, or {} where something is typed and nothing drawn
let count = PAGE;
let redraw = 0; // the timer of a map that is being made anew
let answer = null; // the last one, as the server gave it
let running = null; // the request under way: a newer one cancels it, so answers never come out of order
const examples = new Map(); // sketches of { like, unlike } by id: { id, label }

const isText = (asked) => Boolean(asked) && !Object.keys(asked).length;

/** Ask anew. Where the page goes to another search by a click, the way back is kept. */
function ask(next, { leave = false } = {}) {
  query = next ?? (narrowed().text ? {} : null);
  count = PAGE;
  const pictured = Boolean(query?.file || (looksAt() && query?.id));
  hideRegions();
  if (!pictured && picture.src) {
    URL.revokeObjectURL(picture.src);
    picture.removeAttribute("src");
  }
  if (!query?.like) examples.clear();
  picture.hidden = !pictured;
  legend.hidden = true;
  hint.hidden = Boolean(query && !isText(query)) || canvas.strokes.length > 0;
  $("welcome").hidden = Boolean(query) || !gallery;
  remember(leave);
  run();
}

function remember(leave = false) {
  const address = location.pathname + toFragment(query, narrowed());
  if (address !== location.pathname + location.hash) history[leave ? "pushState" : "replaceState"](null, "", address);
}

async function run() {
  running?.abort();
  $("undo").disabled = !canvas.past.length;
  $("redo").disabled = !canvas.future.length;
  $("clear").disabled = !query;
  for (const id of ["copy-link", "copy-json", "copy-curl"]) $(id).disabled = !query;
  $("copy-link").disabled ||= Boolean(query.file);
  if (!query) {
    show(null);
    say("");
    return;
  }
  running = new AbortController();
  const { signal } = running;
  try {
    const started = performance.now();
    const found = await search(query, count, narrowed(), signal);
    if (signal.aborted) return;
    show(found);
    if (found.seen) canvas.show(found.seen);
    say(`${summary(found.hits)} ${Math.round(performance.now() - started)} ms.`);
    if (map.data && found.snapshot !== map.data.snapshot) map.data = null; // places of another snapshot mean nothing
    if (found.seen) told(found);
    mark();
  } catch (error) {
    if (signal.aborted) return;
    show(null);
    say(error.message, true);
  }
}

const isFar = (hit) => Boolean(gallery?.far) && hit.distance > gallery.far;

/** What was found, in a sentence: a list is never empty, also where nothing in the gallery is like the drawing. */
function summary(hits) {
  if (isText(query)) return hits.length ? `${hits.length} sketches are called so;` : "No sketch is called so;";
  if (!hits.length) return "Nothing found.";
  const far = hits.filter(isFar).length;
  if (far === hits.length) return `Nothing in the gallery is near; the ${far} least far are shown.`;
  return `Nearest: ${calledSo(hits[0])}. ${hits.length} ${looksAt() ? "pictures" : "sketches"}${far ? `, ${far} of them hardly alike` : ""};`;
}

function show(found) {
  answer = found;
  const picked = (hit) => (query?.like?.includes(hit.id) ? "like" : query?.unlike?.includes(hit.id) ? "unlike" : "");
  const cards = [...examples.values(), ...(found?.hits ?? [])].map((hit) => card(hit, act, [picked(hit), isFar(hit) ? "far" : ""]));
  results.replaceChildren(...cards);
  more.hidden = !found || found.hits.length < count || count >= MAX_K;
  const likely = (found?.guesses ?? []).filter(({ probability }) => probability >= 0.01);
  guesses.hidden = !likely.length;
  guesses.replaceChildren("Looks like ", ...likely.map(guess));
}

/** Sketches chosen on the map, in place of results. */
function showArea(sketches) {
  running?.abort();
  show({ hits: sketches.slice(0, AREA) });
  more.hidden = true;
  const shown = sketches.length > AREA ? `, the ${AREA} nearest to its middle are shown` : "";
  say(`${sketches.length} sketches in the area${shown}.`);
}

/** Draw the map as it is now; while a newer one is being made, look again in a moment. */
async function showMap() {
  map.show(await getMap());
  if (!map.data.stale) return;
  clearTimeout(redraw);
  redraw = setTimeout(() => {
    map.data = null;
    mark().catch(() => {});
  }, 3000);
}

/** Put the cross where the query is. */
async function mark() {
  if ($("atlas").hidden) return;
  if (!map.data) await showMap();
  const asked = query;
  let place = asked?.id ? map.placeOf(asked.id) : null;
  if (!place && canvas.strokes.length && !asked?.like) place = await placeOnMap(canvas.strokes).catch(() => null);
  if (place?.snapshot && place.snapshot !== map.data?.snapshot) await showMap(); // dots and cross are of one snapshot
  if (asked === query) map.mark(place);
}

async function toggleMap() {
  const opening = $("atlas").hidden;
  $("atlas").hidden = !opening;
  $("open-map").setAttribute("aria-expanded", opening);
  if (!opening || map.data) {
    mark();
    return;
  }
  say("Making the map; the first time this takes some seconds.");
  try {
    await showMap();
    say("Drag to move the map, scroll or pinch to zoom.");
    mark();
  } catch (error) {
    say(error.message, true);
  }
}

function guess({ label, probability }) {
  const words = `${label} ${Math.round(100 * probability)} %`;
  if (!hasClass(label)) {
    return Object.assign(document.createElement("span"), { textContent: words, title: "The gallery has no class of this name" });
  }
  const button = Object.assign(document.createElement("button"), { type: "button", title: `Show only ${label}` });
  button.textContent = words;
  button.addEventListener("click", () => {
    narrow({ ...narrowed(), classes: [label] });
    remember();
    run();
  });
  return button;
}

const act = {
  from: ({ id }) => searchFrom(id, { leave: true }),
  like: (hit) => pick(hit, "like"),
  unlike: (hit) => pick(hit, "unlike"),
  /** The TeX command of a symbol, else a character, else the name. */
  async copy({ id, name }) {
    try {
      const { tags } = await getSketch(id);
      const command = tags.find((tag) => tag.startsWith("\\"));
      const sign = command ?? tags.find(isSign);
      await copy(command ? `command ${command}` : sign ? `character ${sign}` : `name ${name}`, sign ?? name);
    } catch (error) {
      say(error.message, true);
    }
  },
  copyTag: (tag) => copy(tag, tag),
  async why({ id, label }) {
    const pictured = looksAt() && !picture.hidden;
    if (!pictured && (looksAt() === "photographs" || !canvas.strokes.length)) {
      const first = looksAt() === "photographs" ? "Drop a picture first, or click one" : "Draw something first";
      say(`${first}: then it can be told what a match rests on.`, true);
      return;
    }
    try {
      const distance = pictured ? await explainRegions(id, query.file, heat) : await explainStrokes(id);
      if (distance === null) return;
      tell(`The match with this ${label} (${distance.toFixed(3)}) rests on what is red; without what is blue it would be closer.`);
      paper.scrollIntoView({ block: "nearest" });
    } catch (error) {
      say(error.message, true);
    }
  },
};

/** Colour the strokes by what they do to the match with a sketch; the distance, or null where something else is drawn by then. */
async function explainStrokes(id) {
  const drawn = canvas.strokes;
  const { distance, parts } = await explain(drawn, id);
  if (canvas.changedSince(drawn)) return null;
  const most = Math.max(...parts.map(({ change }) => Math.abs(change ?? 0)), 1e-6);
  canvas.colour(parts.map(({ stroke, change }) => ({ stroke, colour: heat((change ?? most) / most) })));
  return distance;
}

/** What was drawn becomes one more drawing of a sketch. */
async function thatIsTheOne({ id, label, name }, button) {
  if (!query?.strokes) {
    say("Draw it first: then your drawing can be kept beside it.", true);
    return;
  }
  button.disabled = true; // once for a drawing
  try {
    await addView(id, query.strokes, $("by").value);
    say(`Thank you. Drawings like yours find this ${name || label || "sketch"} from now on.`);
  } catch (error) {
    button.disabled = false;
    say(error.message, true);
  }
}

/** A colour from blue (-1) over grey (0) to red (1). */
function heat(share) {
  const [r, g, b] = share > 0 ? [201, 42, 42] : [25, 113, 194];
  const mix = (value) => Math.round(190 + (value - 190) * Math.min(1, Math.abs(share)));
  return `rgb(${mix(r)} ${mix(g)} ${mix(b)})`;
}

/** Put a sketch among the examples, or take it out again; together they are the query. */
function pick(hit, side) {
  const now = query?.like ? { like: [...query.like], unlike: [...query.unlike] } : { like: query?.id ? [query.id] : [], unlike: [] };
  const there = now[side].includes(hit.id);
  for (const name of ["like", "unlike"]) now[name] = now[name].filter((id) => id !== hit.id);
  if (!there) now[side].push(hit.id);
  if (!now.like.length) {
    if (query?.like) ask(canvas.strokes.length ? { strokes: canvas.strokes } : null, { leave: true });
    else say("Choose with + what results should be like, before what they should not.", true);
    return;
  }
  examples.set(hit.id, hit);
  for (const id of examples.keys()) if (!now.like.includes(id) && !now.unlike.includes(id)) examples.delete(id);
  ask(now, { leave: true });
}

async function searchFrom(id, options) {
  if (looksAt()) {
    if (canvas.strokes.length) canvas.show([]);
    showItem(id);
    ask({ id }, options);
    return;
  }
  const [drawn, asked] = [canvas.strokes, query];
  try {
    const { strokes } = await getSketch(id);
    if (canvas.changedSince(drawn) || query !== asked) return; // who has drawn on meanwhile keeps the drawing
    canvas.show(strokes);
    ask({ id }, options);
  } catch (error) {
    say(error.message, true);
  }
}

function upload(file) {
  if (!file) return;
  if (canvas.strokes.length) canvas.show([]);
  if (picture.src) URL.revokeObjectURL(picture.src);
  picture.src = URL.createObjectURL(file);
  ask({ file });
}

/** What the address of the page asks for. */
async function restore() {
  const { query: asked, narrowed: to } = fromFragment(location.hash);
  narrow(to);
  if (asked?.strokes) {
    canvas.place(asked.strokes);
    ask({ strokes: canvas.strokes });
  } else if (asked?.id) await searchFrom(asked.id);
  else if (asked?.like) {
    const found = await Promise.all([...asked.like, ...asked.unlike].map((id) => getSketch(id).catch(() => null)));
    for (const sketch of found) if (sketch) examples.set(sketch.id, { id: sketch.id, label: sketch.label });
    ask(asked);
  } else if (asked && !canvas.strokes.length) ask(null);
  else if (query) canvas.clear();
}

function clear() {
  narrow({ ...narrowed(), text: "" });
  canvas.clear();
}

/** What this browser keeps of a visitor; nothing where it may not. */
function remembered(name) {
  try {
    return localStorage.getItem(`trazo-${name}`) ?? "";
  } catch {
    return "";
  }
}

function rememberAs(name, value) {
  try {
    localStorage.setItem(`trazo-${name}`, value);
  } catch {
    // then it is asked again the next time
  }
}

function say(words, problem = false) {
  status.textContent = words;
  status.classList.toggle("problem", problem);
}

function tell(words) {
  legend.textContent = words;
  legend.hidden = false;
}

/** What was read of a file, what was left out, and the other drawings on the sheet. */
function told({ notes = [], others = [] }) {
  tell(["What was read of your picture", ...notes].join("; ") + ".");
  others.forEach((strokes, number) => {
    const button = Object.assign(document.createElement("button"), { type: "button", className: "plain" });
    button.textContent = others.length > 1 ? `Search drawing ${number + 2}` : "Search the other one";
    button.addEventListener("click", () => canvas.load(strokes));
    legend.append(" ", button);
  });
}

async function copy(what, words) {
  try {
    await navigator.clipboard.writeText(words);
    say(`Copied the ${what}.`);
  } catch {
    prompt("Copy this:", words); // no clipboard without https
  }
}

$("undo").addEventListener("click", () => canvas.undo());
$("redo").addEventListener("click", () => canvas.redo());
$("clear").addEventListener("click", clear);
$("erase").addEventListener("click", () => {
  canvas.erasing = !canvas.erasing;
  $("erase").setAttribute("aria-pressed", canvas.erasing);
});
$("sample").addEventListener("click", () => canvas.load(EXAMPLE));
$("file").addEventListener("change", (event) => {
  upload(event.target.files[0]);
  event.target.value = ""; // the same file may be chosen again
});
$("open-map").addEventListener("click", toggleMap);
$("map-in").addEventListener("click", () => map.zoom(1.6));
$("map-out").addEventListener("click", () => map.zoom(1 / 1.6));
$("map-select").addEventListener("click", () => {
  map.selecting = !map.selecting;
  $("map-select").setAttribute("aria-pressed", map.selecting);
});
$("copy-link").addEventListener("click", () => copy("link", location.href));
$("copy-json").addEventListener("click", () => copy("answer as JSON", JSON.stringify(answer, null, 1)));
$("copy-curl").addEventListener("click", () => copy("curl command", curl(query, count, narrowed())));
more.addEventListener("click", () => {
  count = Math.min(MAX_K, count + PAGE);
  run();
});
onNarrow(
  () => {
    remember();
    run();
  },
  () => ask(isText(query) ? null : query),
);
$("by").addEventListener("change", () => rememberAs("by", $("by").value));
addEventListener("popstate", restore);

document.addEventListener("keydown", (event) => {
  if (event.target.matches("select, input")) return;
  const control = event.ctrlKey || event.metaKey;
  const key = event.key.toLowerCase();
  if (key === "escape") clear();
  else if (key === "e" && !control) $("erase").click();
  else if (control && key === "z") event.shiftKey ? canvas.redo() : canvas.undo();
  else if (control && key === "y") canvas.redo();
  else return;
  event.preventDefault();
});
document.addEventListener("paste", (event) => {
  const file = event.clipboardData.files[0];
  const text = event.clipboardData.getData("text/plain").trim();
  if (file) upload(file);
  else if (text.startsWith("<")) upload(new File([text], "pasted.svg", { type: "image/svg+xml" }));
});
for (const kind of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    paper.classList.toggle("dropping", kind === "dragover");
    if (kind === "drop") upload(event.dataTransfer.files[0]);
  });
}

getClasses()
  .then((told) => {
    gallery = told;
    if (gallery.looks_at !== "drawings") become(gallery.looks_at);
    if (gallery.views) {
      act.one = thatIsTheOne;
      $("by").parentElement.hidden = false;
      $("by").value = remembered("by");
    }
    $("demo").hidden = !gallery.doodles;
    $("starts").append(...gallery.examples.map((one) => start(one, act.from)));
    $("welcome").hidden = Boolean(query);
    const total = gallery.classes.reduce((sum, { sketches }) => sum + sketches, 0);
    const number = new Intl.NumberFormat("en");
    $("about").textContent =
      looksAt() === "photographs"
        ? `Drop a photograph, or type. The nearest of ${number.format(total)} are shown.`
        : `Draw something, or type. The nearest of ${number.format(total)} ${looksAt() ?? "sketches"} appear as you go.`;
    offer(gallery);
    if (location.hash) restore();
  })
  .catch((error) => say(error.message, true));
