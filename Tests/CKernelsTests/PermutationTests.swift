import CKernels
import Testing

/// The permutation of hidden units against its naive twin.
@Suite struct PermutationTests {
  private func naive(
    _ scale: Float, rows: [UInt32], columns: [UInt32], block: Int, _ input: [Float]
  ) -> [Float] {
    rows.flatMap { row in
      columns.flatMap { column in
        (0..<block).map { scale * input[(Int(row) * columns.count + Int(column)) * block + $0] }
      }
    }
  }

  @Test(arguments: Path.all)
  func `rows, columns and blocks of every small shape`(path: Path) {
    for rows in [1, 2, 3, 4, 5, 8, 9, 32] {
      for columns in [1, 2, 3, 10, 16, 17, 32, 65] {
        for block in [1, 2, 9, 16, 25] {
          let input = random(rows * columns * block, stream: UInt64(rows * 1000 + columns * 10 + block))
          let rowOrder = (0..<UInt32(rows)).map { ($0 * 7 + 3) % UInt32(rows) }
          let columnOrder = (0..<UInt32(columns)).map { UInt32(columns) - 1 - $0 }
          for (hasRows, hasColumns) in [(true, true), (true, false), (false, true), (false, false)] {
            let output = Floats(count: rows * columns * block)
            path.k.permute(
              1.5, rows, hasRows ? rowOrder : nil, columns, hasColumns ? columnOrder : nil, block, input.p,
              output.p)
            let expected = naive(
              1.5, rows: hasRows ? rowOrder : Array(0..<UInt32(rows)),
              columns: hasColumns ? columnOrder : Array(0..<UInt32(columns)), block: block, input.array)
            #expect(output.array == expected, "\(rows) x \(columns) x \(block)")
          }
        }
      }
    }
  }

  @Test(arguments: Path.all)
  func `long rows at any address`(path: Path) {
    for (length, offset) in [(784, 1), (7960, 3), (31, 5)] {
      let input = random(length + 8, stream: 7)
      let output = Floats(count: length + 8)
      path.k.permute(-2, 1, nil, length, nil, 1, input.p + offset, output.p + 1)
      #expect(Array(output.array[1...length]) == input.array[offset..<(offset + length)].map { -2 * $0 })
      #expect(output.array[length + 1] == 0)
    }
  }

  @Test(arguments: Path.all, [true, false])
  func `rows past the caches, of any length from and to any address`(path: Path, isPermuted: Bool) {
    let order: [UInt32] = [2, 0, 1]
    for length in [0, 1, 15, 16, 17, 31, 100, 784] {
      let input = random(3 * length + 8, stream: 8)
      for offset in 0..<20 {
        let output = Floats(count: 3 * length + 21)
        path.k.permute_rows_past_caches(
          2, 3, isPermuted ? order : nil, length, input.p + offset % 8, output.p + offset)
        var expected = [Float](repeating: 0, count: output.count)
        for row in 0..<3 {
          for i in 0..<length {
            let from = isPermuted ? Int(order[row]) : row
            expected[offset + row * length + i] = 2 * input.p[offset % 8 + from * length + i]
          }
        }
        #expect(output.array == expected)
      }
    }
  }

  @Test(arguments: Path.all)
  func `numbers between two are counted and found, whatever is no number`(path: Path) {
    for count in [0, 1, 15, 16, 31, 32, 33, 64, 65, 200, 1000] {
      let numbers = random(count, stream: UInt64(count))
      for i in stride(from: 3, to: count, by: 7) { numbers.p[i] = [.nan, .infinity, -0.25, 0.5][i % 4] }
      let places = numbers.array.indices.filter { (-0.25...0.5).contains(numbers.array[$0]) }
      #expect(path.k.count_between(-0.25, 0.5, count, numbers.p) == places.count)
      for (number, place) in places.enumerated() {
        #expect(path.k.find_between(-0.25, 0.5, number, count, numbers.p) == place)
      }
      #expect(path.k.find_between(-0.25, 0.5, places.count, count, numbers.p) == count)
    }
  }
}
