import Foundation

/// The half cosine from 1 at 0 to 0 at 1.
func cosineHalf(_ progress: Double) -> Double { 0.5 * (1 + cos(.pi * progress)) }

/// Gaussian diffusion whose model predicts x0, the clean vector, from xT, the noised one (Ho et al., arXiv 2006.11239).
package struct Diffusion: Sendable {
  /// (diffusion steps): the part of x0's variance that is left at each timestep, the product of 1 - beta up to there.
  let alphaBar: [Double]

  package init(_ configuration: ModelConfiguration) {
    let count = configuration.diffusionSteps
    var product = 1.0
    alphaBar = (0..<count).map { timestep in
      let part = Double(timestep) / Double(count - 1)
      product *= 1 - (configuration.firstBeta + (configuration.lastBeta - configuration.firstBeta) * part)
      return product
    }
  }

  /// The factors of x0 and of standard normal noise whose sum is xT at a timestep.
  package func noising(at timestep: Int) -> (x0: Float, noise: Float) {
    (Float(alphaBar[timestep].squareRoot()), Float((1 - alphaBar[timestep]).squareRoot()))
  }

  /// One step of sampling: xT at an earlier timestep is the sum of the predicted x0, xT as it is, and fresh noise, times
  /// these factors.
  package struct Transition: Sendable {
    /// The timestep that the model is told.
    let timestep: Int
    let x0: Float
    let xT: Float
    let noise: Float
  }

  /// The transitions from pure noise to a sample, over evenly spaced timesteps.
  ///
  /// - Parameter count: from 1 to all of the diffusion's steps.
  func transitions(_ sampler: SamplerKind, count: Int) -> [Transition] {
    let last = alphaBar.count - 1
    let timesteps = (0..<count).map {
      count == 1 ? last : Int((Double($0 * last) / Double(count - 1)).rounded())
    }
    return timesteps.indices.reversed().map { index in
      let now = alphaBar[timesteps[index]]
      let before = index == 0 ? 1 : alphaBar[timesteps[index - 1]]
      switch sampler {
      case .ddim:
        // The noise that the prediction implies stays; Song et al., arXiv 2010.02502, with eta 0.
        let ratio = ((1 - before) / (1 - now)).squareRoot()
        return Transition(
          timestep: timesteps[index], x0: Float(before.squareRoot() - ratio * now.squareRoot()),
          xT: Float(ratio), noise: 0)
      case .ddpm:
        // The posterior's mean, with the upper bound beta of its variance.
        let beta = 1 - now / before
        return Transition(
          timestep: timesteps[index], x0: Float(before.squareRoot() * beta / (1 - now)),
          xT: Float((now / before).squareRoot() * (1 - before) / (1 - now)),
          noise: index == 0 ? 0 : Float(beta.squareRoot()))
      }
    }
  }
}

/// How samples are drawn: by the diffusion's own noisy steps, or without noise, which takes fewer.
public enum SamplerKind: String, Sendable, CaseIterable {
  case ddpm, ddim
}
