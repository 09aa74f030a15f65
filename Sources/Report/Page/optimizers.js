"use strict";
// One update of the model beside many of an optimizer, from the same starts.

const optimizerNames = { adam: "Adam", nesterov: "SGD with Nesterov momentum", ppo: "PPO" };
const optimizerName = one => optimizerNames[one.name] ?? one.name;
const optimizerLooks = [["seen", ""], ["held-out", "dashed"], ["random", "dotted"], ["amber", ""]];

sections.push({
  id: "optimizers", title: "One step beside optimizers", needs: ["optimizers"],
  render(model, root) {
    const data = model.sections.optimizers, metric = data.metric;
    const looks = data.optimizers.map((_, i) => optimizerLooks[i % optimizerLooks.length]);
    root.append(paragraph(`${counted(data.starts, "start")} that neither the model nor the tuning of learning rates has seen, trained by
      ${data.optimizers.map(optimizerName).join(" and ")} update by update, and by the model in one.`, "seen-as"));
    const step = data.one_step;
    const needs = data.optimizers.map(one => Number.isFinite(one.updates_to_one_step) && one.updates_to_one_step !== null
      ? `${optimizerName(one)} needs ${counted(one.updates_to_one_step, "update")} for that (${duration(one.seconds_to_one_step)})`
      : `${optimizerName(one)} does not get there in ${whole(one.updates[one.updates.length - 1])} updates`);
    root.append(paragraph(`One step of the model, ${duration(data.seconds_per_network)} a network, reaches a median ${named(metric)} of
      ${short(step.median)}; ${needs.join("; ")}.`, "verdict"));
    if (data.note) root.append(paragraph(data.note, "aside"));
    const marks = [[1, step.median], ...data.recursive.map((value, i) => [i + 1, value]).slice(1)];
    const last = Math.max(...data.optimizers.map(one => one.updates[one.updates.length - 1]));
    root.append(figure(`Median over the starts, quartiles as bands; updates on a scale that begins at 0. Diamonds are the model:
      one step with its quartiles, then its networks fed back in.`,
      legend([...data.optimizers.map((one, i) => [`${optimizerName(one)}, learning rate ${short(one.learning_rate)}`, looks[i].join(" ")]),
        ["this model: one step, then fed back in", "gpt", "diamond"]]),
      plot({
        label: `${named(metric)} per update of ${data.optimizers.map(optimizerName).join(", ")}, and after one step of the model`,
        x: { domain: [0, Math.max(last, marks.length)], label: "updates", scale: counting }, height: 380,
        y: { domain: padded(extent(data.optimizers.map(one => [one.lower, one.median, one.upper]), step.lower, step.upper, data.recursive)), label: named(metric) },
        draw(p) {
          p.add("line", { class: "diagonal", x1: p.box.left, x2: p.box.right, y1: p.y(step.median), y2: p.y(step.median) });
          data.optimizers.forEach((one, i) => p.band(one.updates.map((x, j) => [x, one.lower[j], one.upper[j]]), looks[i][0]));
          data.optimizers.forEach((one, i) => {
            p.line(one.updates.map((x, j) => [x, one.median[j]]), looks[i].join(" "));
            one.updates.forEach((x, j) => p.mark(x, one.median[j], "", `${optimizerName(one)}, update ${whole(x)}\nmedian ${short(one.median[j])}`, null));
          });
          p.line(marks, "gpt thin dotted");
          p.whisker(1, step.lower, step.upper, "gpt");
          marks.forEach(([x, y]) => p.mark(x, y, x === 1 ? "gpt" : "gpt open", x === 1
            ? `the model, one step\nmedian ${short(y)}, quartiles ${short(step.lower)} to ${short(step.upper)}` : `fed back in, step ${x}\nmedian ${short(y)}`, "diamond", x === 1 ? 6.5 : 4));
        },
      }),
      numbers(...data.optimizers.map(one => table(`${named(metric)} by the updates of ${optimizerName(one)}`, ["updates", "worse quartile", "median", "better quartile"],
        one.updates.map((x, j) => [whole(x), one.lower[j], one.median[j], one.upper[j]]))),
      table("Learning rates tried on other starts, and the mean over the updates of the median", ["optimizer", "learning rate", named(metric)],
        data.optimizers.flatMap(one => one.tried.map(({ learning_rate, median }) => [optimizerName(one), learning_rate, median]))))));
    root.append(element("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "How long optimizers need" }, table(
      "How long they need on this machine for what one step of the model reaches (medians)",
      ["", "updates", "time a network", "times the model", "learning rate"],
      [["this model", "1", duration(data.seconds_per_network), "1", "–"], ...data.optimizers.map(one => [
        optimizerName(one), Number.isFinite(one.updates_to_one_step) && one.updates_to_one_step !== null ? whole(one.updates_to_one_step) : "never",
        duration(one.seconds_to_one_step ?? NaN), Number.isFinite(one.seconds_to_one_step) && one.seconds_to_one_step !== null ? short(one.seconds_to_one_step / data.seconds_per_network) : "–",
        short(one.learning_rate)])])));
  },
});
