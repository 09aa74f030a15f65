"""The Cartpole recipe in plain PyTorch: the peer that `corpus generate cartpole` is timed against, and compared with.

One thread, eager mode, written the way a PPO script usually is. Prints the seconds of the run and the
final train_return; --out saves a .npz file: iterations (checkpoints), train_return likewise, and parameters, float32
(checkpoints, 1250).
"""

import argparse
import math
import time
from collections import deque

import numpy as np
import torch
from torch import nn
from torch.distributions import Normal

ENVIRONMENTS, ROLLOUT_STEPS, EPOCHS, MINIBATCHES, CHECKPOINTS = 512, 16, 8, 2, 200
GAMMA, LAMBDA, CLIP, VALUE_COEFFICIENT = 0.99, 0.95, 0.2, 2.0
LEARNING_RATE, GRADIENT_NORM_LIMIT, WINDOW = 3e-4, 2.0, 200


class CartPole:
    """All environments at once; the state is cart position and velocity, pole angle and velocity."""

    cart, pole, length, width, arm, gravity = 1.0, 1.0, 1.0, 0.06, 0.47, 9.81
    substeps, dt, force, last_step = 2, 0.0083, 400.0, 499

    def __init__(self, count, generator):
        self.count, self.generator = count, generator
        self.inertia = self.pole * (self.length**2 + self.width**2) / 12 + self.pole * self.arm**2
        self.state = self.fresh(count)
        self.steps = torch.zeros(count, dtype=torch.long)

    def fresh(self, count):
        scale = torch.tensor([0.1, 0.25, 0.1, 0.25])
        return (torch.rand(count, 4, generator=self.generator) * 2 - 1) * scale

    def observe(self):
        return self.state.clamp(-5, 5)

    def step(self, action):
        force = self.force * action.clamp(-1, 1)
        x, v, angle, w = self.state.unbind(1)
        total, moment = self.cart + self.pole, self.pole * self.arm
        for _ in range(self.substeps):
            sin, cos = torch.sin(angle), torch.cos(angle)
            push = force + moment * sin * w * w
            weight = moment * self.gravity * sin
            determinant = total * self.inertia - (moment * cos) ** 2
            v = (v + self.dt * (self.inertia * push - moment * cos * weight) / determinant).clamp(-100, 100)
            w = (w + self.dt * (total * weight - moment * cos * push) / determinant).clamp(-8, 8)
            x = x + self.dt * v
            angle = angle + self.dt * w
        self.state = torch.stack([x, v, angle, w], 1)
        self.steps += 1
        fallen = (x.abs() > 3) | (angle.abs() > math.pi / 2)
        reward = 1 - angle**2 - 0.01 * v.abs() - 0.005 * w.abs()
        reward = torch.where(fallen, torch.full_like(reward, -2.0), reward)
        done = fallen | (self.steps >= self.last_step)
        if done.any():
            self.state[done] = self.fresh(int(done.sum()))
            self.steps[done] = 0
        return self.observe(), reward, done


def mlp(last_gain):
    layers = [nn.Linear(4, 32), nn.SELU(), nn.Linear(32, 32), nn.SELU(), nn.Linear(32, 1)]
    for layer, gain in zip(layers[::2], [math.sqrt(2), math.sqrt(2), last_gain]):
        nn.init.orthogonal_(layer.weight, gain=gain)
    return nn.Sequential(*layers)


class ActorCritic(nn.Module):
    def __init__(self):
        super().__init__()
        self.log_std = nn.Parameter(torch.zeros(1))
        self.actor = mlp(0.01)
        self.critic = mlp(1.0)

    def policy(self, observation):
        return Normal(self.actor(observation).squeeze(-1), (2 * self.log_std).exp())

    def value(self, observation):
        return self.critic(observation).squeeze(-1)

    def checkpoint(self):
        stored = [self.log_std, *self.actor.parameters()]
        return torch.cat([p.detach().flatten() for p in stored]).numpy().copy()


@torch.no_grad()
def evaluate(model, environment):
    """The returns of every environment's first episode, in the order in which they end."""
    observation, total = environment.observe(), torch.zeros(environment.count)
    running, returns = torch.ones(environment.count, dtype=torch.bool), []
    while running.any():
        observation, reward, done = environment.step(model.policy(observation).sample())
        total += reward
        ended = done & running
        returns += total[ended].tolist()
        running &= ~done
    return returns


def train(seed, iterations, count=CHECKPOINTS):
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    model = ActorCritic()
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, iterations * EPOCHS)

    kept = np.random.default_rng(seed).choice(
        np.arange(1, iterations), min(count, iterations + 1) - 2, replace=False)
    kept = {int(i) for i in kept} | {iterations}
    first = evaluate(model, CartPole(ENVIRONMENTS, generator))
    checkpoints, marks, returns_of = [model.checkpoint()], [0], [sum(first) / len(first)]
    window = deque(first, maxlen=WINDOW)

    environment = CartPole(ENVIRONMENTS, generator)
    observation, running_return = environment.observe(), torch.zeros(ENVIRONMENTS)
    shape = (ROLLOUT_STEPS, ENVIRONMENTS)
    observations, actions, log_probs = torch.zeros(*shape, 4), torch.zeros(shape), torch.zeros(shape)
    rewards, dones, values = torch.zeros(shape), torch.zeros(shape), torch.zeros(shape)

    for iteration in range(1, iterations + 1):
        with torch.no_grad():
            for t in range(ROLLOUT_STEPS):
                policy = model.policy(observation)
                action = policy.sample()
                observations[t], actions[t] = observation, action
                log_probs[t], values[t] = policy.log_prob(action), model.value(observation)
                observation, rewards[t], done = environment.step(action)
                dones[t] = done
                running_return += rewards[t]
                if done.any():
                    window.extend(running_return[done].tolist())
                    running_return[done] = 0

            following, advantage = model.value(observation), torch.zeros(ENVIRONMENTS)
            advantages = torch.zeros(shape)
            for t in reversed(range(ROLLOUT_STEPS)):
                alive = 1 - dones[t]
                delta = rewards[t] + GAMMA * following * alive - values[t]
                advantage = delta + GAMMA * LAMBDA * alive * advantage
                advantages[t], following = advantage, values[t]
            returns = advantages + values
            advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)

        flat = [a.reshape(-1, *a.shape[2:]) for a in (observations, actions, log_probs, advantages, returns)]
        size = ROLLOUT_STEPS * ENVIRONMENTS // MINIBATCHES
        for _ in range(EPOCHS):
            for start in range(0, size * MINIBATCHES, size):
                obs, act, old, adv, ret = (a[start : start + size] for a in flat)
                ratio = torch.exp(model.policy(obs).log_prob(act) - old)
                surrogate = torch.max(-adv * ratio, -adv * ratio.clamp(1 - CLIP, 1 + CLIP)).mean()
                value_loss = (ret - model.value(obs)).pow(2).mean()
                loss = surrogate + VALUE_COEFFICIENT * value_loss
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(model.parameters(), GRADIENT_NORM_LIMIT)
                optimizer.step()
            schedule.step()
        if iteration in kept:
            checkpoints.append(model.checkpoint())
            marks.append(iteration)
            returns_of.append(sum(window) / len(window))
    return dict(
        iterations=np.array(marks), train_return=np.array(returns_of), parameters=np.stack(checkpoints))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--iterations", type=int, default=500)
    parser.add_argument("--checkpoints", type=int, default=CHECKPOINTS)
    parser.add_argument("--out", help="write the checkpoints to this .npz file")
    options = parser.parse_args()
    torch.set_num_threads(1)
    start = time.perf_counter()
    run = train(options.seed, options.iterations, options.checkpoints)
    print(f"seconds {time.perf_counter() - start:.2f}  train_return {run['train_return'][-1]:.2f}")
    if options.out:
        np.savez(options.out, **run)


if __name__ == "__main__":
    main()
