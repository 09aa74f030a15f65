public import Corpus

extension CartpoleRecipe {
  /// Checks that a run can be made of these numbers.
  ///
  /// - Throws: `invalidRecipe`, naming the first number that cannot be and what it must be.
  public func validate() throws(CorpusError) {
    typealias Key = CodingKeys
    try Self.require(
      environments >= 16 && environments <= 65536 && environments.isMultiple(of: 16), Key.environments,
      environments, "a multiple of 16 from 16 to 65536")
    try Self.require((1...1_000_000).contains(iterations), Key.iterations, iterations, "from 1 to 1000000")
    try Self.require((1...1024).contains(rolloutSteps), Key.rolloutSteps, rolloutSteps, "from 1 to 1024")
    try Self.require((1...1024).contains(epochs), Key.epochs, epochs, "from 1 to 1024")
    let samples = environments * rolloutSteps
    try Self.require(
      minibatches >= 1 && samples.isMultiple(of: minibatches)
        && (samples / minibatches).isMultiple(of: 16), Key.minibatches, minibatches,
      "such that each has the same multiple of 16 of the \(samples) samples of a rollout")
    try Self.require(
      checkpoints >= 2 && checkpoints <= iterations + 1, Key.checkpoints, checkpoints,
      "from 2 to iterations + 1 = \(iterations + 1)")
    try Self.require((1...100_000).contains(returnWindow), Key.returnWindow, returnWindow, "from 1 to 100000")
    if let evaluationEpisodes {
      try Self.require(
        (16...65536).contains(evaluationEpisodes) && evaluationEpisodes.isMultiple(of: 16),
        Key.evaluationEpisodes,
        evaluationEpisodes, "a multiple of 16 from 16 to 65536, or leave it out")
    }
    if let decayIterations {
      try Self.require(
        (iterations...1_000_000).contains(decayIterations), Key.decayIterations, decayIterations,
        "from iterations = \(iterations) to 1000000, or leave it out")
    }

    try Self.positive(clip, Key.clip)
    try Self.require((0...1).contains(gamma), Key.gamma, gamma, "from 0 to 1")
    try Self.require((0...1).contains(lambda), Key.lambda, lambda, "from 0 to 1")
    try Self.notNegative(valueCoefficient, Key.valueCoefficient)
    try Self.positive(learningRate, Key.learningRate)
    try Self.require((0..<1).contains(adamBeta1), Key.adamBeta1, adamBeta1, "at least 0 and below 1")
    try Self.require((0..<1).contains(adamBeta2), Key.adamBeta2, adamBeta2, "at least 0 and below 1")
    try Self.positive(adamEpsilon, Key.adamEpsilon)
    try Self.positive(gradientNormLimit, Key.gradientNormLimit)
    try Self.require(
      initialLogStd.magnitude <= 10, Key.initialLogStd, initialLogStd, "from -10 to 10")
    try Self.positive(hiddenGain, Key.hiddenGain)
    try Self.positive(policyGain, Key.policyGain)
    try Self.positive(valueGain, Key.valueGain)
    try physics.validate()
  }

  fileprivate static func positive(_ value: Double, _ key: some CodingKey) throws(CorpusError) {
    try require(value > 0 && value <= 1e6, key, value, "above 0 and at most 1e6")
  }

  fileprivate static func notNegative(_ value: Double, _ key: some CodingKey) throws(CorpusError) {
    try require(value >= 0 && value <= 1e6, key, value, "at least 0 and at most 1e6")
  }
}

extension CartpolePhysics {
  func validate() throws(CorpusError) {
    typealias Key = CodingKeys
    for (value, key) in [
      (cartMass, Key.cartMass), (poleMass, .poleMass), (poleLength, .poleLength),
      (poleCenter, .poleCenter), (timeStep, .timeStep), (cartSpeedLimit, .cartSpeedLimit),
      (poleSpeedLimit, .poleSpeedLimit), (observationLimit, .observationLimit),
      (positionLimit, .positionLimit), (angleLimit, .angleLimit),
    ] { try CartpoleRecipe.positive(value, key) }
    for (value, key) in [
      (poleWidth, Key.poleWidth), (gravity, .gravity), (force, .force),
      (resetPosition, .resetPosition), (resetVelocity, .resetVelocity),
      (cartSpeedPenalty, .cartSpeedPenalty), (poleSpeedPenalty, .poleSpeedPenalty),
    ] { try CartpoleRecipe.notNegative(value, key) }
    try CartpoleRecipe.require(angleLimit <= 1000, Key.angleLimit, angleLimit, "at most 1000")
    try CartpoleRecipe.require(fallReward.magnitude <= 1e6, Key.fallReward, fallReward, "from -1e6 to 1e6")
    try CartpoleRecipe.require((1...1024).contains(substeps), Key.substeps, substeps, "from 1 to 1024")
    try CartpoleRecipe.require(
      (1...1_000_000).contains(episodeSteps), Key.episodeSteps, episodeSteps, "from 1 to 1000000")
  }
}
