import PithCore
import PithModels
import PithTensor

/// Codes of 2 to 8 bits with a scale and a bias for each group of columns of a row, as MLX has them:
/// weight = code · scale + bias.
///
/// Parts: `words` U32 [rows, ⌈columns · bits / 32⌉], a stream of bits for each row, the lowest first; `scales` and
/// `biases` F16, BF16 or F32 [rows, groups]. Parameters: `bits`, `groupSize`.
package struct WordCodes: StoredLinear, RowDecodable {
    package static let layout = "words"

    package let outputCount: Int
    package let inputCount: Int
    package let bits: Int
    /// Columns that share a scale; the last group of a row may be shorter.
    package let groupSize: Int
    private let words: StoredTensor
    private let scales: StoredTensor
    private let biases: StoredTensor
    private let width: Int

    package var stored: StoredParts {
        StoredParts(
            tensors: ["words": words, "scales": scales, "biases": biases],
            parameters: ["bits": bits, "groupSize": groupSize])
    }

    package init(_ parts: StoredParts, shape: [Int], layouts: LayoutCatalogue) throws(PithError) {
        (outputCount, inputCount) = try matrixExtents(shape)
        bits = try parts.parameter("bits", in: 2...8)
        groupSize = try parts.parameter("groupSize", in: 1...largestExtent)
        width = PackedWords.count(inputCount, bits: bits)
        words = try parts.tensor("words", .uint32, [outputCount, width]).aligned
        let groups = AffineCodes.groups(inputCount, groupSize)
        let type = parts.tensors["scales"]?.type ?? .float16
        guard type == .float16 || type == .bfloat16 || type == .float32 else {
            throw .data("part 'scales' is \(type.rawValue)", remedy: "it should be F16, BF16 or F32")
        }
        scales = try parts.tensor("scales", type, [outputCount, groups]).aligned
        biases = try parts.tensor("biases", type, [outputCount, groups]).aligned
        guard scales.isFinite, biases.isFinite else {
            throw .data("part 'scales' or 'biases' holds a value that is not finite")
        }
    }

    /// Groups of a row.
    private var groups: Int { scales.shape[1] }

    /// All codes, scales and biases, [rows, columns] and [rows, groups].
    package func unpacked() throws(PithError) -> (codes: [UInt8], scales: [Float], biases: [Float]) {
        var codes = [UInt8](repeating: 0, count: outputCount * inputCount)
        for row in 0..<outputCount {
            let line = line(row)
            for column in 0..<inputCount {
                codes[row * inputCount + column] = PackedWords.code(line, column, bits: bits)
            }
        }
        return (codes, try scales.decoded().values, try biases.decoded().values)
    }

    private func line(_ row: Int) -> UnsafeBufferPointer<UInt32> {
        let all = words.region.bytes.assumingMemoryBound(to: UInt32.self)
        return UnsafeBufferPointer(rebasing: all[row * width..<(row + 1) * width])
    }

    package func decodeRow(_ row: Int, into target: UnsafeMutablePointer<Float>) {
        let line = line(row)
        withUnsafeTemporaryAllocation(of: Float.self, capacity: 2 * max(1, groups)) { factors in
            guard let base = factors.baseAddress else { return }
            scales.widenRow(row, into: base)
            biases.widenRow(row, into: base + groups)
            for column in 0..<inputCount {
                let group = column / groupSize
                let code = Float(PackedWords.code(line, column, bits: bits))
                target[column] = code * base[group] + base[groups + group]
            }
        }
    }

    /// Rows are multiplied as floats.
    package func prepare(_ input: ActivationBlock, pool: ThreadPool) {}
}

extension StoredTensor {
    /// Widens a row of a tensor of floats.
    fileprivate func widenRow(_ row: Int, into target: UnsafeMutablePointer<Float>) {
        guard let type = type.dense, let base = region.bytes.baseAddress else { return }
        kernels.widen(base + row * shape[1] * self.type.byteCount, type, Int64(shape[1]), target)
    }
}
