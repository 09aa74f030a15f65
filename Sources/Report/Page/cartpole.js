// The cart and its pole as the task `cartpole` has them, in pure functions: random numbers, policy, physics, episodes.
// Schemas/sample-views.md says what they compute.
//
// The cart is chaotic: a policy that differs in the last bit of one number falls in other episodes. So everything is
// rounded to float32 where the native kernels round (Sources/CKernels: body_math.h, body_random.h, body_mlp.h,
// body_cartpole.h), with their polynomials and in their order, and returns are the native ones.
//
// `cartpole` is a section's data, {environment, layers, seed, …}; `parameters` are a policy's 1,250 numbers.
"use strict";

const Cartpole = (() => {
  const f = Math.fround;
  // A fused product and sum: the product of two floats is exact in double.
  const fma = (a, b, c) => f(a * b + c);
  const clip = (x, low, high) => (x > high ? high : x < low ? low : x);
  // 0x1.6a21ac · 2^exponent is hex(0x16a21ac, exponent).
  const hex = (digits, exponent) => digits * 2 ** (exponent - 24);
  // A polynomial by Horner's rule, the highest power first.
  function polynomial(coefficients, x) {
    let p = coefficients[0];
    for (let i = 1; i < coefficients.length; i++) p = fma(p, x, coefficients[i]);
    return p;
  }

  // What is added to a float to round it to a whole number.
  const ROUNDING = 1.5 * 2 ** 23;
  const LOG2_HIGH = hex(0x162e430, -1), LOG2_LOW = hex(-0x105c610, -29), PER_LOG2 = hex(0x1715476, 0);
  const EXP = [hex(0x16a21ac, -10), hex(0x1123b6a, -7), hex(0x15558fa, -5), hex(0x1555490, -3), hex(0x1fffffc, -2)];
  const LOG = [
    hex(0x11457a8, -4), hex(-0x1de3c16, -4), hex(0x1e6f06a, -4), hex(-0x1fc2208, -4), hex(0x1233768, -3),
    hex(-0x1555c4e, -3), hex(0x199a4b6, -3), hex(-0x1000006, -2), hex(0x1555548, -2),
  ];
  const SIN = [hex(-0x1993fde, -13), hex(0x1110730, -7), hex(-0x1555546, -3)];
  const COS = [hex(0x199e7f0, -16), hex(-0x16c0c28, -10), hex(0x155554a, -5)];
  const HALF_PI = hex(0x1921fb6, 0), HALF_PI_2 = hex(0x1777a5c, -25), HALF_PI_3 = hex(0x1ee59da, -50);
  const LAMBDA = f(1.0507010), LAMBDA_ALPHA = f(1.7580993);

  const wholeLog2s = (x) => f(fma(x, PER_LOG2, ROUNDING) - ROUNDING);
  // exp(r) - 1 for small r.
  const expm1 = (r) => fma(f(r * r), polynomial(EXP, r), r);

  function exp(x) {
    const bounded = clip(x, f(-87.4), f(88.8)), n = wholeLog2s(bounded), half = Math.floor(n / 2);
    const q = expm1(fma(n, -LOG2_LOW, fma(n, -LOG2_HIGH, bounded)));
    return x < f(-87.3) ? 0 : f(fma(2 ** half, q, 2 ** half) * 2 ** (n - half));
  }

  const float = new Float32Array(1), bits = new Int32Array(float.buffer);

  // Of positive numbers that are no subnormals.
  function log(x) {
    float[0] = x;
    const shifted = bits[0] - 0x3f3504f3, e = shifted >> 23;
    bits[0] = (shifted & 0x7fffff) + 0x3f3504f3;
    const m = f(float[0] - 1), square = f(m * m);
    const y = fma(square, -0.5, fma(polynomial(LOG, m), f(square * m), f(e * LOG2_LOW)));
    return fma(e, LOG2_HIGH, f(m + y));
  }

  // Sine and cosine of so many quarter turns and r.
  function reduced(quarters, r) {
    const z = f(r * r), half = f(z * 0.5), most = f(1 - half);
    const s = fma(polynomial(SIN, z), f(z * r), r);
    const c = f(most + fma(polynomial(COS, z), f(z * z), f(f(1 - most) - half)));
    const odd = quarters & 1;
    const sine = odd ? c : s, cosine = odd ? s : c;
    return [quarters & 2 ? -sine : sine, (quarters + 1) & 2 ? -cosine : cosine];
  }

  function sineAndCosine(x) {
    const n = f(fma(x, hex(0x145f306, -1), ROUNDING) - ROUNDING);
    return reduced(n, fma(n, HALF_PI_3, fma(n, HALF_PI_2, fma(n, -HALF_PI, x))));
  }

  // The high and the low half of a 64-bit product.
  function multiply(a, b) {
    const a0 = a & 0xffff, a1 = a >>> 16, b0 = b & 0xffff, b1 = b >>> 16;
    const middle = a1 * b0 + ((a0 * b0) >>> 16), carried = (middle & 0xffff) + a0 * b1;
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
    const radius = f(Math.sqrt(f(log(uniform(first) + 2 ** -24) * -2)));
    const quarters = uniform(second) * 4, n = f(f(quarters + ROUNDING) - ROUNDING);
    const [sine, cosine] = reduced(n, f(f(quarters - n) * HALF_PI));
    return [f(radius * cosine), f(radius * sine)];
  }

  // The action noise of every environment in a step, as the evaluator draws it: stream 5.
  function actionNoise(seed, step, environments) {
    const noise = new Float32Array(environments);
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
      return f(f(limit) * ((word >>> 8) * 2 ** -23 - 1));
    });
  }

  // The constants of the equations of motion, once for all steps.
  function constants(environment) {
    const floats = Object.fromEntries(Object.entries(environment).map(([name, value]) => [name, f(value)]));
    const { pole_mass, pole_length, pole_width, pole_center, time_step, substeps } = environment;
    const moment = f(floats.pole_mass * floats.pole_center);
    // A box about its centre, moved to the hinge by Steiner's theorem.
    const inertia = f(pole_mass * ((pole_length * pole_length + pole_width * pole_width) / 12 + pole_center * pole_center));
    const mass = f(floats.cart_mass + floats.pole_mass);
    return {
      ...floats, mass, moment, inertia,
      massInertia: f(inertia * mass), lever: f(moment * floats.gravity), substep: f(time_step / substeps),
    };
  }

  // One time step in place, under an action that is clipped to [-1, 1]; {reward, fallen}.
  function step(c, state, action) {
    const force = f(clip(action, -1, 1) * c.force);
    let [x, v, a, w] = state;
    for (let n = 0; n < c.substeps; n++) {
      const [sine, cosine] = sineAndCosine(a);
      const coupling = f(cosine * c.moment), push = fma(f(sine * c.moment), f(w * w), force), weight = f(sine * c.lever);
      const factor = f(c.substep / fma(-coupling, coupling, c.massInertia));
      v = fma(fma(c.inertia, push, -f(coupling * weight)), factor, v);
      w = fma(fma(c.mass, weight, -f(coupling * push)), factor, w);
      v = clip(v, -c.cart_speed_limit, c.cart_speed_limit);
      w = clip(w, -c.pole_speed_limit, c.pole_speed_limit);
      x = fma(c.substep, v, x);
      a = fma(c.substep, w, a);
    }
    state[0] = x;
    state[1] = v;
    state[2] = a;
    state[3] = w;
    const fallen = Math.abs(x) > c.position_limit || Math.abs(a) > c.angle_limit;
    const upright = fma(Math.abs(w), -c.pole_speed_penalty, fma(Math.abs(v), -c.cart_speed_penalty, fma(-a, a, 1)));
    return { reward: fallen ? c.fall_reward : upright, fallen };
  }

  // A policy of its parameters: layers with their weights (inputs, outputs), and the action's standard deviation,
  // exp(log_std)^2, as the published policies mean it.
  function policy(cartpole, parameters) {
    const layers = [];
    let at = 1;
    for (let layer = 1; layer < cartpole.layers.length; layer++) {
      const inputs = cartpole.layers[layer - 1], outputs = cartpole.layers[layer];
      const weight = new Float32Array(inputs * outputs);
      for (let j = 0; j < outputs; j++)
        for (let i = 0; i < inputs; i++) weight[i * outputs + j] = parameters[at + j * inputs + i];
      at += inputs * outputs;
      layers.push({ inputs, weight, bias: Float32Array.from(parameters.subarray(at, at + outputs)) });
      at += outputs;
    }
    return { layers, deviation: exp(f(2 * parameters[0])) };
  }

  function selu(x) {
    const negative = clip(x, -20, 0), n = wholeLog2s(negative);
    const scale = LAMBDA_ALPHA * 2 ** n;
    const below = fma(scale, expm1(fma(n, -LOG2_HIGH, negative)), f(scale - LAMBDA_ALPHA));
    return fma(x > 0 ? x : 0, LAMBDA, below);
  }

  // A hidden layer. Numbers that go into a Float32Array are rounded by that.
  function hidden({ inputs, weight, bias }, values) {
    const sums = bias.slice(), outputs = sums.length;
    for (let i = 0; i < inputs; i++) {
      const value = values[i];
      for (let j = 0; j < outputs; j++) sums[j] += value * weight[i * outputs + j];
    }
    for (let j = 0; j < outputs; j++) sums[j] = selu(sums[j]);
    return sums;
  }

  // The mean of the action for a state.
  function mean(c, policy, state) {
    const limit = c.observation_limit, [first, second, output] = policy.layers;
    const values = hidden(second, hidden(first, state.map((x) => clip(x, -limit, limit))));
    // Both halves, and then half and half, as vectors are added up.
    const sums = new Float32Array(16);
    for (let k = 0; k < 16; k++) sums[k] = fma(values[16 + k], output.weight[16 + k], f(values[k] * output.weight[k]));
    for (let half = 8; half >= 1; half /= 2) for (let k = 0; k < half; k++) sums[k] += sums[k + half];
    return f(sums[0] + output.bias[0]);
  }

  // What a policy does, given its standard normal noise.
  const action = (c, policy, state, noise) => fma(policy.deviation, noise, mean(c, policy, state));

  // The mean return of the first episodes of some environments, a multiple of 16, as the native evaluator measures it.
  function meanReturn(cartpole, parameters, environments) {
    const c = constants(cartpole.environment), driver = policy(cartpole, parameters);
    const returns = new Float32Array(environments);
    const states = Array.from(returns, (_, i) => firstState(cartpole.environment, cartpole.seed, i));
    let running = states.map((_, i) => i);
    for (let t = 0; running.length > 0; t++) {
      const noise = actionNoise(cartpole.seed, t, environments);
      running = running.filter((i) => {
        const { reward, fallen } = step(c, states[i], action(c, driver, states[i], noise[i]));
        returns[i] += reward;
        return !fallen && t + 1 < c.episode_steps;
      });
    }
    return returns.reduce((sum, value) => sum + value, 0) / environments;
  }

  // The parameters that base64 of float32, little endian, says.
  function parameters(base64) {
    const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
    const view = new DataView(bytes.buffer);
    return Float32Array.from({ length: bytes.length / 4 }, (_, i) => view.getFloat32(4 * i, true));
  }

  return {
    philox, normals, actionNoise, firstState, constants, step, policy, mean, action, meanReturn, parameters,
    exp, log, sineAndCosine, selu,
  };
})();

if (typeof module !== "undefined") module.exports = Cartpole;
