import Corpus
import GenerativeModel
import Tasks

/// What is drawn of a task's networks.
struct Drawing {
  /// All but the limit.
  let drawn: Walks.Drawn
  /// What is drawn of a network (P): ``drawn``'s shape.
  let values: ([Float]) -> [Float]

  func values(of network: [Float]) -> [Float] { values(network) }

  /// - Throws: `invalidArgument` for networks that nothing can be drawn of: none of their tensors has two dimensions.
  init(_ description: ModelDescription, evaluator: any Evaluator) throws(CorpusError) {
    if let cartpole = evaluator as? CartpoleTask {
      self = Self.curves(of: cartpole)
      return
    }
    var start = 0
    for tensor in description.architecture.tensors {
      if tensor.shape.count >= 2 {
        let (kind, shape) = Self.picture(of: tensor, task: description.task)
        let range = start..<start + tensor.count
        drawn = Walks.Drawn(kind: kind, tensor: tensor.name, shape: shape, limit: 0, bits: 8, inputs: nil)
        values = { Array($0[range]) }
        return
      }
      start += tensor.count
    }
    throw CorpusError(
      .invalidArgument,
      "nothing of a network \(description.architecture.name) can be drawn: it has no matrix",
      remedy: "look at its prompts instead")
  }

  private static func picture(
    of tensor: Architecture.Tensor, task: String
  ) -> (Walks.Drawn.Kind, shape: [Int]) {
    switch (task, tensor.shape.count) {
    case (MNISTTask.name, 2): (.images, [tensor.shape[0], 28, 28])
    case (_, 4) where tensor.shape[1] == 3 || tensor.shape[1] == 1: (.filters, tensor.shape)
    default: (.matrix, [tensor.shape[0], tensor.count / max(1, tensor.shape[0])])
    }
  }

  private init(_ drawn: Walks.Drawn, _ values: @escaping ([Float]) -> [Float]) {
    (self.drawn, self.values) = (drawn, values)
  }

  private static let points = 41

  /// What a policy does over each of its inputs, as far as it gets there.
  private static func curves(of task: CartpoleTask) -> Drawing {
    let physics = task.settings.physics
    let inputs = [
      ("cart position", "m", physics.positionLimit), ("cart velocity", "m/s", physics.observationLimit),
      ("pole angle", "rad", physics.angleLimit / 2), ("pole velocity", "rad/s", physics.observationLimit),
    ].map { name, unit, limit in
      Walks.Input(name: name, unit: unit, low: -Float(limit), high: Float(limit))
    }
    let observations = inputs.enumerated().flatMap { component, input in
      (0..<points).map { point in
        var observation = SIMD4<Float>()
        observation[component] =
          input.low + (input.high - input.low) * Float(point) / Float(points - 1)
        return observation
      }
    }
    return Drawing(
      Walks.Drawn(
        kind: .curves, tensor: nil, shape: [inputs.count, points], limit: 0, bits: 16, inputs: inputs)
    ) { task.meanActions(of: $0, at: observations) }
  }
}
