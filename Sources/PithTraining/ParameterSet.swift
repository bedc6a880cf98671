import PithCore
import PithFormats
import PithModels
import PithTensor

/// All parameters of a model, in one block of floats: where each lies, in the order of the description.
package struct ParameterSet: Sendable {
    /// One parameter.
    package struct Entry: Sendable {
        /// What it is.
        package let spec: ParameterSpec
        /// The first float; entries begin on whole cache lines.
        package let offset: Int

        /// The name in a Hugging Face folder.
        package var name: String { spec.name }
        /// Whether it is a matrix or a table.
        package var isMatrix: Bool { spec.kind != .vector }
        /// The first extent; 1 for vectors.
        package var rows: Int { isMatrix ? spec.shape[0] : 1 }
        /// The second extent; all elements of vectors.
        package var columns: Int { isMatrix ? spec.shape[1] : count }
        /// The last extent, whatever it is.
        var lastExtent: Int { spec.shape[spec.shape.count - 1] }
        /// The number of elements.
        package var count: Int { spec.count }
        /// The floats.
        var range: Range<Int> { offset..<offset + count }
    }

    /// The model.
    package let description: ModelDescription
    /// All parameters.
    package private(set) var entries: [Entry] = []
    /// Floats of the block, gaps included.
    package private(set) var count = 0

    /// Floats of all parameters.
    var parameterCount: Int { description.weightCount }

    /// Lays out the parameters of a model.
    init(_ description: ModelDescription) {
        self.description = description
        for spec in description.parameters {
            entries.append(Entry(spec: spec, offset: count))
            count += (spec.count + 15) / 16 * 16
        }
    }

    /// Fills a block with the starting values.
    func initialize(_ weights: FloatBuffer, from generator: inout SeededGenerator) {
        let usual: Float = 0.02
        // Each layer adds two terms to the residual stream; together they shall start as one would.
        let residual = usual / Float(2 * description.layers.count).squareRoot()
        for entry in entries {
            for i in entry.range {
                weights.pointer[i] =
                    switch entry.spec.initial {
                    case .normal: usual * generator.normal()
                    case .normalByDepth: residual * generator.normal()
                    case .ones: 1
                    case .zeros: 0
                    case .constant(let value): value
                    case .logarithms: Float(logarithm(Double((i - entry.offset) % entry.lastExtent + 1)))
                    }
            }
        }
    }

    /// A parameter as a Hugging Face folder has it, in some type.
    func stored(_ entry: Entry, of weights: FloatBuffer, as type: ElementType) -> StoredTensor {
        let values = Array(UnsafeBufferPointer(start: weights.pointer + entry.offset, count: entry.count))
        return StoredTensor(entry.spec.arrangement.given(Tensor(shape: entry.spec.shape, values: values)), as: type)
    }

    /// Takes all parameters from a Hugging Face folder.
    func load(from archive: TensorArchive, into weights: FloatBuffer) throws(PithError) {
        for (index, entry) in entries.enumerated() {
            let name = description.name(of: ParameterID(index), isThere: archive.contains)
            let tensor = try archive.tensor(name)
            guard tensor.shape == entry.spec.folderShape else {
                throw .data(
                    "the shape is \(tensor.shape)", at: "tensor \(name)",
                    remedy: "\(entry.spec.folderShape) is expected")
            }
            let values = entry.spec.arrangement.taken(from: try tensor.decoded()).values
            for (place, value) in values.enumerated() { weights.pointer[entry.offset + place] = value }
        }
    }
}

extension ModelConfiguration {
    /// Floating-point operations that training a model of the Llama family needs for one token of sequences of
    /// `length`: 6 for each weight of a product (2 forward, 4 back; the look-up of an embedding costs none, the head
    /// does), and for each layer and query head 12 · headDimension for each of the (length + 1) / 2 keys that a query sees on
    /// average.
    public func trainingOperations(perTokenAt length: Int) -> Double {
        let description = Llama(self).describe()
        let products = description.parameters.filter { $0.kind == .matrix }.reduce(0) { $0 + $1.count }
        let head = tiesEmbeddings ? vocabularySize * hiddenSize : 0
        return 6 * Double(products + head) + 6 * Double(layerCount * headCount * headDimension) * Double(length + 1)
    }
}
