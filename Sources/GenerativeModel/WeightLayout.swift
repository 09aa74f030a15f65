import CKernels
package import Corpus

/// The layers, and where each of their weights lies in one flat vector: first all vectors (gains, biases, positions), whose
/// gradients are summed up row by row, then all matrices, whose gradients are products.
///
/// The names are those of the state dictionary of `checkpoint_corpus.gpt` in Python.
package struct WeightLayout: Sendable {
  package struct Tensor: Sendable {
    package let name: String
    package let shape: [Int]
    package let offset: Int
    /// The floats from one row, the last dimension, to the next.
    let stride: Int

    /// Elements.
    package var count: Int { shape.reduce(1, *) }
    var columns: Int { shape[shape.count - 1] }
    var rows: Int { count / columns }

    /// The tensor (rows, columns) in a vector of all weights, or of something for each.
    func matrix(in memory: UnsafeMutablePointer<Float>) -> Matrix {
      Matrix(memory + offset, rows: rows, columns: columns, stride: stride)
    }
  }

  package let tensors: [Tensor]
  let embedding: TokenEmbedding
  let blocks: [Block]
  let head: Head
  /// The floats before the first matrix.
  package let vectorCount: Int
  package let count: Int

  init(_ configuration: ModelConfiguration, _ tokens: TokenLayout) {
    let width = configuration.width
    var tensors: [Tensor] = []
    var end = 0
    func append(_ name: String, _ shape: [Int], stride: Int) -> Tensor {
      let tensor = Tensor(name: name, shape: shape, offset: end, stride: stride)
      tensors.append(tensor)
      // Each begins at a multiple of 64 bytes; the gaps stay 0.
      end += (tensor.rows * stride + 15) / 16 * 16
      return tensor
    }
    func add(_ name: String, _ shape: [Int]) -> Int {
      append(name, shape, stride: shape[shape.count - 1]).offset
    }
    func matrix(_ name: String, _ rows: Int, _ columns: Int) -> Tensor {
      append("\(name).weight", [rows, columns], stride: ck_row(columns))
    }
    func norm(_ name: String) -> LayerNorm {
      LayerNorm(gain: add("\(name).weight", [width]), bias: add("\(name).bias", [width]))
    }
    typealias Vectors = (
      norm1: LayerNorm, qkv: Int, projection: Int, norm2: LayerNorm, mlpIn: Int, mlpOut: Int
    )
    let encoderNorm = norm("encoder_norm")
    let positions = add("positions", [tokens.positionCount, width])
    let vectors: [Vectors] = (0..<configuration.layers).map { layer in
      let block = "blocks.\(layer)"
      return (
        norm("\(block).norm1"), add("\(block).qkv.bias", [3 * width]),
        add("\(block).projection.bias", [width]),
        norm("\(block).norm2"), add("\(block).expansion.bias", [4 * width]),
        add("\(block).contraction.bias", [width])
      )
    }
    let finalNorm = norm("final_norm")
    vectorCount = end
    embedding = TokenEmbedding(
      encoders: tokens.encoders.enumerated().map { matrix("encoders.\($0)", width, $1) }, norm: encoderNorm,
      positions: positions)
    func linear(_ name: String, _ bias: Int, _ inputs: Int, _ outputs: Int) -> Linear {
      Linear(weight: matrix(name, outputs, inputs), bias: bias)
    }
    blocks = vectors.enumerated().map { layer, vectors in
      let block = "blocks.\(layer)"
      return Block(
        norm1: vectors.norm1,
        attention: Attention(
          qkv: linear("\(block).qkv", vectors.qkv, width, 3 * width),
          projection: linear("\(block).projection", vectors.projection, width, width)),
        norm2: vectors.norm2,
        mlp: MLP(
          mlpIn: linear("\(block).expansion", vectors.mlpIn, width, 4 * width),
          mlpOut: linear("\(block).contraction", vectors.mlpOut, 4 * width, width)))
    }
    head = Head(
      norm: finalNorm, decoders: tokens.decoders.enumerated().map { matrix("decoders.\($0)", $1, width) })
    self.tensors = tensors
    count = end
  }

  /// The tensors of a vector of all weights, for a file.
  package func tensors(_ prefix: String = "", in memory: UnsafePointer<Float>) -> [TensorFile.Contents] {
    tensors.map {
      TensorFile.Contents(prefix + $0.name, $0.shape, memory + $0.offset, stride: $0.stride)
    }
  }

  /// Reads all weights out of a file.
  ///
  /// - Throws: `malformedModel` if one is missing or of another shape.
  package func read(
    _ prefix: String = "", of file: TensorFile, into memory: UnsafeMutablePointer<Float>
  ) throws(CorpusError) {
    for tensor in tensors {
      try file.read(
        prefix + tensor.name, shape: tensor.shape, into: memory + tensor.offset, stride: tensor.stride)
    }
  }

  /// The parameters of the model, gaps not counted.
  package var parameterCount: Int { tensors.reduce(0) { $0 + $1.count } }
}
