import Platform
import ShardStore
import CorpusStore
import Tasks
import CCheckpointCorpus
import Corpus
import Foundation
import MetricIndex
import Synchronization

/// `cc_writer`.
final class WriterHandle: Handle {
  private let writer: CorpusWriter
  /// Runs that were begun and are neither stored nor given up: the lock file keeps out only other writers.
  private let begun = Mutex<Set<Int64>>([])
  /// Of the runs that it has stored.
  private let statuses = Mutex<[Int64: RunStatus]>([:])

  init(path: String, manifest: Manifest) throws(CorpusError) {
    let directory = try CorpusDirectory(openingOrCreating: path, manifest: manifest)
    let index = try MetricIndex(openingOrCreating: directory)
    let report = try index.synchronize(patience: .seconds(1))
    if let problem = report.problems.first ?? report.missingError(directory) { throw problem }
    writer = try CorpusWriter(directory, index: index)
  }

  deinit {
    for seed in begun.withLock({ $0 }) { writer.release(seed) }
    // What it could not take up now is left to the next writer, or `corpus index`; there is nobody to tell.
    _ = try? writer.finish()
  }

  func contains(_ seed: Int64) throws(CorpusError) -> Bool { try writer.isStored(seed) }

  func begin(_ seed: Int64) throws(CorpusError) {
    guard (0..<SeedRange.limit).contains(seed) else {
      throw .invalidArgument("a run cannot be called \(seed)", remedy: "number the runs from 0 on")
    }
    guard begun.withLock({ $0.insert(seed).inserted }) else {
      throw CorpusError(
        .claimedElsewhere, "run \(seed) of \(writer.directory.path) was begun before",
        remedy: "store it or give it up first")
    }
    do throws(CorpusError) {
      try writer.claim(seed)
    } catch {
      begun.withLock { _ = $0.remove(seed) }
      throw error
    }
  }

  func abandon(_ seed: Int64) {
    if begun.withLock({ $0.remove(seed) }) != nil { writer.release(seed) }
  }

  func store(
    _ seed: Int64, checkpoints: Int64, iterations: UnsafePointer<Int32>, metrics: UnsafePointer<Float>?,
    parameters: UnsafePointer<Float>
  ) throws(CorpusError) {
    let manifest = writer.directory.manifest
    let length = manifest.architecture.parameterCount
    guard checkpoints > 0, checkpoints <= Int64(Int32.max) / Int64(length) else {
      throw .invalidArgument(
        "a run cannot have \(checkpoints) checkpoints of \(length) parameters",
        remedy: "store at least one, and at most 2^31 parameters together")
    }
    let count = Int(checkpoints)
    let order = Array(UnsafeBufferPointer(start: iterations, count: count))
    guard order[0] >= 0, zip(order, order.dropFirst()).allSatisfy({ $0 < $1 }) else {
      throw .invalidArgument(
        "the iterations of run \(seed) do not ascend from 0 on", remedy: "store checkpoints in their order")
    }
    var values: [[Float]] = []
    if !manifest.metrics.isEmpty {
      let all = UnsafeBufferPointer(
        start: try present(metrics, "metrics"), count: manifest.metrics.count * count)
      values = manifest.metrics.indices.map { Array(all[($0 * count)..<(($0 + 1) * count)]) }
    }
    let run = Run(
      seed: seed, iterations: order, metrics: values,
      parameters: Array(UnsafeBufferPointer(start: parameters, count: count * length)),
      limit: RunStatus.limit(ofTask: manifest.task))
    let isBegun = begun.withLock { $0.contains(seed) }
    if !isBegun { try begin(seed) }
    do throws(CorpusError) {
      try writer.store(claimed: run)
      begun.withLock { _ = $0.remove(seed) }
      statuses.withLock { $0[seed] = run.status }
    } catch {
      if !isBegun { abandon(seed) }
      throw error
    }
  }
}

extension WriterHandle {
  fileprivate func status(of seed: Int64) throws(CorpusError) -> Int32 {
    switch statuses.withLock({ $0[seed] }) {
    case .ok: Int32(CC_STATUS_OK)
    case .nonfinite: Int32(CC_STATUS_NONFINITE)
    case .outOfRange: Int32(CC_STATUS_OUT_OF_RANGE)
    case nil:
      throw CorpusError(
        .unknownRun, "run \(seed) of \(writer.directory.path) was not stored by this writer",
        remedy: "store it first, or ask a corpus that is open for reading")
    }
  }
}

/// What `cc_writer_open` takes: a manifest, some of which may be left out.
private struct Description: Decodable {
  let task: String
  let architecture: Architecture
  let metrics: [Metric]
  let recipe: JSONValue?
  let generatorVersion: Int?
  let split: SplitRule?
  let codec: Codec?

  enum CodingKeys: String, CodingKey {
    case task, architecture, metrics, recipe, split, codec
    case generatorVersion = "generator_version"
  }

  static func manifest(json: String) throws(CorpusError) -> Manifest {
    let it: Description
    do throws(JSONProblem) {
      it = try CanonicalJSON.decode(Description.self, from: Data(json.utf8))
    } catch {
      throw error.refusal
        ?? CorpusError(
          .invalidArgument, "the manifest of the corpus is not one: \(error)",
          remedy: "give task, architecture and metrics as Schemas/corpus.md describes them")
    }
    let manifest = Manifest(
      task: it.task, architecture: it.architecture, metrics: it.metrics, recipe: it.recipe ?? .object([:]),
      generatorVersion: it.generatorVersion ?? 0, split: it.split ?? SplitRule(testLimit: 2050),
      codec: it.codec ?? .delta)
    try manifest.validate()
    return manifest
  }
}

@c @implementation
public func cc_writer_open(
  _ path: UnsafePointer<CChar>?, _ manifest: UnsafePointer<CChar>?,
  _ writer: UnsafeMutablePointer<OpaquePointer?>?
) -> Int32 {
  guardedOnFiles { () throws(CorpusError) in
    let writer = try present(writer, "writer")
    let manifest = try Description.manifest(json: string(manifest, "manifest"))
    writer.pointee = try WriterHandle(path: absolutePath(path, "path"), manifest: manifest).passed()
  }
}

@c @implementation
public func cc_writer_close(_ writer: OpaquePointer?) { ForkGate.pass { writer.close(WriterHandle.self) } }

@c @implementation
public func cc_writer_contains(
  _ writer: OpaquePointer?, _ seed: Int64, _ contains: UnsafeMutablePointer<Int32>?
) -> Int32 {
  guardedOnFiles { () throws(CorpusError) in
    let isStored = try writer.opened(WriterHandle.self).contains(seed)
    try present(contains, "answer").pointee = isStored ? 1 : 0
  }
}

@c @implementation
public func cc_writer_begin(_ writer: OpaquePointer?, _ seed: Int64) -> Int32 {
  guardedOnFiles { () throws(CorpusError) in try writer.opened(WriterHandle.self).begin(seed) }
}

@c @implementation
public func cc_writer_abandon(_ writer: OpaquePointer?, _ seed: Int64) {
  _ = guarded { () throws(CorpusError) in try writer.opened(WriterHandle.self).abandon(seed) }
}

@c @implementation
public func cc_writer_status(
  _ writer: OpaquePointer?, _ seed: Int64, _ status: UnsafeMutablePointer<Int32>?
) -> Int32 {
  guarded { () throws(CorpusError) in
    let found = try writer.opened(WriterHandle.self).status(of: seed)
    try present(status, "status").pointee = found
  }
}

@c @implementation
public func cc_writer_store(
  _ writer: OpaquePointer?, _ seed: Int64, _ checkpoints: Int64, _ iterations: UnsafePointer<Int32>?,
  _ metrics: UnsafePointer<Float>?, _ parameters: UnsafePointer<Float>?
) -> Int32 {
  guardedOnFiles { () throws(CorpusError) in
    try writer.opened(WriterHandle.self).store(
      seed, checkpoints: checkpoints, iterations: present(iterations, "iterations"), metrics: metrics,
      parameters: present(parameters, "parameters"))
  }
}
