"use strict";
// Puts the page together: the model that is chosen, its sections, the theme.

const report = JSON.parse(document.getElementById("report").textContent);

/** Why a section is not here, as its data say it; null where it is. */
const leftOut = (model, section) => {
  for (const name of section.needs) {
    const data = model.sections[name];
    if (!data) return { left_out: "it was not asked for", remedy: "make the report with this section among --sections" };
    if (data.left_out) return data;
  }
  return null;
};

/** The headline numbers of a model: [what, number, beside it]. */
function headlines(model) {
  const found = [], part = name => model.sections[name]?.left_out ? null : model.sections[name];
  const evaluation = part("prompts")?.within_corpus ?? part("prompts")?.published;
  const group = evaluation?.groups.find(group => group.starts === "random") ?? evaluation?.groups[0];
  if (group) {
    found.push(["prompt alignment", short(group.alignment), `${group.starts === "random" ? "from random networks" : `from ${group.starts}`}, 1 is perfect`]);
    found.push([`${named(evaluation.metric)} in one step`, short(group.one_step.median), `from ${short(quantiles(group.start_metrics)[1])}, medians`]);
  }
  const optimizers = part("optimizers");
  const first = optimizers?.optimizers[0];
  if (first) {
    const updates = first.updates_to_one_step;
    found.push([`updates of ${optimizerName(first)}`, Number.isFinite(updates) && updates !== null ? whole(updates) : "never", "for what one step reaches"]);
  }
  const share = part("audit")?.novel_and_good?.[0]?.share;
  if (Number.isFinite(share) && share !== null) found.push(["novel and good", percent(share), "of generated networks"]);
  const corpus = part("corpus");
  if (corpus) found.push(["learned from", whole(corpus.runs), `runs, ${whole(corpus.checkpoints)} checkpoints`]);
  return found;
}

function renderSection({ id, title, render }, model) {
  const heading = identifier("heading");
  const root = element("section", { id, "aria-labelledby": heading }, element("h2", { id: heading }, title));
  render(model, root);
  return root;
}

/** The last section: what is not on the page, and what to do about it. */
const absences = {
  id: "left-out", title: "Left out",
  render(model, root) {
    const sentence = text => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
    for (const section of sections) {
      const absent = leftOut(model, section);
      if (absent) root.append(element("h3", {}, section.title), element("p", { class: "aside" }, `${sentence(absent.left_out)} `,
        element("strong", {}, "What to do: "), `${absent.remedy}.`));
    }
  },
};

function show(model) {
  document.title = `${model.name}: checkpoint-corpus report`;
  document.getElementById("title").textContent = model.name;
  document.getElementById("lead").textContent = `A generative model of neural networks. Given a network, its ${named(model.metric)} and the one that is wanted, it `
    + `writes the parameters of another network of the task ${model.task}, in one step.`;
  document.getElementById("facts").replaceChildren(...headlines(model).map(([name, value, beside]) =>
    element("div", {}, element("dt", {}, name), element("dd", {}, value, element("small", {}, beside)))));
  const there = sections.filter(section => !leftOut(model, section));
  if (there.length < sections.length) there.push(absences);
  document.getElementById("main").replaceChildren(...there.map(section => renderSection(section, model)));
  document.getElementById("contents").replaceChildren(element("ol", {}, there.map(({ id, title }) =>
    element("li", {}, element("a", { href: `#${id}` }, title.split(":")[0])))));
  const links = new Map([...document.querySelectorAll("nav a")].map(link => [link.hash.slice(1), link]));
  watch(links);
}

/** Marks in the contents where one is. */
function watch(links) {
  watch.observer?.disconnect();
  watch.observer = new IntersectionObserver(entries => {
    for (const { target } of entries.filter(entry => entry.isIntersecting)) {
      for (const [id, link] of links) {
        if (id === target.id) link.setAttribute("aria-current", "true");
        else link.removeAttribute("aria-current");
      }
    }
  }, { rootMargin: "-30% 0px -65% 0px" });
  for (const section of document.querySelectorAll("main > section")) watch.observer.observe(section);
}

/** Light or dark, as the system has it until somebody chooses. */
function themeButton() {
  const system = matchMedia("(prefers-color-scheme: dark)");
  let chosen = null;
  const button = element("button", { type: "button", onclick: () => { chosen = isDark() ? "light" : "dark"; apply(); } });
  const isDark = () => chosen ? chosen === "dark" : system.matches;
  const apply = () => {
    document.documentElement.dataset.theme = isDark() ? "dark" : "light";
    button.textContent = isDark() ? "Light" : "Dark";
    button.setAttribute("aria-label", isDark() ? "Show the page on a light ground" : "Show the page on a dark ground");
    document.dispatchEvent(new Event("themechange"));
  };
  system.addEventListener("change", apply);
  apply();
  return button;
}

const controls = document.getElementById("controls");
if (report.models.length > 1) {
  const id = identifier("model");
  controls.append(element("label", { for: id }, "Model "), element("select", { id, onchange: event => show(report.models[event.target.value]) },
    report.models.map((model, place) => element("option", { value: place }, model.name))));
}
controls.append(themeButton());
document.getElementById("colophon").textContent = `Made by corpus report ${report.program} from ${counted(report.models.length, "model")}. `
  + "The same numbers are in the file .evaluation.json beside this page, whose format Schemas/report.md describes.";
show(report.models[0]);
