"use strict";
// Plots in SVG, drawn anew at each width so that letters keep their size.

const straight = { to: value => value, from: value => value };
const logarithmic = { to: value => Math.log10(Math.max(value, 1e-300)), from: value => 10 ** value };
/** Counts from 0 on: 0, 1, 10, 100 lie nearly even. */
const counting = { to: value => Math.log10(1 + value), from: value => 10 ** value - 1 };

function ticks(low, high, wanted, scale) {
  if (scale !== straight) {
    const all = scale === counting ? [0] : [];
    for (let power = -6; power < 10; power++) for (const first of [1, 2, 5]) all.push(first * 10 ** power);
    const inside = all.filter(value => value >= low * 0.999 && value <= high * 1.001 && (scale !== counting || value % 1 === 0));
    const tens = inside.filter(value => value === 0 || Math.abs(Math.log10(value) % 1) < 1e-9);
    if (tens.length > 1 && inside.length > wanted) return tens;
    if (inside.length > 1) return inside;
  }
  const rough = (high - low) / Math.max(1, wanted), power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map(factor => factor * power).find(step => step >= rough * 0.999) ?? power;
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; i++) found.push(Number((i * step).toPrecision(12)));
  return found;
}

const path = points => points.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(1)},${y.toFixed(1)}`).join("");

/** Where a mark stands; its outline tells groups apart without color. */
const outlines = {
  circle: r => `M${-r},0a${r},${r} 0 1,0 ${2 * r},0a${r},${r} 0 1,0 ${-2 * r},0`,
  square: r => `M${-r * 0.9},${-r * 0.9}h${1.8 * r}v${1.8 * r}h${-1.8 * r}z`,
  diamond: r => `M0,${-1.25 * r}L${1.25 * r},0L0,${1.25 * r}L${-1.25 * r},0z`,
  triangle: r => `M0,${-1.2 * r}L${1.1 * r},${0.8 * r}L${-1.1 * r},${0.8 * r}z`,
  cross: r => `M${-r},${-r}L${r},${r}M${-r},${r}L${r},${-r}`,
  star: r => `M0,${-1.5 * r}L${0.4 * r},${-0.4 * r}L${1.5 * r},0L${0.4 * r},${0.4 * r}L0,${1.5 * r}L${-0.4 * r},${0.4 * r}L${-1.5 * r},0L${-0.4 * r},${-0.4 * r}z`,
};

/**
 * A plot of two axes, {domain, label, scale, format}. `draw(p)` puts lines, bands and marks on it, in units of the data.
 * `label` is what a screen reader says of it.
 */
function plot({ label, x, y, height = 280, draw }) {
  const root = element("div", { class: "plot" });
  const tip = element("div", { class: "tip", hidden: true, "aria-hidden": "true" });
  let width = 0;
  const render = () => {
    const p = new Plot(Math.max(220, width), height, x, y, label);
    draw(p);
    root.replaceChildren(p.svg, tip);
    p.follow(tip);
  };
  root.redraw = () => { if (width) render(); };
  new ResizeObserver(([entry]) => {
    const next = Math.round(entry.contentRect.width);
    if (next && next !== width) [width] = [next], render();
  }).observe(root);
  return root;
}

class Plot {
  constructor(width, height, x, y, label) {
    Object.assign(this, { width, height, targets: [] });
    const format = axis => axis.format ?? short;
    this.axes = { x: { scale: straight, ...x }, y: { scale: straight, ...y } };
    const yTicks = ticks(...y.domain, height / 55, this.axes.y.scale);
    const left = Math.max(...yTicks.map(value => format(y)(value).length)) * 7 + 10;
    this.box = { left, right: width - 12, top: y.label ? 24 : 8, bottom: height - (x.label ? 42 : 24) };
    this.svg = drawn("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img", "aria-label": label });
    const grid = drawn("g", { "aria-hidden": "true" });
    for (const value of yTicks) {
      grid.append(drawn("line", { class: "grid", x1: left, x2: this.box.right, y1: this.y(value), y2: this.y(value) }),
        drawn("text", { x: left - 7, y: this.y(value) + 4, "text-anchor": "end" }, format(y)(value)));
    }
    for (const value of ticks(...x.domain, (width - left) / 75, this.axes.x.scale)) {
      grid.append(drawn("line", { class: "axis", x1: this.x(value), x2: this.x(value), y1: this.box.bottom, y2: this.box.bottom + 5 }),
        drawn("text", { x: this.x(value), y: this.box.bottom + 18, "text-anchor": "middle" }, format(x)(value)));
    }
    grid.append(drawn("line", { class: "axis", x1: left, x2: this.box.right, y1: this.box.bottom, y2: this.box.bottom }));
    if (x.label) grid.append(drawn("text", { x: this.box.right, y: height - 4, "text-anchor": "end" }, x.label));
    if (y.label) grid.append(drawn("text", { x: 0, y: 12 }, y.label));
    this.svg.append(grid);
  }

  place(axis, value, from, to) {
    const { scale, domain: [low, high] } = this.axes[axis];
    const [a, b] = [scale.to(low), scale.to(high)];
    return from + (to - from) * (b === a ? 0.5 : (scale.to(value) - a) / (b - a));
  }
  x(value) { return this.place("x", value, this.box.left, this.box.right); }
  y(value) { return this.place("y", value, this.box.bottom, this.box.top); }

  add(tag, attributes, ...children) {
    const node = drawn(tag, attributes, ...children);
    this.svg.append(node);
    return node;
  }
  /** A line through [x, y], with gaps where y is no number. */
  line(points, style) {
    let part = [];
    for (const [x, y] of [...points, [0, NaN]]) {
      if (Number.isFinite(y) && y !== null) part.push([this.x(x), this.y(y)]);
      else if (part.length) this.add("path", { class: `line ${style}`, d: path(part) }), part = [];
    }
  }
  /** The area between [x, low, high]. */
  band(points, style) {
    const known = points.filter(point => point.every(value => Number.isFinite(value) && value !== null));
    if (known.length < 2) return;
    const there = known.map(([x, low]) => [this.x(x), this.y(low)]);
    const back = known.map(([x, , high]) => [this.x(x), this.y(high)]).reverse();
    this.add("path", { class: `band ${style}`, d: path([...there, ...back]) + "Z" });
  }
  /** A mark that says `text` when the pointer is near. */
  mark(x, y, style, text, outline = "circle", size = 4) {
    if (!Number.isFinite(x) || !Number.isFinite(y) || x === null || y === null) return null;
    const [left, top] = [this.x(x), this.y(y)];
    if (text) this.targets.push({ left, top, text });
    if (!outline) return null;
    const kind = outline === "cross" ? "whisker" : "dot";
    return this.add("path", { class: `${kind} ${style}`, d: outlines[outline](size), transform: `translate(${left.toFixed(1)},${top.toFixed(1)})` });
  }
  whisker(x, low, high, style) {
    if (![x, low, high].every(value => Number.isFinite(value) && value !== null)) return;
    this.add("path", { class: `whisker ${style}`, d: `M${this.x(x)},${this.y(low)}V${this.y(high)}M${this.x(x) - 4},${this.y(low)}h8M${this.x(x) - 4},${this.y(high)}h8` });
  }
  text(x, y, words, attributes = {}) { return this.add("text", { x: this.x(x), y: this.y(y), ...attributes }, words); }

  /** Shows the text of the mark that is nearest to the pointer. */
  follow(tip) {
    if (!this.targets.length) return;
    const ring = this.add("circle", { class: "hit", r: 6, visibility: "hidden" });
    const hide = () => { tip.hidden = true; ring.setAttribute("visibility", "hidden"); };
    this.svg.addEventListener("pointerleave", hide);
    this.svg.addEventListener("pointermove", event => {
      const box = this.svg.getBoundingClientRect(), scale = this.width / box.width;
      const [left, top] = [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
      let nearest = null, least = 40;
      for (const target of this.targets) {
        const distance = Math.hypot(target.left - left, target.top - top);
        if (distance < least) [nearest, least] = [target, distance];
      }
      if (!nearest) return hide();
      tip.hidden = false;
      tip.textContent = nearest.text;
      const half = tip.offsetWidth / 2;
      tip.style.left = `${Math.min(Math.max(nearest.left / scale, half), box.width - half)}px`;
      tip.style.top = `${Math.max(nearest.top / scale, tip.offsetHeight)}px`;
      ring.setAttribute("cx", nearest.left);
      ring.setAttribute("cy", nearest.top);
      ring.setAttribute("visibility", "visible");
    });
  }
}

/** A legend of [text, style, kind], kind being "line", "band" or the outline of a mark. */
function legend(entries) {
  return element("ul", { class: "legend" }, entries.map(([text, style, kind = "line"]) => element("li", {},
    drawn("svg", { viewBox: "0 0 30 16", "aria-hidden": "true" },
      kind === "line" ? drawn("path", { class: `line ${style}`, d: "M2,8H28" })
        : kind === "band" ? drawn("rect", { class: `band ${style}`, x: 2, y: 2, width: 26, height: 12 })
        : drawn("path", { class: `${kind === "cross" ? "whisker" : "dot"} ${style}`, d: outlines[kind](5), transform: "translate(15,8)" })),
    text)));
}

/** Viridis, perceptually uniform and safe for the color-blind, as 256 colors [r, g, b]; fitted by polynomials. */
const viridis = Array.from({ length: 256 }, (_, place) => {
  const t = place / 255;
  return [
    [0.2777273, 0.1050930, -0.3308618, -4.6342305, 6.2282699, 4.7763850, -5.4354559],
    [0.0054073, 1.4046135, 0.2148476, -5.7991010, 14.1799334, -13.7451454, 4.6458526],
    [0.3340998, 1.3845902, 0.0950952, -19.3324410, 56.6905526, -65.3530326, 26.3124352],
  ].map(factors => Math.round(255 * Math.min(1, Math.max(0, factors.reduceRight((sum, factor) => sum * t + factor, 0)))));
});

/** Blue, white and orange for what has a sign. */
function diverging(value) {
  const size = Math.min(1, Math.abs(value)), end = value < 0 ? [33, 102, 172] : [200, 80, 20];
  return end.map(part => Math.round(247 + (part - 247) * size ** 0.8));
}
