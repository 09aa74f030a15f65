import Corpus
import Foundation
import Testing

@Suite struct NullableNumbersTests {
  struct Measured: Codable {
    @Nullable var one: Double
    @Nullable var many: [[Float]]
  }

  @Test func `what is no number is null in JSON, and NaN again`() throws {
    let measured = Measured(one: .infinity, many: [[1, .nan], [-.infinity, 0.5]])
    let text = try CanonicalJSON.string(measured)
    #expect(text == #"{"many":[[1,null],[null,0.5]],"one":null}"#)
    let read = try CanonicalJSON.decode(Measured.self, from: Data(text.utf8))
    #expect(read.one.isNaN && read.many[0][0] == 1 && read.many[0][1].isNaN && read.many[1][1] == 0.5)
  }
}
