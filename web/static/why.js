// What a match rests on, in colours.

import { explain } from "./api.js";

/** Colour the strokes on a canvas by what they do to the match with a sketch; the distance, or null where something else is drawn by then. */
export async function explainStrokes(id, canvas) {
  const drawn = canvas.strokes;
  const { distance, parts } = await explain(drawn, id);
  if (canvas.changedSince(drawn)) return null;
  const most = Math.max(...parts.map(({ change }) => Math.abs(change ?? 0)), 1e-6);
  canvas.colour(parts.map(({ stroke, change }) => ({ stroke, colour: heat((change ?? most) / most) })));
  return distance;
}

/** A colour from blue (-1) over grey (0) to red (1). */
export function heat(share) {
  const [r, g, b] = share > 0 ? [201, 42, 42] : [25, 113, 194];
  const mix = (value) => Math.round(190 + (value - 190) * Math.min(1, Math.abs(share)));
  return `rgb(${mix(r)} ${mix(g)} ${mix(b)})`;
}
