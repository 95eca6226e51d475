// The server's API. A failed request throws an Error whose message is fit to be shown.

const K = 24;

export function searchStrokes(strokes, classes, signal) {
  return ask("/api/search", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ strokes, k: K, ...(classes.length && { classes }) }),
    signal,
  });
}

export function searchFile(file, classes, signal) {
  const body = new FormData();
  body.append("file", file);
  body.append("k", K);
  for (const name of classes) body.append("classes", name);
  return ask("/api/search", { method: "POST", body, signal });
}

export function searchSketch(id, classes, signal) {
  const query = new URLSearchParams([["k", K], ...classes.map((name) => ["classes", name])]);
  return ask(`/api/sketches/${id}/similar?${query}`, { signal });
}

export const getSketch = (id) => ask(`/api/sketches/${id}`);
export const getClasses = () => ask("/api/classes");
export const thumbnail = (id) => `/api/sketches/${id}.svg`;

async function ask(url, options) {
  const answer = await fetch(url, options).catch((error) => {
    throw error.name === "AbortError" ? error : new Error("The server does not answer. Is it still running?");
  });
  const body = await answer.json().catch(() => null);
  if (!answer.ok) throw new Error(body?.errors?.[0]?.message ?? `The server answered ${answer.status}.`);
  return body;
}
