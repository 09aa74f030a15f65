import CKernels
import Corpus
import Foundation
import VectorKernels

/// The cart and its pole in Double, one environment after the other, with the random numbers of a run's streams.
struct NaiveCartpole {
  /// A rule of the published environment that a test breaks, to see that it would be noticed.
  enum Rule: String, CaseIterable, Sendable {
    case actionLimit, observationLimit, resetPosition, resetVelocity, fallReward, fallEndsEpisode, timeLimit
    case cartSpeedPenalty, poleSpeedPenalty, anglePenalty, substeps
  }

  let count: Int
  let episodeSteps: Int
  let broken: Rule?
  private let key: SIMD2<UInt32>
  private let stream: UInt32
  private var step: UInt64 = 0
  private var states: [[Double]] = []
  private var steps: [Int]
  private var returns: [Double]

  init(count: Int, episodeSteps: Int, seed: UInt64, stream: UInt32, breaking broken: Rule?) {
    (self.count, self.episodeSteps, self.stream, self.broken) = (count, episodeSteps, stream, broken)
    key = Philox.key(seed: seed)
    steps = [Int](repeating: 0, count: count)
    returns = [Double](repeating: 0, count: count)
    states = (0..<count).map { fresh($0) }
  }

  /// Positions within 0.1, velocities within 0.25.
  private func fresh(_ environment: Int) -> [Double] {
    let b = step * UInt64(count) + UInt64(environment)
    let words = Philox.block(
      counter: SIMD4(UInt32(truncatingIfNeeded: b), UInt32(truncatingIfNeeded: b >> 32), stream, 0), key: key)
    let position = broken == .resetPosition ? 0.2 : 0.1
    let velocity = broken == .resetVelocity ? 0.5 : 0.25
    return (0..<4).map {
      ($0.isMultiple(of: 2) ? position : velocity) * (Double(words[$0] >> 8) * 0x1p-23 - 1)
    }
  }

  var observations: [[Double]] {
    states.map { $0.map { broken == .observationLimit ? $0 : min(max($0, -5), 5) } }
  }

  /// One step of each environment, as the published simulator's settings say.
  mutating func step(
    _ actions: [Double], onEnd: (Int, Double) -> Void
  ) -> (rewards: [Double], dones: [Bool]) {
    step += 1
    var (rewards, dones): ([Double], [Bool]) = ([], [])
    for e in 0..<count {
      let action = broken == .actionLimit ? actions[e] : min(max(actions[e], -1), 1)
      var (x, v, a, w) = (states[e][0], states[e][1], states[e][2], states[e][3])
      let inertia = (1.0 + 0.06 * 0.06) / 12 + 0.47 * 0.47
      let substeps = broken == .substeps ? 1 : 2
      for _ in 0..<substeps {
        let h = 0.0166 / Double(substeps)
        let coupling = 0.47 * cos(a)
        let (push, weight) = (400 * action + 0.47 * sin(a) * w * w, 0.47 * 9.81 * sin(a))
        let determinant = 2 * inertia - coupling * coupling
        v = min(max(v + h * (push * inertia - coupling * weight) / determinant, -100), 100)
        w = min(max(w + h * (2 * weight - coupling * push) / determinant, -8), 8)
        x += h * v
        a += h * w
      }
      let fallen = abs(x) > 3 || abs(a) > Double.pi / 2
      var reward = 1.0
      if broken != .anglePenalty { reward -= a * a }
      if broken != .cartSpeedPenalty { reward -= 0.01 * abs(v) }
      if broken != .poleSpeedPenalty { reward -= 0.005 * abs(w) }
      if fallen && broken != .fallReward { reward = -2 }
      steps[e] += 1
      returns[e] += reward
      states[e] = [x, v, a, w]
      let done =
        (fallen && broken != .fallEndsEpisode) || (steps[e] >= episodeSteps && broken != .timeLimit)
      if done {
        onEnd(e, returns[e])
        states[e] = fresh(e)
        (steps[e], returns[e]) = (0, 0)
      }
      rewards.append(reward)
      dones.append(done)
    }
    return (rewards, dones)
  }
}
