import Corpus
import Datasets
import Evaluation
import Foundation
import GenerativeModel
import SampleViews
import Tasks
import TestSupport
import Testing

@Suite(.temporaryDirectories) struct WalkTests {
  private func options(frames: Int, drafts: Int) -> WalkOptions {
    var options = WalkOptions()
    (options.frames, options.drafts) = (frames, drafts)
    return options
  }

  /// What the frames of a walk from the viewer's first start have, drawn by nothing but the model.
  private func networks(
    _ fixture: ViewFixture, _ start: Start, prompts: [Float], noise: [Int]
  ) throws -> [[Float]] {
    try fixture.sampler().sample(
      prompts.map { Prompt(start: start.parameters, startMetric: start.metric, targetMetric: $0) },
      noise: noise.map { SamplingNoise($0) }, options: fixture.sampling, workers: 1)
  }

  /// A frame's numbers of 8 bits.
  private func bytes(_ frame: Walks.Frame, _ drawn: Walks.Drawn) throws -> [UInt8] {
    try inflated(frame.values, count: drawn.shape.reduce(1, *))
  }

  @Test func `at drafts and ends a walk is at their samples`() throws {
    let fixture = try ViewFixture.digits()
    let viewer = try fixture.viewer()
    let walks = try viewer.walks(options(frames: 7, drafts: 3))
    let start = try viewer.starts(1)[0]
    let best = fixture.description.bestPrompt
    // As many as the walk has frames, since a sample's last bits depend on how many are drawn together.
    let drafts = try networks(
      fixture, start, prompts: [Float](repeating: best, count: 7), noise: [0, 9, 1, 9, 2, 9, 0])
    let evaluator = try fixture.evaluator()
    let metric = try #require(evaluator.evaluatedMetrics.firstIndex(of: walks.metric))
    let noise = walks.noise[0]
    #expect(noise.frames.map(\.position) == (0..<7).map { Float($0) / 6 })
    #expect(walks.drawn.kind == .images && walks.drawn.shape == [10, 28, 28])
    for frame in [0, 2, 4, 6] {
      #expect(noise.frames[frame].metric == evaluator.evaluate(network: drafts[frame], seed: 0)[metric])
      let pixels = try bytes(noise.frames[frame], walks.drawn)
      for (pixel, weight) in zip(pixels, drafts[frame]) {
        #expect(abs((Float(pixel) - 128) / 127 * walks.drawn.limit - weight) <= walks.drawn.limit / 250)
      }
    }
    #expect(noise.frames[0].values == noise.frames[6].values)
    #expect(Set(noise.frames.map(\.values)).count == 6)

    let along = walks.prompt[0]
    #expect(along.run == start.run && along.startMetric == start.metric)
    #expect(along.frames[0].prompt == start.metric && abs(along.frames[6].prompt - best) < 1e-6)
    let targets = along.frames.map(\.prompt)
    let reached = try networks(fixture, start, prompts: targets, noise: [Int](repeating: 0, count: 7))
    #expect(along.frames.map(\.metric) == reached.map { evaluator.evaluate(network: $0, seed: 0)[metric] })
  }

  @Test func `a policy is drawn by what it does`() throws {
    let fixture = try ViewFixture.cartpole()
    let walks = try fixture.viewer().walks(options(frames: 5, drafts: 2))
    #expect(walks.drawn.kind == .curves && walks.drawn.shape == [4, 41] && walks.drawn.bits == 16)
    let frame = walks.prompt[0].frames[0]
    let bytes = try inflated(frame.values, count: 2 * 164)
    let values = (0..<164).map {
      (Float(UInt16(bytes[$0]) | UInt16(bytes[164 + $0]) << 8) - 32768) / 32767 * walks.drawn.limit
    }
    let start = try fixture.viewer().starts(1)[0]
    let network = try networks(
      fixture, start, prompts: walks.prompt[0].frames.map(\.prompt), noise: [0, 0, 0, 0, 0])[0]
    let naive = NaiveNetwork(parameters: network.dropFirst().map(Double.init))
    let inputs = try #require(walks.drawn.inputs)
    for (component, point) in [(0, 0), (1, 17), (2, 40), (3, 20)] {
      var observation = [0.0, 0, 0, 0]
      let (low, high) = (Double(inputs[component].low), Double(inputs[component].high))
      observation[component] = low + (high - low) * Double(point) / 40
      #expect(abs(Double(values[41 * component + point]) - naive.forward(observation)) < 1e-3)
    }
  }

  @Test func `policies come with the evaluator's returns`() throws {
    let fixture = try ViewFixture.cartpole()
    let viewer = try fixture.viewer()
    let starts = try viewer.starts(2)
    let shown = try viewer.cartpolePolicies(from: starts, prompts: 3, best: 300, shortEpisodes: 16)
    #expect(shown.policies.map(\.start) == [0, 0, 0, 1, 1, 1])
    #expect(shown.policies[3].prompt == starts[1].metric && shown.policies[5].prompt == 300)
    #expect(shown.episodes == 32 && shown.starts.map(\.run) == starts.map(\.run))
    let evaluator = try fixture.evaluator()
    for policy in shown.policies + [] {
      let bytes = try #require(Data(base64Encoded: policy.parameters))
      let network = stride(from: 0, to: bytes.count, by: 4).map { at in
        Float(bitPattern: (0..<4).reduce(UInt32(0)) { $0 | UInt32(bytes[at + $1]) << (8 * $1) })
      }
      #expect(policy.meanReturn == evaluator.evaluate(network: network, seed: 0)[0])
    }
    // Of 16 episodes of other noise, and so another number of about the size.
    #expect(shown.policies.allSatisfy { $0.shortReturn != $0.meanReturn && $0.shortReturn.isFinite })
    let digits = try ViewFixture.digits().viewer()
    #expect {
      _ = try digits.cartpolePolicies(from: digits.starts(1))
    } throws: { ($0 as? CorpusError)?.code == .cannotReplay }
  }
}
