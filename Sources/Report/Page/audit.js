"use strict";
// Whether what the model writes is anything that its corpus has not: accuracy against novelty, and what follows.

/** The looks of groups of networks; noise and interpolations share one, and differ in the outline. */
function auditLook(group) {
  if (group.startsWith("generated")) return { style: "gpt", outline: "diamond", size: 4.5 };
  if (group.startsWith("training")) return { style: "seen", outline: "circle", size: 3.5 };
  if (group.startsWith("held")) return { style: "held-out", outline: "square", size: 3.5 };
  if (group.startsWith("noise")) return { style: "quiet", outline: "cross", size: 3 };
  if (group.startsWith("interpolation")) return { style: "random", outline: "triangle", size: 3.5 };
  return { style: "amber", outline: "star", size: 4.5 };
}

sections.push({
  id: "audit", title: "Audit: anything new?", needs: ["audit"],
  render(model, root) {
    const data = model.sections.audit, metric = data.metric;
    root.append(paragraph(`Each network is laid beside all ${whole(data.checkpoints)} checkpoints of ${counted(data.runs, "training run")},
      its hidden units permuted to fit best, and its distance to the nearest is compared with that of networks of
      ${counted(data.held_out_runs, "held-out run")}.`, "seen-as"));
    root.append(paragraph(`For the best prompt: ${data.verdict.good}.`, "verdict"), paragraph(`For all prompts: ${data.verdict.all}.`));
    const groups = [...new Set(data.samples.map(sample => sample.group))];
    const drawnLast = groups.filter(group => !group.startsWith("generated")).concat(groups.filter(group => group.startsWith("generated")));
    const quality = sample => sample.metric ?? sample.accuracy, good = data.good_metric ?? NaN;
    const scatter = (get, x, label, note) => {
      const known = data.samples.filter(sample => Number.isFinite(get(sample)) && Number.isFinite(quality(sample)) && get(sample) !== null);
      if (!known.length) return null;
      const [low, high] = extent(known.map(get));
      const scale = x.scale ?? straight;
      return element("div", {}, element("h3", {}, label), plot({
        label: `${named(metric)} against ${label.toLowerCase()}, by kinds of networks`, height: 380,
        x: { ...x, domain: scale === logarithmic ? [Math.max(low, high / 1e3) * 0.8, high * 1.25] : padded([Math.min(0, low), high], 0.03) },
        y: { domain: padded(extent(known.map(quality), good)), label: named(metric) },
        draw(p) {
          for (const line of note ?? []) if (p.x(line) <= p.box.right) p.add("line", { class: "diagonal", x1: p.x(line), x2: p.x(line), y1: p.box.top, y2: p.box.bottom });
          if (Number.isFinite(good)) p.add("line", { class: "diagonal", x1: p.box.left, x2: p.box.right, y1: p.y(good), y2: p.y(good) });
          for (const group of drawnLast) for (const sample of known.filter(sample => sample.group === group)) {
            const { style, outline, size } = auditLook(group);
            p.mark(Math.max(get(sample), scale === logarithmic ? high / 1e3 : -Infinity), quality(sample), style, `${group}\n${named(metric)} ${short(quality(sample))}, distance ${short(sample.distance)}`
              + (sample.nearest ? `\nnearest: run ${sample.nearest.run}, step ${sample.nearest.step}` : "")
              + (Number.isFinite(sample.overlap) ? `\noverlap ${short(sample.overlap)}` : ""), outline, size);
          }
        },
      }));
    };
    const relative = data.samples.some(sample => Number.isFinite(sample.distance_relative));
    const distances = sample => relative ? sample.distance_relative : sample.distance;
    const summary = groups.map(group => {
      const own = data.samples.filter(sample => sample.group === group);
      const middle = get => quantiles(own.map(get))[1];
      return [group, whole(own.length), middle(quality), middle(sample => sample.accuracy), middle(sample => sample.distance), middle(distances), middle(sample => sample.overlap)];
    });
    root.append(figure(`Left, how far the nearest checkpoint of the training runs is${relative ? ", as a multiple of the median of held-out networks (dashed: once and three times)" : ""};
      copies lie at 0, and further right is newer. Right, the largest similarity of behaviour to one of the nearest${data.overlap_meaning ? `: ${data.overlap_meaning}` : ""}. The
      horizontal line is what counts as good.`,
      legend(groups.map(group => [group, auditLook(group).style, auditLook(group).outline])),
      element("div", { class: "split even" },
        scatter(distances, { label: relative ? "distance to the nearest, relative" : "distance to the nearest", scale: logarithmic }, "Distance to the nearest", relative ? [1, 3] : []),
        scatter(sample => sample.overlap, { label: "overlap" }, "Overlap with the nearest")),
      element("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Medians by kinds of networks" },
        table("Medians by kinds of networks", ["networks", "count", named(metric), "accuracy, %", "distance", "relative", "overlap"], summary))));
    const score = data.copying_score ?? {};
    const facts = Object.entries(score).filter(([, value]) => typeof value === "number").map(([name, value]) => [`copying score, ${named(name)}`, short(value)]);
    for (const { spread, share } of data.novel_and_good ?? []) facts.push([`novel and good, at ${short(spread)} × the corpus's spread`, Number.isFinite(share) ? percent(share) : "–"]);
    if (facts.length) root.append(figure(`The data-copying score (Meehan et al., 2020) compares distances of generated and of held-out networks to the training
      runs: far below 0 is copying, near 0 is neither, above 0 is further away than unseen data.`, table("In numbers", ["", "value"], facts)));
  },
});
