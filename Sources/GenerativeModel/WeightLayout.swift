import ArrayFiles
import CKernels
import Corpus

/// Where each of a model's weights lies in one flat vector: first all vectors (gains, biases, positions), whose gradients
/// are summed up row by row, then all matrices, whose gradients are products.
///
/// The names are those of the state dictionary of `checkpoint_corpus.gpt` in Python.
struct WeightLayout: Sendable {
  struct Tensor: Sendable {
    let name: String
    let shape: [Int]
    let offset: Int
    /// The floats from one row, the last dimension, to the next.
    let stride: Int

    /// Numbers.
    var count: Int { shape.reduce(1, *) }
    var columns: Int { shape[shape.count - 1] }
    var rows: Int { count / columns }
    /// The floats of memory that it takes.
    var floats: Int { rows * stride }
  }

  /// The offsets of a layer normalisation.
  struct Norm: Sendable {
    let gain: Int
    let bias: Int
  }

  /// A linear layer: weight (outputs, inputs), and the offset of its bias (outputs).
  struct Linear: Sendable {
    let weight: Tensor
    let bias: Int
  }

  struct Block: Sendable {
    let norm1: Norm
    let qkv: Linear
    let projection: Linear
    let norm2: Norm
    let expansion: Linear
    let contraction: Linear
  }

  let tensors: [Tensor]
  let encoderNorm: Norm
  /// (rows of positions, d).
  let positions: Int
  let blocks: [Block]
  let finalNorm: Norm
  /// Of each kind of token, for the noised target, for the start, and of each scalar: (d, its length). No bias.
  let encoders: [Tensor]
  /// Of each kind of token: (its length, d). No bias.
  let decoders: [Tensor]
  /// The floats before the first matrix.
  let vectorCount: Int
  let count: Int

  init(_ configuration: ModelConfiguration, _ tokens: TokenLayout) {
    let width = configuration.width
    var tensors: [Tensor] = []
    var end = 0
    func append(_ name: String, _ shape: [Int], stride: Int) -> Tensor {
      let tensor = Tensor(name: name, shape: shape, offset: end, stride: stride)
      tensors.append(tensor)
      // Each begins at a multiple of 64 bytes; the gaps stay 0.
      end += (tensor.floats + 15) / 16 * 16
      return tensor
    }
    func add(_ name: String, _ shape: [Int]) -> Int {
      append(name, shape, stride: shape[shape.count - 1]).offset
    }
    func matrix(_ name: String, _ rows: Int, _ columns: Int) -> Tensor {
      append("\(name).weight", [rows, columns], stride: ck_row(columns))
    }
    func norm(_ name: String) -> Norm {
      Norm(gain: add("\(name).weight", [width]), bias: add("\(name).bias", [width]))
    }
    typealias Biases = (norm1: Norm, qkv: Int, projection: Int, norm2: Norm, expansion: Int, contraction: Int)
    encoderNorm = norm("encoder_norm")
    positions = add("positions", [tokens.positionCount, width])
    let biases: [Biases] = (0..<configuration.layers).map { layer in
      let block = "blocks.\(layer)"
      return (
        norm("\(block).norm1"), add("\(block).qkv.bias", [3 * width]),
        add("\(block).projection.bias", [width]),
        norm("\(block).norm2"), add("\(block).expansion.bias", [4 * width]),
        add("\(block).contraction.bias", [width])
      )
    }
    finalNorm = norm("final_norm")
    vectorCount = end
    encoders = tokens.encoders.enumerated().map { matrix("encoders.\($0)", width, $1) }
    func linear(_ name: String, _ bias: Int, _ inputs: Int, _ outputs: Int) -> Linear {
      Linear(weight: matrix(name, outputs, inputs), bias: bias)
    }
    blocks = biases.enumerated().map { layer, bias in
      let block = "blocks.\(layer)"
      return Block(
        norm1: bias.norm1, qkv: linear("\(block).qkv", bias.qkv, width, 3 * width),
        projection: linear("\(block).projection", bias.projection, width, width), norm2: bias.norm2,
        expansion: linear("\(block).expansion", bias.expansion, width, 4 * width),
        contraction: linear("\(block).contraction", bias.contraction, 4 * width, width))
    }
    decoders = tokens.decoders.enumerated().map { matrix("decoders.\($0)", $1, width) }
    self.tensors = tensors
    count = end
  }

  /// The tensors of a vector of all weights, for a file.
  func tensors(_ prefix: String = "", in memory: UnsafePointer<Float>) -> [TensorFile.Contents] {
    tensors.map {
      TensorFile.Contents(prefix + $0.name, $0.shape, memory + $0.offset, stride: $0.stride)
    }
  }

  /// Reads all weights out of a file.
  ///
  /// - Throws: `malformedModel` if one is missing or of another shape.
  func read(
    _ prefix: String = "", of file: TensorFile, into memory: UnsafeMutablePointer<Float>
  ) throws(CorpusError) {
    for tensor in tensors {
      try file.read(
        prefix + tensor.name, shape: tensor.shape, into: memory + tensor.offset, stride: tensor.stride)
    }
  }

  /// The numbers of parameters, gaps not counted.
  var parameterCount: Int { tensors.reduce(0) { $0 + $1.count } }
}
