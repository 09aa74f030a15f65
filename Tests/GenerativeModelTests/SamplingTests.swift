import TestSupport
import ModelSupport
import Corpus
import Foundation
import GenerativeModel
import ModelTraining
import Testing

@Suite(.temporaryDirectories) struct SamplingTests {
  private func prompts(_ count: Int) -> [Prompt] {
    (0..<count).map { number in
      var random = PhiloxGenerator(seed: UInt64(number), stream: 5)
      return Prompt(
        start: (0..<32).map { _ in random.uniform() - 0.5 }, startMetric: 0.2,
        targetMetric: Float(number) / Float(count))
    }
  }

  private func sampler(_ fixture: ModelFixture, steps: Int = 3) throws -> Sampler {
    try TrainingJob(fixture.trainer(steps: steps)).run()
    return try Sampler(opening: fixture.directory())
  }

  @Test(arguments: SamplerKind.allCases) func `workers do not matter`(kind: SamplerKind) throws {
    let fixture = try ModelFixture()
    let sampler = try sampler(fixture)
    for count in [1, 5, 70] {
      let options = SamplingOptions(sampler: kind, steps: 7, seed: 3)
      let one = try sampler.sample(prompts(count), options: options, workers: 1)
      let two = try sampler.sample(prompts(count), options: options, workers: 3)
      #expect(one == two && one.count == count)
      #expect(one.allSatisfy { $0.count == 32 && $0.allSatisfy(\.isFinite) })
    }
  }

  @Test func `seeds give other networks`() throws {
    let fixture = try ModelFixture()
    let sampler = try sampler(fixture)
    let networks = try [0, 0, 1].map {
      try sampler.sample(prompts(2), options: SamplingOptions(steps: 5, seed: UInt64($0)), workers: 1)
    }
    #expect(networks[0] == networks[1])
    #expect(networks[0] != networks[2])
    #expect(networks[0][0] != networks[0][1])
  }

  /// A model whose decoders are 0 predicts the start, and both samplers then end at it.
  @Test(arguments: SamplerKind.allCases, [1, 2, 20]) func `a certain model is believed`(
    kind: SamplerKind, steps: Int
  ) throws {
    let fixture = try ModelFixture()
    try fixture.trainer { $0.training.augmentation = "permute" }.save()
    let sampler = try Sampler(opening: fixture.directory())
    let prompts = prompts(3)
    let networks = try sampler.sample(
      prompts, options: SamplingOptions(sampler: kind, steps: steps), workers: 1)
    for (network, prompt) in zip(networks, prompts) {
      #expect(zip(network, prompt.start).allSatisfy { abs($0 - $1) < 1e-5 })
    }
  }

  @Test func `refuses what it cannot answer`() throws {
    let fixture = try ModelFixture()
    let sampler = try sampler(fixture)
    var prompt = prompts(1)[0]
    #expect(
      code { _ = try sampler.sample([prompt], options: SamplingOptions(steps: 21)) } == .invalidArgument)
    prompt.targetMetric = .nan
    #expect(code { _ = try sampler.sample([prompt], options: SamplingOptions(steps: 5)) } == .invalidArgument)
    prompt = prompts(1)[0]
    prompt.start.removeLast()
    #expect(code { _ = try sampler.sample([prompt], options: SamplingOptions(steps: 5)) } == .invalidArgument)
    #expect(try sampler.sample([], options: SamplingOptions(steps: 5)).isEmpty)
  }
}
