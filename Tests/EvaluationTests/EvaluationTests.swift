import TestSupport
import ModelSupport
import Tasks
import Corpus
import Datasets
import Evaluation
import Foundation
import GenerativeModel
import ModelTraining
import Testing

@Suite(.temporaryDirectories) struct EvaluationTests {
  @Test func `alignment is the mean of R²`() {
    let prompted: [[Float]] = [[0, 1, 2], [0, 10, 20]]
    #expect(PromptEvaluation.alignment(prompted, prompted) == 1)
    // Always the mean: no better than nothing.
    #expect(PromptEvaluation.alignment(prompted, [[1, 1, 1], [10, 10, 10]]) == 0)
    // One network as asked, one turned round: 1 and 1 - 8 / 2.
    #expect(PromptEvaluation.alignment([[0, 1, 2], [0, 1, 2]], [[0, 1, 2], [2, 1, 0]]) == -1)
    // Nothing varies that could be followed.
    #expect(
      PromptEvaluation.alignment([[5]], [[4]]).isNaN && PromptEvaluation.alignment([[5, 5]], [[4, 5]]).isNaN)
  }

  @Test func `starts are of runs that meet the model's condition`() throws {
    let fixture = try ModelFixture()
    let trainer = try Trainer(
      ModelFixture.configuration(), on: fixture.corpus, condition: "run IN (1, 2) AND step > 3 -- two runs",
      into: fixture.directory(), workers: 1)
    let reader = try StartReader(fixture.corpus, for: trainer.description)
    #expect(try reader.initialStarts(5, split: "train").map(\.run) == [1, 2])
    #expect(try reader.initialStarts(5, split: "test").map(\.run) == [8, 9])
  }

  /// Initial networks are those that runs begin with, and are judged as runs record them.
  @Test func `starts are those of runs`() throws {
    let evaluator = try #require(
      try Tasks.evaluator(task: "cartpole", recipe: nil, datasets: DatasetsDirectory(nil))
        as? CartpoleTask)
    var recipe = CartpoleRecipe()
    recipe.iterations = 2
    recipe.checkpoints = 2
    let run = try #require(try CartpoleTask(recipe).generate(seed: 5, isCancelled: { false }))
    let initial = evaluator.initialNetwork(seed: 5)
    #expect(Array(run.parameters.prefix(1250)) == initial)
    #expect(evaluator.evaluate(network: initial, seed: 5) == [run.metrics[0][0]])
  }

  @Test func `synthetic pictures and their first networks`() throws {
    let digits = try ImageDataset.syntheticDigits(train: 256, test: 256)
    var recipe = MNISTRecipe(dataset: digits.identity)
    recipe.checkpoints = 2
    let mnist = try MNISTTask(recipe, dataset: digits)
    let run = try #require(try mnist.generate(seed: 3, isCancelled: { false }))
    #expect(Array(run.parameters.prefix(7960)) == mnist.initialNetwork(seed: 3))
    let textures = try ImageDataset.syntheticTextures(train: 128, test: 128)
    var other = CIFAR10Recipe(dataset: textures.identity)
    (other.checkpoints, other.epochs) = (2, 1)
    let cifar10 = try CIFAR10Task(other, dataset: textures)
    let second = try #require(try cifar10.generate(seed: 3, isCancelled: { false }))
    #expect(Array(second.parameters.prefix(5370)) == cifar10.initialNetwork(seed: 3))
  }

  @Test func `training starts are of the runs that the model has seen`() throws {
    let fixture = try ModelFixture()
    try Trainer(
      ModelFixture.configuration(), on: fixture.corpus, condition: "run < 4 OR step > 50",
      into: fixture.directory(), workers: 1
    ).save()
    let reader = try StartReader(fixture.corpus, for: fixture.directory().description())
    let seen = try reader.initialStarts(10, split: "train")
    #expect(!seen.isEmpty && seen.allSatisfy { ($0.run ?? 9) < 4 && $0.step == 0 })
    let heldOut = try reader.initialStarts(10, split: "test").map(\.run)
    #expect(!heldOut.isEmpty && Set(seen.map(\.run)).isDisjoint(with: heldOut))
  }

  @Test func `a metric of training alone is measured on test data`() throws {
    let digits = try ImageDataset.syntheticDigits(train: 256, test: 256)
    var recipe = MNISTRecipe(dataset: digits.identity)
    recipe.checkpoints = 2
    let mnist = try MNISTTask(recipe, dataset: digits)
    let description = ModelDescription(
      task: "mnist", architecture: mnist.architecture, recipe: mnist.recipe, metric: .trainLoss,
      metricRange: [0, 1], scale: 1,
      corpus: ModelDescription.Source(path: "", fingerprint: "", runs: 0, pairsPerEpoch: 0),
      configuration: ModelFixture.configuration())
    let measurer = try TaskMeasurer(of: description, datasets: DatasetsDirectory(nil), workers: 1)
    #expect(measurer.metric == .testLoss)
    let network = mnist.initialNetwork(seed: 3)
    let index = try #require(mnist.evaluatedMetrics.firstIndex(of: .testLoss))
    #expect(try measurer.measure([network]) == [mnist.evaluate(network: network, seed: 0)[index]])
  }

  @Test func `networks of nobody's task cannot be measured`() throws {
    let fixture = try ModelFixture()
    try fixture.trainer().save()
    let description = try fixture.directory().description()
    #expect(
      code { _ = try TaskMeasurer(of: description, datasets: DatasetsDirectory(nil), workers: 1) }
        == .cannotReplay)
  }

  private static func group(_ alignment: String) -> String {
    """
    {"starts": "random", "start_metrics": [2], "prompted": [[2, 1]], "observed": [[2, null]], "alignment": \(alignment),
     "one_step": {"worst": 1, "lower": 1, "median": 1, "upper": 1, "best": null}, "recursive": [1]}
    """
  }

  private func evaluation(_ more: String = "") throws -> ModelEvaluation {
    let json = """
      {"format": "checkpoint-corpus evaluation", "version": 1, "task": "mnist", "best_prompt": 1,
       "metric": {"name": "test_loss", "goal": "minimize"}, "step": 7, "sampler": "ddim", "sampling_steps": 10,
       "groups": [\(Self.group("0.5"))]\(more)}
      """
    return try JSONDecoder().decode(ModelEvaluation.self, from: Data(json.utf8))
  }

  @Test func `a report has both best prompts, each with its alignment`() throws {
    let both = try evaluation(
      #", "metric_range": [0.5, 3], "published": {"best_prompt": 0, "groups": [\#(Self.group("-1"))]}"#)
    let section = PromptsSection(both)
    #expect(section.withinCorpus.bestPrompt == 1 && section.withinCorpus.groups[0].alignment == 0.5)
    #expect(section.published.bestPrompt == 0 && section.published.groups[0].alignment == -1)
    #expect(section.published.metricRange == [0.5, 3])
    let json = try JSONEncoder().encode(section)
    let members = try #require(JSONSerialization.jsonObject(with: json) as? [String: [String: Any]])
    #expect(Set(members.keys) == ["published", "within_corpus"])
    #expect(members.values.allSatisfy { $0["published"] == nil && $0["best_prompt"] != nil })
  }

  @Test func `evaluations of before there were two are read, and both best prompts are the same`() throws {
    let before = try evaluation()
    #expect(before.published == nil && before.metricRange == nil && before.groups[0].observed[0][1].isNaN)
    let section = PromptsSection(before)
    #expect(section.published.bestPrompt == 1 && section.withinCorpus.bestPrompt == 1)
  }
}
