"use strict";
// The corpus behind the model, and how all of it is made again.

function histogramPlot(histogram, metric) {
  const { edges, counts } = histogram, layers = histogram.layers ?? [];
  return plot({
    label: `Histogram of ${named(metric)} over all checkpoints`, height: 260,
    x: { domain: [edges[0], edges[edges.length - 1]], label: named(metric) },
    y: { domain: [0, 1.05 * Math.max(...counts, ...layers.flatMap(layer => layer.shares), 1e-9)], label: "share", format: percent },
    draw(p) {
      counts.forEach((count, i) => p.add("rect", { class: "barmark quiet", x: p.x(edges[i]) + 0.5, width: Math.max(0.5, p.x(edges[i + 1]) - p.x(edges[i]) - 1),
        y: p.y(count), height: Math.max(0, p.box.bottom - p.y(count)) }));
      for (const { shares, style } of layers) {
        const steps = shares.flatMap((share, i) => [[edges[i], share], [edges[i + 1], share]]);
        p.line(steps, style);
      }
      counts.forEach((count, i) => p.mark((edges[i] + edges[i + 1]) / 2, count, "", `${short(edges[i])} to ${short(edges[i + 1])}\nall checkpoints ${percent(count)}`
        + layers.map(({ name, shares }) => `\n${name} ${percent(shares[i])}`).join(""), null));
    },
  });
}

sections.push({
  id: "corpus", title: "The corpus", needs: ["corpus"],
  render(model, root) {
    const data = model.sections.corpus;
    root.append(paragraph(`${counted(data.runs, "run")} of the task ${data.task} with ${whole(data.checkpoints)} checkpoints of
      ${whole(data.parameters)} parameters each; all curves and counts are SQL on the corpus's index.`, "seen-as"));
    const place = element("div");
    const show = curve => {
      const last = curve.iterations[curve.iterations.length - 1];
      const at = part => curve.iterations.map((x, i) => [x, curve.quantiles[i][part]]);
      place.replaceChildren(figure(`Quantiles over ${counted(curve.runs, "run")}: the median, and the bands of the middle half and of nine tenths.
        Below, how often each value is among the checkpoints (bars), and as start and as target of the pairs that the model learns from.`,
        plot({
          label: `${named(curve.metric)} over the iterations of training, as quantiles over runs`, height: 320,
          x: { domain: [0, last], label: data.iterations ?? "iterations", scale: curve.iterations.length > 3 && curve.iterations[1] * 20 < last ? counting : straight },
          y: { domain: padded(extent(curve.quantiles)), label: named(curve.metric) },
          draw(p) {
            p.band(curve.iterations.map((x, i) => [x, curve.quantiles[i][0], curve.quantiles[i][4]]), "seen outer");
            p.band(curve.iterations.map((x, i) => [x, curve.quantiles[i][1], curve.quantiles[i][3]]), "seen");
            p.line(at(2), "seen");
            curve.iterations.forEach((x, i) => p.mark(x, curve.quantiles[i][2], "", `iteration ${whole(x)}\nmedian ${short(curve.quantiles[i][2])}\nquartiles ${short(curve.quantiles[i][1])} to ${short(curve.quantiles[i][3])}`, null));
          },
        }),
        curve.histogram && legend([["all checkpoints", "quiet", "square"], ...(curve.histogram.layers ?? []).map(({ name, style }) => [name, style])]),
        curve.histogram && histogramPlot(curve.histogram, curve.metric),
        numbers(table(`${named(curve.metric)} by iteration`, ["iteration", "5 %", "25 %", "median", "75 %", "95 %"],
          curve.iterations.map((x, i) => [whole(x), ...curve.quantiles[i]])))));
    };
    const styled = curve => {
      for (const [i, layer] of (curve.histogram?.layers ?? []).entries()) layer.style = ["held-out", "gpt"][i % 2];
      return curve;
    };
    if (data.curves.length > 1) root.append(choice("Metric", data.curves.map(curve => [styled(curve), named(curve.metric)]), show));
    else if (data.curves.length) show(styled(data.curves[0]));
    root.append(place, element("div", { class: "scroll" }, table(null, ["what", "value"], data.facts.map(({ name, value }) => [name, value]), "words")));
  },
});

sections.push({
  id: "made", title: "How it was made", needs: ["made"],
  render(model, root) {
    const data = model.sections.made;
    root.append(paragraph(`Runs are pure functions of recipe and seed, and so are pairs, samples and all that is measured here: these commands make the
      same numbers again, with any number of workers.`, "seen-as"));
    const text = data.commands.join("\n");
    const copy = element("button", { type: "button", onclick: async () => {
      try { await navigator.clipboard.writeText(text); copy.textContent = "Copied"; } catch { getSelection().selectAllChildren(code); }
    } }, "Copy");
    const code = element("pre", { tabindex: 0, "aria-label": "Commands" }, text);
    root.append(code, element("div", { class: "buttons" }, copy),
      element("div", { class: "scroll" }, table(null, ["what", "value"], data.facts.map(({ name, value }) => [name, value]), "words")));
    for (const { name, text } of data.files) root.append(element("details", {}, element("summary", {}, `The file ${name}`),
      element("pre", { tabindex: 0, "aria-label": name }, text)));
    for (const { name, values } of data.tables) root.append(element("details", {}, element("summary", {}, name),
      element("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": name },
        table(null, ["name", "value"], values.map(({ name, value }) => [name, value]), "words"))));
  },
});
