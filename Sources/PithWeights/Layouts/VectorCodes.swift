import CPithKernels
import PithCore
import PithModels
import PithTensor

/// Codes of a byte that name 4 or 8 weights at once in each of some codebooks, whose entries are added, with a scale for
/// each group of columns of a row: weight = (sum of entries) · scale. Entries are whole numbers from −128 to 127, and
/// so are their sums, modulo 256.
///
/// Parts: `codes` U8 [blocks, tiles, 8 / dimension, codebooks, 64], where byte 16 · (row / 4) + 4 · (chunk % 4) + row % 4
/// names the columns of a chunk; `codebooks` I8 [codebooks, entries, dimension]; `scales` F16 [blocks, groups, 16]. Parameters:
/// `dimension`, `codebooks`, `entries`, `groupSize`.
package struct VectorCodes: PackedLayout {
    package static let layout = "vector"

    /// Columns that a code names, 4 or 8.
    package let dimension: Int
    /// Codes of as many columns.
    package let codebookCount: Int
    /// Entries of a codebook, up to 256; codes beyond them mean zero.
    package let entryCount: Int
    package let packing: Packing
    private let codes: StoredTensor
    private let codebooks: StoredTensor
    private let scales: StoredTensor
    /// The codebooks filled up with zeros, the first plus 128, [codebooks, 256, dimension], and the same as planes, [codebooks, dimension, 256].
    private let tables: StoredTensor

    /// Codebooks that can be added.
    package static let codebookRange = 1...4

    package var stored: StoredParts {
        StoredParts(
            tensors: ["codes": codes, "codebooks": codebooks, "scales": scales],
            parameters: [
                "dimension": dimension, "codebooks": codebookCount, "entries": entryCount, "groupSize": groupSize,
            ])
    }

    package init(_ parts: StoredParts, shape: [Int], layouts: LayoutCatalogue) throws(PithError) {
        dimension = try parts.parameter("dimension", in: 4...8)
        guard dimension % 4 == 0 else {
            throw .data("parameter 'dimension' is \(dimension)", remedy: "it should be 4 or 8")
        }
        codebookCount = try parts.parameter("codebooks", in: Self.codebookRange)
        entryCount = try parts.parameter("entries", in: 1...256)
        packing = try Packing(parts, shape: shape)
        codes = try parts.tensor("codes", .uint8, [packing.blocks, packing.tiles, 8 / dimension, codebookCount, 64])
        codebooks = try parts.tensor("codebooks", .int8, [codebookCount, entryCount, dimension])
        scales = try packing.scales(parts)
        tables = Self.tables(codebooks)
    }

    /// Packs codes, [codebooks, rows, chunks], of the entries of codebooks, [codebooks, entries, dimension], with scales,
    /// [rows, groups]. A chunk is `dimension` columns; the last of a row may be shorter.
    package init(
        codes: [[UInt8]], codebooks: [Int8], dimension: Int, scales: [Float], rows: Int, columns: Int, groupSize: Int
    ) throws(PithError) {
        let packing = try Packing(rows: rows, columns: columns, groupSize: groupSize)
        let (chunks, fours, codebookCount) = ((columns + dimension - 1) / dimension, 8 / dimension, codes.count)
        precondition(codes.allSatisfy { $0.count == rows * chunks }, "a code for each chunk")
        let entryCount = codebooks.count / (codebookCount * dimension)
        var bytes = [UInt8](repeating: 0, count: packing.blocks * packing.tiles * fours * codebookCount * 64)
        for (codebook, codes) in codes.enumerated() {
            for row in 0..<rows {
                for chunk in 0..<chunks {
                    let four = row / 16 * packing.tiles * fours + chunk / 4
                    let place = row % 16 / 4 * 16 + chunk % 4 * 4 + row % 4
                    // [blocks, tiles, fours] are the fours of a block one after the other.
                    bytes[(four * codebookCount + codebook) * 64 + place] = codes[row * chunks + chunk]
                }
            }
        }
        let parts = StoredParts(
            tensors: [
                "codes": StoredTensor(bytes: bytes, shape: [packing.blocks, packing.tiles, fours, codebookCount, 64]),
                "codebooks": StoredTensor(codebooks, as: .int8, shape: [codebookCount, entryCount, dimension]),
                "scales": packing.scales(scales),
            ],
            parameters: [
                "dimension": dimension, "codebooks": codebookCount, "entries": entryCount, "groupSize": groupSize,
            ])
        try self.init(parts, shape: [rows, columns], layouts: WeightLayouts.catalogue)
    }

    /// `codebooks`, [codebooks, entries, dimension], as the kernels look them up.
    private static func tables(_ codebooks: StoredTensor) -> StoredTensor {
        let (codebookCount, entryCount, dimension) = (codebooks.shape[0], codebooks.shape[1], codebooks.shape[2])
        let (size, count) = (256 * dimension, codebookCount * 256 * dimension)
        var tables = [UInt8](repeating: 0, count: 2 * count)
        for i in 0..<count {
            let (codebook, entry, column) = (i / size, i % size / dimension, i % dimension)
            let stored = codebook * entryCount + entry
            let value = entry < entryCount ? codebooks.byteValues[stored * dimension + column] : 0
            // Once 128 is in the first codebook it is in every sum.
            tables[i] = codebook == 0 ? value ^ 0x80 : value
            tables[count + (codebook * dimension + column) * 256 + entry] = tables[i]
        }
        return StoredTensor(bytes: tables, shape: [2, count])
    }

    package var packed: pith_packed {
        var packed = packing.packed(
            dimension == 4 ? PITH_VECTORS_4 : PITH_VECTORS_8, codes, tileBytes: 8 / dimension * codebookCount * 64,
            scales,
            zero: 128)
        packed.codebooks = Int32(codebookCount)
        packed.tables = tables.byteValues.baseAddress
        return packed
    }
}
