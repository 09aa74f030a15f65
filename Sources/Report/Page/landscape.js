"use strict";
// The metric over a plane through the samples of one prompt: a map to zoom and pan, with finer levels the closer one is.

/** A level of the map: values (height, width), the first row lowest, of cells that cover a region [x0, x1, y0, y1]. */
class Level {
  constructor(data, range) {
    Object.assign(this, { width: data.width, height: data.height, region: data.region, tile: data.tile, packed: data.tiles, range });
    this.columns = Math.ceil(this.width / this.tile);
    this.values = null;
    // 0: as it came, 1: asked for, 2: there.
    this.states = new Uint8Array(data.tiles.length);
  }
  get cell() { return (this.region[1] - this.region[0]) / this.width; }
  /** The cell that a place is in, [column, row], or null outside. */
  find(x, y) {
    const [x0, x1, y0, y1] = this.region;
    const column = Math.floor((x - x0) / (x1 - x0) * this.width), row = Math.floor((y - y0) / (y1 - y0) * this.height);
    return column >= 0 && row >= 0 && column < this.width && row < this.height ? [column, row] : null;
  }
  isThere(column, row) { return this.states[Math.floor(row / this.tile) * this.columns + Math.floor(column / this.tile)] === 2; }

  /** Unpacks the tiles over a part of the plane that nobody has looked at yet: most visitors never see all of the finest. */
  async load([x0, x1, y0, y1]) {
    const place = (value, low, high, cells) => Math.min(cells - 1, Math.max(0, Math.floor((value - low) / (high - low) * cells)));
    const [left, right, bottom, top] = this.region;
    const tiles = (from, to, low, high, cells) => [from, to].map(value => Math.floor(place(value, low, high, cells) / this.tile));
    const [firstColumn, lastColumn] = tiles(x0, x1, left, right, this.width);
    const [firstRow, lastRow] = tiles(y0, y1, bottom, top, this.height);
    const wanted = [];
    for (let row = firstRow; row <= lastRow; row++) for (let column = firstColumn; column <= lastColumn; column++) {
      const number = row * this.columns + column;
      if (this.states[number] === 0) wanted.push(this.unpack(number, column * this.tile, row * this.tile));
    }
    await Promise.all(wanted);
    return wanted.length;
  }
  async unpack(number, column, row) {
    this.states[number] = 1;
    const width = Math.min(this.tile, this.width - column), height = Math.min(this.tile, this.height - row);
    const values = await Packed.tile(this.packed[number], width, this.range);
    this.values ??= new Float32Array(this.width * this.height);
    for (let i = 0; i < height; i++) this.values.set(values.subarray(i * width, (i + 1) * width), (row + i) * this.width + column);
    this.states[number] = 2;
  }

  at(column, row) { return this.values[row * this.width + column]; }
  /** Bilinear between the middles of cells, which keep their own values. */
  between(x, y) {
    const [x0, x1, y0, y1] = this.region, { width, height, values } = this;
    const u = Math.min(width - 1, Math.max(0, (x - x0) / (x1 - x0) * width - 0.5));
    const v = Math.min(height - 1, Math.max(0, (y - y0) / (y1 - y0) * height - 0.5));
    const column = Math.min(width - 2, Math.floor(u)), row = Math.min(height - 2, Math.floor(v));
    if (!this.isThere(column, row) || !this.isThere(column + 1, row + 1)) return this.at(Math.round(u), Math.round(v));
    const [right, up, at] = [u - column, v - row, row * width + column];
    return (1 - up) * ((1 - right) * values[at] + right * values[at + 1]) + up * ((1 - right) * values[at + width] + right * values[at + width + 1]);
  }
}

/** How values become colors: viridis, the best bright, by logarithm where they span much. */
class Colors {
  /** `ends`: the best value and the worst one that are told apart. */
  constructor([best, worst]) {
    Object.assign(this, { best, worst: worst === best ? best + 1 : worst });
    const [low, high] = [Math.min(best, this.worst), Math.max(best, this.worst)];
    this.scale = low > 0 && high / low > 8 ? logarithmic : straight;
  }
  part(value) {
    const [from, to] = [this.scale.to(this.worst), this.scale.to(this.best)];
    return Math.min(1, Math.max(0, (this.scale.to(value) - from) / (to - from)));
  }
  of(value) { return Number.isFinite(value) ? viridis[Math.round(255 * this.part(value))] : [128, 128, 128]; }
  valueAt(part) {
    const [from, to] = [this.scale.to(this.worst), this.scale.to(this.best)];
    return this.scale.from(from + part * (to - from));
  }
  legend(metric) {
    const canvas = element("canvas", { class: "ramp", width: 256, height: 1, role: "img",
      "aria-label": `Colors from ${short(this.worst)}, dark, to ${short(this.best)}, bright` });
    const context = canvas.getContext("2d"), image = context.createImageData(256, 1);
    viridis.forEach((color, i) => image.data.set([...color, 255], 4 * i));
    context.putImageData(image, 0, 0);
    return element("div", {}, element("h3", {}, `${named(metric)}, the brighter the better`), canvas,
      element("div", { class: "ramp-ticks" }, [0, 0.25, 0.5, 0.75, 1].map(part => element("span", {}, short(this.valueAt(part), 3)))));
  }
}

/** What lies over the map, by kinds. */
const markLooks = {
  start: { outline: "square", size: 7, fill: "#ffffff", title: "the start" },
  sample: { outline: "diamond", size: 5.5, fill: "#ff7a33", title: "samples of the model" },
  run: { outline: "circle", size: 3.5, fill: "#cfe3ff", title: "training runs" },
};
const markLook = kind => markLooks[kind] ?? { outline: "triangle", size: 5, fill: "#ffe08a", title: kind };

class LandscapeMap {
  constructor(data, metric) {
    Object.assign(this, { data, metric, region: data.region, hidden: new Set(), showsCells: false });
    this.levels = data.levels.map(level => new Level(level, data.range)).sort((a, b) => b.cell - a.cell);
    this.colors = new Colors(data.legend);
    this.image = element("canvas", { "aria-hidden": "true" });
    this.marks = element("canvas", { "aria-hidden": "true" });
    this.readout = element("p", { class: "readout" });
    this.root = element("div", {
      class: "map", tabindex: 0, role: "application", "aria-roledescription": "map", id: "map",
      "aria-label": `${named(metric)} over two principal directions; arrow keys move, plus and minus zoom, zero shows the whole`,
    }, this.image, this.marks);
    this.points = [...data.points, ...data.runs.map(run => {
      const last = run.x.length - 1;
      return { kind: "run", run: run.run, step: run.steps[last], x: run.x[last], y: run.y[last], distance: run.distance[last], metric: run.metric[last] };
    })];
    this.whole();
    this.listen();
    new ResizeObserver(([entry]) => {
      this.size = Math.round(entry.contentRect.width);
      if (this.size) this.paint();
    }).observe(this.root);
  }

  /** The view: a center and the width of what is seen, in units of the plane. */
  whole() {
    const [x0, x1, y0, y1] = this.region;
    this.view = { x: (x0 + x1) / 2, y: (y0 + y1) / 2, width: Math.max(x1 - x0, y1 - y0) };
  }
  get maximum() { return Math.max(this.region[1] - this.region[0], this.region[3] - this.region[2]); }
  get minimum() { return this.levels[this.levels.length - 1].cell * 8; }

  toPlane(left, top) {
    const { x, y, width } = this.view;
    return [x + (left / this.size - 0.5) * width, y - (top / this.size - 0.5) * width];
  }
  toScreen(x, y) { return [((x - this.view.x) / this.view.width + 0.5) * this.size, (0.5 - (y - this.view.y) / this.view.width) * this.size]; }

  /** Zooms so that what is under a place of the screen stays there. Returns whether anything changed. */
  zoom(factor, left = this.size / 2, top = this.size / 2) {
    const before = this.view.width, [x, y] = this.toPlane(left, top);
    this.view.width = Math.min(this.maximum, Math.max(this.minimum, before / factor));
    const [newX, newY] = this.toPlane(left, top);
    this.move(x - newX, y - newY);
    return this.view.width !== before;
  }
  move(dx, dy) {
    const [x0, x1, y0, y1] = this.region, half = this.view.width / 2;
    const bound = (value, low, high) => low + half > high - half ? (low + high) / 2 : Math.min(high - half, Math.max(low + half, value));
    this.view.x = bound(this.view.x + dx, x0, x1);
    this.view.y = bound(this.view.y + dy, y0, y1);
    this.schedule();
  }
  schedule() {
    if (this.isScheduled) return;
    this.isScheduled = true;
    requestAnimationFrame(() => { this.isScheduled = false; this.paint(); });
  }

  /** The levels for what is seen, the best first: the coarsest whose cells are small on the screen, then coarser ones. */
  get wanted() {
    const fine = this.levels.findIndex(level => level.cell / this.view.width * this.size <= 11);
    return this.levels.slice(0, (fine < 0 ? this.levels.length - 1 : fine) + 1).reverse();
  }
  /** What is known of a place best: its level and cell, or null. */
  known(x, y, levels = this.wanted) {
    for (const level of levels) {
      const cell = level.find(x, y);
      if (cell && level.isThere(...cell)) return { level, cell };
    }
    return null;
  }
  get seen() {
    const { x, y, width } = this.view;
    return [x - width / 2, x + width / 2, y - width / 2, y + width / 2];
  }

  paint() {
    if (!this.size) return;
    const scale = Math.min(2, devicePixelRatio || 1), pixels = Math.round(this.size * scale);
    for (const canvas of [this.image, this.marks]) if (canvas.width !== pixels) canvas.width = canvas.height = pixels;
    const context = this.image.getContext("2d"), image = context.createImageData(pixels, pixels), out = image.data;
    const levels = this.wanted, unit = this.view.width / pixels;
    // What is not unpacked yet is drawn by a coarser level, and again when it is.
    for (const level of new Set([levels[0], this.levels[0]])) level.load(this.seen).then(count => count && this.schedule());
    const left = this.view.x - this.view.width / 2 + unit / 2, top = this.view.y + this.view.width / 2 - unit / 2;
    for (let row = 0, offset = 0; row < pixels; row++) {
      const y = top - row * unit;
      for (let column = 0; column < pixels; column++, offset += 4) {
        const x = left + column * unit, known = this.known(x, y, levels);
        const color = this.colors.of(!known ? NaN : this.showsCells ? known.level.at(...known.cell) : known.level.between(x, y));
        out[offset] = color[0]; out[offset + 1] = color[1]; out[offset + 2] = color[2]; out[offset + 3] = 255;
      }
    }
    context.putImageData(image, 0, 0);
    this.paintMarks(scale);
    this.say(this.pointer ?? [this.size / 2, this.size / 2]);
  }

  paintMarks(scale) {
    const context = this.marks.getContext("2d");
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, this.size, this.size);
    if (!this.hidden.has("run")) for (const { x, y } of this.data.runs) {
      context.beginPath();
      x.forEach((_, i) => context[i ? "lineTo" : "moveTo"](...this.toScreen(x[i], y[i])));
      for (const [color, width] of [["rgb(10 20 40 / 55%)", 3], ["rgb(225 238 255 / 90%)", 1.4]]) {
        Object.assign(context, { strokeStyle: color, lineWidth: width, lineJoin: "round" });
        context.stroke();
      }
      this.paintMark(context, this.toScreen(x[x.length - 1], y[y.length - 1]), markLook("run"));
    }
    for (const point of this.data.points) {
      if (!this.hidden.has(point.kind)) this.paintMark(context, this.toScreen(point.x, point.y), markLook(point.kind));
    }
  }
  paintMark(context, [left, top], { outline, size, fill }) {
    context.save();
    context.translate(left, top);
    const shape = new Path2D(outlines[outline](size));
    Object.assign(context, { fillStyle: fill, strokeStyle: "#14181c", lineWidth: 1.5 });
    context.fill(shape);
    context.stroke(shape);
    context.restore();
  }

  /** Says what is under a place of the screen: the measured cell, and a point that is near. */
  say([left, top]) {
    const [x, y] = this.toPlane(left, top), known = this.known(x, y);
    const near = this.points.filter(point => !this.hidden.has(point.kind)).map(point => {
      const [a, b] = this.toScreen(point.x, point.y);
      return { point, distance: Math.hypot(a - left, b - top) };
    }).sort((a, b) => a.distance - b.distance)[0];
    const value = known ? `${named(this.metric)} ${short(known.level.at(...known.cell))}` : "outside of what was measured";
    this.readout.replaceChildren(element("strong", {}, value), ` at (${short(x, 3)}, ${short(y, 3)})`,
      known ? `, a cell of ${known.level.width} × ${known.level.height}` : "", element("br"),
      near && near.distance < 12 ? `${pointName(near.point)}: ${named(this.metric)} ${short(near.point.metric)}, ${short(near.point.distance, 3)} off the plane` : "");
  }

  listen() {
    const root = this.root, pointers = new Map();
    const at = event => {
      const box = root.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    root.addEventListener("wheel", event => {
      const [left, top] = at(event), lines = event.deltaMode === 1 ? 30 : 1;
      // At either end of the zoom the page scrolls on.
      if (this.zoom(2 ** (-event.deltaY * lines / 300), left, top)) event.preventDefault();
    }, { passive: false });
    root.addEventListener("pointerdown", event => {
      root.setPointerCapture(event.pointerId);
      pointers.set(event.pointerId, at(event));
    });
    root.addEventListener("pointermove", event => {
      const now = at(event), before = pointers.get(event.pointerId);
      this.pointer = now;
      if (before) {
        const others = [...pointers.entries()].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
        pointers.set(event.pointerId, now);
        if (others.length) {
          const [other] = others, distance = ([a, b]) => Math.hypot(a - other[0], b - other[1]) || 1;
          this.zoom(distance(now) / distance(before), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
        }
        const part = this.view.width / this.size / (others.length ? 2 : 1);
        this.move((before[0] - now[0]) * part, (now[1] - before[1]) * part);
      }
      this.say(now);
    });
    for (const name of ["pointerup", "pointercancel"]) root.addEventListener(name, event => pointers.delete(event.pointerId));
    root.addEventListener("pointerleave", () => { this.pointer = null; });
    root.addEventListener("dblclick", event => this.zoom(2, ...at(event)));
    root.addEventListener("keydown", event => {
      const step = this.view.width / 8;
      const actions = {
        ArrowLeft: () => this.move(-step, 0), ArrowRight: () => this.move(step, 0), ArrowUp: () => this.move(0, step),
        ArrowDown: () => this.move(0, -step), "+": () => this.zoom(1.5), "=": () => this.zoom(1.5), "-": () => this.zoom(1 / 1.5),
        0: () => { this.whole(); this.schedule(); }, Home: () => { this.whole(); this.schedule(); },
      };
      if (!actions[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      actions[event.key]();
    });
  }

  buttons() {
    const button = (text, label, act) => element("button", { type: "button", "aria-label": label, onclick: act }, text);
    return element("div", { class: "buttons" }, button("+", "Zoom in", () => this.zoom(1.5)), button("−", "Zoom out", () => this.zoom(1 / 1.5)),
      button("Whole", "Show the whole", () => { this.whole(); this.schedule(); }),
      button("Cells", "Show the measured cells without interpolation", event => {
        this.showsCells = !this.showsCells;
        event.currentTarget.setAttribute("aria-pressed", this.showsCells);
        this.schedule();
      }));
  }
  layers() {
    const kinds = [...new Set(this.points.map(point => point.kind))];
    return element("ul", { class: "legend" }, kinds.map(kind => {
      const { outline, fill, title } = markLook(kind);
      return element("li", {}, element("label", {},
        element("input", { type: "checkbox", checked: true, onchange: event => {
          event.target.checked ? this.hidden.delete(kind) : this.hidden.add(kind);
          this.schedule();
        } }),
        drawn("svg", { viewBox: "0 0 30 16", "aria-hidden": "true" }, drawn("path", { d: outlines[outline](5), transform: "translate(15,8)", fill, stroke: "#14181c" })), title));
    }));
  }
}

const pointName = point => ({ start: "The start", sample: "A sample of the model", run: `Run ${point.run}, step ${point.step}` })[point.kind] ?? point.kind;

sections.push({
  id: "landscape", title: "Landscape", needs: ["landscape"],
  render(model, root) {
    const data = model.sections.landscape, map = new LandscapeMap(data, data.metric);
    const finest = map.levels[map.levels.length - 1], finer = map.levels[0].cell / finest.cell;
    const shares = data.axes.map(axis => axis.explained).filter(share => Number.isFinite(share));
    root.append(paragraph(`${counted(data.points.filter(point => point.kind === "sample").length, "sample")} that the model writes from one
      start for ${named(data.metric)} ${short(data.prompt)}, on the plane of their two leading principal directions. Every cell is a network of
      its own, measured${data.images ? ` on ${whole(data.images)} test pictures` : " on the task"}; the finest are ${whole(finer)} times as fine as the first.`, "seen-as"));
    const [low, high] = model.metric_range;
    if (data.prompt < low || data.prompt > high) root.append(paragraph(`The prompt is outside of what the corpus has, ${named(data.metric)} from
      ${short(low)} to ${short(high)}: the model has seen nothing of the kind.`, "aside"));
    root.append(element("figure", {}, element("div", { class: "split" }, element("div", {}, map.root),
      element("div", {}, map.colors.legend(data.metric), map.readout, map.layers(), map.buttons(),
        element("p", { class: "beside" }, "Drag, pinch, turn the wheel, or use the arrow keys, + and − when the map has the focus."))),
    element("figcaption", {}, `${shares.length ? `The directions hold ${shares.map(share => percent(share)).join(" and ")} of the samples' variance. ` : ""}Points lie where they
      project onto the plane, and have metrics of their own: what is far off the plane is not what the map shows below it. All values took ${duration(data.seconds)}.`),
    numbers(table("What lies on the map", ["what", "x", "y", "off the plane", named(data.metric)],
      map.points.map(point => [pointName(point), point.x, point.y, point.distance, point.metric])))));
    root.map = map;
  },
});
