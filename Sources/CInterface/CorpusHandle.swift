import PairSampling
import Platform
import ShardStore
import CorpusStore
import NetworkSymmetry
public import CCheckpointCorpus
import Corpus
import MetricIndex
import PairStream

/// `cc_corpus`.
final class CorpusHandle: Handle {
  let reader: CorpusReader
  let manifest: CText
  let parameterCount: Int

  init(path: String, allowStale: Bool) throws(CorpusError) {
    let directory = try CorpusDirectory(opening: path)
    reader = CorpusReader(try IndexReader(opening: directory, allowStale: allowStale))
    manifest = CText(try CanonicalJSON.string(directory.manifest))
    parameterCount = directory.manifest.architecture.parameterCount
  }
}

@c @implementation
public func cc_corpus_open(
  _ path: UnsafePointer<CChar>?, _ flags: UInt32, _ corpus: UnsafeMutablePointer<OpaquePointer?>?
) -> Int32 {
  guardedOnFiles { () throws(CorpusError) in
    let corpus = try present(corpus, "corpus")
    guard flags & ~UInt32(CC_STALE) == 0 else { throw .invalidArgument("there are no flags \(flags)") }
    let handle = try CorpusHandle(path: absolutePath(path, "path"), allowStale: flags & UInt32(CC_STALE) != 0)
    corpus.pointee = handle.passed()
  }
}

@c @implementation
public func cc_corpus_close(_ corpus: OpaquePointer?) { ForkGate.pass { corpus.close(CorpusHandle.self) } }

@c @implementation
public func cc_corpus_manifest(_ corpus: OpaquePointer?) -> UnsafePointer<CChar>? {
  corpus.object(CorpusHandle.self)?.manifest.start
}

@c @implementation
public func cc_corpus_parameter_count(_ corpus: OpaquePointer?) -> Int64 {
  Int64(corpus.object(CorpusHandle.self)?.parameterCount ?? 0)
}

@c @implementation
public func cc_corpus_metric_count(_ corpus: OpaquePointer?) -> Int64 {
  Int64(corpus.object(CorpusHandle.self)?.reader.directory.manifest.metrics.count ?? 0)
}

@c @implementation
public func cc_corpus_count(
  _ corpus: OpaquePointer?, _ runs: UnsafeMutablePointer<Int64>?, _ checkpoints: UnsafeMutablePointer<Int64>?
) -> Int32 {
  guardedOnFiles { () throws(CorpusError) in
    let count = try corpus.opened(CorpusHandle.self).reader.count()
    try present(runs, "number of runs").pointee = Int64(count.runs)
    try present(checkpoints, "number of checkpoints").pointee = Int64(count.checkpoints)
  }
}

@c @implementation
public func cc_corpus_run(_ corpus: OpaquePointer?, _ run: Int64, _ facts: UnsafeMutablePointer<cc_run>?)
  -> Int32
{
  guardedOnFiles { () throws(CorpusError) in
    let known = try corpus.opened(CorpusHandle.self).reader.info(of: run)
    let status =
      switch known.status {
      case .ok: CC_STATUS_OK
      case .nonfinite: CC_STATUS_NONFINITE
      case .outOfRange: CC_STATUS_OUT_OF_RANGE
      }
    try present(facts, "facts").pointee = cc_run(
      run: run, checkpoints: Int64(known.checkpoints), status: Int32(status),
      split: Int32(known.split == "test" ? CC_SPLIT_TEST : CC_SPLIT_TRAIN))
  }
}

@c @implementation
public func cc_corpus_read(
  _ corpus: OpaquePointer?, _ run: Int64, _ first: Int64, _ end: Int64,
  _ parameters: UnsafeMutablePointer<Float>?
) -> Int32 {
  guardedOnFiles { () throws(CorpusError) in
    let corpus = try corpus.opened(CorpusHandle.self)
    guard first >= 0, first <= end, end <= Int64(Int32.max) else {
      throw .invalidArgument("there are no steps from \(first) to \(end)", remedy: "let 0 <= first <= end")
    }
    let start = try present(parameters, "parameters")
    let steps = Int(first)..<Int(end)
    // The number of steps is compared with the run's before any memory is touched.
    let output = UnsafeMutableBufferPointer(start: start, count: steps.count * corpus.parameterCount)
    try corpus.reader.read(run, steps: steps, into: output)
  }
}

@c @implementation
public func cc_corpus_read_run(
  _ corpus: OpaquePointer?, _ run: Int64, _ checkpoints: Int64, _ iterations: UnsafeMutablePointer<Int32>?,
  _ metrics: UnsafeMutablePointer<Float>?, _ parameters: UnsafeMutablePointer<Float>?
) -> Int32 {
  guardedOnFiles { () throws(CorpusError) in
    let reader = try corpus.opened(CorpusHandle.self).reader
    let found: (iterations: [Int32], metrics: [[Float]])
    var vectors: [Float] = []
    if parameters == nil {
      found = try reader.metrics(of: run)
    } else {
      let whole = try reader.run(run)
      found = (whole.iterations, whole.metrics)
      vectors = whole.parameters
    }
    guard found.iterations.count == checkpoints else {
      throw .invalidArgument(
        "run \(run) has \(found.iterations.count) checkpoints, not \(checkpoints)",
        remedy: "ask cc_corpus_run() for their number")
    }
    iterations?.update(from: found.iterations, count: found.iterations.count)
    for (number, values) in found.metrics.enumerated() {
      metrics?.advanced(by: number * values.count).update(from: values, count: values.count)
    }
    parameters?.update(from: vectors, count: vectors.count)
  }
}

@c @implementation
public func cc_corpus_canonicalize(
  _ corpus: OpaquePointer?, _ count: Int, _ parameters: UnsafeMutablePointer<Float>?
) -> Int32 {
  guarded { () throws(CorpusError) in
    let corpus = try corpus.opened(CorpusHandle.self)
    if count == 0 { return }
    guard count > 0 else { throw .invalidArgument("there are too many networks") }
    let parameters = try present(parameters, "parameters")
    let directory = corpus.reader.directory
    guard let canonicalizer = try Canonicalizer(directory.manifest.architecture) else {
      throw PairStream.refusal(of: .canonical, directory)
    }
    for number in 0..<count { canonicalizer.apply(to: parameters + number * corpus.parameterCount) }
  }
}

@c @implementation
public func cc_index(_ path: UnsafePointer<CChar>?, _ rebuild: Int32) -> Int32 {
  index(path, rebuild, forgetsMissing: false)
}

@c @implementation
public func cc_index_forget(_ path: UnsafePointer<CChar>?, _ rebuild: Int32) -> Int32 {
  index(path, rebuild, forgetsMissing: true)
}

private func index(_ path: UnsafePointer<CChar>?, _ rebuild: Int32, forgetsMissing: Bool) -> Int32 {
  guardedOnFiles { () throws(CorpusError) in
    let directory = try CorpusDirectory(opening: absolutePath(path, "path"))
    let report =
      rebuild != 0
      ? try MetricIndex.rebuild(directory, forgetsMissing: forgetsMissing)
      : try MetricIndex(openingOrCreating: directory).synchronize(forgetsMissing: forgetsMissing)
    if let problem = report.problems.first ?? report.missingError(directory) { throw problem }
  }
}
