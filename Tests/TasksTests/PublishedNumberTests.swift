import Tasks
import Corpus
import Datasets
import Foundation
import Testing

/// The default recipes, number by number: Schemas/reference.md.
@Suite struct PublishedNumberTests {
  private let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

  private func expect(_ recipe: JSONValue, is text: String) throws {
    #expect(try recipe == CanonicalJSON.decode(JSONValue.self, from: Data(text.utf8)))
  }

  private func identity(_ name: String, _ count: Int) -> DatasetIdentity {
    DatasetIdentity(name: name, sha256: "00", trainImages: count, testImages: 10_000)
  }

  @Test func `Cartpole's recipe is the published one`() throws {
    try expect(
      CartpoleTask().recipe,
      is: """
        {"environments": 512, "iterations": 500, "rollout_steps": 16, "epochs": 8, "minibatches": 2,
         "checkpoints": 200, "return_window": 200, "clip": 0.2, "gamma": 0.99, "lambda": 0.95,
         "value_coefficient": 2, "learning_rate": 3e-4, "adam_beta1": 0.9, "adam_beta2": 0.999,
         "adam_epsilon": 1e-8, "gradient_norm_limit": 2, "initial_log_std": 0, "hidden_gain": 1.4142135623730951,
         "policy_gain": 0.01, "value_gain": 1, "bias_initialization": "default",
         "physics": {"cart_mass": 1, "pole_mass": 1, "pole_length": 1, "pole_width": 0.06, "pole_center": 0.47,
           "gravity": 9.81, "force": 400, "time_step": 0.0166, "substeps": 2, "cart_speed_limit": 100,
           "pole_speed_limit": 8, "observation_limit": 5, "reset_position": 0.1, "reset_velocity": 0.25,
           "position_limit": 3, "angle_limit": 1.5707963267948966, "episode_steps": 499,
           "cart_speed_penalty": 0.01, "pole_speed_penalty": 0.005, "fall_reward": -2}}
        """)
  }

  @Test func `MNIST's recipe is the published one`() throws {
    try expect(
      CanonicalJSON.value(MNISTRecipe(dataset: identity("mnist", 60_000))),
      is: """
        {"dataset": {"name": "mnist", "sha256": "00", "train_images": 60000, "test_images": 10000}, "epochs": 25,
         "batch_size": 128, "checkpoints": 200, "learning_rate": 0.1, "momentum": 0.9, "weight_decay": 5e-4,
         "pixel_mean": 0.1307, "pixel_deviation": 0.3081}
        """)
  }

  @Test func `CIFAR-10's recipe is the published one`() throws {
    try expect(
      CanonicalJSON.value(CIFAR10Recipe(dataset: identity("cifar10", 50_000))),
      is: """
        {"dataset": {"name": "cifar10", "sha256": "00", "train_images": 50000, "test_images": 10000}, "epochs": 50,
         "batch_size": 128, "checkpoints": 200, "learning_rate": 0.1, "momentum": 0.9, "weight_decay": 5e-4,
         "pixel_means": [125.3, 123, 113.9], "pixel_deviations": [63, 62.1, 66.7], "flip_probability": 0.5}
        """)
  }

  /// There is no other list of them: Python asks the C interface for this one.
  @Test func `best prompts are the published ones, of metrics that are measured`() throws {
    let line = try #require(
      try String(contentsOf: root.appendingPathComponent("Schemas/reference.md"), encoding: .utf8)
        .firstMatch(
          of:
            /Best prompts.\*\* MNIST: loss (.+), error (.+). CIFAR-10: loss (.+), error (.+). Cartpole: return (.+)\./
        ))
    let values = [line.1, line.2, line.3, line.4, line.5].map { Float($0) }
    func prompts(_ task: String, _ metrics: String...) -> [Float?] {
      metrics.flatMap { metric in
        ["train", "test", "eval"].map { Tasks.publishedPrompt(task: task, metric: "\($0)_\(metric)") }
      }
    }
    #expect(prompts("mnist", "loss", "error") == [values[0], values[0], nil, values[1], values[1], nil])
    #expect(prompts("cifar10", "loss", "error") == [values[2], values[2], nil, values[3], values[3], nil])
    #expect(prompts("cartpole", "return") == [values[4], nil, values[4]])
    #expect(Tasks.publishedPrompt(task: "chess", metric: "test_loss") == nil)
  }
}
