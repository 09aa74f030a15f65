"use strict";
// Policies that answer prompts at work: a cart and its pole, before and after one update of the model.

/** A cart that a policy drives, drawn in SVG: `step()` goes on by one time step, `draw()` shows where it is. */
class Cart {
  constructor(title, cartpole) {
    Object.assign(this, { cartpole, environment: cartpole.environment, c: Cartpole.constants(cartpole.environment) });
    const limit = this.environment.position_limit, length = this.environment.pole_length;
    this.length = Math.max(length, 0.2 * limit);
    this.wheels = drawn("rect", { x: -0.16 * limit, y: -0.05 * limit, width: 0.32 * limit, height: 0.1 * limit, rx: 0.03 * limit, fill: "var(--ink)" });
    this.pole = drawn("line", { x1: 0, y1: 0, x2: 0, y2: -this.length, stroke: "var(--gpt)", "stroke-width": 0.05 * limit, "stroke-linecap": "round" });
    this.group = drawn("g", {}, this.wheels, this.pole, drawn("circle", { r: 0.03 * limit, fill: "var(--paper)" }));
    const ends = [-limit, limit].map(x => drawn("line", { x1: x, x2: x, y1: 0.05 * limit, y2: 0.17 * limit, stroke: "var(--quiet)", "stroke-width": 0.015 * limit }));
    const top = this.length + 0.25 * limit;
    this.svg = drawn("svg", { class: "stage", viewBox: `${-1.2 * limit} ${-top} ${2.4 * limit} ${top + 0.3 * limit}`, role: "img", "aria-label": title },
      drawn("line", { x1: -limit, x2: limit, y1: 0.11 * limit, y2: 0.11 * limit, stroke: "var(--quiet)", "stroke-width": 0.015 * limit }), ends, this.group);
    this.status = element("p", { class: "beside" });
    this.root = element("div", {}, element("h3", {}, title), this.svg, this.status);
  }
  restart(policy, index) {
    Object.assign(this, { policy: Cartpole.policy(this.cartpole, policy), index, time: 0, sum: 0, hasFallen: false, ended: 0 });
    this.state = Cartpole.firstState(this.environment, this.cartpole.seed, index);
    this.draw();
  }
  get isOver() { return this.hasFallen || this.time >= this.environment.episode_steps; }
  step() {
    if (this.isOver) return;
    // The noise of this very episode among those of the short return.
    const place = this.index % 4, block = (this.time * this.cartpole.short_episodes + this.index - place) / 4;
    const words = Cartpole.philox(this.cartpole.seed, 5, block);
    const noise = Cartpole.normals(...(place < 2 ? words.slice(0, 2) : words.slice(2)))[place % 2];
    const { reward, fallen } = Cartpole.step(this.c, this.state, Cartpole.action(this.c, this.policy, this.state, noise));
    this.sum += reward;
    this.time++;
    this.hasFallen = fallen;
  }
  draw() {
    const [x, , angle] = this.state;
    this.group.setAttribute("transform", `translate(${x} 0)`);
    this.pole.setAttribute("transform", `rotate(${angle * 180 / Math.PI})`);
    this.wheels.setAttribute("opacity", this.hasFallen ? 0.45 : 1);
    this.status.textContent = `${this.hasFallen ? "Fell" : this.isOver ? "Balanced to the end" : "Balancing"}: step ${whole(this.time)} of ${whole(this.environment.episode_steps)}, rewards so far ${short(this.sum, 3)}`;
  }
}

sections.push({
  id: "cartpole", title: "Cartpole, live", needs: ["cartpole"],
  render(model, root) {
    const data = model.sections.cartpole, goal = named(data.metric);
    root.append(paragraph(`Drag the prompt: the policy that the model writes for it in one update drives the cart, by the physics that it is
      measured with, here in the page. Returns are means over ${whole(data.episodes)} episodes of the native evaluator.`, "seen-as"));
    const before = new Cart("Before: the start", data), after = new Cart("After one update", data);
    const unpacked = new Map(), parameters = policy => {
      if (!unpacked.has(policy)) unpacked.set(policy, Cartpole.parameters(policy.parameters));
      return unpacked.get(policy);
    };
    let start = data.starts[0], own = [], now = null, episode = 0, control = null, pausedAt = null;
    const restart = () => {
      before.restart(parameters(start), episode);
      after.restart(parameters(now), episode);
    };
    const domain = padded(extent(data.policies.map(policy => [policy.prompt, policy.return]), data.starts.map(start => start.return)));
    const chart = plot({
      label: `${goal} reached against prompted, from this start`, height: 260, x: { domain, label: "prompted" }, y: { domain, label: `${goal} reached` },
      draw(p) {
        p.add("path", { class: "diagonal", d: path([[p.x(domain[0]), p.y(domain[0])], [p.x(domain[1]), p.y(domain[1])]]) });
        p.line(own.map(policy => [policy.prompt, policy.return]), "gpt thin");
        for (const policy of own) p.mark(policy.prompt, policy.return, "gpt", `prompted ${short(policy.prompt)}\nreached ${short(policy.return)}`, "diamond", policy === now ? 7 : 3);
      },
    });
    const measured = element("p", { class: "beside", "aria-live": "polite" });
    const place = element("div");
    const choose = next => {
      start = next;
      own = data.policies.filter(policy => data.starts[policy.start] === start);
      control = slider("Prompt", own.length, i => {
        now = own[i];
        measured.textContent = "";
        restart();
        chart.redraw();
        return `${goal} ${short(now.prompt)} asked, ${short(now.return)} reached (the start: ${short(start.return)})`;
      }, { start: own.length - 1 });
      place.replaceChildren(control);
    };
    const names = data.starts.map((start, i) => [start, start.run === undefined || start.run === null ? `random ${i + 1}` : `run ${start.run}, step ${start.step}`]);
    if (names.length > 1) root.append(choice("Start", names, choose));
    else choose(names[0][0]);
    const button = (text, act) => element("button", { type: "button", onclick: act }, text);
    let isPaused = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const pause = button(isPaused ? "Play" : "Pause", () => { isPaused = !isPaused; pause.textContent = isPaused ? "Play" : "Pause"; });
    const push = sign => { for (const cart of [before, after]) cart.state[3] += sign * 1.5; };
    const measure = () => {
      const value = Cartpole.meanReturn(data, parameters(now), data.short_episodes);
      measured.textContent = `Measured here, over ${data.short_episodes} episodes: ${short(value)}; natively ${short(now.short_return)}.`;
    };
    root.append(place, element("figure", {}, element("div", { class: "split even" }, before.root, after.root),
      element("div", { class: "buttons" }, pause, button("Next episode", () => { episode = (episode + 1) % data.short_episodes; restart(); }),
        button("Push left", () => push(-1)), button("Push right", () => push(1)), button("Measure here", measure)), measured,
      element("div", { class: "split" }, chart, element("div")),
      element("figcaption", {}, "Both carts begin in the same state. The track ends where an episode does; a pole that leans too far has fallen."),
      numbers(table(`${goal} prompted and reached`, ["start", "prompted", "reached"], data.policies.map(policy =>
        [names[policy.start][1], policy.prompt, policy.return])))));
    let last = null, owed = 0;
    const tick = moment => {
      if (!root.isConnected) return;
      requestAnimationFrame(tick);
      const box = after.svg.getBoundingClientRect(), isSeen = box.bottom > 0 && box.top < innerHeight;
      const passed = last === null ? 0 : Math.min(0.1, (moment - last) / 1000);
      last = moment;
      if (isPaused || !isSeen) return;
      owed += passed;
      for (; owed >= data.environment.time_step; owed -= data.environment.time_step) for (const cart of [before, after]) cart.step();
      for (const cart of [before, after]) cart.draw();
      // When both are over they are shown a moment longer, and then another episode.
      if (before.isOver && after.isOver) {
        pausedAt ??= moment;
        if (moment - pausedAt > 1500) [pausedAt, episode] = [null, (episode + 1) % data.short_episodes], restart();
      } else pausedAt = null;
    };
    requestAnimationFrame(tick);
  },
});
