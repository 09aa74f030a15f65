import ShardStore
import TerminalOutput
public import ArgumentParser
public import Corpus
import Glibc
public import Overview

/// The executable `corpus`.
@main
struct CorpusCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "corpus",
    abstract: "Make, store, index and query corpora of neural-network checkpoints.",
    discussion: """
      EXAMPLE
        corpus generate cartpole --runs '0..<48' --out corpora/cartpole
        corpus query corpora/cartpole "SELECT run, max(train_return) FROM checkpoints GROUP BY run"
      """,
    version: productVersion.description,
    subcommands: [
      Generate.self, Plan.self, Status.self, Query.self, Show.self, Verify.self, Repair.self, Index.self,
      Compact.self,
      Repack.self, Recipe.self, Stream.self, Export.self, Import.self, Train.self, PromptCommand.self,
      Evaluate.self, Baseline.self, AuditCommand.self, ReportCommand.self,
    ])

  static func main() {
    do {
      // A limit on file sizes is then an error like a full disk, and not the end of the process.
      signal(SIGXFSZ, SIG_IGN)
      try requireDescriptors()
      var command = try parseAsRoot()
      try command.run()
    } catch let error as CorpusError {
      Console.complain(error)
      Glibc.exit(error.code == .interrupted ? 130 : 1)
    } catch {
      exit(withError: error)
    }
  }

  /// Refuses a limit on open files that libdispatch could not start its threads with: it ends the process then.
  private static func requireDescriptors() throws(CorpusError) {
    var limit = rlimit()
    let files = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    guard getrlimit(files, &limit) == 0, limit.rlim_cur < 16 else { return }
    throw CorpusError(
      .resource, "only \(limit.rlim_cur) files may be open at a time, standard output among them",
      remedy: "raise `ulimit -n` to 64 or more")
  }
}

/// The corpus that a command works on.
struct CorpusArgument: ParsableArguments {
  @Argument(help: ArgumentHelp("The corpus's directory.", valueName: "dir"), completion: .directory)
  var path: String

  func open() throws(CorpusError) -> CorpusDirectory { try CorpusDirectory(opening: path) }
}

/// The corpus that a command changes.
struct ChangedCorpusArgument: ParsableArguments {
  @OptionGroup var corpus: CorpusArgument
  @OptionGroup var locks: LockOption

  func open() throws(CorpusError) -> CorpusDirectory { locks.applied(to: try corpus.open()) }
}

/// The flag of all commands that change a corpus.
struct LockOption: ParsableArguments {
  @Flag(help: "Do without file locks, which some file systems lack: no other process works on the corpus.")
  var alone = false

  func applied(to directory: CorpusDirectory) -> CorpusDirectory {
    var directory = directory
    if alone { directory.isAlone = true }
    return directory
  }
}

/// Refuses "-", by which other programs mean standard output: these files are written at places, and proven.
func requireFile(_ out: String?) throws {
  if out == "-" { throw ValidationError("--out must name a file: nothing is written to standard output") }
}

extension Codec: ExpressibleByArgument {}
extension RowFormat: ExpressibleByArgument {}
extension PublishedCorpus: ExpressibleByArgument {}
