import Foundation
public import Testing

/// A new directory, which lasts as long as the test: its suite has the trait `.temporaryDirectories`.
public struct TemporaryDirectory: Sendable {
  public let path: String

  public init() {
    guard let root = TemporaryDirectories.root else {
      preconditionFailure("add .temporaryDirectories to the suite")
    }
    self.init(in: root)
  }

  private init(in root: String) {
    path = "\(root)/\(UUID().uuidString)"
    try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }
}

extension TemporaryDirectory {
  private static let processRoot: String = {
    atexit { try? FileManager.default.removeItem(atPath: TemporaryDirectory.processRoot) }
    return FileManager.default.temporaryDirectory.path + "/corpus-test-\(UUID().uuidString)"
  }()

  /// A new directory, which lasts as long as the process, for what tests share.
  public static var ofProcess: TemporaryDirectory { TemporaryDirectory(in: processRoot) }
}

/// Removes what a test has put into temporary directories when the test has ended, however it ended.
public struct TemporaryDirectories: SuiteTrait, TestTrait, TestScoping {
  @TaskLocal static var root: String?

  public var isRecursive: Bool { true }

  public func scopeProvider(for test: Test, testCase: Test.Case?) -> Self? { testCase == nil ? nil : self }

  public func provideScope(
    for test: Test, testCase: Test.Case?, performing body: @Sendable () async throws -> Void
  ) async throws {
    let root = FileManager.default.temporaryDirectory.path + "/corpus-test-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: root) }
    try await Self.$root.withValue(root) { try await body() }
  }
}

extension Trait where Self == TemporaryDirectories {
  public static var temporaryDirectories: Self { Self() }
}
