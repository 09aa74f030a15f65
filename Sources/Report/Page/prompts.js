"use strict";
// What was reached for what was prompted: by the finished model, and over the course of its training.

/** How starts look everywhere on the page. */
const startLooks = {
  "training runs": { style: "seen", outline: "circle", title: "Seen: first checkpoints of training runs" },
  "held-out runs": { style: "held-out", outline: "square", title: "Held out: first checkpoints of unseen runs" },
  random: { style: "random", outline: "diamond", title: "Random: fresh networks of no corpus" },
};
const startLook = name => startLooks[name] ?? { style: "quiet", outline: "circle", title: name };

/** Quartiles over networks for each place of the prompts: [{prompted, quartiles}]. */
function reached(group) {
  return group.prompted[0].map((_, place) => ({
    prompted: quantiles(group.prompted.map(row => row[place]))[1],
    quartiles: quantiles(group.observed.map(row => row[place])),
  }));
}

/** Prompted and reached of one group, on axes that several plots share. */
function promptPlot(group, metric, domain) {
  const look = startLook(group.starts), points = reached(group);
  const shown = group.observed.flatMap((row, i) => row.map((value, j) => [group.prompted[i][j], value]));
  return plot({
    label: `${look.title}: ${named(metric)} reached against prompted; alignment ${short(group.alignment)}`,
    x: { domain, label: "prompted" }, y: { domain, label: `${named(metric)} reached` }, height: 300,
    draw(p) {
      p.add("path", { class: "diagonal", d: path([[p.x(domain[0]), p.y(domain[0])], [p.x(domain[1]), p.y(domain[1])]]) });
      for (const [x, y] of shown) p.mark(x, Math.min(domain[1], Math.max(domain[0], y)), `${look.style} faint`, null, "circle", 1.6);
      p.band(points.map(({ prompted, quartiles }) => [prompted, quartiles[0], quartiles[2]]), look.style);
      p.line(points.map(({ prompted, quartiles }) => [prompted, quartiles[1]]), look.style);
      for (const { prompted, quartiles: [low, middle, high] } of points) {
        p.mark(prompted, middle, look.style, `prompted ${short(prompted)}\nreached ${short(middle)}\nquartiles ${short(low)} to ${short(high)}`, look.outline, 3.5);
      }
    },
  });
}

/** The range of what was prompted, with a little room: single networks that went astray do not shrink the rest. */
const promptDomain = groups => {
  const [low, high] = extent(groups.map(group => group.prompted));
  const [from, to] = extent(groups.map(group => reached(group).map(({ quartiles }) => quartiles)));
  const room = 0.5 * (high - low);
  return padded([Math.max(Math.min(low, from), low - room), Math.min(Math.max(high, to), high + room)]);
};

function promptPanels(evaluation) {
  const groups = evaluation.groups.filter(group => group.prompted.length), domain = promptDomain(groups);
  const panels = groups.map(group => element("div", {}, element("h3", {}, startLook(group.starts).title),
    element("p", { class: "beside" }, `alignment ${short(group.alignment)}, ${counted(group.prompted.length, "network")}`),
    promptPlot(group, evaluation.metric, domain)));
  const rows = groups.flatMap(group => reached(group).map(({ prompted, quartiles }) => [group.starts, prompted, ...quartiles]));
  return figure(`Prompts from each start's own ${named(evaluation.metric)} to ${short(evaluation.best_prompt)}. Lines are medians, bands
    quartiles, dots single networks; on the dashed diagonal a network is exactly what was asked for. Alignment is the mean
    over networks of R², 1 at best.`,
    element("div", { class: "panels" }, panels),
    numbers(table(`${named(evaluation.metric)} prompted and reached`,
      ["starts", "prompted (median)", "lower quartile", "median", "upper quartile"], rows)));
}

sections.push({
  id: "prompts", title: "Prompts", needs: ["prompts"],
  render(model, root) {
    const { published, within_corpus: within } = model.sections.prompts;
    const any = within ?? published;
    root.append(paragraph(`The model is asked, in one step, for networks of a wanted ${named(any.metric)}, and each network that it
      writes is measured on the real task: ${any.sampler.toUpperCase()} with ${any.sampling_steps} passes, after update
      ${whole(any.step)} of its training.`, "seen-as"));
    const place = element("div");
    // Where the two best prompts are the same, so are the evaluations.
    const options = [[within, "What the corpus reaches"], [published, "The published prompts"]].filter(([value], i) =>
      value && (i === 0 || value.best_prompt !== within?.best_prompt));
    const show = evaluation => place.replaceChildren(promptPanels(evaluation));
    if (options.length > 1) {
      root.append(choice("Prompts up to", options.map(([value, text]) =>
        [value, `${text}: ${named(value.metric)} ${short(value.best_prompt)}`]), show));
    } else show(options[0][0]);
    root.append(place);
  },
});

sections.push({
  id: "over-training", title: "Over training", needs: ["over_training"],
  render(model, root) {
    const all = model.sections.over_training.evaluations.filter(evaluation => evaluation.groups.length);
    const metric = model.metric;
    root.append(paragraph(`Training prompts the model now and then, always from the same starts and with the same noise, and keeps the
      weights that met the prompts best. Move the slider through ${counted(all.length, "evaluation")}.`, "seen-as"));
    const best = Math.max(0, all.findIndex(({ step }) => step === model.sections.over_training.kept));
    let now = best;
    const names = [...new Set(all.flatMap(({ groups }) => groups.map(group => group.starts)))];
    const curve = name => all.map(({ step, groups }) => [step, groups.find(group => group.starts === name)?.alignment ?? NaN]);
    const [low, high] = extent(names.map(name => curve(name).map(([, y]) => y)));
    const floor = Math.max(low, -1);
    const course = plot({
      label: "Prompt alignment over the updates of training", height: 300,
      x: { domain: [0, all[all.length - 1].step], label: "updates" }, y: { domain: padded([floor, Math.max(high, floor + 0.1)]), label: "alignment" },
      draw(p) {
        const bounded = y => Math.max(y, floor);
        for (const name of names) {
          const { style, outline } = startLook(name);
          p.line(curve(name).map(([x, y]) => [x, Number.isFinite(y) ? bounded(y) : NaN]), style);
          for (const [x, y] of curve(name)) p.mark(x, Number.isFinite(y) ? bounded(y) : NaN, style, `update ${whole(x)}\n${name} ${short(y)}`, outline, 3.5);
        }
        p.add("line", { class: "cursor", x1: p.x(all[now].step), x2: p.x(all[now].step), y1: p.box.top, y2: p.box.bottom });
      },
    });
    const detailed = all.some(({ groups }) => groups.some(group => group.prompted?.length));
    const domain = detailed && promptDomain(all.flatMap(({ groups }) => groups.filter(group => group.prompted?.length)));
    const panels = element("div", { class: "panels" });
    const control = slider("Update", all.length, place => {
      now = place;
      course.redraw();
      const { step, groups } = all[place];
      if (detailed) panels.replaceChildren(...groups.filter(group => group.prompted?.length).map(group =>
        element("div", {}, element("h3", {}, startLook(group.starts).title), promptPlot(group, metric, domain))));
      return `${whole(step)}: ${groups.map(group => `${group.starts} ${short(group.alignment)}`).join(", ")}${place === best ? " (kept)" : ""}`;
    }, { start: best, seconds: 6 });
    root.append(control, figure(`${detailed ? "Above, the prompts as they were met then; below, the" : "The"} alignment over all of training, of prompts up to
      ${named(metric)} ${short(all[0].best_prompt)}; the vertical line is where the slider is.`,
      panels, element("div", { class: "course" }, legend(names.map(name => [name, startLook(name).style])), course),
      numbers(table("Prompt alignment, and the median that the best prompt reached", ["updates", ...names.flatMap(name => [name, "one step"])],
        all.map(({ step, groups }) => [whole(step), ...names.flatMap(name => {
          const group = groups.find(group => group.starts === name);
          return [group?.alignment, group?.one_step];
        })])))));
  },
});
