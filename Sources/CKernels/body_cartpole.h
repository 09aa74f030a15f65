// The cart and its pole. Lanes are environments.
//
// With the cart's position x, the angle a from upright, c the cart's mass, m the pole's, l the arm, I the
// inertia about the hinge and F the force, Lagrange's equations are
//   (c + m) x'' + m l cos(a) a'' = F + m l sin(a) a'^2
//   m l cos(a) x'' + I a''       = m g l sin(a).

static void cartpole_step(const ck_cartpole *c, size_t count, const float *actions, float *state,
                          int32_t *steps, float *returns, float *rewards, float *dones) {
  float *positions = state, *speeds = state + count, *angles = state + 2 * count, *spins = state + 3 * count;
  float mass = c->cart_mass + c->pole_mass, moment = c->pole_mass * c->arm;
  vf dt = splat(c->substep), inertia = splat(c->inertia);
  vf cart_limit = splat(c->cart_speed_limit), pole_limit = splat(c->pole_speed_limit);
  for (size_t i = 0; i < count; i += CK_LANES) {
    vf position = load(positions + i), speed = load(speeds + i);
    vf angle = load(angles + i), spin = load(spins + i);
    vf force = at_least(at_most(load(actions + i), splat(1)), splat(-1)) * c->force;
    for (int n = 0; n < c->substeps; n++) {
      vf sine, cosine;
      sincos_(angle, &sine, &cosine);
      vf coupling = cosine * moment;
      vf push = fma_(sine * moment, spin * spin, force);
      vf weight = sine * (moment * c->gravity);
      vf step = dt / fma_(-coupling, coupling, inertia * mass);
      speed = fma_(fma_(inertia, push, -(coupling * weight)), step, speed);
      spin = fma_(fma_(splat(mass), weight, -(coupling * push)), step, spin);
      speed = at_least(at_most(speed, cart_limit), -cart_limit);
      spin = at_least(at_most(spin, pole_limit), -pole_limit);
      position = fma_(dt, speed, position);
      angle = fma_(dt, spin, angle);
    }
    store(positions + i, position);
    store(speeds + i, speed);
    store(angles + i, angle);
    store(spins + i, spin);

    vf reward = fma_(-angle, angle, splat(1));
    reward = fma_(absolute(speed), splat(-c->cart_speed_penalty), reward);
    reward = fma_(absolute(spin), splat(-c->pole_speed_penalty), reward);
    vi fallen = (absolute(position) > c->position_limit) | (absolute(angle) > c->angle_limit);
    reward = fallen ? splat(c->fall_reward) : reward;
    vi step = *(vi *)(steps + i) + 1;
    *(vi *)(steps + i) = step;
    vi done = fallen | (step >= c->episode_steps);
    store(rewards + i, reward);
    store(returns + i, load(returns + i) + reward);
    store(dones + i, done ? splat(1) : splat(0));
  }
}

static void cartpole_observe(size_t count, float limit, const float *state, float *observations) {
  for (size_t i = 0; i < count; i += CK_LANES) {
    vf x[4];
    for (int k = 0; k < 4; k++)
      x[k] = at_least(at_most(load(state + (size_t)k * count + i), splat(limit)), splat(-limit));
    store_rows(observations + 4 * i, x[0], x[1], x[2], x[3]);
  }
}
