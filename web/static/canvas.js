// A canvas to draw on: pen, finger or mouse become strokes [[x...], [y...]] in 0..255.

const UNITS = 255;
const PEN = 3; // of 255
const REACH = 6; // of the eraser

export class Canvas {
  /** Calls onChange(strokes) after every finished stroke, and after undo, redo, clear, erase and load. */
  constructor(element, onChange) {
    this.element = element;
    this.context = element.getContext("2d");
    this.onChange = onChange;
    this.strokes = [];
    this.past = []; // what undo goes back to
    this.future = []; // what redo goes on to
    this.erasing = false;
    this.parts = null; // coloured pieces that are shown in place of the strokes: [{ stroke, colour }]
    this.pen = null; // the pointer that draws; others wait
    this.at = null; // where the eraser was last
    this.before = this.strokes; // while a stroke is under way: what there was
    element.addEventListener("pointerdown", (event) => this.#down(event));
    element.addEventListener("pointermove", (event) => this.#move(event));
    for (const end of ["pointerup", "pointercancel"]) element.addEventListener(end, (event) => this.#up(event));
    new ResizeObserver(() => this.#draw()).observe(element);
  }

  undo() {
    if (this.past.length) this.#step(this.past, this.future);
  }

  redo() {
    if (this.future.length) this.#step(this.future, this.past);
  }

  clear() {
    this.#change([]);
  }

  /** Show strokes as they are, without calling onChange. */
  place(strokes) {
    this.#remember();
    this.strokes = strokes;
    this.parts = null;
    this.#draw();
  }

  /** As place, of strokes of any size, fitted into the canvas. */
  show(strokes) {
    const xs = strokes.flatMap(([x]) => x);
    const ys = strokes.flatMap(([, y]) => y);
    const bounds = (values) => values.reduce(([low, high], v) => [Math.min(low, v), Math.max(high, v)], [Infinity, -Infinity]);
    const [[left, right], [top, bottom]] = [bounds(xs), bounds(ys)];
    const scale = (UNITS * 0.86) / Math.max(right - left, bottom - top, 1e-6);
    const fit = (values, middle) => values.map((v) => tenths((v - middle) * scale + UNITS / 2));
    this.place(strokes.map(([x, y]) => [fit(x, (left + right) / 2), fit(y, (top + bottom) / 2)]));
  }

  /** As show, and calls onChange. */
  load(strokes) {
    this.show(strokes);
    this.onChange(this.strokes);
  }

  /** Whether these are no longer the strokes, or a stroke is being drawn. */
  changedSince(strokes) {
    return this.strokes !== strokes || this.pen !== null;
  }

  /** Show coloured pieces until the drawing changes. */
  colour(parts) {
    this.parts = parts;
    this.#draw();
  }

  #down(event) {
    if (this.pen !== null || event.button !== 0) return;
    event.preventDefault();
    this.pen = event.pointerId;
    this.element.setPointerCapture(event.pointerId);
    this.parts = null;
    this.at = null;
    this.before = this.strokes;
    this.strokes = this.erasing ? this.strokes : [...this.strokes, [[], []]];
    this.#add(event);
  }

  #move(event) {
    if (event.pointerId !== this.pen) return;
    const between = event.getCoalescedEvents?.() ?? [];
    for (const each of between.length ? between : [event]) this.#add(each);
  }

  #up(event) {
    if (event.pointerId !== this.pen) return;
    this.pen = null;
    const now = this.strokes;
    this.strokes = this.before;
    if (now !== this.before) this.#change(now);
  }

  #add(event) {
    const box = this.element.getBoundingClientRect();
    const x = tenths((UNITS * (event.clientX - box.left)) / box.width);
    const y = tenths((UNITS * (event.clientY - box.top)) / box.height);
    if (this.erasing) {
      this.#rub(this.at ?? [x, y], [x, y]);
      this.at = [x, y];
    } else {
      const [xs, ys] = this.strokes.at(-1);
      xs.push(x);
      ys.push(y);
    }
    this.#draw();
  }

  /** Take out every stroke that the way from one point to another comes near to. */
  #rub([x, y], [toX, toY]) {
    const steps = Math.ceil(Math.hypot(toX - x, toY - y) / REACH) || 1;
    for (let n = 0; n <= steps; n += 1) {
      const [atX, atY] = [x + ((toX - x) * n) / steps, y + ((toY - y) * n) / steps];
      const kept = this.strokes.filter((stroke) => distance(stroke, atX, atY) > REACH);
      if (kept.length < this.strokes.length) this.strokes = kept;
    }
  }

  #remember() {
    this.past.push(this.strokes);
    this.future = [];
  }

  #change(strokes) {
    this.#remember();
    this.#set(strokes);
  }

  #step(from, to) {
    to.push(this.strokes);
    this.#set(from.pop());
  }

  #set(strokes) {
    this.strokes = strokes;
    this.parts = null;
    this.#draw();
    this.onChange(strokes);
  }

  #draw() {
    const { element, context } = this;
    const size = Math.round(element.clientWidth * devicePixelRatio);
    if (element.width !== size) element.width = element.height = size;
    context.setTransform(size / UNITS, 0, 0, size / UNITS, 0, 0);
    context.clearRect(0, 0, UNITS, UNITS);
    Object.assign(context, { lineWidth: PEN, lineCap: "round", lineJoin: "round" });
    for (const { stroke, colour } of this.parts ?? this.strokes.map((one) => ({ stroke: one, colour: "#1b1b1f" }))) {
      const [xs, ys] = stroke;
      context.strokeStyle = colour;
      context.beginPath();
      context.moveTo(xs[0], ys[0]);
      xs.forEach((x, n) => context.lineTo(x, ys[n]));
      context.stroke();
    }
  }
}

/** As exact as a link to the drawing is. */
const tenths = (value) => Math.round(10 * value) / 10;

/** From a point to the nearest place of a stroke. */
function distance([xs, ys], x, y) {
  let least = Math.hypot(xs[0] - x, ys[0] - y);
  for (let n = 1; n < xs.length; n += 1) {
    const [dx, dy] = [xs[n] - xs[n - 1], ys[n] - ys[n - 1]];
    const along = ((x - xs[n - 1]) * dx + (y - ys[n - 1]) * dy) / (dx * dx + dy * dy || 1);
    const t = Math.min(1, Math.max(0, along));
    least = Math.min(least, Math.hypot(xs[n - 1] + t * dx - x, ys[n - 1] + t * dy - y));
  }
  return least;
}
