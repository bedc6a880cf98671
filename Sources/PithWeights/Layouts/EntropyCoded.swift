import PithCore
import PithModels
import PithTensor

/// A matrix in another layout whose parts are entropy-coded in the file. They are decoded when it is opened: what is
/// multiplied, and what memory holds, is the layout inside.
///
/// Parts: those of the layout inside; `coded.NAME` U8 [bytes] (`CodedTensor`) stands for a part that gets smaller.
/// Parameters: those of the layout inside, and `layout`, its number.
package struct EntropyCoded: StoredLinear, RowDecodable {
    package static let layout = "entropy"

    /// The layouts that can be inside, by their numbers: all whose rows can be decoded and that are not coded already.
    private static let layouts = [
        DenseOperator.layout, GroupedCodes.layout, MaskedCodes.layout, TileCodes.layout, CodebookCodes.layout,
        TernaryCodes.layout, VectorCodes.layout, ScaledFloats.layout, BitmaskSparse.layout, PatternSparse.layout,
    ]
    private static let prefix = "coded."

    package let stored: StoredParts
    /// What was decoded.
    package let inner: any StoredLinear & RowDecodable

    package var outputCount: Int { inner.outputCount }
    package var inputCount: Int { inner.inputCount }
    package var memoryBits: Int { inner.memoryBits }

    package init(_ parts: StoredParts, shape: [Int], layouts: LayoutCatalogue) throws(PithError) {
        let name = Self.layouts[try parts.parameter("layout", in: 0...Self.layouts.count - 1)]
        var decoded = StoredParts(parameters: parts.parameters)
        decoded.parameters["layout"] = nil
        for (part, tensor) in parts.tensors {
            guard part.hasPrefix(Self.prefix) else {
                decoded.tensors[part] = tensor
                continue
            }
            do throws(PithError) {
                let bytes = try parts.tensor(part, .uint8, [tensor.byteCount])
                decoded.tensors[String(part.dropFirst(Self.prefix.count))] = try CodedTensor.decode(
                    bytes.region, pool: layouts.pool)
            } catch { throw error.within("part '\(part)'") }
        }
        guard let inner = try layouts.open(name, decoded, shape: shape) as? any StoredLinear & RowDecodable else {
            throw .data("the layout '\(name)' has no rows to decode")
        }
        (stored, self.inner) = (parts, inner)
    }

    /// Codes the parts of a matrix; nil if it has a layout that cannot be inside, or gets no smaller.
    package init?(_ matrix: any StoredLinear, pool: ThreadPool) throws(PithError) {
        guard let inner = matrix as? any StoredLinear & RowDecodable,
            let number = Self.layouts.firstIndex(of: type(of: inner).layout)
        else { return nil }
        let plain = inner.stored
        var parts = StoredParts(parameters: plain.parameters)
        parts.parameters["layout"] = number
        for (part, tensor) in plain.tensors {
            let coded = try CodedTensor(tensor, Self.arrangement(of: tensor, in: plain.parameters), pool: pool)
            if let coded, coded.bytes.count < tensor.byteCount {
                parts.tensors[Self.prefix + part] = StoredTensor(bytes: coded.bytes)
            } else {
                parts.tensors[part] = tensor
            }
        }
        guard parts.storedBits < plain.storedBits else { return nil }
        (stored, self.inner) = (parts, inner)
    }

    /// Codes that lie in planes have 64 bytes for each bit of a tile, and codes of several codebooks 64 bytes for each codebook.
    private static func arrangement(
        of tensor: StoredTensor, in parameters: [String: Int]
    ) -> CodedTensor.Arrangement {
        let shape = tensor.shape
        if let bits = parameters["bits"], [3, 5, 6, 7].contains(bits), shape.count > 1, shape.last == 64 * bits {
            return .codes(bits: bits)
        }
        if let codebooks = parameters["codebooks"], codebooks > 1, shape.count == 5, shape[3] == codebooks {
            return .codebooks(codebooks)
        }
        return .plain
    }

    package func prepare(_ input: ActivationBlock, pool: ThreadPool) { inner.prepare(input, pool: pool) }

    package func multiply(
        _ outputs: Range<Int>, _ input: ActivationBlock, into output: UnsafeMutablePointer<Float>, stride: Int
    ) {
        inner.multiply(outputs, input, into: output, stride: stride)
    }

    package func decodeRow(_ row: Int, into target: UnsafeMutablePointer<Float>) {
        inner.decodeRow(row, into: target)
    }

    package func dotRows(
        _ rows: Range<Int>, _ input: UnsafePointer<Float>, into output: UnsafeMutablePointer<Float>
    ) {
        inner.dotRows(rows, input, into: output)
    }
}
