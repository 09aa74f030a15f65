import Foundation
import TestSupport
import Testing

/// A C file beside the tests as a library to be preloaded, in which system calls come out as a test wishes.
struct Preloaded {
  private let library: Result<String, any Error>
  private let temporary = TemporaryDirectory.ofProcess

  init(_ name: String) {
    let source = URL(fileURLWithPath: #filePath).deletingLastPathComponent().path + "/\(name).c"
    let path = temporary.path + "/\(name).so"
    library = Result {
      let process = Process()
      process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
      process.arguments = ["cc", "-shared", "-fPIC", "-O1", source, "-o", path, "-ldl"]
      try process.run()
      process.waitUntilExit()
      try #require(process.terminationStatus == 0)
      return path
    }
  }

  /// What goes before a command that is to run with it, and with these environment variables.
  func wrapper(_ variables: [String]) throws -> [String] {
    ["env", "LD_PRELOAD=\(try library.get())"] + variables
  }
}
