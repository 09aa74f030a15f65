import ModelSupport
import Corpus
import Foundation
import GenerativeModel
import ModelTraining
import TestSupport
import Testing

@Suite(.temporaryDirectories) struct BadInputTests {
  typealias Change = @Sendable (inout GPTConfiguration) -> Void

  static let impossible: [(String, Change)] = [
    ("heads", { $0.model.heads = 3 }), ("width", { $0.model.width = 0 }), ("layers", { $0.model.layers = 0 }),
    ("chunk", { $0.model.chunk = 0 }), ("checkpoints_per_run", { $0.training.checkpointsPerRun = 1 }),
    ("frequencies", { $0.model.frequencies = 0 }),
    ("metric_scale", { $0.model.metricScale = .nan }), ("diffusion_steps", { $0.model.diffusionSteps = 1 }),
    ("betas", { $0.model.firstBeta = 0.5 }), ("batch", { $0.training.batch = 0 }),
    ("learning_rate", { $0.training.learningRate = 0 }), ("steps", { $0.training.steps = -1 }),
    ("warmup", { $0.training.warmup = -1 }), ("weight_decay", { $0.training.weightDecay = -1 }),
    ("gradient_clip", { $0.training.gradientClip = 0 }), ("average_decay", { $0.training.emaDecay = 1 }),
    ("augmentation", { $0.training.augmentation = "mirror" }),
  ]

  @Test(arguments: impossible) func `refuses configurations`(name: String, change: @escaping Change) throws {
    let fixture = try ModelFixture()
    let error = #expect(throws: CorpusError.self) { try fixture.trainer(change) }
    #expect(error?.code == .invalidRecipe)
    #expect(error?.message.contains(name) == true)
  }

  @Test(arguments: [
    ("{", "no JSON"), ("{\"model\": {}, \"training\": {}}", "no configuration"), ("[]", "no configuration"),
    (
      "{\"model\": {\"width\": 8, \"layers\": 1, \"heads\": 1, \"depth\": 3}, "
        + "\"training\": {\"batch\": 1, \"learning_rate\": 0.1, \"warmup\": 0, \"steps\": 1}}", "model.depth"
    ),
  ]) func `refuses configuration files`(text: String, problem: String) throws {
    let fixture = try ModelFixture()
    let path = fixture.folder.path + "/config.json"
    try text.write(toFile: path, atomically: true, encoding: .utf8)
    let error = #expect(throws: CorpusError.self) { try GPTConfiguration(contentsOf: path) }
    #expect(error?.message.contains(problem) == true)
  }

  @Test func `reads short configuration files`() throws {
    let fixture = try ModelFixture()
    let path = fixture.folder.path + "/config.json"
    try """
    {"model": {"width": 8, "layers": 1, "heads": 2}, "training": {"batch": 4, "learning_rate": 0.1, "warmup": 0, \
    "steps": 9, "gradient_clip": 0.5}}
    """.write(toFile: path, atomically: true, encoding: .utf8)
    let configuration = try GPTConfiguration(contentsOf: path)
    #expect(configuration.model == ModelConfiguration(width: 8, layers: 1, heads: 2))
    #expect(configuration.training.gradientClip == 0.5 && configuration.training.seed == 0)
  }

  @Test func `needs more memory than there is`() throws {
    let fixture = try ModelFixture()
    let error = #expect(throws: CorpusError.self) {
      try fixture.trainer {
        $0.model.width = 65536
        $0.model.layers = 1000
      }
    }
    #expect(error?.code == .resource && error?.message.contains("GB") == true)
  }

  @Test func `another corpus is not gone on with`() throws {
    let fixture = try ModelFixture()
    try fixture.trainer().save()
    let other = try ModelFixture(runs: 0..<12)
    let error = #expect(throws: CorpusError.self) {
      try Trainer(resuming: fixture.directory(), on: other.corpus, workers: 1)
    }
    #expect(error?.code == .differentCorpus)
  }

  @Test func `nothing is there`() throws {
    let fixture = try ModelFixture()
    #expect(code { _ = try Sampler(opening: fixture.directory("none")) } == .malformedModel)
    #expect(
      code { _ = try Trainer(resuming: fixture.directory("none"), on: fixture.corpus, workers: 1) }
        == .malformedModel)
  }

  @Test func `weights of another model`() throws {
    let fixture = try ModelFixture()
    try fixture.trainer().save()
    try fixture.trainer(into: "wide") { $0.model.width = 32 }.save()
    let manager = FileManager.default
    let path = fixture.directory().path + "/model.safetensors"
    try manager.removeItem(atPath: path)
    try manager.copyItem(atPath: fixture.directory("wide").path + "/model.safetensors", toPath: path)
    #expect(code { _ = try Sampler(opening: fixture.directory()) } == .malformedModel)
  }

  /// Every flip is refused, or what is read is as it was.
  @Test(arguments: ["model.safetensors", "model.json"])
  func `no flipped bit is taken`(file: String) throws {
    let fixture = try ModelFixture()
    try fixture.trainer().save()
    let path = fixture.directory().path + "/" + file
    let original = try fixture.bytes("model", of: file)
    func networks() throws -> (ModelDescription, [[Float]]) {
      let sampler = try Sampler(opening: fixture.directory())
      let prompt = Prompt(start: ModelFixture.start, startMetric: 1, targetMetric: 0.5)
      return (
        sampler.description, try sampler.sample([prompt], options: SamplingOptions(steps: 2), workers: 1)
      )
    }
    let expected = try networks()
    var random = PhiloxGenerator(seed: 3)
    var refused = 0
    for _ in 0..<200 {
      var bytes = original
      let bit = random.integer(below: UInt32(8 * bytes.count))
      bytes[Int(bit / 8)] ^= 1 << UInt8(bit % 8)
      try bytes.write(to: URL(fileURLWithPath: path))
      do {
        let found = try networks()
        #expect(found.0 == expected.0 && found.1 == expected.1, "bit \(bit)")
      } catch is CorpusError {
        refused += 1
      }
    }
    #expect(refused > 190)
  }

  /// What a training goes on with is as it was stored, or refused.
  @Test func `no flipped bit is gone on with`() throws {
    let fixture = try ModelFixture()
    try fixture.trainer().save()
    let path = fixture.directory().path + "/training.safetensors"
    let original = try fixture.bytes("model", of: "training.safetensors")
    var random = PhiloxGenerator(seed: 4)
    for _ in 0..<20 {
      var bytes = original
      // In the numbers, behind the header.
      let place = bytes.count - 1 - Int(random.integer(below: UInt32(bytes.count / 2)))
      bytes[place] ^= 1
      try bytes.write(to: URL(fileURLWithPath: path))
      #expect(
        code { _ = try Trainer(resuming: fixture.directory(), on: fixture.corpus, workers: 1) }
          == .malformedModel)
    }
  }

  /// Files of before there were hashes, and descriptions that somebody has changed, have none.
  @Test func `a hash may be missing`() throws {
    let fixture = try ModelFixture()
    try fixture.trainer().save()
    let path = fixture.directory().path + "/model.json"
    let text = try String(contentsOfFile: path, encoding: .utf8)
    let moved = text.replacing("/corpus\"", with: "/elsewhere\"")
    #expect(moved != text)
    try moved.write(toFile: path, atomically: true, encoding: .utf8)
    #expect(code { _ = try Sampler(opening: fixture.directory()) } == .malformedModel)
    let lines = moved.split(separator: "\n").filter { !$0.contains("\"sha256\"") }
    #expect(lines.count == moved.split(separator: "\n").count - 1)
    try lines.joined(separator: "\n").write(toFile: path, atomically: true, encoding: .utf8)
    #expect(try Sampler(opening: fixture.directory()).description.corpus.path.hasSuffix("/elsewhere"))
  }

  /// The first models had no choice of tokens, and their descriptions say nothing of it.
  @Test func `a description without tokens means chunks`() throws {
    let fixture = try ModelFixture()
    try fixture.trainer().save()
    let path = fixture.directory().path + "/model.json"
    let text = String(
      decoding: ModelFixture.unhashed(try fixture.bytes("model", of: "model.json")), as: UTF8.self)
    let line = try #require(text.split(separator: "\n").first { $0.contains("\"tokens\"") })
    #expect(line.contains("chunks"))
    let older = text.replacingOccurrences(of: line + "\n", with: "")
    #expect(!older.contains("tokens"))
    try older.write(toFile: path, atomically: false, encoding: .utf8)
    #expect(try Sampler(opening: fixture.directory()).description.model.tokens == .chunks)
    for other in ["\"words\"", "3", "null"] {
      try text.replacingOccurrences(of: "\"chunks\"", with: other).write(
        toFile: path, atomically: false, encoding: .utf8)
      #expect(code { _ = try Sampler(opening: fixture.directory()) } == .malformedModel)
    }
  }

  @Test func `too many units`() throws {
    let wide = Architecture(
      name: "wide", tensors: [.init("fc1.weight", [5000, 2]), .init("fc2.weight", [1, 5000])])
    var model = ModelConfiguration(width: 16, layers: 1, heads: 1)
    model.tokens = .units
    let training = TrainingConfiguration(batch: 8, learningRate: 1e-3, warmup: 0, steps: 1)
    let configuration = GPTConfiguration(model: model, training: training)
    let error = #expect(throws: CorpusError.self) { try Trainer.bytes(configuration, wide) }
    #expect(error?.code == .invalidRecipe && error?.remedy.contains("chunks") == true)
  }

  /// Whatever is cut off or changed in the files, the answer is an error or a model, and never a crash.
  @Test(arguments: [ModelConfiguration.TokenKind.chunks, .units])
  func `damaged files`(tokens: ModelConfiguration.TokenKind) throws {
    let fixture = try ModelFixture()
    try fixture.trainer(steps: 1) { $0.model.tokens = tokens }.save()
    for name in ["model.safetensors", "model.json"] {
      let path = fixture.directory().path + "/" + name
      let whole = try Data(contentsOf: URL(fileURLWithPath: path))
      var random = PhiloxGenerator(seed: 1)
      for length in [0, 7, 8, 9, 100, whole.count / 2, whole.count - 9] {
        try whole.prefix(length).write(to: URL(fileURLWithPath: path))
        #expect(
          code { _ = try Sampler(opening: fixture.directory()) } == .malformedModel, "\(name) \(length)")
      }
      for _ in 0..<300 {
        var damaged = whole
        let limit = UInt32(min(whole.count, 4000))
        for _ in 0..<3 { damaged[Int(random.integer(below: limit))] = UInt8(random.integer(below: 256)) }
        try damaged.write(to: URL(fileURLWithPath: path))
        _ = code { _ = try Sampler(opening: fixture.directory()) }
      }
      try whole.write(to: URL(fileURLWithPath: path))
    }
    #expect(code { _ = try Sampler(opening: fixture.directory()) } == nil)
  }
}
