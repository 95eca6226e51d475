// The page: what is asked (a drawing, a file, sketches of the gallery) and what is shown.

import { MAX_K, addView, curl, getClasses, getMap, getSketch, placeOnMap, search } from "./api.js";
import { Canvas } from "./canvas.js";
import { calledSo, card, isSign, start } from "./card.js";
import { EXAMPLE } from "./example.js";
import { fromFragment, toFragment } from "./link.js";
import { GalleryMap } from "./map.js";
import { hasClass, narrow, narrowed, offer, onNarrow } from "./narrow.js";
import { become, explainRegions, hideRegions, looksAt, showItem } from "./pictured.js";
import { copy, say, tell, tellWhatWasRead } from "./status.js";
import { rememberAs, remembered } from "./visitor.js";
import { explainStrokes } from "./why.js";

const PAGE = 24; // results, and as many more with each "More"
const AREA = 120; // sketches of an area of the map that are shown

const $ = (id) => document.getElementById(id);
const [paper, picture, hint, legend, guesses, results, more] = ["paper", "picture", "hint", "legend", "guesses", "results", "more"].map($);
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
    if (found.seen) tellWhatWasRead(found, (strokes) => canvas.load(strokes));
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
      const distance = pictured ? await explainRegions(id, query.file) : await explainStrokes(id, canvas);
      if (distance === null) return;
      tell(`The match with this ${label} (${distance.toFixed(3)}) rests on what is red; without what is blue it would be closer.`);
      paper.scrollIntoView({ block: "nearest" });
    } catch (error) {
      say(error.message, true);
    }
  },
};

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
