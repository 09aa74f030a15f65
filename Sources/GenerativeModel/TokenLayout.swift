import NetworkSymmetry
import Corpus

/// How a parameter vector is cut into tokens.
///
/// Parameters are put into an order in which those of a token follow each other. Tokens of a kind follow each other, too,
/// are equally long, and share their encoders and their decoder.
struct TokenLayout: Sendable {
  /// What an encoder reads.
  enum Source {
    case xT, start, scalars
  }

  /// What an encoder makes of some columns of its source, which becomes a token or is added to one.
  struct Input: Sendable {
    let token: Int
    let encoder: Int
    let source: Source
    let columns: Range<Int>
    /// Whether it is added to what the encoder before has made of the token.
    let accumulates: Bool
  }

  /// The columns of the prediction that a decoder makes of a token.
  struct Output: Sendable {
    let token: Int
    let decoder: Int
    let columns: Range<Int>
  }

  /// The weights from the units of one hidden layer to those of the next.
  struct Link: Sendable {
    /// The first tokens of these units.
    let inputs: Int
    let outputs: Int
    /// The matrix (rows, columns, block): of outputs, of inputs, and of the weights that two units have in common.
    let part: HiddenLayers.Tensor
  }

  /// (P): the index in the parameter vector of each parameter, token by token; nil where that is their own order.
  let order: [UInt32]?
  /// (P): the index in that order of each parameter of the vector; nil where that is their own order.
  let inverseOrder: [UInt32]?
  /// Weights between hidden units, along which their tokens attend to each other.
  let links: [Link]
  /// The row of the learned positions that each token gets: its own, or that of its kind where a kind is the units of a
  /// layer, none of which comes first.
  let positions: [UInt32]
  let positionCount: Int
  /// The floats that each encoder reads: those of xT, one a kind of token, then those of the start, one a kind, too,
  /// then those of the scalars.
  let encoders: [Int]
  /// The floats that each decoder writes, one a kind of token.
  let decoders: [Int]
  /// The inputs of a token follow each other.
  let inputs: [Input]
  let outputs: [Output]
  /// T: the parameter vector's tokens, those of the start where they are apart, then the scalars.
  let count: Int

  /// The number of scalars: timestep, metric difference (target - start), target metric, starting metric.
  static let scalars = 4

  init(_ configuration: ModelConfiguration, _ architecture: Architecture) {
    let hidden = Self.layers(configuration, architecture)
    let cut =
      configuration.tokens == .units
      ? Cut(unitsOf: hidden, chunk: configuration.chunk) : Cut(chunksOf: hidden, chunk: configuration.chunk)
    let isTogether = configuration.tokens == .units
    let kinds = cut.kinds.count
    var inputs: [Input] = []
    var outputs: [Output] = []
    var end = 0
    for (kind, (count, length)) in cut.kinds.enumerated() {
      for _ in 0..<count {
        let (token, columns) = (outputs.count, end..<(end + length))
        outputs.append(Output(token: token, decoder: kind, columns: columns))
        inputs.append(Input(token: token, encoder: kind, source: .xT, columns: columns, accumulates: false))
        if isTogether {
          inputs.append(
            Input(token: token, encoder: kinds + kind, source: .start, columns: columns, accumulates: true))
        }
        end += length
      }
    }
    if !isTogether {
      inputs += outputs.map {
        Input(
          token: outputs.count + $0.token, encoder: kinds + $0.decoder, source: .start, columns: $0.columns,
          accumulates: false)
      }
    }
    let first = outputs.count * (isTogether ? 1 : 2)
    for scalar in 0..<Self.scalars {
      let start = scalar * configuration.scalarCount
      inputs.append(
        Input(
          token: first + scalar, encoder: 2 * kinds + scalar, source: .scalars,
          columns: start..<(start + configuration.scalarCount), accumulates: false))
    }
    let lengths = cut.kinds.map(\.length)
    encoders = lengths + lengths + Array(repeating: configuration.scalarCount, count: Self.scalars)
    decoders = lengths
    let isOrdered = zip(cut.order, cut.order.dropFirst()).allSatisfy(<)
    order = isOrdered ? nil : cut.order
    inverseOrder = isOrdered ? nil : Self.inverse(of: cut.order)
    self.inputs = inputs
    self.outputs = outputs
    count = first + Self.scalars
    if isTogether {
      positions = outputs.map { UInt32($0.decoder) } + (0..<Self.scalars).map { UInt32(kinds + $0) }
      positionCount = kinds + Self.scalars
      links = hidden.tensors.compactMap { part in
        guard let outputs = part.rowLayer, let inputs = part.columnLayer else { return nil }
        return Link(inputs: hidden.firsts[inputs], outputs: hidden.firsts[outputs], part: part)
      }
    } else {
      positions = (0..<UInt32(count)).map { $0 }
      positionCount = count
      links = []
    }
  }

  private static func inverse(of order: [UInt32]) -> [UInt32] {
    var inverse = order
    for (index, parameter) in order.enumerated() { inverse[Int(parameter)] = UInt32(index) }
    return inverse
  }

  /// The hidden layers whose units are tokens: none where a parameter would be of several units, or between two of them
  /// and not the only one.
  private static func layers(
    _ configuration: ModelConfiguration, _ architecture: Architecture
  ) -> HiddenLayers {
    let layers = HiddenLayers.ofModel(architecture)
    return configuration.tokens == .units && !layers.isChain
      ? HiddenLayers(architecture.declaring(.none)) : layers
  }

  /// How many tokens there would be, without making them.
  static func count(_ configuration: ModelConfiguration, _ architecture: Architecture) -> Int {
    let hidden = layers(configuration, architecture)
    func chunks(_ parts: [HiddenLayers.Tensor]) -> Int {
      parts.reduce(0) { $0 + ($1.count - 1) / (configuration.chunk ?? $1.count) + 1 }
    }
    switch configuration.tokens {
    case .chunks: return 2 * chunks(hidden.tensors) + scalars
    case .units:
      return hidden.widths.reduce(0, +) + chunks(hidden.tensors.filter { !$0.isOfUnits }) + scalars
    }
  }
}

/// A parameter vector's order, and its tokens by kind.
private struct Cut {
  typealias Kind = (count: Int, length: Int)
  var order: [UInt32] = []
  var kinds: [Kind] = []

  /// Chunks that never cross a tensor's end, each a kind of its own.
  init(chunksOf hidden: HiddenLayers, chunk: Int?) {
    for part in hidden.tensors { append(chunksOf: part, chunk) }
  }

  /// A token for each hidden unit, the units of a layer being a kind: its incoming weights, its bias, and in the last
  /// hidden layer its outgoing weights. What belongs to no hidden unit is cut into chunks.
  init(unitsOf hidden: HiddenLayers, chunk: Int?) {
    for (layer, units) in hidden.widths.enumerated() {
      let first = order.count
      for unit in 0..<units {
        for part in hidden.tensors {
          if part.rowLayer == layer {
            append(part.start + unit * part.columns * part.block, count: part.columns * part.block)
          } else if part.rowLayer == nil, part.columnLayer == layer {
            for row in 0..<part.rows {
              append(part.start + (row * part.columns + unit) * part.block, count: part.block)
            }
          }
        }
      }
      kinds.append((units, (order.count - first) / units))
    }
    for part in hidden.tensors where !part.isOfUnits { append(chunksOf: part, chunk) }
  }

  private mutating func append(_ start: Int, count: Int) {
    order += UInt32(start)..<UInt32(start + count)
  }

  private mutating func append(chunksOf part: HiddenLayers.Tensor, _ chunk: Int?) {
    append(part.start, count: part.count)
    let length = chunk ?? part.count
    for first in stride(from: 0, to: part.count, by: length) {
      kinds.append((1, min(length, part.count - first)))
    }
  }
}

extension HiddenLayers.Tensor {
  fileprivate var count: Int { rows * columns * block }
  /// Whether every number in it belongs to a hidden unit.
  fileprivate var isOfUnits: Bool { rowLayer != nil || columnLayer != nil }
}
