import Foundation

/// The half cosine from 1 at 0 to 0 at 1.
func cosineHalf(_ progress: Double) -> Double { 0.5 * (1 + cos(.pi * progress)) }

/// Gaussian diffusion whose model predicts the clean vector (Ho et al., arXiv 2006.11239).
struct Diffusion: Sendable {
  /// The share of the clean vector's variance that is left after step t: the product of 1 - beta up to t.
  let kept: [Double]

  init(_ configuration: ModelConfiguration) {
    let count = configuration.diffusionSteps
    var product = 1.0
    kept = (0..<count).map { step in
      let part = Double(step) / Double(count - 1)
      product *= 1 - (configuration.firstBeta + (configuration.lastBeta - configuration.firstBeta) * part)
      return product
    }
  }

  /// A noised vector at step t is the clean one times the first plus standard normal noise times the second.
  func noising(at step: Int) -> (clean: Float, noise: Float) {
    (Float(kept[step].squareRoot()), Float((1 - kept[step]).squareRoot()))
  }

  /// One step of sampling: the vector at an earlier step is a sum of the predicted clean vector, the vector as it is, and
  /// fresh noise, times these.
  struct Transition: Sendable {
    /// The diffusion step that the model is told.
    let step: Int
    let clean: Float
    let current: Float
    let noise: Float
  }

  /// The transitions from pure noise to a sample, over evenly spaced diffusion steps.
  ///
  /// - Parameter count: from 1 to all of the diffusion's steps.
  func transitions(_ sampler: SamplerKind, count: Int) -> [Transition] {
    let last = kept.count - 1
    let steps = (0..<count).map { count == 1 ? last : Int((Double($0 * last) / Double(count - 1)).rounded()) }
    return steps.indices.reversed().map { place in
      let now = kept[steps[place]]
      let before = place == 0 ? 1 : kept[steps[place - 1]]
      switch sampler {
      case .ddim:
        // The noise that the prediction implies stays; Song et al., arXiv 2010.02502, with eta 0.
        let ratio = ((1 - before) / (1 - now)).squareRoot()
        return Transition(
          step: steps[place], clean: Float(before.squareRoot() - ratio * now.squareRoot()),
          current: Float(ratio), noise: 0)
      case .ddpm:
        // The posterior's mean, with the upper bound beta of its variance.
        let beta = 1 - now / before
        return Transition(
          step: steps[place], clean: Float(before.squareRoot() * beta / (1 - now)),
          current: Float((now / before).squareRoot() * (1 - before) / (1 - now)),
          noise: place == 0 ? 0 : Float(beta.squareRoot()))
      }
    }
  }
}

/// How samples are drawn: by the diffusion's own noisy steps, or without noise, which takes fewer.
public enum SamplerKind: String, Sendable, CaseIterable {
  case ddpm, ddim
}
