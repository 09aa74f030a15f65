public import Corpus
import Evaluation
public import GenerativeModel
public import Platform

extension Walks {
  /// The noise of a walk's frames: through drafts 0, 1, … and back to draft 0, of which each is a frame if their number
  /// divides that of the frames less one.
  public static func noise(frames: Int, drafts: Int) -> [SamplingNoise] {
    (0..<frames).map { frame in
      let (at, whole) = (frame * drafts, max(1, frames - 1))
      let (draft, rest) = (at / whole, at % whole)
      return SamplingNoise(
        from: draft % drafts, to: (draft + 1) % drafts, share: Double(rest) / Double(whole))
    }
  }
}

extension SampleViewer {
  /// Walks through noise and along the prompt.
  ///
  /// - Parameter progress: called with the samples drawn so far, and with how many there will be.
  /// - Throws: `invalidArgument` for options that cannot be; `interrupted`.
  public func walks(
    _ options: WalkOptions = WalkOptions(), cancellation: Cancellation = Cancellation(),
    progress: (Int, Int) -> Void = { _, _ in }
  ) throws(CorpusError) -> Walks {
    guard options.starts > 0, options.frames > 1, options.drafts > 1 else {
      throw CorpusError(
        .invalidArgument, "a walk has a start, 2 frames or more, and 2 drafts of noise or more",
        remedy: "ask for more")
    }
    let starts = try starts(options.starts)
    let best = options.prompt ?? model.description.bestPrompt
    let positions = (0..<options.frames).map { Float($0) / Float(options.frames - 1) }
    let drafts = Walks.noise(frames: options.frames, drafts: options.drafts)
    let walks = starts.flatMap { start in
      [
        (start: start, targets: positions.map { _ in best }, noise: drafts),
        (
          start: start, targets: positions.map { start.metric + (best - start.metric) * $0 },
          noise: positions.map { _ in SamplingNoise(0) }
        ),
      ]
    }
    let total = walks.count * options.frames
    var networks: [[[Float]]] = []
    for (index, walk) in walks.enumerated() {
      networks.append(
        try sample(walk.targets.map { (walk.start, $0) }, noise: walk.noise, cancellation) {
          progress(index * options.frames + $0, total)
        })
    }
    let metrics = try measurer.measure(networks.flatMap { $0 }, cancellation: cancellation)
    let drawing = try Drawing(model.description, evaluator: measurer.evaluator)
    let pictures = networks.map { $0.map { drawing.values(of: $0) } }
    var drawn = drawing.drawn
    drawn.limit = pictures.reduce(Float(0)) { limit, walk in
      walk.reduce(limit) { limit, picture in
        picture.reduce(limit) { $1.isFinite ? max($0, abs($1)) : $0 }
      }
    }
    var result = Walks(metric: measurer.metric, drawn: drawn, noise: [], prompt: [])
    for (index, walk) in walks.enumerated() {
      let frames = try positions.indices.map { (frame) throws(CorpusError) in
        Walks.Frame(
          position: positions[frame], prompt: walk.targets[frame],
          metric: metrics[index * options.frames + frame],
          values: try PackedNumbers.signed(pictures[index][frame], limit: drawn.limit, bits: drawn.bits))
      }
      let made = Walks.Walk(
        run: walk.start.run, step: walk.start.step, startMetric: walk.start.metric, frames: frames)
      if index.isMultiple(of: 2) { result.noise.append(made) } else { result.prompt.append(made) }
    }
    return result
  }
}
