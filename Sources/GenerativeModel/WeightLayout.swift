package import ArrayFiles
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
    // How far the vectors reach is known when they are laid out.
    let vectorCount = Self(configuration, tokens, matricesFrom: 0).vectorCount
    self.init(configuration, tokens, matricesFrom: vectorCount)
  }

  private init(_ configuration: ModelConfiguration, _ tokens: TokenLayout, matricesFrom start: Int) {
    let width = configuration.width
    var (vectors, matrices): ([Tensor], [Tensor]) = ([], [])
    var (vectorEnd, matrixEnd) = (0, start)
    func tensor(_ name: String, _ shape: [Int], stride: Int, at end: inout Int) -> Tensor {
      let tensor = Tensor(name: name, shape: shape, offset: end, stride: stride)
      // Each begins at a multiple of 64 bytes; the gaps stay 0.
      end += ck_padded(tensor.rows * stride)
      return tensor
    }
    func vector(_ name: String, _ shape: [Int]) -> Int {
      let vector = tensor(name, shape, stride: shape[shape.count - 1], at: &vectorEnd)
      vectors.append(vector)
      return vector.offset
    }
    func matrix(_ name: String, _ rows: Int, _ columns: Int) -> Tensor {
      let matrix = tensor("\(name).weight", [rows, columns], stride: ck_row(columns), at: &matrixEnd)
      matrices.append(matrix)
      return matrix
    }
    func norm(_ name: String) -> LayerNorm {
      LayerNorm(gain: vector("\(name).weight", [width]), bias: vector("\(name).bias", [width]))
    }
    func linear(_ name: String, _ inputs: Int, _ outputs: Int) -> Linear {
      Linear(weight: matrix(name, outputs, inputs), bias: vector("\(name).bias", [outputs]))
    }
    let encoderNorm = norm("encoder_norm")
    embedding = TokenEmbedding(
      encoders: tokens.encoders.enumerated().map { matrix("encoders.\($0)", width, $1) }, norm: encoderNorm,
      positions: vector("positions", [tokens.positionCount, width]))
    blocks = (0..<configuration.layers).map { layer in
      let block = "blocks.\(layer)"
      return Block(
        norm1: norm("\(block).norm1"),
        attention: Attention(
          qkv: linear("\(block).qkv", width, 3 * width),
          projection: linear("\(block).projection", width, width)),
        norm2: norm("\(block).norm2"),
        mlp: MLP(
          mlpIn: linear("\(block).expansion", width, 4 * width),
          mlpOut: linear("\(block).contraction", 4 * width, width)))
    }
    head = Head(
      norm: norm("final_norm"),
      decoders: tokens.decoders.enumerated().map { matrix("decoders.\($0)", $1, width) })
    tensors = vectors + matrices
    (vectorCount, count) = (vectorEnd, matrixEnd)
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
