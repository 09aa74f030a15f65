import Maintenance
import CorpusStore
import Corpus
import Foundation
import MetricIndex
import ShardStore
import TestSupport
import Testing

/// The C interface under a C program that is compiled against the header alone and linked with the library.
@Suite(.temporaryDirectories) struct ProgramTests {
  private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent().path

  /// Where the library is: beside the tests.
  private static let products: String = {
    let beside = Bundle.main.bundleURL.deletingLastPathComponent().path
    let isBeside = FileManager.default.fileExists(atPath: beside + "/libcheckpoint_corpus.so")
    return isBeside ? beside : root + "/.build/release"
  }()

  private static let directory = TemporaryDirectory.ofProcess

  /// The compiled program, made once.
  private static let program = Result {
    let path = directory.path + "/program"
    let result = try Tool.run(
      "cc", "-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-pthread",
      "-I\(root)/Sources/CCheckpointCorpus/include", "\(root)/Tests/CInterfaceTests/program.c", "-o", path,
      "-L\(products)", "-lcheckpoint_corpus", "-lm", "-Wl,-rpath,\(products)")
    try #require(result.status == 0, "\(result.output)")
    return path
  }

  /// A corpus of five runs, two of them sealed.
  private func makeCorpus(_ path: String) throws {
    let directory = try CorpusDirectory(openingOrCreating: path, manifest: TestCorpus.manifest())
    let index = try MetricIndex(openingOrCreating: directory)
    let writer = try CorpusWriter(directory, index: index)
    let header = ShardHeader(manifest: directory.manifest, codec: .delta, checkpoints: 23)
    var encoder = try RunEncoder(header: header)
    for seed in 0..<5 as Range<Int64> {
      _ = try writer.store(seed, with: &encoder) { TestCorpus.run(seed) }
      guard seed == 1 else { continue }
      _ = try Compaction(directory: directory).run { (file) throws(CorpusError) in try index.ingest([file]) }
    }
    try writer.finish()
    // Forgets the files that were sealed.
    _ = try index.synchronize()
  }

  @Test(arguments: [
    "reading", "sql", "errors", "writing", "evaluating", "streaming", "drawing", "interrupting", "threads",
    "forking",
  ])
  func `a C program succeeds in`(_ what: String) throws {
    let temporary = TemporaryDirectory()
    try makeCorpus(temporary.path + "/corpus")
    let result = try Tool.run(
      Self.program.get(), what, temporary.path + "/corpus", temporary.path + "/nothing")
    #expect(result.status == 0, "\(result.output)")
  }

  @Test func `the library shows its own names alone, with their version`() throws {
    let library = Self.products + "/libcheckpoint_corpus.so"
    let names = try Tool.run("nm", "-D", "--defined-only", library).output.split(separator: "\n").compactMap {
      $0.split(separator: " ").last.map(String.init)
    }.filter { !$0.hasPrefix("CHECKPOINT_CORPUS_") }
    let header = try String(
      contentsOfFile: Self.root + "/Sources/CCheckpointCorpus/include/checkpoint_corpus.h", encoding: .utf8)
    let declared = Set(
      header.matches(of: /\n(?:int|void|float|size_t|int64_t|const char|const int32_t) ?\*?(cc_[a-z_]+)\(/)
        .map(\.1)
    )
    #expect(declared.count > 30)
    // The first version has all that no later one names.
    let map = try String(contentsOfFile: Self.root + "/Sources/CInterface/exports.map", encoding: .utf8)
    var later: [String: String] = [:]
    for section in map.matches(of: /(CHECKPOINT_CORPUS_\d+) \{([^}]*)\}/) {
      for name in section.2.matches(of: /cc_[a-z_]+(?=;)/) { later[String(name.0)] = String(section.1) }
    }
    #expect(later["cc_evaluator_initial_network"] == "CHECKPOINT_CORPUS_2")
    #expect(later["cc_index_forget"] == "CHECKPOINT_CORPUS_3")
    #expect(later["cc_writer_status"] == "CHECKPOINT_CORPUS_4")
    #expect(later["cc_published_prompt"] == "CHECKPOINT_CORPUS_5")
    #expect(Set(names) == Set(declared.map { "\($0)@@\(later[String($0)] ?? "CHECKPOINT_CORPUS_1")" }))
  }

  @Test func `the library needs nothing but the C and C++ runtimes`() throws {
    let library = Self.products + "/libcheckpoint_corpus.so"
    let needed = try Tool.run("readelf", "-d", library).output.matches(of: /NEEDED.*\[(.*)\]/).map {
      String($0.1)
    }
    let runtimes: Set = ["libc.so.6", "libm.so.6", "libstdc++.so.6", "libgcc_s.so.1", "ld-linux-x86-64.so.2"]
    #expect(!needed.isEmpty && Set(needed).isSubset(of: runtimes), "\(needed)")
  }

  @Test func `the header serves C++ and old C as well`() throws {
    let source = Self.directory.path + "/header"
    for (name, flags) in [(".cc", ["c++", "-std=c++11"]), (".c", ["cc", "-std=c99", "-pedantic"])] {
      try Data("#include \"checkpoint_corpus.h\"\n".utf8).write(to: URL(fileURLWithPath: source + name))
      let result = try Tool.run(
        flags + [
          "-Wall", "-Wextra", "-Werror", "-I\(Self.root)/Sources/CCheckpointCorpus/include", "-fsyntax-only",
          source + name,
        ])
      #expect(result.status == 0, "\(result.output)")
    }
  }
}

/// A program of the system.
private enum Tool {
  static func run(_ arguments: String...) throws -> (status: Int32, output: String) { try run(arguments) }

  static func run(_ arguments: [String]) throws -> (status: Int32, output: String) {
    let process = Process()
    let pipe = Pipe()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = arguments
    process.standardOutput = pipe
    process.standardError = pipe
    try process.run()
    let output = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return (process.terminationStatus, String(decoding: output, as: UTF8.self))
  }
}
