import Datasets
import Tasks
import Testing

@Suite struct ParameterPlaneTests {
  private static let digits = Result { try ImageDataset.syntheticDigits(train: 128, test: 300) }

  private func mnist() throws -> MNISTTask {
    var recipe = MNISTRecipe(dataset: try Self.digits.get().identity)
    recipe.checkpoints = 2
    return try MNISTTask(recipe, dataset: Self.digits.get())
  }

  /// A plane through three networks of a task's runs.
  private func plane(of task: some Evaluator) -> ParameterPlane {
    let networks = (0..<3).map { task.initialNetwork(seed: UInt64($0)) }
    return ParameterPlane(origin: networks[0], first: networks[1], second: networks[2])
  }

  private let x: [Float] = [-3, -0.5, 0, 0.25, 4]

  private func alone(_ task: some Evaluator, metric: Int) -> [Float] {
    x.map { task.evaluate(network: plane(of: task).network(x: $0, y: 0.7), seed: 0)[metric] }
  }

  @Test func `a plane of MNIST networks has the evaluator's values`() throws {
    let task = try mnist()
    let losses = task.evaluator(of: plane(of: task), metric: 0, images: nil)
    #expect(losses.images == 300)
    for (value, single) in zip(losses.values(x: x, y: 0.7), alone(task, metric: 0)) {
      #expect(abs(value / single - 1) < 1e-5)
    }
    // Two outputs that are equal but for rounding may change places: one image of 300.
    let errors = task.evaluator(of: plane(of: task), metric: 1, images: nil)
    for (value, single) in zip(errors.values(x: x, y: 0.7), alone(task, metric: 1)) {
      #expect(abs(value - single) < 0.34)
    }
  }

  @Test func `any other task measures them one by one`() throws {
    let task = try CartpoleTask(smallRecipe())
    let returns = task.evaluator(of: plane(of: task), metric: 0, images: nil)
    #expect(returns.images == nil)
    #expect(returns.values(x: x, y: 0.7) == alone(task, metric: 0))
  }

  @Test func `CIFAR-10 takes as many images as it is told`() throws {
    let task = try CIFAR10Task(CIFAR10TaskTests.recipe(), dataset: CIFAR10TaskTests.images.get())
    let all = task.evaluator(of: plane(of: task), metric: 0, images: nil)
    #expect(all.values(x: x, y: 0.7) == alone(task, metric: 0))
    let some = task.evaluator(of: plane(of: task), metric: 0, images: 5)
    #expect(some.images == 5)
    #expect(some.values(x: x, y: 0.7) != alone(task, metric: 0))
  }
}
