import Corpus

/// A batch of CIFAR-10's Python version: a pickled dictionary of which `data` is a numpy array of uint8, an image a row,
/// and `labels` a list.
///
/// A pickle is a program; this runs the part of its language that makes values, calls nothing, and refuses all else.
struct PickledBatch {
  /// (images, 3072).
  let pixels: [UInt8]
  let labels: [UInt8]

  /// Why some bytes are no such batch.
  private struct Failure: Error {
    let reason: String
  }

  /// - Throws: `malformedDataset`, naming the file.
  init(_ bytes: [UInt8], path: String) throws(CorpusError) {
    do throws(Failure) {
      (pixels, labels) = try Self.contents(Unpickler.value(of: bytes), bytes)
    } catch {
      throw .malformedDataset("\(path) is no batch of CIFAR-10's Python version: \(error.reason)")
    }
  }

  private static func contents(
    _ batch: Value, _ bytes: [UInt8]
  ) throws(Failure) -> (pixels: [UInt8], labels: [UInt8]) {
    guard case .dictionary(let members) = batch else { throw Failure(reason: "it is no dictionary") }
    guard case .list(let numbers) = members["labels"] else {
      throw Failure(reason: "it has no list of labels")
    }
    var labels: [UInt8] = []
    for number in numbers {
      guard case .integer(let number) = number, let label = UInt8(exactly: number) else {
        throw Failure(reason: "a label is no small number")
      }
      labels.append(label)
    }
    // What numpy keeps of an array: version, shape, type, whether columns come first, and the bytes.
    guard case .built(.tuple(let state)) = members["data"], state.count == 5,
      case .tuple(let shape) = state[1], case .text(let place) = state[4]
    else { throw Failure(reason: "its data are no array of numpy") }
    let length = ImageDataset.Shape.cifar10.count
    guard shape == [.integer(labels.count), .integer(length)], place.count == labels.count * length else {
      throw Failure(reason: "its data are not \(labels.count) images of \(length) bytes, one for each label")
    }
    guard state[3] == .boolean(true) else { return (Array(bytes[place]), labels) }
    var pixels = [UInt8](repeating: 0, count: place.count)
    for image in labels.indices {
      for pixel in 0..<length {
        pixels[image * length + pixel] = bytes[place.lowerBound + pixel * labels.count + image]
      }
    }
    return (pixels, labels)
  }

  /// A value of Python's.
  private indirect enum Value: Equatable {
    case none
    case boolean(Bool)
    case integer(Int)
    /// A string of either kind, as its place in the pickle.
    case text(Range<Int>)
    case tuple([Value])
    case list([Value])
    case dictionary([String: Value])
    /// What something would be called, or the outcome of a call: nothing is called here.
    case opaque
    /// Such an outcome with its state.
    case built(Value)
    /// The place on the stack where a collection's elements begin.
    case mark
  }

  /// Runs a pickle, protocols 2 to 4.
  private struct Unpickler {
    private let bytes: [UInt8]
    private var position = 0
    private var stack: [Value] = []
    private var memory: [Int: Value] = [:]

    static func value(of bytes: [UInt8]) throws(Failure) -> Value {
      var machine = Unpickler(bytes: bytes)
      while true {
        if let value = try machine.step() { return value }
      }
    }

    private init(bytes: [UInt8]) { self.bytes = bytes }

    /// Runs one instruction; returns the value of all at the last.
    private mutating func step() throws(Failure) -> Value? {
      switch try byte() {
      case 0x80: _ = try byte()
      case 0x95: _ = try place(8)
      case UInt8(ascii: "."): return try pop()
      case UInt8(ascii: "("): stack.append(.mark)
      case UInt8(ascii: "N"): stack.append(.none)
      case 0x88: stack.append(.boolean(true))
      case 0x89: stack.append(.boolean(false))
      case UInt8(ascii: "K"): stack.append(.integer(try number(1)))
      case UInt8(ascii: "M"): stack.append(.integer(try number(2)))
      case UInt8(ascii: "J"): stack.append(.integer(Int(Int32(truncatingIfNeeded: try number(4)))))
      case UInt8(ascii: "U"), UInt8(ascii: "C"), 0x8C: stack.append(.text(try place(number(1))))
      case UInt8(ascii: "T"), UInt8(ascii: "X"), UInt8(ascii: "B"): stack.append(.text(try place(number(4))))
      case 0x8E: stack.append(.text(try place(number(8))))
      case UInt8(ascii: "}"): stack.append(.dictionary([:]))
      case UInt8(ascii: "]"): stack.append(.list([]))
      case UInt8(ascii: ")"): stack.append(.tuple([]))
      case UInt8(ascii: "t"): stack.append(.tuple(try popToMark()))
      case let code where 0x85...0x87 ~= code: stack.append(.tuple(try pop(Int(code) - 0x84)))
      case UInt8(ascii: "a"): try extend(with: pop(1))
      case UInt8(ascii: "e"): try extend(with: popToMark())
      case UInt8(ascii: "s"): try set(pop(2))
      case UInt8(ascii: "u"): try set(popToMark())
      case UInt8(ascii: "q"): memory[try number(1)] = try top()
      case UInt8(ascii: "r"): memory[try number(4)] = try top()
      case 0x94: memory[memory.count] = try top()
      case UInt8(ascii: "h"): stack.append(try recall(number(1)))
      case UInt8(ascii: "j"): stack.append(try recall(number(4)))
      case UInt8(ascii: "c"):
        for _ in 0..<2 { while try byte() != UInt8(ascii: "\n") {} }
        stack.append(.opaque)
      case 0x93, UInt8(ascii: "R"):
        _ = try pop(2)
        stack.append(.opaque)
      case UInt8(ascii: "b"):
        let state = try pop()
        _ = try pop()
        stack.append(.built(state))
      case let code:
        throw Failure(reason: "its byte \(position - 1) is \(code), an instruction of no such file")
      }
      return nil
    }

    private mutating func byte() throws(Failure) -> UInt8 { bytes[try place(1).lowerBound] }

    private mutating func place(_ count: Int) throws(Failure) -> Range<Int> {
      guard count >= 0, count <= bytes.count - position else { throw Failure(reason: "it is cut short") }
      position += count
      return (position - count)..<position
    }

    /// A number of so many bytes, the lowest first.
    private mutating func number(_ count: Int) throws(Failure) -> Int {
      bytes[try place(count)].reversed().reduce(0) { $0 << 8 | Int($1) }
    }

    private func top() throws(Failure) -> Value {
      guard let value = stack.last else { throw Failure(reason: "it takes values that it has not made") }
      return value
    }

    private mutating func pop() throws(Failure) -> Value {
      let value = try top()
      stack.removeLast()
      return value
    }

    private mutating func pop(_ count: Int) throws(Failure) -> [Value] {
      guard count <= stack.count else { throw Failure(reason: "it takes values that it has not made") }
      defer { stack.removeLast(count) }
      return stack.suffix(count)
    }

    private mutating func popToMark() throws(Failure) -> [Value] {
      guard let mark = stack.lastIndex(of: .mark) else {
        throw Failure(reason: "it ends what it has not begun")
      }
      let values = try pop(stack.count - mark - 1)
      stack.removeLast()
      return values
    }

    private mutating func extend(with values: [Value]) throws(Failure) {
      guard case .list(let list) = try pop() else { throw Failure(reason: "it lengthens what is no list") }
      stack.append(.list(list + values))
    }

    private mutating func set(_ pairs: [Value]) throws(Failure) {
      guard case .dictionary(var members) = try pop(), pairs.count.isMultiple(of: 2) else {
        throw Failure(reason: "it fills what is no dictionary")
      }
      for key in stride(from: 0, to: pairs.count, by: 2) {
        guard case .text(let name) = pairs[key] else { throw Failure(reason: "a key is no text") }
        members[String(decoding: bytes[name], as: UTF8.self)] = pairs[key + 1]
      }
      stack.append(.dictionary(members))
    }

    private func recall(_ number: Int) throws(Failure) -> Value {
      guard let value = memory[number] else { throw Failure(reason: "it takes values that it has not kept") }
      return value
    }
  }
}
