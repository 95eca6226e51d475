// Galleries of pictures: what is searched with is shown large, in place of the canvas, and explained by its regions.

import { explainPicture, thumbnail } from "./api.js";
import { heat } from "./why.js";

const SVG = "http://www.w3.org/2000/svg";
const [picture, regions] = ["picture", "regions"].map((id) => document.getElementById(id));

/** "photographs", "signs", or undefined in a gallery of drawings. */
export const looksAt = () => document.body.dataset.looksAt;

/** The page for a gallery that looks at pictures. */
export function become(kind) {
  document.body.dataset.looksAt = kind;
  const signs = kind === "signs";
  document.getElementById("hint").firstChild.textContent = signs ? "Draw a sign here" : "Drop a photograph here";
  document.querySelector("#hint span").textContent = signs ? "or drop, paste or upload a scan" : "or paste or upload one";
  document.querySelector("#classes option").textContent = "pictures of any class";
  document.querySelector("#welcome h2").textContent = signs ? "Start from a sign, or draw your own" : "Start from a picture, or drop your own";
  document.querySelector("#welcome p").textContent =
    "A picture can be dropped anywhere on this page. Every result can be searched from, and searches from the gallery have a link to share.";
}

/** Show a picture of the gallery as what is searched with. */
export function showItem(id) {
  if (picture.src.startsWith("blob:")) URL.revokeObjectURL(picture.src);
  picture.src = thumbnail(id);
}

/**
 * Colour the regions of the picture, which is this file or one of the gallery, by what they do to its match with an item;
 * the distance, or null where another picture is shown by then.
 */
export async function explainRegions(id, file) {
  const shown = picture.src;
  const told = await explainPicture(file ?? (await fetch(shown).then((answer) => answer.blob())), id);
  if (picture.src !== shown) return null;
  const most = Math.max(...told.regions.map(({ change }) => Math.abs(change ?? 0)), 1e-6);
  regions.setAttribute("viewBox", `0 0 ${picture.naturalWidth} ${picture.naturalHeight}`);
  regions.replaceChildren(
    ...told.regions.map(({ x, y, width, height, change }) => {
      const cell = document.createElementNS(SVG, "rect");
      const share = change === null ? 1 : change / most;
      const places = { x: x * picture.naturalWidth, y: y * picture.naturalHeight, width: width * picture.naturalWidth, height: height * picture.naturalHeight };
      for (const [name, value] of Object.entries(places)) cell.setAttribute(name, value);
      cell.setAttribute("fill", heat(share));
      cell.setAttribute("fill-opacity", 0.65 * Math.min(1, Math.abs(share)));
      return cell;
    }),
  );
  regions.removeAttribute("hidden");
  return told.distance;
}

/** The picture as it is. */
export function hideRegions() {
  regions.setAttribute("hidden", "");
}
