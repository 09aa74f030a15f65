// Proximal policy optimisation: sampling, advantages, the two gradients and Adam. Lanes are samples.

#define HALF_LOG_TWO_PI 0.91893853f

// The logarithm of the normal density at mean + deviation * z.
INLINE vf log_probability(vf z, float log_std) {
  return fma_(z * z, splat(-0.5f), splat(-2 * log_std - HALF_LOG_TWO_PI));
}

// The standard deviation, exp(log_std)^2.
INLINE float deviation(float log_std) { return exp_(splat(2 * log_std))[0]; }

static void policy_sample(size_t count, float log_std, const float *means, const float *noise, float *actions,
                          float *log_probabilities) {
  vf scale = splat(deviation(log_std));
  for (size_t i = 0; i < count; i += CK_LANES) {
    vf mean = load(means + i), action = fma_(scale, load(noise + i), mean);
    store(actions + i, action);
    // From the rounded action, as the gradient sees it: so the first ratio is 1 but for the mean's change.
    store(log_probabilities + i, log_probability((action - mean) / scale, log_std));
  }
}

static void advantages(size_t steps, size_t environments, float gamma, float lambda, const float *rewards,
                       const float *dones, const float *values, float *advantages, float *returns) {
  for (size_t e = 0; e < environments; e += CK_LANES) {
    vf advantage = splat(0), next = load(values + steps * environments + e);
    for (size_t t = steps; t-- > 0;) {
      size_t i = t * environments + e;
      vf alive = 1 - load(dones + i), value = load(values + i);
      vf error = fma_(next * alive, splat(gamma), load(rewards + i)) - value;
      advantage = fma_(advantage * alive, splat(gamma * lambda), error);
      store(advantages + i, advantage);
      store(returns + i, advantage + value);
      next = value;
    }
  }
}

static void normalize(size_t count, float *x) {
  vf total = splat(0), squares = splat(0);
  for (size_t i = 0; i < count; i += CK_LANES) total += load(x + i);
  vf mean = splat(sum(total) / (float)count);
  for (size_t i = 0; i < count; i += CK_LANES) {
    vf d = load(x + i) - mean;
    squares = fma_(d, d, squares);
  }
  float variance = sum(squares) / (float)(count - 1);
  vf divisor = splat(__builtin_elementwise_sqrt(variance) + 1e-8f);
  for (size_t i = 0; i < count; i += CK_LANES) store(x + i, (load(x + i) - mean) / divisor);
}

static void policy_gradient(const ck_mlp *mlp, float log_std, float clip_coefficient, size_t count,
                            const float *observations, const float *actions, const float *log_probabilities,
                            const float *advantages, float *gradient, void *memory) {
  scratch *s = memory;
  __builtin_memset(s, 0, sizeof *s);
  vf scale = splat(deviation(log_std));
  vf low = splat(1 - clip_coefficient), high = splat(1 + clip_coefficient), share = splat(1 / (float)count);
  for (size_t i = 0; i < count; i += BLOCK) {
    int rows = block_rows(count - i);
    const float *inputs = observations + i * INPUTS;
    block_forward(mlp, rows, inputs, s);
    for (int r = 0; r < rows; r += CK_LANES) {
      vf z = (load(actions + i + r) - load(s->output + r)) / scale, advantage = load(advantages + i + r);
      vf ratio = exp_(log_probability(z, log_std) - load(log_probabilities + i + r));
      // Clipped away where the ratio has left the range in the direction that the advantage asks for.
      vi clipped = advantage > 0 ? ratio > high : ratio < low;
      vf slope = clipped ? splat(0) : -advantage * ratio * share;
      store(s->output + r, slope * z / scale);
      store(s->log_std, fma_(slope, fma_(z * z, splat(2), splat(-2)), load(s->log_std)));
    }
    block_backward(mlp, rows, inputs, s);
  }
  gradient[0] = sum(load(s->log_std));
  unpack_gradient(s, gradient + 1);
}

static void value_gradient(const ck_mlp *mlp, float value_coefficient, size_t count, const float *observations,
                           const float *returns, float *gradient, void *memory) {
  scratch *s = memory;
  __builtin_memset(s, 0, sizeof *s);
  vf factor = splat(2 * value_coefficient / (float)count);
  for (size_t i = 0; i < count; i += BLOCK) {
    int rows = block_rows(count - i);
    const float *inputs = observations + i * INPUTS;
    block_forward(mlp, rows, inputs, s);
    for (int r = 0; r < rows; r += CK_LANES)
      store(s->output + r, (load(s->output + r) - load(returns + i + r)) * factor);
    block_backward(mlp, rows, inputs, s);
  }
  unpack_gradient(s, gradient);
}

static void adam_step(ck_adam *adam, size_t count, const float *gradient, float *parameters,
                      float *first_moment, float *second_moment) {
  vf squares = splat(0);
  for (size_t i = 0; i < count; i += CK_LANES)
    squares = fma_(load(gradient + i), load(gradient + i), squares);
  float norm = __builtin_elementwise_sqrt(sum(squares));
  float ratio = adam->norm_limit / (norm + 1e-6f);
  vf factor = splat(ratio < 1 ? ratio : 1);

  adam->beta1_power *= (double)adam->beta1;
  adam->beta2_power *= (double)adam->beta2;
  vf rate = splat((float)((double)adam->learning_rate / (1 - adam->beta1_power)));
  vf correction = splat((float)__builtin_elementwise_sqrt(1 - adam->beta2_power));
  vf rest1 = splat((float)(1 - (double)adam->beta1)), rest2 = splat((float)(1 - (double)adam->beta2));
  for (size_t i = 0; i < count; i += CK_LANES) {
    vf g = load(gradient + i) * factor, m = load(first_moment + i), v = load(second_moment + i);
    m = fma_(g - m, rest1, m);
    v = fma_(g * g, rest2, v * adam->beta2);
    store(first_moment + i, m);
    store(second_moment + i, v);
    vf divisor = __builtin_elementwise_sqrt(v) / correction + adam->epsilon;
    store(parameters + i, load(parameters + i) - rate * (m / divisor));
  }
}
