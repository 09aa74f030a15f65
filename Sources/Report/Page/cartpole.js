// The cart and its pole as the task `cartpole` has them, in pure functions: random numbers, policy, physics, episodes.
// Schemas/sample-views.md describes all of it. Numbers are doubles where the native kernels have floats, so returns agree
// but for rounding.
//
// `cartpole` is a section's data, {environment, layers, seed, …}; a policy is its 1,250 parameters.
"use strict";

const Cartpole = (() => {
  // The high and the low half of a 64-bit product.
  function multiply(a, b) {
    const a0 = a & 0xffff, a1 = a >>> 16, b0 = b & 0xffff, b1 = b >>> 16;
    const low = a0 * b0;
    const middle = a1 * b0 + (low >>> 16);
    const carried = (middle & 0xffff) + a0 * b1;
    return [(a1 * b1 + Math.floor(middle / 65536) + Math.floor(carried / 65536)) >>> 0, Math.imul(a, b) >>> 0];
  }

  // Philox 4x32-10: the four random words of a block of a stream of a seed, all three below 2^53.
  function philox(seed, stream, block) {
    let x = block >>> 0, y = Math.floor(block / 2 ** 32) >>> 0;
    let z = stream >>> 0, w = Math.floor(stream / 2 ** 32) >>> 0;
    let k = seed >>> 0, l = Math.floor(seed / 2 ** 32) >>> 0;
    for (let round = 0; round < 10; round++) {
      const [aHigh, aLow] = multiply(x, 0xd2511f53), [bHigh, bLow] = multiply(z, 0xcd9e8d57);
      [x, y, z, w] = [(bHigh ^ y ^ k) >>> 0, bLow, (aHigh ^ w ^ l) >>> 0, aLow];
      k = (k + 0x9e3779b9) >>> 0;
      l = (l + 0xbb67ae85) >>> 0;
    }
    return [x, y, z, w];
  }

  // A uniform number in [0, 1), a multiple of 2^-24.
  const uniform = (word) => (word >>> 8) * 2 ** -24;

  // Two standard normal numbers of two words, by Box and Muller.
  function normals(first, second) {
    const radius = Math.sqrt(-2 * Math.log(uniform(first) + 2 ** -24));
    const angle = 2 * Math.PI * uniform(second);
    return [radius * Math.cos(angle), radius * Math.sin(angle)];
  }

  // The action noise of every environment in a step, as the evaluator draws it: stream 5.
  function actionNoise(seed, step, environments) {
    const noise = new Float64Array(environments);
    for (let i = 0; i < environments; i += 4) {
      const words = philox(seed, 5, (step * environments + i) / 4);
      const four = [...normals(words[0], words[1]), ...normals(words[2], words[3])];
      for (let k = 0; k < 4 && i + k < environments; k++) noise[i + k] = four[k];
    }
    return noise;
  }

  // Where an environment's first episode begins, [cart position, cart velocity, pole angle, pole velocity]: stream 4.
  function firstState(environment, seed, index) {
    return philox(seed, 4, index).map((word, component) => {
      const limit = component % 2 === 0 ? environment.reset_position : environment.reset_velocity;
      return limit * ((word >>> 8) * 2 ** -23 - 1);
    });
  }

  // The constants that the equations of motion need, once for all steps.
  function constants(environment) {
    const { pole_mass, pole_length, pole_width, pole_center, cart_mass } = environment;
    return {
      mass: cart_mass + pole_mass,
      moment: pole_mass * pole_center,
      // A box about its centre, moved to the hinge by Steiner's theorem.
      inertia: pole_mass * ((pole_length ** 2 + pole_width ** 2) / 12 + pole_center ** 2),
      substep: environment.time_step / environment.substeps,
    };
  }

  const clip = (x, limit) => Math.min(Math.max(x, -limit), limit);

  // One time step in place, under an action that is clipped to [-1, 1]; {reward, fallen}.
  function step(environment, c, state, action) {
    const force = environment.force * clip(action, 1);
    let [x, v, a, w] = state;
    for (let n = 0; n < environment.substeps; n++) {
      const sine = Math.sin(a), coupling = c.moment * Math.cos(a);
      const push = force + c.moment * sine * w * w, weight = c.moment * environment.gravity * sine;
      const factor = c.substep / (c.inertia * c.mass - coupling * coupling);
      v = clip(v + factor * (c.inertia * push - coupling * weight), environment.cart_speed_limit);
      w = clip(w + factor * (c.mass * weight - coupling * push), environment.pole_speed_limit);
      x += c.substep * v;
      a += c.substep * w;
    }
    state[0] = x;
    state[1] = v;
    state[2] = a;
    state[3] = w;
    const fallen = Math.abs(x) > environment.position_limit || Math.abs(a) > environment.angle_limit;
    const reward = fallen
      ? environment.fall_reward
      : 1 - a * a - environment.cart_speed_penalty * Math.abs(v) - environment.pole_speed_penalty * Math.abs(w);
    return { reward, fallen };
  }

  const LAMBDA = 1.0507009873554805, ALPHA = 1.6732632423543772;
  const selu = (x) => (x > 0 ? LAMBDA * x : LAMBDA * ALPHA * Math.expm1(x));

  // The mean of the action for a state.
  function mean(cartpole, policy, state) {
    const limit = cartpole.environment.observation_limit;
    let inputs = state.map((x) => clip(x, limit));
    let at = 1;
    for (let layer = 1; layer < cartpole.layers.length; layer++) {
      const count = cartpole.layers[layer], width = inputs.length, bias = at + count * width;
      const outputs = new Array(count);
      for (let j = 0; j < count; j++) {
        let sum = policy[bias + j];
        for (let i = 0; i < width; i++) sum += policy[at + j * width + i] * inputs[i];
        outputs[j] = layer < cartpole.layers.length - 1 ? selu(sum) : sum;
      }
      at = bias + count;
      inputs = outputs;
    }
    return inputs[0];
  }

  // The standard deviation of the action: exp(log_std)^2, as the published policies mean it.
  const deviation = (policy) => Math.exp(policy[0]) ** 2;

  // The mean return of the first episodes of some environments, as the native evaluator measures a policy.
  // `environments` is a multiple of 16.
  function meanReturn(cartpole, policy, environments) {
    const { environment, seed } = cartpole;
    const c = constants(environment), spread = deviation(policy);
    const states = [], returns = new Float64Array(environments);
    for (let i = 0; i < environments; i++) states.push(firstState(environment, seed, i));
    let running = states.map((_, i) => i);
    for (let t = 0; running.length > 0; t++) {
      const noise = actionNoise(seed, t, environments);
      running = running.filter((i) => {
        const action = mean(cartpole, policy, states[i]) + spread * noise[i];
        const { reward, fallen } = step(environment, c, states[i], action);
        returns[i] += reward;
        return !fallen && t + 1 < environment.episode_steps;
      });
    }
    return returns.reduce((sum, value) => sum + value, 0) / environments;
  }

  // The parameters that base64 of float32, little endian, says.
  function parameters(base64) {
    const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
    const view = new DataView(bytes.buffer);
    return Float64Array.from({ length: bytes.length / 4 }, (_, i) => view.getFloat32(4 * i, true));
  }

  return { philox, normals, actionNoise, firstState, constants, step, mean, deviation, meanReturn, parameters };
})();

if (typeof module !== "undefined") module.exports = Cartpole;
