import ShardStore
import TerminalOutput
import Tasks
import ArgumentParser
import Corpus

struct Recipe: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Print what a corpus can be made again from, elsewhere and to the bit.",
    discussion: """
      Images are not part of it, but their SHA-256 is: `corpus generate --recipe` refuses others.

      EXAMPLE
        corpus recipe corpora/mnist > mnist.json
        corpus generate --recipe mnist.json --runs '0..<48' --datasets Data --out elsewhere/mnist
      """)

  @OptionGroup var corpus: CorpusArgument

  func run() throws {
    let directory = try corpus.open()
    try Tasks.requireTask(of: directory.manifest, path: directory.path)
    let text = try CanonicalJSON.data(RecipeFile(of: directory.manifest), pretty: true)
    Console.write(String(decoding: text, as: UTF8.self))
  }
}
