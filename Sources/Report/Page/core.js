"use strict";
// Elements, numbers and bytes: what all sections are made with.

/** What the page can show, in its order: each file of a section adds one, {id, title, needs, render(model, root)}. */
const sections = [];

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter(child => child !== null && child !== undefined));
  return node;
}

const element = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
const drawn = (tag, attributes = {}, ...children) =>
  fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
const paragraph = (text, style) => element("p", { class: style }, text);

let lastIdentifier = 0;
const identifier = stem => `${stem}-${++lastIdentifier}`;

/** To so many significant digits, with commas in thousands; what is no number is a dash. */
function short(value, significant = 4) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e9)) return value.toExponential(2).replace("-", "−");
  const digits = size >= 1000 || Number.isInteger(value) ? 0 : Math.max(0, significant - 1 - Math.floor(Math.log10(size || 1)));
  const text = value.toLocaleString("en", { maximumFractionDigits: Math.min(6, digits) });
  return text.replace("-", "−");
}

const whole = value => Math.round(value).toLocaleString("en");
const percent = share => `${short(100 * share, 3)} %`;
const counted = (number, thing) => `${whole(number)} ${thing}${number === 1 ? "" : "s"}`;

function duration(seconds) {
  if (!Number.isFinite(seconds)) return "–";
  if (seconds < 1e-3) return `${short(seconds * 1e6, 3)} µs`;
  if (seconds < 1) return `${short(seconds * 1e3, 3)} ms`;
  if (seconds < 120) return `${short(seconds, 3)} s`;
  return seconds < 7200 ? `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s` : `${short(seconds / 3600, 3)} h`;
}

function bytes(number) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let place = 0;
  while (number >= 1000 && place < units.length - 1) [number, place] = [number / 1000, place + 1];
  return `${number < 100 && place ? number.toFixed(1) : Math.round(number)} ${units[place]}`;
}

/** A metric as people say it: test_loss is "test loss". */
const named = metric => (typeof metric === "string" ? metric : metric.name).replaceAll("_", " ");
const isBetter = (metric, a, b) => metric.goal === "maximize" ? a > b : a < b;

/** The values at parts of the sorted finite ones, such as quartiles; nulls where there are none. */
function quantiles(values, parts = [0.25, 0.5, 0.75]) {
  const sorted = values.filter(value => Number.isFinite(value)).sort((a, b) => a - b);
  return parts.map(part => {
    if (!sorted.length) return null;
    const place = part * (sorted.length - 1), low = Math.floor(place);
    return sorted[low] + (place - low) * (sorted[Math.min(low + 1, sorted.length - 1)] - sorted[low]);
  });
}

/** The lowest and the highest finite number of nested lists. */
function extent(...lists) {
  const values = lists.flat(Infinity).filter(value => Number.isFinite(value));
  return values.length ? [values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b))] : [0, 1];
}

function padded([low, high], part = 0.05) {
  const room = (high - low || Math.abs(high) || 1) * part;
  return [low - room, high + room];
}

function decoded(base64) {
  const text = atob(base64), result = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) result[i] = text.charCodeAt(i);
  return result;
}

const floats = base64 => new Float32Array(decoded(base64).buffer);

/** A table of texts and numbers, the first row its head. */
function table(caption, head, rows, style) {
  const cell = value => typeof value === "number" ? short(value) : value ?? "–";
  return element("table", { class: style },
    caption && element("caption", {}, caption),
    element("thead", {}, element("tr", {}, head.map(name => element("th", { scope: "col" }, name)))),
    element("tbody", {}, rows.map(([first, ...rest]) => element("tr", {},
      element("th", { scope: "row" }, cell(first)), rest.map(value => element("td", {}, cell(value)))))));
}

/** The numbers of a figure, for who cannot see it or wants them. */
const numbers = (...tables) => element("details", {}, element("summary", {}, "The numbers"),
  element("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "The numbers" }, ...tables));

const figure = (caption, ...children) =>
  element("figure", {}, ...children, caption && element("figcaption", {}, caption));

/** Radio buttons that look like tabs; calls `choose` with the value, at once with the first. */
function choice(legend, options, choose) {
  const name = identifier("choice");
  const field = element("fieldset", { class: "choice" }, element("legend", {}, legend),
    options.map(([value, text], place) => element("label", {},
      element("input", { type: "radio", name, value: place, checked: place === 0, onchange: () => choose(value) }),
      element("span", {}, text))));
  choose(options[0][0]);
  return field;
}

/**
 * A slider over the places of a list. `show(place)` draws one and says in words what it is; `seconds` to play all of them
 * gives it a button.
 */
function slider(label, count, show, { start = 0, seconds = 0 } = {}) {
  const id = identifier("slider");
  const output = element("output", { for: id });
  const input = element("input", { id, type: "range", min: 0, max: count - 1, step: 1, value: start });
  const set = place => {
    input.value = place;
    const words = show(place);
    output.textContent = words;
    input.setAttribute("aria-valuetext", words);
  };
  let timer = null;
  const stop = () => {
    clearInterval(timer);
    timer = null;
    if (button) button.textContent = "Play";
  };
  const play = () => {
    if (timer) return stop();
    button.textContent = "Pause";
    let direction = 1;
    timer = setInterval(() => {
      if (!input.isConnected) return stop();
      const place = Number(input.value);
      if (place + direction > count - 1 || place + direction < 0) direction = -direction;
      set(place + direction);
    }, 1000 * seconds / count);
  };
  const button = seconds && count > 1 ? element("button", { type: "button", onclick: play }, "Play") : null;
  input.addEventListener("input", () => { stop(); set(Number(input.value)); });
  const root = element("div", { class: "slider" }, element("label", { for: id }, label, output), button, input);
  root.set = place => { stop(); set(place); };
  set(start);
  return root;
}
