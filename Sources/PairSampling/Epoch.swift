package import Corpus

/// The items of one epoch: a pure function of the seed, the epoch and the item's index in it.
package struct Epoch: Sendable {
  package let sampler: PairSampler
  package let number: Int
  private let sources: [Source]
  /// The orders of the blocks in which corpora are mixed; none for a single corpus.
  private let mixing: [KeyedPermutation]

  /// What it draws of a corpus, and in which order.
  private struct Source: Sendable {
    let stage: DrawingStage
    let order: VisitOrder
  }

  /// A corpus and the run of it whose turn it is.
  package struct Turn: Sendable {
    package let source: Int
    /// The run's position in the selection of the epoch's stage.
    let position: Int
  }

  package init(_ number: Int, of sampler: PairSampler) {
    self.sampler = sampler
    self.number = number
    func stream(_ index: Int) -> UInt64 { PairSampler.stream(.order, epoch: number, index: index) }
    sources = sampler.sources.enumerated().map { index, source in
      let stage = source.stage(ofEpoch: number)
      var random = PhiloxGenerator(seed: sampler.seed, stream: stream(PairSampler.firstWeightsIndex + index))
      let visits = RunVisits(
        stage.selection, count: source.visits, offset: Double(random.nextWord()) * 0x1p-32)
      let order = VisitOrder(stage.selection, visits: visits, seed: sampler.seed, stream: stream(index))
      return Source(stage: stage, order: order)
    }
    mixing = sampler.mixture?.orders(ofEpoch: number, items: sampler.itemsPerEpoch) ?? []
  }

  /// The order of the read blocks of a corpus; nil if it goes through the runs in any order.
  package func readBlocks(of source: Int) -> ReadBlockOrder? { sources[source].order.readBlocks }

  /// The shuffle window of a corpus that is about to be read at an item.
  package func window(of source: Int, at item: Int) -> Int {
    let reached = sampler.mixture?.reached(item, of: source) ?? item
    return readBlocks(of: source)?.window(at: min(reached, sampler.sources[source].visits - 1)) ?? 0
  }

  /// Whether what is drawn depends on metrics.
  package var isBalanced: Bool { sources.contains { $0.stage.balance != nil } }

  /// Whose turn it is at an item.
  package func turn(ofItem item: Int) -> Turn {
    let (source, visit) = sampler.mixture?.find(item, orders: mixing) ?? (0, item)
    let position = sources[source].order.run(at: visit) { window in
      let index = source * PairSampler.windowsPerSource + window
      return (sampler.seed, PairSampler.stream(.window, epoch: number, index: index))
    }
    return Turn(source: source, position: position)
  }

  /// The run whose turn it is, as its index in the table.
  package func runIndex(_ turn: Turn) -> Int { Int(sources[turn.source].stage.selection.runs[turn.position]) }

  /// Draws an item; of the attempts at it, those after the first one give items that stand in for damaged ones.
  ///
  /// - Parameters:
  ///   - turn: whose turn it is at the item.
  ///   - item: its index in the epoch.
  ///   - attempt: from 0 to ``PairSampler/Purpose/replacements``.
  package func draw(_ turn: Turn, item: Int, attempt: Int = 0, finder: RunFinder) throws(CorpusError)
    -> PairDraw
  {
    let stage = sources[turn.source].stage
    let stream = PairSampler.stream(
      attempt == 0 ? .draw : .replacement, attempt: max(0, attempt - 1), epoch: number, index: item)
    var random = PhiloxGenerator(seed: sampler.seed, stream: stream)
    let position = attempt == 0 ? turn.position : stage.selection.anyRun(&random)
    return try stage.draw(position, &random, finder: finder)
  }

  /// The stream of random numbers for the augmentation of an item.
  package func augmentation(ofItem item: Int) -> UInt64 {
    PairSampler.stream(.augmentation, epoch: number, index: item)
  }
}
