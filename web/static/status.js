// What the page says: above the results, and below the drawing.

const [status, legend] = ["status", "legend"].map((id) => document.getElementById(id));

/** What was found, or what went wrong. */
export function say(words, problem = false) {
  status.textContent = words;
  status.classList.toggle("problem", problem);
}

/** What the colours of the drawing mean, or where it came from. */
export function tell(words) {
  legend.textContent = words;
  legend.hidden = false;
}

/** What was read of a file, what was left out, and the other drawings on the sheet, to search them instead. */
export function tellWhatWasRead({ notes = [], others = [] }, searchOther) {
  tell(["What was read of your picture", ...notes].join("; ") + ".");
  others.forEach((strokes, number) => {
    const button = Object.assign(document.createElement("button"), { type: "button", className: "plain" });
    button.textContent = others.length > 1 ? `Search drawing ${number + 2}` : "Search the other one";
    button.addEventListener("click", () => searchOther(strokes));
    legend.append(" ", button);
  });
}

/** To the clipboard. */
export async function copy(what, words) {
  try {
    await navigator.clipboard.writeText(words);
    say(`Copied the ${what}.`);
  } catch {
    prompt("Copy this:", words); // no clipboard without https
  }
}
