import Tasks
import CKernels
import Corpus
import Foundation
import TestSupport
import VectorKernels

/// The published PPO in Double, one number at a time, by its own formulas: what a Cartpole run is compared with.
struct NaivePPO {
  /// A rule of the published training that a test breaks, to see that it would be noticed.
  enum Rule: String, CaseIterable, Sendable {
    case initialBiases, hiddenGain, policyGain, valueGain, initialLogStd, squaredDeviation
    case probabilityBeforeClipping, gamma, lambda, bootstrapEndsWithEpisode, lastValue
    case normalizedAdvantages, normalizedOverRollout, clip, minibatchOrder, valueCoefficient
    case unclippedValueLoss, noEntropy
    case jointNorm, normLimit, cosine, rateOfEpoch, adamBetas, biasCorrection, returnWindow
  }

  let recipe: CartpoleRecipe
  let seed: UInt64
  let broken: Rule?
  let brokenEnvironment: NaiveCartpole.Rule?
  private let kernels: Kernels
  private var logStd = 0.0
  private var policy: NaiveNetwork
  private var value: NaiveNetwork
  private var moments1 = [Double](repeating: 0, count: 2499)
  private var moments2 = [Double](repeating: 0, count: 2499)
  private var optimizerSteps = 0
  private var environment: NaiveCartpole
  private var window: [Double] = []
  private var iteration = 0
  private(set) var trainReturn = 0.0

  init(
    _ recipe: CartpoleRecipe, seed: UInt64, breaking broken: Rule? = nil,
    environment brokenEnvironment: NaiveCartpole.Rule? = nil
  ) throws {
    (self.recipe, self.seed, self.broken, self.brokenEnvironment) = (recipe, seed, broken, brokenEnvironment)
    kernels = try Kernels(environment: [:])
    var initialization = OrthogonalInitialization(
      kernels: kernels, seed: seed, biases: broken == .initialBiases ? .zero : .default)
    let hidden = broken == .hiddenGain ? 1 : 2.0.squareRoot()
    policy = NaiveNetwork(
      parameters: initialization.network(hiddenGain: hidden, outputGain: broken == .policyGain ? 1 : 0.01)
        .map(Double.init))
    value = NaiveNetwork(
      parameters: initialization.network(hiddenGain: hidden, outputGain: broken == .valueGain ? 0.01 : 1)
        .map(Double.init))
    if broken == .initialLogStd { logStd = -0.1 }
    // The streams of a run: 2 and 3 are the resets and the noise of training, 4 and 5 of the first policy's episodes.
    environment = NaiveCartpole(
      count: recipe.environments, episodeSteps: recipe.physics.episodeSteps, seed: seed, stream: 2,
      breaking: brokenEnvironment)
    window = firstEpisodes()
    trainReturn = window.reduce(0, +) / Double(window.count)
  }

  /// log_std and the policy's network, as they are stored.
  var parameters: [Double] { [logStd] + policy.parameters }

  private var deviation: Double { broken == .squaredDeviation ? exp(logStd) : exp(logStd) * exp(logStd) }

  private func logProbability(_ action: Double, mean: Double) -> Double {
    let z = (action - mean) / deviation
    return -z * z / 2 - log(deviation) - log(2 * Double.pi) / 2
  }

  private func noise(stream: UInt64, step: Int) -> [Double] {
    let count = recipe.environments
    return [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
      if let base = buffer.baseAddress {
        kernels.functions.random_normal(seed, stream, UInt64(step * count / 4), count, base)
      }
      initialized = count
    }.map(Double.init)
  }

  private func firstEpisodes() -> [Double] {
    var environment = NaiveCartpole(
      count: recipe.environments, episodeSteps: recipe.physics.episodeSteps, seed: seed, stream: 4,
      breaking: brokenEnvironment)
    var running = Set(0..<recipe.environments)
    var returns: [Double] = []
    for step in 0..<600 where !running.isEmpty {
      let noise = noise(stream: 5, step: step)
      let actions = environment.observations.enumerated().map {
        policy.forward($0.element) + deviation * noise[$0.offset]
      }
      _ = environment.step(actions) { e, total in if running.remove(e) != nil { returns.append(total) } }
    }
    return returns
  }

  private struct Sample {
    var observation: [Double]
    var action, logProbability, value, reward: Double
    var done: Bool
    var advantage = 0.0
    var target = 0.0
  }

  /// A rollout of all environments, then `epochs` passes over it.
  mutating func iterate() {
    let (steps, count) = (recipe.rolloutSteps, recipe.environments)
    var samples: [Sample] = []
    for t in 0..<steps {
      let noise = noise(stream: 3, step: iteration * steps + t)
      let observations = environment.observations
      let means = observations.map(policy.forward)
      let actions = zip(means, noise).map { $0 + deviation * $1 }
      let (rewards, dones) = environment.step(actions) { window.append($1) }
      for e in 0..<count {
        let action = broken == .probabilityBeforeClipping ? min(max(actions[e], -1), 1) : actions[e]
        samples.append(
          Sample(
            observation: observations[e], action: action,
            logProbability: logProbability(action, mean: means[e]),
            value: value.forward(observations[e]), reward: rewards[e], done: dones[e]))
      }
    }
    let last = window.suffix(broken == .returnWindow ? 2 * recipe.returnWindow : recipe.returnWindow)
    trainReturn = last.reduce(0, +) / Double(last.count)
    estimate(&samples)

    let size = samples.count / recipe.minibatches
    for epoch in 0..<recipe.epochs {
      let progress =
        Double(iteration * recipe.epochs + (broken == .rateOfEpoch ? 0 : epoch))
        / Double(recipe.iterations * recipe.epochs)
      let rate = recipe.learningRate * (broken == .cosine ? 1 : (1 + cos(Double.pi * progress)) / 2)
      for part in 0..<recipe.minibatches {
        let batch =
          broken == .minibatchOrder
          ? samples.indices.filter { $0 % recipe.minibatches == part }.map { samples[$0] }
          : Array(samples[(part * size)..<((part + 1) * size)])
        descend(batch, rate: rate)
      }
    }
    iteration += 1
  }

  /// Generalized advantages, and what the value function should have foretold.
  private func estimate(_ samples: inout [Sample]) {
    let count = recipe.environments
    let gamma = broken == .gamma ? 1 : 0.99
    let lambda = broken == .lambda ? 1 : 0.95
    let reached = environment.observations.map { broken == .lastValue ? 0 : value.forward($0) }
    for e in 0..<count {
      var (advantage, next) = (0.0, reached[e])
      for t in (0..<recipe.rolloutSteps).reversed() {
        let i = t * count + e
        let alive = samples[i].done && broken != .bootstrapEndsWithEpisode ? 0.0 : 1
        advantage =
          samples[i].reward + gamma * next * alive - samples[i].value + gamma * lambda * alive * advantage
        next = samples[i].value
        samples[i].advantage = advantage
        samples[i].target = advantage + samples[i].value
      }
    }
    if broken == .normalizedAdvantages { return }
    let parts = broken == .normalizedOverRollout ? recipe.minibatches : 1
    let size = samples.count / parts
    for part in 0..<parts {
      let range = (part * size)..<((part + 1) * size)
      let mean = samples[range].reduce(0) { $0 + $1.advantage } / Double(size)
      let squares = samples[range].reduce(0) { $0 + ($1.advantage - mean) * ($1.advantage - mean) }
      for i in range {
        samples[i].advantage =
          (samples[i].advantage - mean) / ((squares / Double(size - 1)).squareRoot() + 1e-8)
      }
    }
  }

  /// One step of Adam.
  private mutating func descend(_ batch: [Sample], rate: Double) {
    var (ofLogStd, ofPolicy, ofValue) = (
      0.0, [Double](repeating: 0, count: 1249), [Double](repeating: 0, count: 1249)
    )
    let share = 1 / Double(batch.count)
    for sample in batch {
      let mean = policy.forward(sample.observation)
      let z = (sample.action - mean) / deviation
      let ratio = exp(logProbability(sample.action, mean: mean) - sample.logProbability)
      // The larger of the two losses; the clipped one has no slope outside the limits.
      let isClipped = sample.advantage > 0 ? ratio > 1.2 : ratio < 0.8
      if !isClipped || broken == .clip {
        let slope = -sample.advantage * ratio * share
        policy.backward(sample.observation, output: slope * z / deviation, into: &ofPolicy)
        ofLogStd += slope * (z * z - 1) * (broken == .squaredDeviation ? 1 : 2)
      }
      if broken == .noEntropy { ofLogStd -= 0.05 * 2 * share }
      let foretold = value.forward(sample.observation)
      var slope = 2 * (foretold - sample.target) * share * (broken == .valueCoefficient ? 1 : 2)
      if broken == .unclippedValueLoss {
        let clipped = sample.value + min(max(foretold - sample.value, -0.2), 0.2)
        let error = abs(foretold - sample.target)
        if clipped != foretold && abs(clipped - sample.target) > error { slope = 0 }
      }
      value.backward(sample.observation, output: slope, into: &ofValue)
    }
    func norm(_ g: [Double]) -> Double { g.reduce(0) { $0 + $1 * $1 }.squareRoot() }
    var gradient = [ofLogStd] + ofPolicy + ofValue
    func limit(_ range: Range<Int>) {
      let factor = min(1, 2 / (norm(Array(gradient[range])) + 1e-6))
      for i in range { gradient[i] *= factor }
    }
    switch broken {
    case .normLimit: break
    case .jointNorm:
      limit(0..<1250)
      limit(1250..<2499)
    default: limit(0..<2499)
    }
    optimizerSteps += 1
    let (beta1, beta2) = broken == .adamBetas ? (0.8, 0.99) : (0.9, 0.999)
    let correction1 = broken == .biasCorrection ? 1 : 1 - pow(beta1, Double(optimizerSteps))
    let correction2 = broken == .biasCorrection ? 1 : 1 - pow(beta2, Double(optimizerSteps))
    for i in gradient.indices {
      moments1[i] = beta1 * moments1[i] + (1 - beta1) * gradient[i]
      moments2[i] = beta2 * moments2[i] + (1 - beta2) * gradient[i] * gradient[i]
      let step = rate * moments1[i] / correction1 / ((moments2[i] / correction2).squareRoot() + 1e-8)
      if i == 0 {
        logStd -= step
      } else if i < 1250 {
        policy.parameters[i - 1] -= step
      } else {
        value.parameters[i - 1250] -= step
      }
    }
  }
}
