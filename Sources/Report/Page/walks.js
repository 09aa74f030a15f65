"use strict";
// Samples that change step by step: along the noise that sampling begins with, and along the prompt.

/** Draws what a frame shows; `frame(values)` is called with a frame's numbers. */
function walkPicture(drawnAs) {
  const { kind, shape, limit, inputs } = drawnAs;
  const [count, ...rest] = shape;
  if (kind === "curves") {
    let values = null;
    const points = rest[0], plots = inputs.map((input, i) => {
      const name = `${input.name} (${input.unit})`;
      return plot({
        label: `The mean action over the ${input.name}`, height: 190, x: { domain: [input.low, input.high], label: name }, y: { domain: [-limit, limit], label: i ? "" : "mean action" },
        draw(p) {
          p.add("line", { class: "diagonal", x1: p.box.left, x2: p.box.right, y1: p.y(0), y2: p.y(0) });
          if (values) p.line(Array.from({ length: points }, (_, j) => [input.low + (input.high - input.low) * j / (points - 1), values[i * points + j]]), "gpt");
        },
      });
    });
    return { root: element("div", { class: "panels small" }, plots), frame(next) { values = next; plots.forEach(plot => plot.redraw()); } };
  }
  const [channels, height, width] = kind === "filters" ? rest : kind === "images" ? [1, ...rest] : [1, ...shape];
  const units = kind === "matrix" ? 1 : count;
  const canvases = Array.from({ length: units }, (_, i) =>
    element("canvas", { class: "pixels", width, height, role: "img", "aria-label": kind === "matrix" ? `The tensor ${drawnAs.tensor}` : `Unit ${i + 1}` }));
  const size = width * height;
  return {
    root: element("div", { class: kind === "matrix" ? "" : "cells" }, canvases),
    frame(values) {
      canvases.forEach((canvas, unit) => {
        const context = canvas.getContext("2d"), image = context.createImageData(width, height);
        for (let i = 0; i < size; i++) {
          const at = channel => values[(unit * channels + channel) * size + i] / limit;
          const color = channels === 3 ? [0, 1, 2].map(channel => 127.5 + 127.5 * at(channel)) : diverging(at(0));
          image.data.set([...color, 255], 4 * i);
        }
        context.putImageData(image, 0, 0);
      });
    },
  };
}

const walkKinds = {
  filters: "the filters of the first convolution, in color", images: "what each hidden unit looks for, blue against and orange for a pixel",
  curves: "what a policy does over each of its inputs while the others are 0", matrix: "the first matrix, blue below and orange above 0",
};

sections.push({
  id: "walks", title: "Latent walk", needs: ["walks"],
  render(model, root) {
    const data = model.sections.walks, metric = data.metric;
    root.append(paragraph(`One start, and samples that change a little from frame to frame: by the noise that they are drawn from, interpolated spherically
      with all else fixed, or by the prompt. Drawn are ${walkKinds[data.drawn.kind]}, and the ${named(metric)} is that of each sample on the real task.`, "seen-as"));
    const place = element("div");
    const title = walk => walk.run === undefined || walk.run === null ? "a random start" : `run ${walk.run}, step ${walk.step}`;
    const options = [...data.noise.map(walk => [{ walk, isNoise: true }, `Noise, from ${title(walk)}`]), ...data.prompt.map(walk => [{ walk, isNoise: false }, `Prompt, from ${title(walk)}`])];
    const show = async ({ walk, isNoise }) => {
      const frames = walk.frames, values = await Promise.all(frames.map(frame => Packed.signed(frame.values, data.drawn.limit, data.drawn.bits)));
      const picture = walkPicture(data.drawn);
      let now = 0;
      const xs = frames.map(frame => isNoise ? frame.position : frame.prompt);
      const domain = isNoise ? [0, 1] : padded(extent(xs), 0.02);
      const chart = plot({
        label: `${named(metric)} along the walk`, height: 300, x: { domain, label: isNoise ? "along the noise" : "prompted" },
        y: { domain: padded(extent(frames.map(frame => [frame.metric, frame.prompt])), 0.1), label: named(metric) },
        draw(p) {
          p.line(frames.map((frame, i) => [xs[i], frame.prompt]), "quiet thin dashed");
          p.line(frames.map((frame, i) => [xs[i], frame.metric]), "gpt");
          frames.forEach((frame, i) => p.mark(xs[i], frame.metric, "gpt", `prompted ${short(frame.prompt)}\nreached ${short(frame.metric)}`, i === now ? "diamond" : null, 7));
        },
      });
      const control = slider(isNoise ? "Noise" : "Prompt", frames.length, i => {
        now = i;
        picture.frame(values[i]);
        chart.redraw();
        return `frame ${i + 1} of ${frames.length}: prompted ${short(frames[i].prompt)}, reached ${short(frames[i].metric)}`;
      }, { seconds: 10 });
      place.replaceChildren(figure("The dashed line is what was prompted, the other one what was reached.", control,
        element("div", { class: "split" }, picture.root, element("div", {}, chart)),
        numbers(table("Frames of the walk", ["position", "prompted", named(metric)], frames.map(frame => [frame.position, frame.prompt, frame.metric])))));
    };
    root.append(choice("Walk along", options, show), place);
  },
});
