// One result: a thumbnail, under the pointer the strokes that were read of it, and what can be done with it.

import { getSketch, thumbnail } from "./api.js";

const SVG = "http://www.w3.org/2000/svg";
const DRAWN_IN = 900; // milliseconds
const calm = matchMedia("(prefers-reduced-motion: reduce)");

/** What people call a sketch: its name; a picture, which is named as its file is, its class. */
export const calledSo = ({ name, label }) => (document.body.dataset.looksAt ? label || name : name || label) || "without a name";

/** `act` has what its buttons do: from(hit), like(hit), unlike(hit), copy(hit), copyTag(tag), why(hit), and where it is allowed one(hit, button); `kinds` may name "like" or "unlike" where it is an example, and "far". */
export function card(hit, act, kinds) {
  const item = element("li", { className: kinds.filter(Boolean).join(" ") });
  const chosen = kinds.find((kind) => kind.endsWith("like"));
  item.dataset.id = hit.id;
  const open = element("button", { type: "button", className: "open", title: "Search from this sketch" });
  const image = element("img", { src: thumbnail(hit.id), alt: "", loading: "lazy" });
  const line = element("span");
  const called = calledSo(hit);
  const far = hit.distance?.toFixed(3) ?? "";
  line.append(element("b", { textContent: called, title: called }), element("i", { textContent: far }));
  if (hit.set) line.append(element("small", { textContent: hit.set, title: `From the set ${hit.set}` }));
  open.setAttribute("aria-label", `${called}${far && `, distance ${far}`}. Search from this sketch`);
  open.append(image, line);
  open.addEventListener("click", () => act.from(hit));
  const about = element("p", { className: "about" });
  for (const event of ["pointerenter", "focusin"]) item.addEventListener(event, () => meet(hit.id, item, image, about, act));
  const doing = element("div", { className: "doing" });
  doing.append(
    small("+", `More like this ${called}`, () => act.like(hit), chosen === "like"),
    small("−", `Less like this ${called}`, () => act.unlike(hit), chosen === "unlike"),
    ...(hit.name ? [small(sheets(), `Copy the command, the character or the name of ${hit.name}`, () => act.copy(hit))] : []),
    save(hit.id, called),
    small("?", `What the match with this ${called} rests on`, () => act.why(hit)),
    ...(act.one ? [small("✓", `That's the one: let my drawing find this ${called} from now on`, (event) => act.one(hit, event.target))] : []),
  );
  item.append(open, about, doing);
  return item;
}

/** A sketch of the gallery to start from. */
export function start(sketch, from) {
  const item = element("li");
  const called = calledSo(sketch);
  const open = element("button", { type: "button", title: `Search from this: ${called}` });
  open.append(element("img", { src: thumbnail(sketch.id), alt: `${called}: search from it` }));
  open.addEventListener("click", () => from(sketch));
  item.append(open);
  return item;
}

/** The picture of a sketch as a file; the server says how it is called. */
function save(id, called) {
  const words = `Save the file of ${called}`;
  const anchor = element("a", { href: thumbnail(id), download: "", className: "button", title: words, textContent: "↓" });
  anchor.setAttribute("aria-label", words);
  return anchor;
}

/** Two sheets, the sign for copying: drawn, since many fonts lack it. */
function sheets() {
  const svg = document.createElementNS(SVG, "svg");
  for (const [name, value] of [["viewBox", "0 0 24 24"], ["class", "icon"], ["aria-hidden", "true"]]) svg.setAttribute(name, value);
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", "M9 9h11v11H9zM15 9V4H4v11h5");
  svg.append(path);
  return svg;
}

function small(sign, words, act, pressed) {
  const button = element("button", { type: "button", title: words });
  button.append(sign);
  button.setAttribute("aria-label", words);
  if (pressed !== undefined) button.setAttribute("aria-pressed", pressed);
  button.addEventListener("click", act);
  return button;
}

/** Who points at a card is told its tags and its link, and sees the strokes that a search compares. */
async function meet(id, item, image, about, act) {
  if (item.dataset.met) return;
  item.dataset.met = "yes";
  try {
    const { strokes, tags, link } = await getSketch(id);
    const others = tags.filter((tag) => !isSign(tag)).join(" · ");
    about.replaceChildren(
      ...tags.filter(isSign).map((tag) => sign(tag, act)),
      ...(link ? [source(link)] : []),
      ...(others ? [element("span", { textContent: others, title: others })] : []),
    );
    if (strokes.length && image.naturalWidth && isMet(item)) await show(strokes, image, item);
  } catch {
    // Gone from the gallery, or from the page: there is nothing to show.
  } finally {
    delete item.dataset.met;
  }
}

const isMet = (item) => item.matches(":hover, :focus-within");

/** A character (an emoji may be several code points) or a command: what one searches by drawing to write it. */
export const isSign = (tag) => tag.startsWith("\\") || (!/^\w/.test(tag) && [...new Intl.Segmenter().segment(tag)].length === 1);

function sign(tag, act) {
  const button = element("button", { type: "button", textContent: tag, title: `Copy ${tag}` });
  button.addEventListener("click", () => act.copyTag(tag));
  return button;
}

/** Where a sketch comes from; the server takes no other links than those of http and https. */
function source(link) {
  return element("a", { href: link, textContent: new URL(link).host, target: "_blank", rel: "noopener noreferrer", title: link });
}

/** Draw the strokes in place of the image, one after the other, for as long as somebody points there. */
async function show(strokes, image, item) {
  const svg = picture(strokes);
  image.replaceWith(svg);
  if (!calm.matches) drawInTurn([...svg.children]);
  await left(item);
  svg.replaceWith(image);
}

function drawInTurn(paths) {
  const lengths = paths.map((path) => path.getTotalLength());
  const total = lengths.reduce((sum, length) => sum + length, 0) || 1;
  let delay = 0;
  paths.forEach((path, n) => {
    const duration = (DRAWN_IN * lengths[n]) / total;
    path.setAttribute("stroke-dasharray", `${lengths[n]} ${lengths[n] + 1}`);
    path.animate([{ strokeDashoffset: lengths[n] }, { strokeDashoffset: 0 }], { duration, delay, fill: "both" });
    delay += duration;
  });
}

/** When pointer and keyboard are elsewhere. */
function left(item) {
  return new Promise((resolve) => {
    const check = () => isMet(item) || resolve();
    for (const event of ["pointerleave", "focusout"]) item.addEventListener(event, () => requestAnimationFrame(check));
  });
}

function picture(strokes) {
  const xs = strokes.flatMap(([x]) => x);
  const ys = strokes.flatMap(([, y]) => y);
  const [left, top] = [Math.min(...xs), Math.min(...ys)];
  const [width, height] = [Math.max(...xs) - left, Math.max(...ys) - top];
  const border = 0.03 * Math.max(width, height);
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", [left - border, top - border, width + 2 * border, height + 2 * border].join(" "));
  for (const [x, y] of strokes) {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", `M${x.map((each, n) => `${each},${y[n]}`).join("L")}${x.length > 1 ? "" : "h0.01"}`);
    path.setAttribute("stroke-width", Math.max(width, height) / 55);
    svg.append(path);
  }
  return svg;
}

function element(name, properties = {}) {
  return Object.assign(document.createElement(name), properties);
}
