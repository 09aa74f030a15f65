public import Corpus
public import Evaluation
import GenerativeModel
public import Platform
import Tasks

extension SampleViewer {
  /// The policies that answer prompts from each start's own return to the best prompt, all with the same noise: as the prompt
  /// is dragged, nothing else changes.
  ///
  /// - Parameters:
  ///   - starts: such as those of ``starts(_:)``.
  ///   - prompts: for each start, at least 2.
  ///   - best: the last of them; nil for the model's best prompt.
  ///   - shortEpisodes: a multiple of 16; see ``CartpolePolicies/shortEpisodes``.
  ///   - progress: called with the policies drawn so far, and with how many there will be.
  /// - Throws: `cannotReplay` for models of another task; `interrupted`.
  public func cartpolePolicies(
    from starts: [Start], prompts: Int = 33, best: Float? = nil, shortEpisodes: Int = 64,
    cancellation: Cancellation = Cancellation(), progress: (Int, Int) -> Void = { _, _ in }
  ) throws(CorpusError) -> CartpolePolicies {
    guard let task = measurer.evaluator as? CartpoleTask else {
      throw CorpusError(
        .cannotReplay, "networks of the task \(model.description.task) are no policies of Cartpole",
        remedy: "show a model of Cartpole")
    }
    let best = best ?? model.description.bestPrompt
    let asked = starts.flatMap { start in
      (0..<prompts).map {
        (start: start, target: start.metric + (best - start.metric) * Float($0) / Float(max(1, prompts - 1)))
      }
    }
    let drawn = try sample(asked, noise: asked.map { _ in SamplingNoise(0) }, cancellation) {
      progress($0, asked.count)
    }
    let networks = starts.map(\.parameters) + drawn
    let returns = try measurer.measure(networks, cancellation: cancellation)
    var short = task.settings
    short.evaluationEpisodes = shortEpisodes
    let shortReturns = try CartpoleTask(short).evaluate(
      count: networks.count, workers: workers, cancellation: cancellation
    ) { networks[$0] }.map { $0[0] }
    return CartpolePolicies(
      metric: measurer.metric, environment: task.settings.physics, layers: [4, 32, 32, 1],
      episodes: task.evaluationEpisodes, shortEpisodes: shortEpisodes, seed: 0,
      starts: starts.enumerated().map { index, start in
        CartpolePolicies.Start(
          run: start.run, step: start.step, meanReturn: returns[index], shortReturn: shortReturns[index],
          parameters: PackedNumbers.exact(start.parameters))
      },
      policies: asked.enumerated().map { index, ask in
        let network = starts.count + index
        return CartpolePolicies.Policy(
          start: index / prompts, prompt: ask.target, meanReturn: returns[network],
          shortReturn: shortReturns[network], parameters: PackedNumbers.exact(networks[network]))
      })
  }
}
