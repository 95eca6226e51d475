// The page: what is asked (a drawing, a file, a sketch of the gallery) and what is shown.

import { getClasses, getSketch, searchFile, searchSketch, searchStrokes, thumbnail } from "./api.js";
import { Canvas } from "./canvas.js";

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

const $ = (id) => document.getElementById(id);
const [paper, picture, hint, status, results, classes] = ["paper", "picture", "hint", "status", "results", "classes"].map($);
const canvas = new Canvas($("canvas"), (strokes) => ask(strokes.length ? { strokes } : null));

let query = null; // { strokes } or { file } or { id }
let running = null; // the request under way: a newer one cancels it, so answers never come out of order

function ask(next) {
  query = next;
  if (picture.src && !query?.file) {
    URL.revokeObjectURL(picture.src);
    picture.removeAttribute("src");
  }
  picture.hidden = !query?.file;
  hint.hidden = Boolean(query) || canvas.strokes.length > 0;
  $("undo").disabled = !canvas.strokes.length;
  $("clear").disabled = !query;
  search();
}

async function search() {
  running?.abort();
  if (!query) {
    results.replaceChildren();
    say("Nothing drawn yet.");
    return;
  }
  running = new AbortController();
  const { signal } = running;
  const chosen = classes.value ? [classes.value] : [];
  try {
    const started = performance.now();
    const answer = await (query.strokes
      ? searchStrokes(query.strokes, chosen, signal)
      : query.file
        ? searchFile(query.file, chosen, signal)
        : searchSketch(query.id, chosen, signal));
    if (signal.aborted) return;
    results.replaceChildren(...answer.hits.map(card));
    const nearest = answer.hits[0] ? `Nearest: ${answer.hits[0].label}. ` : "";
    say(`${nearest}${answer.hits.length} sketches in ${Math.round(performance.now() - started)} ms.`);
  } catch (error) {
    if (signal.aborted) return;
    results.replaceChildren();
    say(error.message, true);
  }
}

function card(hit) {
  const item = document.createElement("li");
  const button = document.createElement("button");
  const image = Object.assign(new Image(), { src: thumbnail(hit.id), alt: "", loading: "lazy" });
  const line = document.createElement("span");
  const label = Object.assign(document.createElement("b"), { textContent: hit.label });
  const distance = Object.assign(document.createElement("i"), { textContent: hit.distance.toFixed(3) });
  button.type = "button";
  button.title = "Search from this sketch";
  button.setAttribute("aria-label", `${hit.label}, distance ${hit.distance.toFixed(3)}. Search from this sketch`);
  button.addEventListener("click", () => searchFrom(hit.id));
  line.append(label, distance);
  button.append(image, line);
  item.append(button);
  return item;
}

async function searchFrom(id) {
  try {
    canvas.show((await getSketch(id)).strokes);
    ask({ id });
  } catch (error) {
    say(error.message, true);
  }
}

function upload(file) {
  if (!file) return;
  canvas.show([]);
  if (picture.src) URL.revokeObjectURL(picture.src);
  picture.src = URL.createObjectURL(file);
  ask({ file });
}

function say(text, problem = false) {
  status.textContent = text;
  status.classList.toggle("problem", problem);
}

$("undo").addEventListener("click", () => canvas.undo());
$("clear").addEventListener("click", () => canvas.clear());
$("sample").addEventListener("click", () => canvas.load(EXAMPLE));
$("file").addEventListener("change", (event) => {
  upload(event.target.files[0]);
  event.target.value = ""; // the same file may be chosen again
});
classes.addEventListener("change", search);

document.addEventListener("keydown", (event) => {
  if (event.target.matches("select, input")) return;
  if (event.key === "Escape") canvas.clear();
  if (event.key === "z" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    canvas.undo();
  }
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
  .then((gallery) => {
    const total = gallery.classes.reduce((sum, { sketches }) => sum + sketches, 0);
    const number = new Intl.NumberFormat("en");
    $("about").textContent = `Draw something. The nearest of ${number.format(total)} sketches appear as you go.`;
    classes.append(...gallery.classes.map(({ label, sketches }) => new Option(`${label} (${sketches})`, label)));
  })
  .catch((error) => say(error.message, true));
