/// The assignment problem: each row gets a column of its own so that the costs add up to the least there is.
package enum Assignment {
  /// Solves it by the Hungarian method with potentials, in O(n^3) (Kuhn 1955; Jonker and Volgenant 1987).
  ///
  /// - Parameter costs: (n, n), row-major, finite.
  /// - Returns: the column of each row.
  package static func solve(_ costs: [Double], _ n: Int) -> [Int] {
    // One-based, as row and column 0 stand for "none".
    var (rowPotential, columnPotential) = (
      [Double](repeating: 0, count: n + 1), [Double](repeating: 0, count: n + 1)
    )
    var rowOf = [Int](repeating: 0, count: n + 1)
    var previous = [Int](repeating: 0, count: n + 1)
    for row in 1...max(1, n) where n > 0 {
      rowOf[0] = row
      var column = 0
      var least = [Double](repeating: .infinity, count: n + 1)
      var isUsed = [Bool](repeating: false, count: n + 1)
      repeat {
        isUsed[column] = true
        let current = rowOf[column]
        var (step, next) = (Double.infinity, 0)
        for other in 1...n where !isUsed[other] {
          let cost = costs[(current - 1) * n + other - 1] - rowPotential[current] - columnPotential[other]
          if cost < least[other] { (least[other], previous[other]) = (cost, column) }
          if least[other] < step { (step, next) = (least[other], other) }
        }
        for other in 0...n {
          if isUsed[other] {
            rowPotential[rowOf[other]] += step
            columnPotential[other] -= step
          } else {
            least[other] -= step
          }
        }
        column = next
      } while rowOf[column] != 0
      repeat {
        let before = previous[column]
        rowOf[column] = rowOf[before]
        column = before
      } while column != 0
    }
    var columns = [Int](repeating: 0, count: n)
    for column in 1...max(1, n) where n > 0 { columns[rowOf[column] - 1] = column - 1 }
    return columns
  }
}
