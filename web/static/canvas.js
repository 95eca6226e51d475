// A canvas to draw on: pen, finger or mouse become strokes [[x...], [y...]] in 0..255.

const UNITS = 255;
const PEN = 3; // of 255

export class Canvas {
  /** Calls onChange(strokes) after every finished stroke, undo, clear and load. */
  constructor(element, onChange) {
    this.element = element;
    this.context = element.getContext("2d");
    this.onChange = onChange;
    this.strokes = [];
    this.pen = null; // the pointer that draws; others wait
    element.addEventListener("pointerdown", (event) => this.#down(event));
    element.addEventListener("pointermove", (event) => this.#move(event));
    for (const end of ["pointerup", "pointercancel"]) element.addEventListener(end, (event) => this.#up(event));
    new ResizeObserver(() => this.#draw()).observe(element);
  }

  undo() {
    this.strokes.pop();
    this.#changed();
  }

  clear() {
    this.strokes = [];
    this.#changed();
  }

  /** Show strokes of any size, fitted into the canvas, without calling onChange. */
  show(strokes) {
    const xs = strokes.flatMap(([x]) => x);
    const ys = strokes.flatMap(([, y]) => y);
    const [left, top] = [Math.min(...xs), Math.min(...ys)];
    const [width, height] = [Math.max(...xs) - left, Math.max(...ys) - top];
    const scale = (UNITS * 0.86) / Math.max(width, height, 1e-6);
    const fit = (values, low, extent) => values.map((v) => (v - low - extent / 2) * scale + UNITS / 2);
    this.strokes = strokes.map(([x, y]) => [fit(x, left, width), fit(y, top, height)]);
    this.#draw();
  }

  /** As show, and calls onChange. */
  load(strokes) {
    this.show(strokes);
    this.#changed();
  }

  #down(event) {
    if (this.pen !== null || event.button !== 0) return;
    event.preventDefault();
    this.pen = event.pointerId;
    this.element.setPointerCapture(event.pointerId);
    this.strokes.push([[], []]);
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
    this.#changed();
  }

  #add(event) {
    const box = this.element.getBoundingClientRect();
    const [xs, ys] = this.strokes.at(-1);
    xs.push(Math.round((1000 * UNITS * (event.clientX - box.left)) / box.width) / 1000);
    ys.push(Math.round((1000 * UNITS * (event.clientY - box.top)) / box.height) / 1000);
    this.#draw();
  }

  #changed() {
    this.#draw();
    this.onChange(this.strokes);
  }

  #draw() {
    const { element, context } = this;
    const size = Math.round(element.clientWidth * devicePixelRatio);
    if (element.width !== size) element.width = element.height = size;
    context.setTransform(size / UNITS, 0, 0, size / UNITS, 0, 0);
    context.clearRect(0, 0, UNITS, UNITS);
    Object.assign(context, { lineWidth: PEN, lineCap: "round", lineJoin: "round", strokeStyle: "#1b1b1f" });
    for (const [xs, ys] of this.strokes) {
      context.beginPath();
      context.moveTo(xs[0], ys[0]);
      xs.forEach((x, n) => context.lineTo(x, ys[n]));
      context.stroke();
    }
  }
}
