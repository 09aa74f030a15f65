/// The seeds `A..<B`, as the command line writes them.
public struct SeedRange: Hashable, Sendable {
  public let seeds: Range<Int64>

  /// Seeds lie below this; the bytes of the lock file from here on serve other purposes.
  public static let limit: Int64 = 1 << 62

  public init(_ seeds: Range<Int64>) { self.seeds = seeds }

  /// Reads `A..<B`, `A...B` or a single seed.
  public init(parsing text: String) throws(CorpusError) {
    let malformed = CorpusError(
      .malformedRange, "\"\(text)\" is not a range of runs",
      remedy: "write it as '0..<500' (in quotes, for the shell), 0...499 or a single number from 0 on")
    func seed(_ part: some StringProtocol) throws(CorpusError) -> Int64 {
      guard let value = Int64(part), value >= 0, value < Self.limit else { throw malformed }
      return value
    }
    if let mark = text.firstRange(of: "..<") {
      let first = try seed(text[..<mark.lowerBound])
      let end = try seed(text[mark.upperBound...])
      guard first < end else { throw malformed }
      seeds = first..<end
    } else if let mark = text.firstRange(of: "...") {
      let first = try seed(text[..<mark.lowerBound])
      let last = try seed(text[mark.upperBound...])
      guard first <= last else { throw malformed }
      seeds = first..<(last + 1)
    } else {
      let only = try seed(text)
      seeds = only..<(only + 1)
    }
  }
}

extension SeedRange: CustomStringConvertible {
  public var description: String { "\(seeds.lowerBound)..<\(seeds.upperBound)" }
}
