// A search in the address of the page: #id=..., #like=...&unlike=..., #d=<strokes>, each with &class=... and &set=... where they are
// chosen and &text=... where something is typed; #text=... alone.

/** The fragment of a query; "" for none, and for a file, which no address can hold. */
export function toFragment(query, { classes, sets, text }) {
  const parameters = new URLSearchParams();
  if (query?.strokes) parameters.set("d", query.strokes.map(drawn).join("_"));
  if (query?.id) parameters.set("id", query.id);
  if (query?.like) {
    parameters.set("like", query.like.join("."));
    if (query.unlike.length) parameters.set("unlike", query.unlike.join("."));
  }
  if (text && !query?.file) parameters.set("text", text);
  if (!parameters.size) return "";
  if (classes.length) parameters.set("class", classes[0]);
  if (sets.length) parameters.set("set", sets[0]);
  return `#${parameters}`;
}

/** The query of a fragment and what it is narrowed to; the query is null where the fragment holds none. */
export function fromFragment(fragment) {
  const parameters = new URLSearchParams(fragment.slice(1));
  const ids = (name) => (parameters.get(name) ?? "").split(".").filter((id) => /^\d{1,20}$/.test(id));
  const narrowed = { classes: parameters.getAll("class"), sets: parameters.getAll("set"), text: parameters.get("text") ?? "" };
  if (ids("like").length) return { query: { like: ids("like"), unlike: ids("unlike") }, narrowed };
  if (ids("id").length === 1) return { query: { id: ids("id")[0] }, narrowed };
  const strokes = (parameters.get("d") ?? "").split("_").map((stroke) => points(stroke));
  const drawing = strokes.every(([xs]) => xs.length) ? { strokes } : null;
  return { query: drawing ?? (narrowed.text ? {} : null), narrowed };
}

/** A stroke as "x.y-x.y-...", in tenths. */
function drawn([xs, ys]) {
  const tenths = (value) => Math.max(0, Math.round(10 * value));
  return xs.map((x, n) => `${tenths(x)}.${tenths(ys[n])}`).join("-");
}

function points(text) {
  const pairs = text.split("-").map((pair) => /^(\d{1,4})\.(\d{1,4})$/.exec(pair));
  return pairs.every(Boolean) ? [1, 2].map((axis) => pairs.map((pair) => Number(pair[axis]) / 10)) : [[], []];
}
