// What a search is narrowed to: a class, a set, words.

const [classes, sets, text] = ["classes", "sets", "text"].map((id) => document.getElementById(id));

export const narrowed = () => ({
  classes: classes.value ? [classes.value] : [],
  sets: sets.value ? [sets.value] : [],
  text: text.value.trim(),
});

/** Choose these, each where it can be chosen. */
export function narrow({ classes: [label = ""], sets: [set = ""], text: words }) {
  classes.value = hasClass(label) ? label : "";
  sets.value = [...sets.options].some((option) => option.value === set) ? set : "";
  text.value = words;
}

/** Whether there is a class of this name to choose. */
export const hasClass = (label) => !classes.parentElement.hidden && [...classes.options].some((option) => option.value === label);

/** Let people choose among the gallery's classes and sets, so far as there is a choice and one does not say what the other does. */
export function offer(gallery) {
  const total = gallery.classes.reduce((sum, { sketches }) => sum + sketches, 0);
  const named = gallery.classes.filter(({ label }) => label);
  classes.append(...named.map(({ label, sketches }) => new Option(`${label} (${sketches})`, label)));
  sets.append(...gallery.sets.map(({ set, sketches }) => new Option(`${set} (${sketches})`, set)));
  const some = gallery.sets.some(({ sketches }) => sketches < total);
  const counts = new Map(gallery.sets.map(({ set, sketches }) => [set, sketches]));
  sets.parentElement.hidden = !some;
  classes.parentElement.hidden = !named.some(({ sketches }) => sketches < total) || (some && named.every((one) => counts.get(one.label) === one.sketches));
  document.body.classList.toggle("with-sets", some);
}

/** Call back when something else is chosen, and when something else is typed. */
export function onNarrow(chosen, typed) {
  for (const select of [classes, sets]) select.addEventListener("change", chosen);
  text.addEventListener("input", typed);
}
