// The server's API, at addresses beside the page, wherever that is. A query is { strokes }, { file }, { id },
// { like, unlike } or {}: the words of `text` alone. A failed request throws an Error fit to be shown.

export const MAX_K = 1000;

/** Where and how to ask for a query: what fetch takes. Sketches of `classes` and `sets` only, where there are any; `text` may be empty. */
export function request(query, k, { classes, sets, text }) {
  const chosen = { ...(classes.length && { classes }), ...(sets.length && { sets }), ...(text && { text }) };
  const fields = Object.entries(chosen).flatMap(([name, values]) => [values].flat().map((value) => [name, value]));
  if (query.strokes) return ["api/search", json({ strokes: query.strokes, k, ...chosen })];
  if (query.like) return ["api/search/examples", json({ like: query.like, unlike: query.unlike, k, ...chosen })];
  if (query.id) {
    const parameters = new URLSearchParams([["k", k], ...fields]);
    return [`api/sketches/${query.id}/similar?${parameters}`, {}];
  }
  if (!query.file) return ["api/search", json({ k, ...chosen })];
  const body = new FormData();
  body.append("file", query.file);
  body.append("k", k);
  for (const [name, value] of fields) body.append(name, value);
  return ["api/search", { method: "POST", body }];
}

export function search(query, k, narrowed, signal) {
  const [url, options] = request(query, k, narrowed);
  return ask(url, { ...options, signal });
}

/** The same request as a line for a shell. */
export function curl(query, k, narrowed) {
  const [url, options] = request(query, k, narrowed);
  const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`;
  const line = ["curl", "-s", quoted(new URL(url, document.baseURI).href)];
  if (query.file) {
    for (const [name, value] of options.body) line.push("-F", quoted(`${name}=${value instanceof File ? `@${value.name}` : value}`));
  } else if (options.body) {
    line.push("-H", quoted("Content-Type: application/json"), "-d", quoted(options.body));
  }
  return line.join(" ");
}

export const explain = (strokes, id) => ask("api/explain", json({ strokes, id }));
export function explainPicture(file, id) {
  const body = new FormData();
  body.append("file", file, "picture");
  body.append("id", id);
  return ask("api/explain", { method: "POST", body });
}
export const addView = (id, strokes, by) => ask(`api/sketches/${id}/views`, json({ strokes, by }));
export const getMap = () => ask("api/map");
export const placeOnMap = (strokes) => ask("api/map/place", json({ strokes }));
export const getSketch = (id) => ask(`api/sketches/${id}`);
export const getClasses = () => ask("api/classes");
export const thumbnail = (id) => `api/sketches/${id}/picture`;

function json(body) {
  return { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
}

async function ask(url, options, patience = 3) {
  const answer = await fetch(url, options).catch((error) => {
    throw error.name === "AbortError" ? error : new Error("The server does not answer. Is it still running?");
  });
  const wait = Number(answer.headers.get("Retry-After"));
  if (answer.status === 503 && wait && patience) {
    await new Promise((resolve) => setTimeout(resolve, 1000 * Math.min(wait, 5)));
    options?.signal?.throwIfAborted();
    return ask(url, options, patience - 1);
  }
  const body = await answer.json().catch(() => null);
  if (!answer.ok) throw new Error(body?.errors?.[0]?.message ?? `The server answered ${answer.status}.`);
  return body;
}
