// A map of the gallery on a canvas: dots for sketches, names for classes, a cross for the query. Pan, zoom, select an area.

const ZOOM = { least: 1, most: 60 };
const NAMES_FROM = 14; // pixels between names, at least

export class GalleryMap {
  /** Calls onSelect(sketches), each { id, label }, with those of an area that was dragged out while `selecting`. */
  constructor(element, onSelect) {
    this.element = element;
    this.context = element.getContext("2d");
    this.onSelect = onSelect;
    this.data = null;
    this.query = null; // { x, y } of the cross
    this.view = { x: 0, y: 0, zoom: 1 }; // the map's place at the upper left, and how large it is
    this.selecting = false;
    this.area = null; // being dragged out: { from: [x, y], to: [x, y] } in pixels
    this.pointers = new Map(); // those that are down, by id: two of them pinch
    element.addEventListener("pointerdown", (event) => this.#down(event));
    element.addEventListener("pointermove", (event) => this.#move(event));
    for (const end of ["pointerup", "pointercancel"]) element.addEventListener(end, (event) => this.#up(event));
    element.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    element.addEventListener("keydown", (event) => this.#key(event));
    new ResizeObserver(() => this.#draw()).observe(element);
  }

  show(data) {
    this.data = data;
    this.rowOf = new Map(data.ids.map((id, row) => [id, row]));
    this.#draw();
  }

  /** Put the cross at a place { x, y }, or take it away with null. */
  mark(place) {
    this.query = place;
    this.#draw();
  }

  /** The place of a sketch by its id; null where the map lacks it. */
  placeOf(id) {
    const row = this.rowOf?.get(id);
    return row === undefined ? null : { x: this.data.x[row], y: this.data.y[row] };
  }

  /** Grow the map around a point in pixels; the middle unless given. */
  zoom(factor, [x, y] = [this.#width / 2, this.#height / 2]) {
    const zoom = Math.min(ZOOM.most, Math.max(ZOOM.least, this.view.zoom * factor));
    const [mapX, mapY] = this.#toMap(x, y);
    this.view = { zoom, x: mapX - x / (this.#width * zoom), y: mapY - y / (this.#height * zoom) };
    this.#draw();
  }

  get #width() {
    return this.element.clientWidth;
  }

  get #height() {
    return this.element.clientHeight;
  }

  #toMap(x, y) {
    return [this.view.x + x / (this.#width * this.view.zoom), this.view.y + y / (this.#height * this.view.zoom)];
  }

  #toPixels(x, y) {
    return [(x - this.view.x) * this.#width * this.view.zoom, (y - this.view.y) * this.#height * this.view.zoom];
  }

  #pan(dx, dy) {
    this.view.x -= dx / (this.#width * this.view.zoom);
    this.view.y -= dy / (this.#height * this.view.zoom);
    this.#draw();
  }

  #at(event) {
    const box = this.element.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  #down(event) {
    if (event.button !== 0) return;
    this.element.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, this.#at(event));
    if (this.selecting && this.pointers.size === 1) this.area = { from: this.#at(event), to: this.#at(event) };
  }

  #move(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const now = this.#at(event);
    const other = [...this.pointers].find(([id]) => id !== event.pointerId)?.[1];
    this.pointers.set(event.pointerId, now);
    if (other) {
      const apart = ([x, y]) => Math.hypot(x - other[0], y - other[1]);
      this.zoom(apart(now) / Math.max(apart(before), 1), [(now[0] + other[0]) / 2, (now[1] + other[1]) / 2]);
    } else if (this.area) {
      this.area.to = now;
      this.#draw();
    } else this.#pan(now[0] - before[0], now[1] - before[1]);
  }

  #up(event) {
    this.pointers.delete(event.pointerId);
    const { area } = this;
    this.area = null;
    if (area && event.type === "pointerup") this.#select(area);
    this.#draw();
  }

  #wheel(event) {
    event.preventDefault();
    this.zoom(Math.exp(-event.deltaY / 400), this.#at(event));
  }

  #key(event) {
    const step = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] }[event.key];
    if (step) this.#pan(...step);
    else if (event.key === "+" || event.key === "=") this.zoom(1.5);
    else if (event.key === "-") this.zoom(1 / 1.5);
    else if (event.key === "Enter") this.#select({ from: [0, 0], to: [this.#width, this.#height] });
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** The sketches of an area in pixels, those nearest to its middle first. */
  #select({ from, to }) {
    if (!this.data) return;
    const [left, top] = this.#toMap(Math.min(from[0], to[0]), Math.min(from[1], to[1]));
    const [right, bottom] = this.#toMap(Math.max(from[0], to[0]), Math.max(from[1], to[1]));
    const { ids, x, y, labels, classes } = this.data;
    const far = (row) => Math.hypot(x[row] - (left + right) / 2, y[row] - (top + bottom) / 2);
    const inside = ids.map((_, row) => row).filter((row) => x[row] >= left && x[row] <= right && y[row] >= top && y[row] <= bottom);
    inside.sort((a, b) => far(a) - far(b));
    this.onSelect(inside.map((row) => ({ id: ids[row], label: classes[labels[row]].label })));
  }

  #draw() {
    const { element, context, data } = this;
    if (!data || !this.#width) return;
    const [width, height] = [this.#width, this.#height];
    const [wide, high] = [width, height].map((side) => Math.round(side * devicePixelRatio));
    if (element.width !== wide || element.height !== high) [element.width, element.height] = [wide, high];
    context.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
    context.clearRect(0, 0, width, height);
    const dot = Math.min(5, 1.4 * Math.sqrt(this.view.zoom));
    data.ids.forEach((_, row) => {
      const [x, y] = this.#toPixels(data.x[row], data.y[row]);
      if (x < -dot || y < -dot || x > width || y > height) return;
      context.fillStyle = `hsl(${(data.labels[row] * 137.5) % 360} 55% 45%)`;
      context.fillRect(x - dot / 2, y - dot / 2, dot, dot);
    });
    this.#names(width, height);
    if (this.query) this.#cross(...this.#toPixels(this.query.x, this.query.y));
    if (this.area) {
      const { from, to } = this.area;
      Object.assign(context, { strokeStyle: "#b93a05", lineWidth: 2 });
      context.strokeRect(from[0], from[1], to[0] - from[0], to[1] - from[1]);
    }
  }

  /** As many class names as there is room for. */
  #names(width, height) {
    const { context, data } = this;
    Object.assign(context, { font: "12px system-ui, sans-serif", textAlign: "center", lineWidth: 3, strokeStyle: "#fffdf9", fillStyle: "#1b1b1f" });
    const taken = [];
    for (const { label, x, y } of data.classes) {
      const [px, py] = this.#toPixels(x, y);
      const half = context.measureText(label).width / 2 + 4;
      if (px < half || py < 12 || px > width - half || py > height) continue;
      if (taken.some(([qx, qy, other]) => Math.abs(px - qx) < half + other && Math.abs(py - qy) < NAMES_FROM)) continue;
      taken.push([px, py, half]);
      context.strokeText(label, px, py);
      context.fillText(label, px, py);
    }
  }

  #cross(x, y) {
    const { context } = this;
    for (const [colour, wide] of [["#fffdf9", 7], ["#b93a05", 3]]) {
      Object.assign(context, { strokeStyle: colour, lineWidth: wide });
      context.beginPath();
      for (const [dx, dy] of [[11, 0], [0, 11]]) {
        context.moveTo(x - dx, y - dy);
        context.lineTo(x + dx, y + dy);
      }
      context.stroke();
    }
  }
}
