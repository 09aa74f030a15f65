import TestSupport
import Corpus
import MetricIndex
import PairSampling
import PairStream
import Testing

/// What is not drawn from, and how that is told.
@Suite(.temporaryDirectories) struct LeftOutTests {
  /// Every third checkpoint is not measured, nor are all but one of run 2, and all of run 3; one of run 1 is infinite.
  private static func curve(_ run: Int64, _ step: Int) -> Float {
    if run == 3 || step % 3 == 1 || (run == 2 && step != 5) { return .nan }
    if run == 1 && step == 6 { return .infinity }
    if run == 4 && step == 9 { return -.infinity }
    return Float(run) + Float(step) / 100
  }

  private static let measured =
    "step % 3 <> 1 AND run <> 3 AND NOT (run = 2 AND step <> 5) AND NOT (run = 1 AND step = 6) AND NOT (run = 4 AND step = 9)"

  @Test(arguments: [PairStreamOptions.Order.random, .sequential], PairStreamOptions.Item.allCases)
  func `pairs are drawn among the checkpoints that have the metric`(
    order: PairStreamOptions.Order, item: PairStreamOptions.Item
  ) throws {
    let fixture = try StreamFixture(curve: Self.curve)
    func stream(_ change: (inout PairStreamOptions) -> Void = { _ in }) throws -> PairStream {
      try fixture.stream(items: 2_000) {
        ($0.order, $0.item) = (order, item)
        change(&$0)
      }
    }
    let own = try stream()
    let pairs = try own.restOfEpoch()
    #expect(pairs.allSatisfy { $0.startMetric.isFinite && $0.targetMetric.isFinite })
    #expect(
      Set(pairs.map(\.run)) == (item == .pairs ? [0, 1, 4, 5, 6, 7, 8, 9] : [0, 1, 2, 4, 5, 6, 7, 8, 9]))
    // Of 23 checkpoints, 8 have a step of 3 k + 1.
    #expect(own.leftOut.unmeasured == 8 * 8 + 1 + 1 + 22 + 23)
    #expect(own.leftOut.singles == (item == .pairs ? 1 : 0) && own.leftOut.runs.isEmpty)
    // The very sequence of the same checkpoints selected otherwise.
    let selected = try stream { $0.condition = Self.measured }
    #expect(try selected.restOfEpoch() == pairs && selected.leftOut.unmeasured == 0)
    // A condition on runs beside it, and a stage's.
    let few = try stream { $0.condition = "run IN (0, 1)" }
    #expect(few.leftOut.unmeasured == 17 && few.runCount == 2)
    #expect(try few.restOfEpoch().allSatisfy { $0.run < 2 && $0.startMetric.isFinite })
    let staged = try stream {
      var stage = PairStreamOptions.Stage(firstEpoch: 0)
      stage.condition = "run < 2"
      $0.stages = [stage]
    }
    #expect(
      try staged.restOfEpoch().allSatisfy {
        $0.run < 2 && $0.startMetric.isFinite && $0.targetMetric.isFinite
      })
  }

  @Test func `unmeasured checkpoints come where they are asked for, as they did`() throws {
    let fixture = try StreamFixture(curve: Self.curve)
    let stream = try fixture.stream(items: 2_000) { $0.includesUnmeasured = true }
    let pairs = try stream.restOfEpoch()
    #expect(stream.leftOut.isEmpty && Set(pairs.map(\.run)).count == 10)
    // Which ones come has nothing to do with the metric.
    let other = try fixture.stream(items: 2_000) { ($0.metric, $0.includesUnmeasured) = ("test_loss", false) }
    let others = try other.restOfEpoch().map { [Int64($0.start), Int64($0.target), $0.run] }
    #expect(pairs.map { [Int64($0.start), Int64($0.target), $0.run] } == others)
    #expect(stream.fingerprint == other.fingerprint)
    #expect(stream.fingerprint != (try fixture.stream(items: 2_000) { _ in }.fingerprint))
  }

  @Test func `where all have the metric nothing changes`() throws {
    let fixture = try StreamFixture()
    let streams = try [false, true].map { taken in try fixture.stream { $0.includesUnmeasured = taken } }
    #expect(streams[0].fingerprint == streams[1].fingerprint && streams[0].leftOut.isEmpty)
    #expect(try streams[0].restOfEpoch() == streams[1].restOfEpoch())
  }

  @Test(arguments: [PairStreamOptions.Balance.metric, .quantile, .log])
  func `a balance starts from measured checkpoints, too`(balance: PairStreamOptions.Balance) throws {
    let fixture = try StreamFixture { run, step in Self.curve(run, step) + 1 }
    let stream = try fixture.stream(items: 2_000) {
      ($0.balance, $0.initialStarts, $0.unchanged) = (balance, 0.3, 0.1)
      $0.directions = .both
    }
    let pairs = try stream.restOfEpoch()
    #expect(pairs.allSatisfy { $0.startMetric.isFinite && $0.targetMetric.isFinite })
  }

  @Test func `runs of another status are counted as the selection has them`() throws {
    let fixture = try StreamFixture(factors: [4: 100, 5: .infinity, 9: .infinity])
    let train = try fixture.stream()
    // Runs 8 and 9 are held out.
    #expect(train.runCount == 6 && train.leftOut.runs == [.outOfRange: 1, .nonfinite: 1])
    let all = try fixture.stream { $0.split = .all }
    #expect(all.leftOut.runs == [.outOfRange: 1, .nonfinite: 2])
    #expect(try fixture.stream { $0.statuses = [.ok, .outOfRange] }.leftOut.runs == [.nonfinite: 1])
    #expect(try fixture.stream { $0.condition = "run < 5" }.leftOut.runs == [.outOfRange: 1])
    #expect(try fixture.stream { $0.condition = "step < 5 AND run <> 4" }.leftOut.runs == [.nonfinite: 1])
    let reasons = train.leftOut.reasons("train_return").map(\.what)
    #expect(reasons == ["1 run with parameters that are not finite", "1 run with parameters above 10"])
  }

  @Test func `a mixture leaves out what its corpora do`() throws {
    let (first, second) = (try StreamFixture(curve: Self.curve), try StreamFixture(curve: Self.curve))
    defer {
    }
    var options = StreamFixture.plain { $0.split = .all }
    options.itemsPerEpoch = 400
    let stream = try PairStream(mixing: [(first.corpus, 1), (second.corpus, 1)], options: options)
    #expect(stream.leftOut.unmeasured == 2 * 111 && stream.leftOut.singles == 2)
    #expect(try stream.restOfEpoch().allSatisfy { $0.startMetric.isFinite && $0.targetMetric.isFinite })
  }

  @Test func `nothing left is an error that says why`() throws {
    let fixture = try StreamFixture { _, step in step == 0 ? 1 : .nan }
    let error = #expect(throws: CorpusError.self) { try fixture.stream() }
    #expect(error?.code == .emptySelection)
    #expect(error?.message.contains("176 checkpoints without a finite train_return") == true)
    #expect(error?.message.contains("8 runs of a single checkpoint") == true)
  }
}
