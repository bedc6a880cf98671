import PithCore
import PithFormats
import PithModels
import PithTensor

/// Parameters that learn, in one block of floats: where each lies.
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

    /// The parameters, in order.
    package let entries: [Entry]
    /// Floats of the block, gaps included.
    package let count: Int
    /// Consecutive floats of one parameter: the units of parallel work on all of them.
    let chunks: [Chunk]

    /// A part of a parameter.
    struct Chunk: Sendable {
        let offset: Int
        let count: Int
        let isMatrix: Bool
        static let largest = 1 << 16
    }

    /// Floats of all parameters.
    var parameterCount: Int { entries.reduce(0) { $0 + $1.count } }

    /// Lays out some parameters, one after the other.
    init(_ specs: [ParameterSpec]) {
        var (entries, count) = ([Entry](), 0)
        for spec in specs {
            entries.append(Entry(spec: spec, offset: count))
            count += (spec.count + 15) / 16 * 16
        }
        (self.entries, self.count) = (entries, count)
        chunks = entries.flatMap { entry in
            stride(from: 0, to: entry.count, by: Chunk.largest).map { start in
                Chunk(
                    offset: entry.offset + start, count: min(Chunk.largest, entry.count - start),
                    isMatrix: entry.isMatrix)
            }
        }
    }

    /// Fills the places of `entries` in a block with starting values, for a model of so many layers.
    func initialize(
        _ entries: [Entry], of weights: FloatBuffer, layerCount: Int, from generator: inout SeededGenerator
    ) {
        let usual: Float = 0.02
        // Each layer adds two terms to the residual stream; together they shall start as one would.
        let residual = usual / Float(2 * layerCount).squareRoot()
        for entry in entries {
            for i in entry.range {
                weights.pointer[i] =
                    switch entry.spec.initial {
                    case .normal: usual * generator.normal()
                    case .normalByDepth: residual * generator.normal()
                    case .uniform(let bound): bound * (2 * generator.uniform() - 1)
                    case .ones: 1
                    case .zeros: 0
                    case .constant(let value): value
                    case .logarithms: Float(logarithm(Double((i - entry.offset) % entry.lastExtent + 1)))
                    }
            }
        }
    }

    /// A parameter's values.
    func values(_ entry: Entry, of weights: FloatBuffer) -> Tensor {
        Tensor(
            shape: entry.spec.shape,
            values: Array(UnsafeBufferPointer(start: weights.pointer + entry.offset, count: entry.count)))
    }

    /// Takes the values of a parameter from a model that has it as parameter `id`.
    func load(_ entry: Entry, into weights: FloatBuffer, from model: LanguageModel, _ id: ParameterID) {
        let target = weights.pointer + entry.offset
        guard entry.isMatrix else { return target.update(from: model[vector: id], count: entry.count) }
        model[matrix: id].decode(into: target)
    }
}
