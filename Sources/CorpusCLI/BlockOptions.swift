import ArgumentParser
import Corpus
import Foundation
import Glibc
import Maintenance
import TerminalOutput

/// How `corpus generate` makes runs in sealed blocks, for many machines with one network directory.
struct BlockOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Make runs in blocks of so many, which come to --out as one sealed shard each. Nothing there needs file locks, "
        + "and the index is left to a later `corpus index`.", valueName: "runs"))
  var sealEvery: Int?

  @Option(
    help: ArgumentHelp(
      "Where runs lie until their block is sealed (default: TMPDIR, or /tmp): a disk of this machine. What a job leaves "
        + "there is used by the next one.", valueName: "dir"), completion: .directory)
  var scratch: String?

  @Option(
    help: ArgumentHelp(
      "How long a block that a process has claimed and then died with stays its own (default: 600).",
      valueName: "seconds"))
  var lease: Double?

  mutating func validate() throws {
    guard let sealEvery else {
      if scratch != nil || lease != nil {
        throw ValidationError("--scratch and --lease go with --seal-every")
      }
      return
    }
    if sealEvery < 1 || sealEvery > 1_000_000 {
      throw ValidationError("--seal-every must be from 1 to 1000000")
    }
    if let lease, !(lease >= 1 && lease <= 86_400) {
      throw ValidationError("--lease must be from 1 to 86400 seconds")
    }
  }

  /// Nil where runs are stored one by one.
  var options: BlockJob.Options? {
    guard let sealEvery else { return nil }
    let environment = ProcessInfo.processInfo.environment["TMPDIR"] ?? ""
    var options = BlockJob.Options(
      runsPerBlock: sealEvery, scratch: scratch ?? (environment.isEmpty ? "/tmp" : environment))
    if let lease { options.leaseSeconds = lease }
    return options
  }

  /// Ends the process with status 70 where this machine is not to be trusted, so that batch jobs can go to another one.
  static func exiting<Value>(_ work: () throws(CorpusError) -> Value) throws(CorpusError) -> Value {
    do {
      return try work()
    } catch  where error.code == .differentRun {
      Console.complain(error)
      Glibc.exit(EX_SOFTWARE)
    } catch {
      throw error
    }
  }
}
