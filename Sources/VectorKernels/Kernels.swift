package import CKernels
package import Corpus
internal import Foundation

/// A table of vector kernels for one instruction set. All tables compute the same bits; see `CKernels.h`.
package struct Kernels: @unchecked Sendable {
  // Sendable because the tables are constants of the program.
  package let table: UnsafePointer<ck_kernels>

  /// The names that ``init(named:)`` may know, fastest first.
  package static let names = ["avx512", "avx2", "portable"]

  /// The variable that chooses a table by name; unset, the fastest that the processor runs is taken.
  package static let variable = "CORPUS_KERNELS"

  /// The table of this name.
  ///
  /// - Throws: `resource` if there is none, or if this processor lacks the instructions that it is made of.
  package init(named name: String) throws(CorpusError) {
    guard let named = ck_kernels_named(name) else {
      let known = Self.names.contains(name)
      let available = Self.names.filter { ck_kernels_named($0) != nil }
      throw CorpusError(
        .resource,
        known ? "this processor cannot run the kernels `\(name)`" : "there are no kernels named `\(name)`",
        remedy: "set \(Self.variable) to one of \(available.joined(separator: ", ")), or leave it unset")
    }
    table = named
  }

  /// The table that the environment asks for, else the fastest.
  package init(environment: [String: String] = ProcessInfo.processInfo.environment) throws(CorpusError) {
    try self.init(named: environment[Self.variable] ?? String(cString: ck_kernels_best().pointee.name))
  }

  /// The table's name.
  package var name: String { String(cString: table.pointee.name) }

  package var functions: ck_kernels { table.pointee }
}
